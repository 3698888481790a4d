"""Which of all values a criterion reads: with the same ones it is as true, and rests on the same answers.

That is what results may be kept by (`flag_plans.py`, `scales.py`, `scores.py`). What is read are truths, the truths of
comparisons, and known points of scores; of a free text only whether it matched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from services.triage.engine.compile import Slots
from services.triage.engine.criteria import All, AnyOf, Compare, Criterion, Fact, Not, OrUnknown
from services.triage.engine.model import DerivedFact, ScoreDefinition


class Reads:
    """The places that criteria of one pack read. `compared`: comparisons whose truths are values, with their places."""

    def __init__(
        self,
        slots: Slots,
        compared: Mapping[Compare, int],
        computed: Mapping[str, DerivedFact | ScoreDefinition],
    ) -> None:
        self._slots = slots
        self._compared = compared
        self._computed = computed
        self._behind: dict[str, set[int]] = {}

    def getter(self, criteria: Iterable[Criterion]) -> Callable[[Any], Any]:
        """From all values, those that decide the criteria."""
        places = sorted(set[int]().union(*map(self.of, criteria)))
        return itemgetter(*places) if places else _nothing

    def deciding(self, criteria: Iterable[Criterion]) -> Callable[[Any], Any]:
        """From all values, those that decide the criteria, whatever answers they rest on."""
        places = sorted(self.places(criteria))
        return itemgetter(*places) if places else _nothing

    def places(self, criteria: Iterable[Criterion]) -> set[int]:
        """The places that decide the criteria by themselves."""
        return set[int]().union(*map(self._truths, criteria))

    def of(self, criterion: Criterion) -> set[int]:
        """The places that decide the criterion, and which answers it rests on."""
        match criterion:
            case Compare() if criterion in self._compared:
                return {self._compared[criterion]}
            case Fact(name) | Compare(name):
                return self._named(name)
            case Not(part) | OrUnknown(part):
                return self.of(part)
            case All(parts) | AnyOf(parts):
                return set[int]().union(*map(self.of, parts))
        raise TypeError(f"not a criterion: {criterion!r}")

    def directly(self, criterion: Criterion) -> set[int]:
        """The places of the values that the criterion itself reads: a name's own, not what stands behind it."""
        match criterion:
            case Compare() if criterion in self._compared:
                return {self._compared[criterion], self._slots[criterion.name]}
            case Fact(name) | Compare(name):
                return {self._slots[name]}
            case Not(part) | OrUnknown(part):
                return self.directly(part)
            case All(parts) | AnyOf(parts):
                return set[int]().union(*map(self.directly, parts))
        raise TypeError(f"not a criterion: {criterion!r}")

    def _truths(self, criterion: Criterion) -> set[int]:
        """The places that decide the criterion by themselves: of a comparison whose truth is a value, that one."""
        match criterion:
            case Compare() if criterion in self._compared:
                return {self._compared[criterion]}
            case Fact(name) | Compare(name):
                return {self._slots[name]}
            case Not(part) | OrUnknown(part):
                return self._truths(part)
            case All(parts) | AnyOf(parts):
                return set[int]().union(*map(self._truths, parts))
        raise TypeError(f"not a criterion: {criterion!r}")

    def by_slot(self, several: Sequence[Iterable[Criterion]]) -> dict[int, tuple[int, ...]]:
        """By slot, the numbers of those among which some criterion itself reads it."""
        found: dict[int, list[int]] = {}
        for number, criteria in enumerate(several):
            for slot in sorted(set[int]().union(*map(self.directly, criteria))):
                found.setdefault(slot, []).append(number)
        return {slot: tuple(numbers) for slot, numbers in found.items()}

    def _named(self, name: str) -> set[int]:
        """Of a computed name also what it is computed from, as that says which answers it rests on."""
        if name not in self._behind:
            found = {self._slots[name]}
            definition = self._computed.get(name)
            if isinstance(definition, DerivedFact):
                found |= self.of(definition.when)
            elif definition is not None:
                found = found.union(*(self.of(item.when) for item in definition.items))
            self._behind[name] = found
        return self._behind[name]


def _nothing(_: Any) -> tuple[()]:
    return ()
