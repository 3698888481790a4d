"""Connections that lie idle until somebody needs one again, and are ended when nobody did for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.deadlines import Deadlines

Kept = TypeVar("Kept")

_ends = Deadlines("idle-connections")


@dataclass(frozen=True, slots=True, eq=False)
class _Lying(Generic[Kept]):
    kept: Kept
    since: float


class Idle(Generic[Kept]):
    """`end`: what ends one; it must not wait for anybody. Threads may share this."""

    def __init__(self, end: Callable[[Kept], object], *, after_s: float) -> None:
        self._end, self._after_s = end, after_s
        self._lying: list[_Lying[Kept]] = []
        self._lock = threading.Lock()
        self._will_look = False

    def take(self) -> Kept | None:
        """The one that was used last, so that the others come to their end; None when there is none."""
        with suppress(IndexError):
            return self._lying.pop().kept
        return None

    def put(self, kept: Kept) -> None:
        """Keep this one for the next who needs it."""
        self._lying.append(_Lying(kept, time.monotonic()))
        self._look_later()

    def close(self) -> None:
        """End all that lie idle."""
        while (kept := self.take()) is not None:
            self._end(kept)

    def _look_later(self) -> None:
        """One look is to come, however many were put here since the last."""
        with self._lock:
            if not self._will_look:
                _ends.after(self._after_s, self._look)
                self._will_look = True

    def _look(self) -> None:
        """End those that nobody needed; look again while there are others."""
        with self._lock:
            self._will_look = False
        for lying in list(self._lying):
            if lying.since <= time.monotonic() - self._after_s:
                with suppress(ValueError):  # somebody has just taken it
                    self._lying.remove(lying)
                    self._end(lying.kept)
        if self._lying:
            self._look_later()
