"""Waiting in tests: for a condition, with a deadline, never for a length of time."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")
POLL_S = 0.02


def eventually(look: Callable[[], Seen], *, within_s: float = 10.0) -> Seen:
    """Look until what is seen is true (in Python's sense) and return it.

    An AssertionError of the look counts as "not yet". When the time is up, the last one is raised, or one
    that shows what was seen last.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            seen = look()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        else:
            if seen:
                return seen
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within_s:g} s; last seen: {seen!r}")
        select.select([], [], [], POLL_S)
