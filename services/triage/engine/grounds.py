"""Where a criterion's truth comes from, made fast: each criterion becomes a function that collects its base facts.

The functions are made when they are first needed and kept with the pack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from services.triage.engine.compile import Compiler, Test, Values
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

    def __init__(self, compiler: Compiler, base: Mapping[str, str]) -> None:
        self._test_of = compiler.test_of
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
                return _of_many(self._tested(parts), every=YES)
            case AnyOf(parts):
                return _of_many(self._tested(parts), every=NO)
        raise TypeError(f"not a criterion: {criterion!r}")

    def _named(self, name: str) -> Collect:
        fact = self._base.get(name)

        def base(_: Behind, __: int, found: set[str]) -> None:
            found.add(fact or name)

        def computed(evaluation: Behind, truth: int, found: set[str]) -> None:
            found |= evaluation.behind(name, truth)

        return computed if fact is None else base

    def _tested(self, parts: Sequence[Criterion]) -> list[tuple[Test, Collect]]:
        return [(self._test_of(part), self.of(part)) for part in parts]


def _denied(part: Collect) -> Collect:
    return lambda evaluation, truth, found: part(evaluation, NOT[truth], found)


def _or_unknown(test: Test, part: Collect) -> Collect:
    def collect(evaluation: Behind, truth: int, found: set[str]) -> None:
        possible = test(evaluation.values)
        part(evaluation, next((one for one in (truth, UNKNOWN) if possible & one), NOT_REACHED), found)

    return collect


def _of_many(parts: Sequence[tuple[Test, Collect]], *, every: int) -> Collect:
    """All parts when every one was needed for that truth, else those that have the truth themselves."""

    def collect(evaluation: Behind, truth: int, found: set[str]) -> None:
        values: Any = evaluation.values
        for test, part in parts:
            if truth == every or test(values) & truth:
                part(evaluation, truth, found)

    return collect
