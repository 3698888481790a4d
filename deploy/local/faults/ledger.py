"""What the system promised, kept outside of it: a file that only grows, on the disk before the promise is used.

A line of JSON each. What a killed writer was about to write is at most the last line, and not whole: readers leave it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Accepted:
    """An answer 200 or 201: this version of this response was taken. `at`: seconds since 1970, when it came.

    `sha256` of the body that was sent. `urgency`: what its answers must at least lead to, None for what was withdrawn.
    `alone`: nobody else's answers have a part in it, so that its own alert must have been told.
    """

    id: str
    version: int
    sha256: str
    urgency: str | None
    alone: bool
    at: float
    posted: float


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A person was told that this alert is acknowledged now. `way`: link, task or worklist."""

    alert: str
    way: str
    at: float


class Ledger:
    """Writes entries; `record` returns once the line is on the disk. Many threads share one `fsync`."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Condition()
        self._written = self._synced = 0
        self._closing = False
        self.accepted: list[Accepted] = []
        self.acknowledged: list[Acknowledged] = []
        self._thread = threading.Thread(target=self._sync, name="ledger", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closing = True
            self._lock.notify_all()
        self._thread.join()
        os.close(self._file)

    def record(self, entry: Accepted | Acknowledged) -> None:
        """Keep this. Raises OSError where it cannot be kept: what cannot be checked must not go on."""
        line = json.dumps({"kind": type(entry).__name__.lower(), **asdict(entry)}).encode() + b"\n"
        with self._lock:
            if os.write(self._file, line) != len(line):
                raise OSError("the ledger's disk is full")
            self._written += 1
            mine = self._written
            if isinstance(entry, Accepted):
                self.accepted.append(entry)
            else:
                self.acknowledged.append(entry)
            self._lock.notify_all()
            while self._synced < mine:
                self._lock.wait()

    def _sync(self) -> None:
        while True:
            with self._lock:
                while self._synced == self._written:
                    if self._closing:
                        return
                    self._lock.wait()
                upto = self._written
            os.fsync(self._file)
            with self._lock:
                self._synced = upto
                self._lock.notify_all()


def read(path: Path) -> Iterator[Accepted | Acknowledged]:
    """The entries of a ledger, in the order in which they were written."""
    kinds: dict[str, Any] = {"accepted": Accepted, "acknowledged": Acknowledged}
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                values = json.loads(line)
                yield kinds[values.pop("kind")](**values)


def now() -> float:
    """Seconds since 1970, on this machine's clock."""
    return time.time()
