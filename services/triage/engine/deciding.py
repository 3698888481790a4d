"""Why a criterion came out as it did: the base facts that decided it, through derived facts and scores."""

from __future__ import annotations

from services.triage.engine.compile import Values
from services.triage.engine.criteria import Criterion, Fact
from services.triage.engine.model import DerivedFact
from services.triage.engine.pack import Pack
from services.triage.engine.state import State
from services.triage.engine.truth import NO, UNKNOWN, YES


class Deciding:
    """Finds the deciding facts of criteria in one computed state."""

    __slots__ = ("_known", "_pack", "_place", "_told", "values")

    def __init__(self, state: State, values: Values | None = None) -> None:
        """`values`: those of the state, unless others are given."""
        self.values: Values = state.values if values is None else values
        self._pack: Pack = state.pack
        self._place = state.pack.slots.__getitem__
        self._known: dict[tuple[str, int], set[str]] = {}
        self._told: dict[tuple[str, int], tuple[str, ...]] = {}

    def facts(self, criterion: Criterion, truth: int) -> tuple[str, ...]:
        """Base facts, in pack order, through which the criterion can be `truth` (YES, NO or UNKNOWN).

        For UNKNOWN these are the facts whose unknown value keeps it open; facts that are known are left out.
        """
        if not isinstance(criterion, Fact):
            return self._collected(criterion, truth)
        key = (criterion.name, truth)  # many criteria are one derived fact
        told = self._told.get(key)
        if told is None:
            told = self._told[key] = self._collected(criterion, truth)
        return told

    def _collected(self, criterion: Criterion, truth: int) -> tuple[str, ...]:
        found: set[str] = set()
        self._pack.grounds.of(criterion)(self, truth, found)
        return tuple(sorted(found, key=self._place) if len(found) > 1 else found)

    def behind(self, name: str, truth: int) -> set[str]:
        """The facts behind a derived fact, or the points of a score, worked out once per evaluation."""
        key = (name, truth)
        if key not in self._known:
            found: set[str] = set()
            definition = self._pack.computed[name]
            if isinstance(definition, DerivedFact):
                if definition.unknown_is_no and truth == NO and not self.truths(definition.when) & NO:
                    truth = UNKNOWN
                self._pack.grounds.of(definition.when)(self, truth, found)
            else:
                for item in definition.items:
                    if self.truths(item.when) & YES:
                        self._pack.grounds.of(item.when)(self, YES, found)
            self._known[key] = found
        return self._known[key]

    def truths(self, criterion: Criterion) -> int:
        """What the criterion may be, as a set."""
        return self._pack.compiler.test_of(criterion)(self.values)
