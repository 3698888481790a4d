"""A server that runs as our child on the data below a folder: what PostgreSQL and Valkey have in common.

One server at a time uses the data: it and all its processes hold `state/NAME.lock` as long as they live.
"""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, ClassVar, Self

from deploy.local.errors import StartError
from deploy.local.folder import DataFolder
from deploy.local.process import StopSteps, stop_all, wait_for_lock, wait_until

TAKEOVER_S = 15.0  # a server whose parent was killed needs a moment to end


class EmbeddedServer(ABC):
    """Start it from a thread that lives as long as the process: the server ends with that thread."""

    title: ClassVar[str]
    name: ClassVar[str]
    port_taken: ClassVar[str]  # how the server's log says that it cannot listen
    ready_s: ClassVar[float]
    stop_steps: ClassVar[StopSteps]

    def __init__(self, data_dir: Path | str) -> None:
        self.data = DataFolder(Path(data_dir).absolute())
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._announced = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server's process. Only after `launch`."""
        if self._process is None:
            raise RuntimeError(f"{self.title} has not been launched")
        return self._process

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect, with the password; the same at every start."""

    def start(self) -> str:
        """Start the server, making its data at the first call. Returns its URL.

        Raises StartError, with nothing left running.
        """
        self.launch()
        return self.wait_ready()

    def launch(self) -> None:
        """Begin to start, without waiting until the server answers. Raises StartError."""
        self.data = DataFolder.open(self.data.path)
        self.data.require_space()
        lock = wait_for_lock(self.data.state / f"{self.name}.lock", timeout_s=TAKEOVER_S)
        if lock is None:
            raise StartError(
                f"Another {self.title} already runs on the data in {self.data.path}.",
                "Stop it with `./sural down`, or choose another folder with --data.",
            )
        with lock:
            self._prepare()
            self.data.log_for_start(self.name)
            self._log_start = self.log.stat().st_size if self.log.exists() else 0
            self._process = self._spawn(lock)

    def wait_ready(self) -> str:
        """Wait until the server answers; returns its URL. Raises StartError, with nothing left running."""
        wait_until(lambda: self.process.poll() is not None or self._answers(), timeout_s=self.ready_s)
        if self.process.poll() is None and self._answers():
            self._announced = True
            return self.url
        self.stop()
        reason = self._new_log()
        if self.port_taken in reason and not self._announced:
            # Somebody else took the remembered port, and nobody has been told of it in this run.
            self.data.new_port(self.name)
            return self.start()
        raise self._explain_start(reason)

    def stop(self) -> None:
        """Stop the server; nothing is left of it. Does nothing when none runs."""
        if self._process:
            stop_all([(self._process, self.stop_steps)])

    @property
    def port(self) -> int:
        return self.data.port(self.name)

    @property
    def log(self) -> Path:
        return self.data.log(self.name)

    @abstractmethod
    def _prepare(self) -> None:
        """Make the data, or check that this program can use them."""

    @abstractmethod
    def _spawn(self, lock: IO[str]) -> subprocess.Popen[bytes]:
        """Start the program; it inherits the lock."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server is ready for clients."""

    @abstractmethod
    def _explain(self, reason: str) -> StartError:
        """One sentence and a remedy for a complaint that only this server has."""

    def _explain_start(self, reason: str) -> StartError:
        if self.port_taken in reason:
            return StartError(
                f"The port {self.port}, on which {self.title} ran, is taken by another program.",
                "Stop that program, or stop Sural and start it again: it then chooses another port.",
            )
        if "No space left on device" in reason:
            return StartError(f"The disk of {self.data.path} is full.", "Free some space and start again.")
        return self._explain(reason)

    def _new_log(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")
