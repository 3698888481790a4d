"""Truth values as sets: what a criterion may be, given answers that are unknown or contradict each other.

A value is a set, written as bits, of the truths that are possible under some reading of the answers. Answers
that do not contradict each other give sets of one, and the operators are then Kleene's strong three-valued
ones. With contradictions each operator gives every truth that some combination gives, so a criterion that is
yes under any reading holds YES in its set: the more urgent reading wins, in one pass, whatever their number.
(It may hold YES where two uses of one fact take different readings; that errs towards more urgent, on answers
that a human must look at anyway.)

NOT_REACHED is the unknown of a question that has not been put yet. It keeps a criterion open apart from the
unknowns that an answer left, but ``x~`` reads it as it reads every unknown: as yes. A danger that was answered
with yes on the first page is not made less urgent by a later question that could only narrow it down.
"""

from __future__ import annotations

from itertools import product

NO, UNKNOWN, YES, NOT_REACHED = 1, 2, 4, 8
_STATES = (NO, UNKNOWN, YES, NOT_REACHED)
SETS = 16


def _and(left: int, right: int) -> int:
    for dominant in (NO, NOT_REACHED, UNKNOWN):
        if dominant in (left, right):
            return dominant
    return YES


def _or(left: int, right: int) -> int:
    for dominant in (YES, NOT_REACHED, UNKNOWN):
        if dominant in (left, right):
            return dominant
    return NO


def _members(states: int) -> list[int]:
    return [state for state in _STATES if states & state]


def _image(states: int, image: dict[int, int]) -> int:
    result = 0
    for state in _members(states):
        result |= image[state]
    return result


def _pairs(of_two: dict[tuple[int, int], int]) -> tuple[int, ...]:
    table = []
    for left, right in product(range(SETS), repeat=2):
        result = 0
        for one, other in product(_members(left), _members(right)):
            result |= of_two[one, other]
        table.append(result)
    return tuple(table)


AND = _pairs({(one, other): _and(one, other) for one, other in product(_STATES, repeat=2)})
"""``AND[left * SETS + right]``."""

OR = _pairs({(one, other): _or(one, other) for one, other in product(_STATES, repeat=2)})
"""``OR[left * SETS + right]``."""

NOT = tuple(_image(states, {NO: YES, YES: NO, UNKNOWN: UNKNOWN, NOT_REACHED: NOT_REACHED}) for states in range(SETS))

OR_UNKNOWN = tuple(_image(states, {NO: NO, YES: YES, UNKNOWN: YES, NOT_REACHED: YES}) for states in range(SETS))
"""``x~``: unknown counts as yes, and so does what has not been asked yet."""

UNKNOWN_IS_NO = tuple(
    _image(states, {NO: NO, YES: YES, UNKNOWN: NO, NOT_REACHED: NOT_REACHED}) for states in range(SETS)
)
"""A two-valued derived fact."""
