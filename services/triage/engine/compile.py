"""Criteria made fast: each becomes a function from the list of all values to a set of truths.

The list holds, at the place of a presence or derived fact, its set of truths (`truth.py`), and at the place
of a choice, quantity or text a tuple of its possible values.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

from services.triage.engine.criteria import All, AnyOf, Compare, Criterion, Fact, Not, Operator, OrUnknown
from services.triage.engine.model import MORE_UNKNOWN, Missing
from services.triage.engine.truth import AND, NO, NOT, NOT_REACHED, OR, OR_UNKNOWN, SETS, UNKNOWN, YES

Slots: TypeAlias = Mapping[str, int]
Values: TypeAlias = Sequence[Any]
Test: TypeAlias = Callable[[Values], int]


class NotReached:
    """Stands for the value of a choice, quantity or text that has not been asked for yet."""


NOT_REACHED_VALUE: Final = NotReached()

_ORDER: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.AT_LEAST: operator.ge,
    Operator.AT_MOST: operator.le,
    Operator.MORE: operator.gt,
    Operator.LESS: operator.lt,
    Operator.EQUAL: operator.eq,
    Operator.NOT_EQUAL: operator.ne,
}


class Compiler:
    """Makes tests for one pack, and keeps the test of every part of a criterion for explanations."""

    __slots__ = ("_slots", "_tests")

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._tests: dict[int, tuple[Criterion, Test]] = {}

    def compile(self, criterion: Criterion) -> Test:
        """The function that computes the criterion. Raises KeyError for a fact that has no slot."""
        test = self._compile(criterion)
        self._tests[id(criterion)] = (criterion, test)  # the criterion is kept, so its id stays its own
        return test

    def test_of(self, part: Criterion) -> Test:
        """The test of a criterion, or of a part of one, that has been compiled."""
        return self._tests[id(part)][1]

    def _compile(self, criterion: Criterion) -> Test:
        slots = self._slots
        match criterion:
            case Fact(name):
                return operator.itemgetter(slots[name])
            case OrUnknown(part):
                return _mapped(OR_UNKNOWN, self.compile(part))
            case Not(part):
                return _mapped(NOT, self.compile(part))
            case All(parts):
                return self._fold(parts, AND, neutral=YES, final=NO)
            case AnyOf(parts):
                return self._fold(parts, OR, neutral=NO, final=YES)
            case Compare(name, relation, Decimal() as literal):
                return _quantity(slots[name], _ORDER[relation], literal)
            case Compare(name, relation, str() as literal):
                return _code(slots[name], literal, wanted=relation is Operator.EQUAL)
        raise TypeError(f"not a criterion: {criterion!r}")

    def _fold(self, parts: Sequence[Criterion], table: Sequence[int], *, neutral: int, final: int) -> Test:
        tests = [(part, self.compile(part)) for part in parts]
        slots = [self._slots[part.name] for part in parts if isinstance(part, Fact)]
        return _folded(table, neutral, final, slots, [test for part, test in tests if not isinstance(part, Fact)])


def _mapped(table: Sequence[int], test: Test) -> Test:
    return lambda values: table[test(values)]


def _folded(table: Sequence[int], neutral: int, final: int, slots: Sequence[int], tests: Sequence[Test]) -> Test:
    """All parts combined by `table`, plain facts first (they cost no call), until the result is `final`."""

    def combined(values: Values) -> int:
        result = neutral
        for slot in slots:
            result = table[result * SETS + values[slot]]
            if result == final:
                return final
        for test in tests:
            result = table[result * SETS + test(values)]
            if result == final:
                return final
        return result

    return combined


def _quantity(slot: int, holds: Callable[[Any, Any], bool], literal: Decimal) -> Test:
    def compare(values: Values) -> int:
        result = 0
        for value in values[slot]:
            if value is Missing.UNKNOWN:
                result |= UNKNOWN
            elif value is Missing.NOT_APPLICABLE:
                result |= NO
            elif value is NOT_REACHED_VALUE:
                result |= NOT_REACHED
            else:
                result |= YES if holds(value, literal) else NO
        return result

    return compare


def _code(slot: int, code: str, *, wanted: bool) -> Test:
    found, other = (YES, NO) if wanted else (NO, YES)

    def compare(values: Values) -> int:
        result = 0
        for value in values[slot]:
            if value is Missing.UNKNOWN:
                result |= UNKNOWN
            elif value is Missing.NOT_APPLICABLE:
                result |= NO
            elif value is NOT_REACHED_VALUE:
                result |= NOT_REACHED
            elif code in value:
                result |= found
            else:
                result |= UNKNOWN if MORE_UNKNOWN in value else other
        return result

    return compare
