"""Percentiles, medians with their spread, and blocks that count only when the machine was steady."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import quantiles
from typing import TypeVar

STEADY = 0.15
"""A block whose two calibrations differ by more than this part of the smaller one is dropped."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several blocks, the quartiles around it, and of how many blocks."""

    median: float
    low: float
    high: float
    blocks: int


@dataclass(frozen=True, slots=True)
class Block:
    """One measured block: its cost, and that of the unit before and after it, all in seconds of processor time."""

    cost: float
    before: float
    after: float

    @property
    def unit(self) -> float:
        """The unit that held during the block."""
        return (self.before + self.after) / 2

    @property
    def steady(self) -> bool:
        """Whether the machine was the same before and after."""
        return is_steady(self.before, self.after)

    @property
    def units(self) -> float:
        """The cost as a multiple of the unit."""
        return self.cost / self.unit


Measured = TypeVar("Measured")


def steady_ones(blocks: Sequence[Measured], block_of: Callable[[Measured], Block]) -> list[Measured]:
    """The blocks during which the machine was steady; all of them where it never was, rather than nothing."""
    return [one for one in blocks if block_of(one).steady] or list(blocks)


def is_steady(before: float, after: float) -> bool:
    """Whether two calibrations are so close that what lies between them can be compared with others."""
    return max(before, after) <= min(before, after) * (1 + STEADY)


def spread(values: Iterable[float]) -> Spread | None:
    """None of nothing. Quartiles as `statistics.quantiles` gives them, inclusive; of one value, that value."""
    given = list(values)
    if not given:
        return None
    if len(given) == 1:
        return Spread(given[0], given[0], given[0], 1)
    low, middle, high = quantiles(given, n=4, method="inclusive")
    return Spread(middle, low, high, len(given))


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that at least so many percent of all do not exceed (nearest rank). None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(ceil(len(ordered) * percent / 100) - 1, 0)]


def short(value: float | None, *, nothing: str = "-") -> str:
    """Three figures that count, for people."""
    if value is None:
        return nothing
    if value == 0:
        return "0"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"
