"""Red flags made ready: which values each of them reads, and what came of these values before.

A flag reads a few of all values, and most patients give most flags the same ones. What comes of them is kept by what
was read, which is all that it depends on: truths, comparisons and known points, never an answer's own words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.triage.engine.model import Flag
from services.triage.engine.reads import Reads
from services.triage.engine.results import FlagResult

_REMEMBERED: Final = 100
"""For how many different sets of values the result of one flag is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class FlagPlan:
    """One flag. `first`: the place of its first line among all lines. `read`: from all values those that it reads."""

    flag: Flag
    first: int
    read: Callable[[Any], Any]
    known: dict[Any, FlagResult | None] = field(init=False, repr=False, default_factory=dict)

    def remember(self, values: Any, result: FlagResult | None) -> None:
        """Keep what came of these values (`read`), as long as there is room."""
        if len(self.known) < _REMEMBERED:
            self.known[values] = result


def flag_plans(flags: Sequence[Flag], reads: Reads) -> tuple[FlagPlan, ...]:
    """All flags in pack order."""
    plans, first = [], 0
    for flag in flags:
        plans.append(FlagPlan(flag, first, reads.getter(line.when for line in flag.lines)))
        first += len(flag.lines)
    return tuple(plans)
