"""Patients alike: what conditions weigh, worked out from what they weighed on somebody with nearly the same values.

A few patients of before are kept, each unlike the others, as truths and sums and never with an answer's own words. Of
the next one only what differs from the nearest is weighed again (`moving.py`); sums of whole numbers come out the same
whoever that is. Tests compare with weighing everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import compress
from operator import itemgetter
from typing import Any, Final, NamedTuple

from services.triage.engine.compile import Values
from services.triage.engine.moving import Moving
from services.triage.engine.ranking import Ranking, Sums

_REMEMBERED: Final = 12
"""How many patients are kept; then the one that was kept first makes room."""
_ALIKE: Final = 30
"""Up to so many bits of difference (two for a truth that is another one) nobody is kept beside the other."""
_UNLIKE: Final = 40
"""From so many on it costs less to weigh everything."""


class _Kept(NamedTuple):
    bits: int
    sums: Sums


class Alike:
    """Weighs all conditions of one pack."""

    def __init__(self, ranking: Ranking, moving: Moving, *, truths: Collection[int], others: Collection[int]) -> None:
        """`truths`, `others`: the slots that are read, and hold truths or something else."""
        self._ranking = ranking
        self._moving = moving
        self._slots = tuple(truths)
        self._others = tuple(others)
        self._read: Callable[[Any], tuple[int, ...]] | None = None  # where no condition reads a truth
        if self._slots:
            self._read = itemgetter(*self._slots, self._slots[0])  # never a single one
        self._kept: tuple[_Kept, ...] = ()

    def weigh(self, values: Values) -> Sums:
        """What all conditions weigh on these values."""
        if self._read is None:
            return self._ranking.weigh(values)
        bits = int.from_bytes(bytes(self._read(values)), "little")
        least, nearest = _UNLIKE, None
        for kept in self._kept:
            unlike = (kept.bits ^ bits).bit_count()
            if unlike < least:
                least, nearest = unlike, kept
        if nearest is None:
            sums = self._ranking.weigh(values)
        else:
            other = (nearest.bits ^ bits).to_bytes(len(self._slots) + 1, "little")
            sums = self._moving.moved(nearest.sums, values, [*compress(self._slots, other), *self._others])
        if least > _ALIKE:
            self._kept = (_Kept(bits, sums), *self._kept[: _REMEMBERED - 1])
        return sums

    def forget(self) -> None:
        """As in a process that has weighed nobody yet."""
        self._kept = ()
