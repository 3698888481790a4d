"""The values of one evaluation: findings in the pack's slots, then everything computed from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from itertools import compress, repeat
from operator import attrgetter
from typing import Any

from services.triage.engine.compile import NOT_REACHED_VALUE, Values
from services.triage.engine.model import (
    UNANSWERED,
    Contradiction,
    FactDefinition,
    FactKind,
    Finding,
    Findings,
    Missing,
    Presence,
    Screen,
    Value,
    Visibility,
)
from services.triage.engine.pack import CompiledDerived, Pack, Step
from services.triage.engine.results import Scope, ScoreResult
from services.triage.engine.scores import CompiledScore, known_points, result_of
from services.triage.engine.text import plain_text
from services.triage.engine.truth import NO, NOT_REACHED, UNKNOWN, UNKNOWN_IS_NO, YES

_NOT_ASKED = (NOT_REACHED_VALUE,)
_UNKNOWN = (Missing.UNKNOWN,)
_PLAIN = attrgetter("plain")
_UNCLEAR = bytes(0 if truth in (NO, YES) else 1 for truth in range(256))
"""For `bytes.translate`: 1 for what is not simply yes or no."""


class State:
    """Values of all facts of one evaluation. Made, computed and read inside one call of `evaluate`.

    `conflicting`: facts whose question was answered in several ways; `unusable`: facts with a problem; `found`: the
    findings by slot; `unclear`: slots
    of the facts that are not simply yes or no.
    """

    __slots__ = (
        "_asked",
        "_line_truths",
        "_not_put",
        "conflicting",
        "findings",
        "found",
        "pack",
        "scope",
        "unclear",
        "unusable",
        "values",
    )

    def __init__(self, pack: Pack, findings: Findings, scope: Scope) -> None:
        """Raises ValueError when a finding has a value that its fact cannot have."""
        self.pack = pack
        self.findings = findings
        self.scope = scope
        self.conflicting: list[str] = []
        self.unusable: list[str] = []
        self.found: list[Finding] = []
        self.unclear: list[int] = []
        self._not_put: list[tuple[int, bool]] = []
        self._asked: list[Any] | None = None
        self._line_truths: list[int] | None = None
        self.values: list[Any] = [None] * pack.size
        self._read()
        for slot, words, text_slot in pack.text_searches:
            self.values[slot] = matched(words, self.values[text_slot])
        self.compute()

    def _read(self) -> None:
        """Put the findings into the slots of their facts (base facts have the first slots, in order)."""
        pack, values, given = self.pack, self.values, self.findings.by_name
        found = self.found = list(map(given.get, pack.facts, repeat(UNANSWERED)))
        truths = bytes(map(_PLAIN, found))
        values[: len(truths)] = truths
        self.unclear = [*compress(range(len(truths)), truths.translate(_UNCLEAR))]
        others = pack.not_yes_no
        closely = [slot for slot in self.unclear if not truths[slot] and slot not in others]
        page_1 = self.scope is Scope.PAGE_1
        for slot, kind in others.items():
            single = found[slot].single
            if page_1 or single is None or not isinstance(single[0], (Missing, kind)):
                closely.append(slot)
            else:
                values[slot] = single
        for slot in sorted(closely):
            _, yes_no, fact = pack.read_plan[slot]
            if page_1 and fact.screen is not Screen.PAGE_1:
                continue
            finding = found[slot]
            if finding.visibility is Visibility.NOT_PUT:
                self._not_put.append((slot, yes_no))
            value = finding.value
            if finding.problem is not None or finding.alternatives:
                values[slot] = self._doubtful(fact, finding)
            elif not yes_no:
                values[slot] = _UNKNOWN if value is Missing.UNKNOWN else (_other(fact, value),)
            elif value is Presence.ABSENT or value is Presence.PRESENT:
                values[slot] = NO if value is Presence.ABSENT else YES
            else:
                values[slot] = _presence(fact, value)
        if page_1:
            self._leave_out_later_questions()

    def _leave_out_later_questions(self) -> None:
        for slot, (_, yes_no, fact) in enumerate(self.pack.read_plan):
            if fact.screen is not Screen.PAGE_1:
                self.values[slot] = NOT_REACHED if yes_no else _NOT_ASKED

    def _doubtful(self, fact: FactDefinition, finding: Finding) -> Any:
        """What the slot holds of a finding that leaves a doubt how to read it; notes what is wrong with it."""
        if finding.problem is not None:
            self.unusable.append(fact.name)
        if finding.alternatives:
            self.conflicting.append(fact.name)
            return _possible(fact, finding.alternatives)
        return _presence(fact, finding.value) if fact.kind is FactKind.PRESENCE else (_other(fact, finding.value),)

    def compute(self) -> None:
        """(Re)compute derived facts and the points that criteria use from the base facts."""
        self.pack.compute_steps(self.values, self._known_points)

    def scores(self) -> tuple[ScoreResult, ...]:
        """All scores, in pack order; none from page 1 alone."""
        if self.scope is Scope.PAGE_1:
            return ()
        return tuple([result_of(score, self.values, self.findings.respondent) for score in self.pack.scores])

    def line_truths(self) -> list[int]:
        """The truths of all lines of all flags, in pack order."""
        if self._line_truths is None:
            self._line_truths = self.pack.line_truths(self.values)
        return self._line_truths

    def imagine(self, changed: Mapping[str, Value], among: list[Any] | None = None) -> list[Any]:
        """The values as they would be if these base facts had these values; the state itself stays as it is.

        `among`: other values of the same answers.
        """
        values = (self.values if among is None else among).copy()
        for name, value in changed.items():
            fact = self.pack.facts[name]
            values[self.pack.slots[name]] = (
                _presence(fact, value) if fact.kind is FactKind.PRESENCE else (_other(fact, value),)
            )
        steps = {step.slot: step for name in changed for step in self.pack.dependents[name]}
        for step in self.pack.steps if len(changed) > 1 else steps.values():
            if step.slot in steps:
                values[step.slot] = self._value_of(step, values)
        return values

    def changed(self, changed: Mapping[str, Value]) -> State:
        """As if these yes/no answers were others. Not where answers are doubtful, or a contradiction was considered."""
        asked = self.of_what_was_asked()
        other = copy(self)
        other.values = other._asked = self.imagine(changed)
        if asked is not self.values:
            not_put = {slot for slot, _ in self._not_put}
            put = {name: value for name, value in changed.items() if self.pack.slots[name] not in not_put}
            other._asked = self.imagine(put, asked)
        other._line_truths = None
        return other

    def moved_to(self, values: Sequence[Any], changed: Iterable[str], before: Sequence[Any] | None = None) -> list[int]:
        """The slots in which imagined values differ. `changed`: the answers that were imagined otherwise."""
        before = self.values if before is None else before
        slots = {self.pack.slots[name] for name in changed}
        slots.update([step.slot for name in changed for step in self.pack.dependents[name]])
        return [slot for slot in slots if values[slot] != before[slot]]

    def of_what_was_asked(self) -> list[Any]:
        """All values with questions that were not put as open as if nobody had got to them: the basis of ranking."""
        if not self._not_put:
            return self.values
        if self._asked is None:
            self._asked = self.values.copy()
            for slot, yes_no in self._not_put:
                self._asked[slot] = NOT_REACHED if yes_no else _NOT_ASKED
            self.pack.compute_steps(self._asked, self._known_points)
        return self._asked

    def _value_of(self, step: Step, values: list[Any]) -> Any:
        if isinstance(step, CompiledDerived):
            truths = step.test(values)
            return UNKNOWN_IS_NO[truths] if step.definition.unknown_is_no else truths
        return self._known_points(step.score, values)

    def _known_points(self, score: CompiledScore, values: Values) -> tuple[Any, ...]:
        if self.scope is Scope.PAGE_1:
            return (NOT_REACHED_VALUE,)
        points = known_points(score, values, self.findings.respondent)
        return (Missing.NOT_APPLICABLE if points is None else points,)

    def consider(self, contradictions: Iterable[Contradiction]) -> None:
        """Add every reading of these contradictions to what is possible, and compute again."""
        readings = [reading for contradiction in contradictions for reading in contradiction.readings]
        for reading in readings:
            for name, value in reading.items():
                self._add(self.pack.facts[name], value)
        if readings:
            self._asked = self._line_truths = None
            self.compute()

    def _add(self, fact: FactDefinition, value: Value) -> None:
        if self.scope is Scope.PAGE_1 and fact.screen is not Screen.PAGE_1:
            return
        slot = self.pack.slots[fact.name]
        if fact.kind is FactKind.PRESENCE:
            self.values[slot] |= _presence(fact, value)
        else:
            self.values[slot] = (*self.values[slot], _other(fact, value))


def _possible(fact: FactDefinition, possible: tuple[Value, ...]) -> int | tuple[Value, ...]:
    """What the slot of a fact holds: a set of truths, or the values themselves."""
    if fact.kind is not FactKind.PRESENCE:
        return tuple([_other(fact, value) for value in possible])
    truths = 0
    for value in possible:
        truths |= _presence(fact, value)
    return truths


def _presence(fact: FactDefinition, value: Value) -> int:
    if value is Presence.ABSENT or value is Missing.NOT_APPLICABLE:
        return NO
    if value is Presence.PRESENT:
        return YES
    if value is Presence.UNKNOWN or value is Missing.UNKNOWN:
        return UNKNOWN
    raise ValueError(f"fact {fact.name!r} is yes, no or unknown; its finding is not")


def _other(fact: FactDefinition, value: Value) -> Value:
    if value is Presence.UNKNOWN or value == frozenset():
        return Missing.UNKNOWN
    if not isinstance(value, Missing) and not isinstance(value, fact.kind.type):
        raise ValueError(f"fact {fact.name!r} is a {fact.kind}; its finding has another kind of value")
    return value


def matched(words: Sequence[str], texts: Sequence[object]) -> int:
    """YES when one of the texts holds one of the words (`plain_text`), else NO: a text may raise, never reassure."""
    if NOT_REACHED_VALUE in texts:
        return NOT_REACHED
    plain = [plain_text(text) for text in texts if isinstance(text, str)]
    return YES if any(word in text for text in plain for word in words) else NO
