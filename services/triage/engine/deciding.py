"""Why a criterion came out as it did: the base facts that decided it, through derived facts and scores."""

from __future__ import annotations

from collections.abc import Sequence

from services.triage.engine.criteria import All, AnyOf, Compare, Criterion, Fact, Not, OrUnknown
from services.triage.engine.model import DerivedFact, ScoreDefinition
from services.triage.engine.pack import Pack
from services.triage.engine.state import State
from services.triage.engine.truth import NO, NOT, NOT_REACHED, UNKNOWN, YES


class Deciding:
    """Finds the deciding facts of criteria in one computed state."""

    __slots__ = ("_known", "_pack", "_test_of", "_values")

    def __init__(self, state: State) -> None:
        self._pack: Pack = state.pack
        self._test_of = state.pack.compiler.test_of
        self._values = state.values
        self._known: dict[tuple[str, int], set[str]] = {}

    def facts(self, criterion: Criterion, truth: int) -> tuple[str, ...]:
        """Base facts, in pack order, through which the criterion can be `truth` (YES, NO or UNKNOWN).

        For UNKNOWN these are the facts whose unknown value keeps it open; facts that are known are left out.
        """
        found: set[str] = set()
        self._collect(criterion, truth, found)
        return tuple(sorted(found, key=self._pack.slots.__getitem__) if len(found) > 1 else found)

    def _collect(self, criterion: Criterion, truth: int, found: set[str]) -> None:
        """Add to `found`."""
        match criterion:
            case Fact(name):
                self._named(name, truth, found)
            case All(parts):
                self._of_many(parts, truth, truth == YES, found)
            case AnyOf(parts):
                self._of_many(parts, truth, truth == NO, found)
            case Compare(name):
                self._compared(name, found)
            case Not(part):
                self._collect(part, NOT[truth], found)
            case OrUnknown(part):
                possible = self.truths(part)
                self._collect(part, next((t for t in (truth, UNKNOWN) if possible & t), NOT_REACHED), found)

    def _of_many(self, parts: Sequence[Criterion], truth: int, every: bool, found: set[str]) -> None:
        """All parts when every one was needed, else those that have the truth themselves."""
        for part in parts:
            if every or self.truths(part) & truth:
                self._collect(part, truth, found)

    def _named(self, name: str, truth: int, found: set[str]) -> None:
        if name in self._pack.facts:
            found.add(name)
        elif name in self._pack.text_matches:
            found.add(self._pack.text_matches[name].fact)
        else:
            found |= self._derived(name, truth)

    def _derived(self, name: str, truth: int) -> set[str]:
        """The facts behind a derived fact, worked out once per evaluation."""
        key = (name, truth)
        if key not in self._known:
            definition = self._pack.computed[name]
            assert isinstance(definition, DerivedFact)
            if definition.unknown_is_no and truth == NO and not self.truths(definition.when) & NO:
                truth = UNKNOWN
            behind: set[str] = set()
            self._collect(definition.when, truth, behind)
            self._known[key] = behind
        return self._known[key]

    def _compared(self, name: str, found: set[str]) -> None:
        definition = self._pack.computed.get(name)
        if not isinstance(definition, ScoreDefinition):
            found.add(name)
            return
        for item in definition.items:
            if self.truths(item.when) & YES:
                self._collect(item.when, YES, found)

    def truths(self, criterion: Criterion) -> int:
        """What the criterion may be, as a set."""
        return self._test_of(criterion)(self._values)
