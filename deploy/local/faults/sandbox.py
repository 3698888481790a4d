"""A whole Sural of its own, whose ways to PostgreSQL, Valkey and the mail server lead through fault proxies.

The two servers belong to the suite, so that it can kill them and keep them away; the services run under `./sural up`,
whose supervisor has to bring them back by itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from deploy.local import running
from deploy.local.environment import child_variables, server_variables
from deploy.local.faults.database import BreakablePostgres
from deploy.local.faults.proxies import Passage
from deploy.local.folder import CHECKOUT, DataFolder, free_port, write_whole
from deploy.local.process import wait_until
from deploy.local.servers import EmbeddedValkey

SECRET = "whsec_ZmF1bHRzIG9mIGEgbWFjaGluZSBvZiBvdXIgb3du"  # noqa: S105 - signs for a receiver of our own
CHILDREN = ("web", "triage", "notify-urgent", "notify-routine", "background")
CHANNEL_TIMEOUT_S = 3.0
REPEAT_EMERGENCY_S, REPEAT_SAME_DAY_S = 6, 30
START_S, END_S = 120.0, 60.0


class Sandbox:
    """The system that is broken. Use as a context; only from the main thread, as servers end with their thread."""

    def __init__(self, folder: Path, *, mail_port: int, webhook_port: int) -> None:
        self.folder, self._mail_port, self._webhook_port = folder, mail_port, webhook_port
        self.data = DataFolder.open(folder)
        self.port = free_port()
        self.postgres: BreakablePostgres = BreakablePostgres(folder)
        self.valkey = EmbeddedValkey(folder)
        self._more: list[subprocess.Popen[bytes]] = []
        self.to_postgres, self.to_valkey, self.to_mail = Passage("postgres"), Passage("valkey"), Passage("mail")

    def __enter__(self) -> Sandbox:
        try:
            self.postgres.launch()
            self.valkey.launch()
            self.postgres.wait_ready()
            self.valkey.wait_ready()
            self.to_postgres.open(self.postgres.port)
            self.to_valkey.open(self.valkey.port)
            self.to_mail.open(self._mail_port)
            self.up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end_further()
        for passage in (self.to_postgres, self.to_valkey, self.to_mail):
            passage.mend()
        for name in CHILDREN:
            self.signal(name, signal.SIGCONT)
        with suppress(Exception):
            self.down()
        for passage in (self.to_postgres, self.to_valkey, self.to_mail):
            passage.close()
        self.postgres.stop()
        self.valkey.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def broker_url(self) -> str:
        """The broker, past its proxy."""
        return self.valkey.url

    def up(self) -> None:
        """Start the services. Raises RuntimeError when they do not answer."""
        command = [sys.executable, "-P", "-m", "deploy.local", "up", "--detach", "--data", str(self.folder)]
        done = subprocess.run(
            [*command, "--port", str(self.port)],
            env=self._environment(),
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"Sural did not start for the faults: {done.stderr.strip()[-500:]}")

    def down(self) -> None:
        """Stop the services; the servers stay."""
        running.stop(self.data)

    def pid(self, name: str) -> int | None:
        """The process of that name as it runs now; None while it is being started again."""
        return self.pids().get(name)

    def pids(self) -> dict[str, int]:
        """Every process of the supervisor."""
        found = running.find(self.data)
        return {process.name: process.pid for process in found.processes} if found else {}

    def forked(self, name: str) -> list[int]:
        """The processes that this one has forked: those in which tasks run."""
        pid = self.pid(name)
        return children_of(pid) if pid else []

    def signal(self, name: str, number: signal.Signals, *, pool: bool = False) -> list[int]:
        """Send a signal to a process, or to those that it forked; returns which got it."""
        pid = self.pid(name)
        reached = []
        for one in (children_of(pid) if pool else [pid]) if pid else []:
            with suppress(ProcessLookupError):
                os.kill(one, number)
                reached.append(one)
        return reached

    def kill(self, name: str, *, pool: bool = False) -> int:
        """`kill -9`; returns how many processes it hit."""
        return len(self.signal(name, signal.SIGKILL, pool=pool))

    def arm(self, name: str, traps: str) -> None:
        """Start this process anew with these failpoints; it has them until `disarm`."""
        self.set_traps(name, traps)
        self.restart(name)

    def set_traps(self, name: str, traps: str) -> None:
        """Let this process have these failpoints from its next start on."""
        write_whole(self.data.state / f"failpoint-{name}", traps)

    def disarm(self, *names: str) -> None:
        """Start these processes anew without failpoints."""
        for name in names:
            (self.data.state / f"failpoint-{name}").unlink(missing_ok=True)
        for name in names:
            self.kill(name)

    def restart(self, name: str, *, within_s: float = 15.0) -> bool:
        """Kill a process and wait until the supervisor has started it again."""
        before = self.pid(name)
        self.kill(name)
        return wait_until(lambda: self.pid(name) not in (before, None), timeout_s=within_s)

    def all_run(self) -> bool:
        """Whether the supervisor runs every process."""
        return all((pid := self.pid(name)) is not None and alive(pid) for name in CHILDREN)

    def further(self, module: str, *arguments: str, number: int = 1) -> None:
        """Run more processes of a kind, beside those of the supervisor, until `end_further`."""
        servers = server_variables(self._environment(), {}, self.data)
        environment = child_variables(self._environment(), servers, data=self.data, port=self.port)
        for _ in range(number):
            with self.data.log(f"further-{module.rpartition('.')[2]}").open("ab") as log:
                self._more.append(
                    subprocess.Popen(
                        [sys.executable, "-P", "-m", module, *arguments],
                        env=environment,
                        cwd=CHECKOUT,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )

    def end_further(self) -> None:
        """End them as a machine that is switched off would."""
        for process in self._more:
            for pid in [*children_of(process.pid), process.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        self._more.clear()

    def _environment(self) -> dict[str, str]:
        """What `./sural up` gets. An odd time zone, so that any use of the machine's own clock face would show."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SURAL_")}
        return ours | {
            "PYTHONPATH": str(CHECKOUT),
            "TZ": "Pacific/Chatham",
            "SURAL_DATABASE_URL": _through(self.postgres.url, self.to_postgres.port),
            "SURAL_REDIS_URL": _through(self.valkey.url, self.to_valkey.port),
            "SURAL_SMTP_URL": f"smtp://127.0.0.1:{self.to_mail.port}",
            "SURAL_WEBHOOK_URL": f"http://127.0.0.1:{self._webhook_port}/",
            "SURAL_WEBHOOK_SECRET": SECRET,
            "SURAL_CHANNEL_TIMEOUT_S": str(CHANNEL_TIMEOUT_S),
            "SURAL_REPEAT_EMERGENCY_S": str(REPEAT_EMERGENCY_S),
            "SURAL_REPEAT_SAME_DAY_S": str(REPEAT_SAME_DAY_S),
            "SURAL_QUARANTINE_PER_MINUTE": "10000",
            "SURAL_MESSAGES_PER_HOUR": "100000",
        }


@contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    """SIGSTOP inside the block, SIGCONT after it."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def alive(pid: int) -> bool:
    """True while that process runs (a zombie does not)."""
    return _stat(pid)[:1] not in ([], ["Z"])


def children_of(pid: int) -> list[int]:
    """Processes whose parent is `pid`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        stat = _stat(int(entry.name))
        if len(stat) > 1 and stat[0] != "Z" and int(stat[1]) == pid:
            found.append(int(entry.name))
    return found


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _through(url: str, port: int) -> str:
    """The same address by way of a proxy."""
    parts = urlsplit(url)
    login, _, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}"))
