"""Senders that run beside the work that wakes them: one thread per channel and urgency, so that none waits for another.

A worker's task only wakes them and ends; what they do not get to is found by the background process, as every message
to be sent is a due row.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

Work = Callable[[str, Callable[[], bool]], object]
"""Sends all that is due of one kind; asks between two messages whether it should stop."""

log = logging.getLogger(__name__)


class Lanes:
    """The senders of one process. Threads start at the first wake, after a fork."""

    def __init__(self, work: Work, kinds: Iterable[str]) -> None:
        self._work = work
        self._wanted = {kind: threading.Event() for kind in kinds}
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def wake(self) -> None:
        """Let every sender look for due messages now. Never blocks."""
        if not self._threads:
            self._threads = [
                threading.Thread(target=self._run, args=(kind,), name=kind, daemon=True) for kind in self._wanted
            ]
            for thread in self._threads:
                thread.start()
        for wanted in self._wanted.values():
            wanted.set()

    def close(self, timeout_s: float) -> None:
        """Let messages that are on their way end, up to this time for all of them."""
        self._stopped.set()
        for wanted in self._wanted.values():
            wanted.set()
        for thread in self._threads:
            thread.join(timeout_s / max(len(self._threads), 1))

    def _run(self, kind: str) -> None:
        wanted = self._wanted[kind]
        while not self._stopped.is_set():
            wanted.wait()
            wanted.clear()
            try:
                self._work(kind, self._stopped.is_set)
            except Exception as error:
                # The rows are still due: the background process takes them.
                log.exception("sender failed", extra={"kind": kind, "error": type(error).__name__})
