"""Fault proxies in processes of their own, so that what they pass on does not wait for what the suite is busy with."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Self, cast

from deploy.local.faults.proxy import GOOD, Behaviour, order
from deploy.local.folder import CHECKOUT, free_port


class Passage:
    """The way to one server, which can be made as bad as needed."""

    def __init__(self, name: str) -> None:
        self.name, self.port = name, free_port()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def open(self, server_port: int) -> Self:
        """Begin to pass on to this server."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "deploy.local.faults.proxy", str(self.port), str(server_port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
            env={"PYTHONPATH": str(CHECKOUT)},
        )
        self._orders, self._answers = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        self._answers.readline()
        return self

    def set(self, behaviour: Behaviour) -> None:
        """Behave like this from now on."""
        self._tell(behaviour)

    def cut(self) -> None:
        """Reset every connection."""
        self._tell(None)

    def lead_to(self, server_port: int) -> None:
        """Lead to another server from now on."""
        self._tell(server_port)

    def mend(self) -> None:
        """Be a good way again."""
        self._tell(GOOD)

    @contextmanager
    def being(self, behaviour: Behaviour, *, cut: bool = False) -> Iterator[None]:
        """Bad inside the block, good after it. `cut`: connections that are there are reset first."""
        self.set(behaviour)
        if cut:
            self.cut()
        try:
            yield
        finally:
            self.mend()

    def close(self) -> None:
        """End the process, if it was begun."""
        if self._process is None:
            return
        self._orders.close()
        self._answers.close()
        self._process.wait(10)

    def _tell(self, wanted: Behaviour | int | None) -> None:
        if self._process is None:
            return
        with self._lock:
            self._orders.write(order(wanted))
            self._orders.flush()
            self._answers.readline()
