"""Where a criterion's truth comes from, made fast: each criterion becomes a function that collects its base facts.

The functions are made when they are first needed and kept with the pack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from services.triage.engine.compile import Compiler, Slots, Test, Values
from services.triage.engine.criteria import All, AnyOf, Compare, Criterion, Fact, Not, OrUnknown
from services.triage.engine.truth import NO, NOT, NOT_REACHED, UNKNOWN, YES


class Behind(Protocol):
    """One evaluation: its values, and the facts behind a name that is computed, worked out once."""

    values: Values

    def behind(self, name: str, truth: int) -> set[str]:
        """Base facts behind a derived fact, or behind the known points of a score."""
        ...


Collect: TypeAlias = Callable[[Behind, int, set[str]], None]
"""Adds to the set the base facts through which the criterion can be of that truth (YES, NO or UNKNOWN)."""


class Grounds:
    """Collecting functions of one pack. `base`: what a name stands for, where it is a base fact or a text match."""

    def __init__(self, compiler: Compiler, base: Mapping[str, str], slots: Slots) -> None:
        self._test_of = compiler.test_of
        self._slots = slots
        self._base = base
        self._made: dict[int, tuple[Criterion, Collect]] = {}

    def of(self, criterion: Criterion) -> Collect:
        """The collecting function of a compiled criterion."""
        made = self._made.get(id(criterion))
        if made is None:
            made = self._made[id(criterion)] = (criterion, self._make(criterion))
        return made[1]

    def _make(self, criterion: Criterion) -> Collect:
        match criterion:
            case Fact(name) | Compare(name):
                return self._named(name)
            case Not(part):
                return _denied(self.of(part))
            case OrUnknown(part):
                return _or_unknown(self._test_of(part), self.of(part))
            case All(parts):
                return self._of_many(parts, every=YES)
            case AnyOf(parts):
                return self._of_many(parts, every=NO)
        raise TypeError(f"not a criterion: {criterion!r}")

    def _named(self, name: str) -> Collect:
        fact = self._base.get(name)

        def base(_: Behind, __: int, found: set[str]) -> None:
            found.add(fact or name)

        def computed(evaluation: Behind, truth: int, found: set[str]) -> None:
            found |= evaluation.behind(name, truth)

        return computed if fact is None else base

    def _of_many(self, parts: Sequence[Criterion], *, every: int) -> Collect:
        """The parts that are base facts themselves need no call."""
        plain = [part.name for part in parts if isinstance(part, Fact) and self._base.get(part.name) == part.name]
        others = [part for part in parts if not isinstance(part, Fact) or part.name not in plain]
        return _of_many(
            [(self._slots[name], name) for name in plain],
            [(self._test_of(part), self.of(part)) for part in others],
            every=every,
        )


def _denied(part: Collect) -> Collect:
    return lambda evaluation, truth, found: part(evaluation, NOT[truth], found)


def _or_unknown(test: Test, part: Collect) -> Collect:
    def collect(evaluation: Behind, truth: int, found: set[str]) -> None:
        possible = test(evaluation.values)
        part(evaluation, next((one for one in (truth, UNKNOWN) if possible & one), NOT_REACHED), found)

    return collect


def _of_many(plain: Sequence[tuple[int, str]], parts: Sequence[tuple[Test, Collect]], *, every: int) -> Collect:
    """All parts when every one was needed for that truth, else those that have the truth themselves."""

    def collect(evaluation: Behind, truth: int, found: set[str]) -> None:
        values: Any = evaluation.values
        for slot, name in plain:
            if truth == every or values[slot] & truth:
                found.add(name)
        for test, part in parts:
            if truth == every or test(values) & truth:
                part(evaluation, truth, found)

    return collect
