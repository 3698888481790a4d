"""Valkey as a child of this process: loopback only, a password, an append-only file, nothing evicted.

It speaks the Redis protocol and only wakes workers; what it forgets, they find again in the database.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import IO

from deploy.local.embedded import EmbeddedServer
from deploy.local.errors import StartError
from deploy.local.folder import make_folder, write_whole
from deploy.local.process import spawn
from deploy.local.programs import valkey_program

ANSWER_S = 1.0
CONFIG = """\
bind 127.0.0.1
protected-mode yes
port {port}
dir {folder}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
requirepass {password}
daemonize no
"""


class EmbeddedValkey(EmbeddedServer):
    """One Valkey server on the data below a folder."""

    title = "Valkey"
    name = "valkey"
    port_taken = "Address already in use"
    ready_s = 30.0
    stop_steps = ((signal.SIGTERM, 10.0),)

    @property
    def url(self) -> str:
        return f"redis://:{self.data.secret('valkey')}@127.0.0.1:{self.port}/0"

    @property
    def _store(self) -> Path:
        return self.data.path / "valkey"

    def _prepare(self) -> None:
        make_folder(self._store, 0o700)
        password = self.data.secret("valkey")
        config = CONFIG.format(port=self.port, folder=_quoted(self._store), password=password)
        write_whole(self._config, config)

    @property
    def _config(self) -> Path:
        return self.data.path / "secrets" / "valkey.conf"

    def _spawn(self, lock: IO[str]) -> subprocess.Popen[bytes]:
        return spawn(
            [valkey_program(), self._config],
            log=self.log,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            cwd=self._store,
            keep_open=[lock.fileno()],
        )

    def _answers(self) -> bool:
        """Whether the server has loaded its data and takes our password."""
        greeting = f"AUTH {self.data.secret('valkey')}\r\nPING\r\n".encode()
        try:
            with socket.create_connection(("127.0.0.1", self.port), ANSWER_S) as connection:
                connection.sendall(greeting)
                with connection.makefile("rb") as answers:
                    return answers.readline() == b"+OK\r\n" and answers.readline() == b"+PONG\r\n"
        except OSError:
            return False

    def _explain(self, reason: str) -> StartError:
        complaints = [line for line in reason.splitlines() if " # " in line or "***" in line]
        said = re.sub(r"^.* # ", "", complaints[-1]).rstrip(".") if complaints else "it gave no reason"
        return StartError(
            f"Valkey cannot use the data in {self._store} ({said}).",
            f"Remove {self._store}: it holds only wake-ups; the workers find their work in the database.",
        )


def _quoted(path: Path) -> str:
    """A path as a string in Valkey's configuration file."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
