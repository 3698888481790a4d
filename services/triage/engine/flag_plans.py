"""Red flags made ready: which values each of them reads, and what came of these values before.

A flag reads a few of all values, and most patients give most flags the same ones; where they do not, most of its lines
still read what others gave them. What comes of a flag, and of a line, is kept by what was read, which is all that it
depends on: truths, comparisons and known points, never an answer's own words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.triage.engine.keeping import keep
from services.triage.engine.model import Flag, FlagLine
from services.triage.engine.reads import Reads
from services.triage.engine.results import FlagResult, LineVerdict

_REMEMBERED: Final = 100
"""For how many different sets of values the result of one flag is kept."""
_LINES_REMEMBERED: Final = 40
"""The same for one line."""


@dataclass(frozen=True, slots=True, eq=False)
class LinePlan:
    """One line of a flag. `read`: from all values those that it reads. `known`: where it fired or was undecided."""

    line: FlagLine
    read: Callable[[Any], Any]
    known: dict[Any, LineVerdict] = field(init=False, repr=False, default_factory=dict)

    def remember(self, values: Any, verdict: LineVerdict) -> None:
        """Keep what came of these values (`read`)."""
        keep(self.known, values, verdict, room=_LINES_REMEMBERED)


@dataclass(frozen=True, slots=True, eq=False)
class FlagPlan:
    """One flag. `first`: the place of its first line among all lines. `read`: from all values those that it reads."""

    flag: Flag
    lines: tuple[LinePlan, ...]
    first: int
    read: Callable[[Any], Any]
    known: dict[Any, FlagResult | None] = field(init=False, repr=False, default_factory=dict)

    def remember(self, values: Any, result: FlagResult | None) -> None:
        """Keep what came of these values (`read`)."""
        keep(self.known, values, result, room=_REMEMBERED)


def flag_plans(flags: Sequence[Flag], reads: Reads) -> tuple[FlagPlan, ...]:
    """All flags in pack order."""
    plans, first = [], 0
    for flag in flags:
        lines = tuple(LinePlan(line, reads.getter([line.when])) for line in flag.lines)
        plans.append(FlagPlan(flag, lines, first, reads.getter(line.when for line in flag.lines)))
        first += len(flag.lines)
    return tuple(plans)
