"""Leases that are extended while somebody works, by one thread for all work of a pool.

Most work is done before its first extension, and to start a thread costs as much as a small piece of work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

HEARTBEAT_S = 3.0
HOLD_S = 60.0
"""Longest time for which a lease is extended: work that hangs goes to another worker after that."""

Claim = TypeVar("Claim")


class Leases(Generic[Claim]):
    """What somebody works on now, and, while there is any, the thread that extends it every `HEARTBEAT_S`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[object, tuple[Sequence[Claim], float]] = {}
        self._beating = False

    @contextmanager
    def held(self, claims: Sequence[Claim], extend: Callable[[Sequence[Claim]], None]) -> Iterator[None]:
        """Extend these while the block runs, for `HOLD_S` at the most; first after `HEARTBEAT_S` at the latest.

        `extend` is called from the thread, with whatever is held then. Raises RuntimeError where there is no thread.
        """
        mine = object()
        with self._lock:
            self._held[mine] = claims, time.monotonic() + HOLD_S
            begin, self._beating = not self._beating, True
        try:
            if begin:
                self._begin(extend)
            yield
        finally:
            with self._lock:
                del self._held[mine]

    def _begin(self, extend: Callable[[Sequence[Claim]], None]) -> None:
        try:
            threading.Thread(target=self._beat, args=(extend,), name="lease-heartbeat", daemon=True).start()
        except BaseException:
            self._ended()
            raise

    def _beat(self, extend: Callable[[Sequence[Claim]], None]) -> None:
        try:
            while claims := self._after_a_pause():
                extend(claims)
        except BaseException:
            self._ended()
            raise

    def _after_a_pause(self) -> Sequence[Claim]:
        """What is to be extended; where there is nothing, the thread ends, and whoever comes next begins another."""
        time.sleep(HEARTBEAT_S)
        with self._lock:
            now = time.monotonic()
            claims = [claim for held, end in self._held.values() if now < end for claim in held]
            self._beating = bool(claims)
            return claims

    def _ended(self) -> None:
        with self._lock:
            self._beating = False
