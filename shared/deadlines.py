"""What is to happen when something takes too long, or lies idle too long: one thread watches over all of it."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass(order=True, slots=True)
class _Call:
    at: float
    number: int
    function: Callable[[], object] | None = field(compare=False)
    """None: it is not wanted any more."""


class Deadlines:
    """Calls at later times. Their thread begins with the first, after a fork, and sleeps while there are none.

    What is called runs in that thread, one after the other, so it must be quick.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._calls: list[_Call] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def after(self, seconds: float, function: Callable[[], object]) -> Callable[[], None]:
        """Call `function` then. Returns what takes the call back; once it began, that does nothing."""
        call = _Call(time.monotonic() + seconds, next(self._numbers), function)
        with self._changed:
            heapq.heappush(self._calls, call)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            elif self._calls[0] is call:
                self._changed.notify()

        def take_back() -> None:
            with self._changed:
                call.function = None

        return take_back

    @contextmanager
    def within(self, seconds: float, over: Callable[[], object]) -> Iterator[None]:
        """Call `over` if this block takes longer. It goes on, until `over` ends what it waits for."""
        take_back = self.after(seconds, over)
        try:
            yield
        finally:
            take_back()

    def _run(self) -> None:
        while True:
            function = self._next()
            try:
                function()
            except Exception as error:
                log.exception("deadline failed", extra={"kind": self._name, "error": type(error).__name__})

    def _next(self) -> Callable[[], object]:
        """Wait for the next call that is due."""
        with self._changed:
            while True:
                while self._calls and self._calls[0].function is None:
                    heapq.heappop(self._calls)
                left = self._calls[0].at - time.monotonic() if self._calls else None
                if left is not None and left <= 0 and (function := heapq.heappop(self._calls).function) is not None:
                    return function
                self._changed.wait(left)
