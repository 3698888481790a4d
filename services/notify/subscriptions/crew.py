"""Threads that tell subscribers: one look begins as many as there are subscribers to tell; each ends with its work."""

from __future__ import annotations

import logging
import threading
import time

from services.notify.subscriptions import store
from services.notify.subscriptions.send import Sender, send_due

log = logging.getLogger(__name__)


class Crew:
    """`failing`: for those that failed lately, or for all others. `most`: threads at a time."""

    def __init__(self, sender: Sender, *, failing: bool, most: int) -> None:
        self._sender, self._failing, self._most = sender, failing, most
        self._threads: list[threading.Thread] = []

    def look(self) -> None:
        """Begin to tell whoever is due. What hangs holds its own thread, and no look."""
        with self._sender.pool.connection() as connection:
            due = store.due(connection, failing=self._failing)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for _ in range(min(len(due), self._most - len(self._threads))):
            thread = threading.Thread(target=self._tell, name="subscribers", daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self, timeout_s: float) -> None:
        """Let what is on its way end, up to this time for all of it."""
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0))

    def _tell(self) -> None:
        try:
            send_due(self._sender, failing=self._failing)
        except Exception as error:
            # The rows are still due: the next look begins anew.
            log.exception("subscribers not told", extra={"error": type(error).__name__})
