"""From a QuestionnaireResponse to what the engine knows about the patient. Unknown is never read as "no".

- Unanswered, "not sure", declined, unreadable or out of range: unknown.
- Hidden because a gate was answered in a way that rules the question out: the fact is absent (a choice,
  number or text: not applicable). That holds for the fact, also where the question is worded the other way. Whether the
  gate was a yes/no question (then the finding is denied with it) or asked for site, age or the like (then nobody said
  anything about the finding, and it must not count against a condition) is kept in `Finding.visibility`.
- Hidden because its gate is unanswered or "not sure": unknown.
- Examination items are never "no" by being hidden: nobody examined.
- Answered although hidden: the answer counts and the disagreement is reported. No given "yes" is ignored.
- One question answered in two ways: both readings are kept for the engine to take the more urgent one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, assert_never

from services.triage.engine.model import (
    MORE_UNKNOWN,
    FactDefinition,
    FactKind,
    Finding,
    FindingProblem,
    Findings,
    Missing,
    Presence,
    Respondent,
    Value,
    Visibility,
)
from shared.fhir.answer_values import Coding, Quantity, is_number, says_unknown
from shared.fhir.codes import NO, YES, YES_NO_SYSTEM
from shared.fhir.enable_when import Answer, Enablement, enablement
from shared.fhir.questionnaire import QuestionItem, QuestionnaireIndex

RESPONDENT_FACT: Final = "respondent"
_RESPONDENTS: Final = {"self": Respondent.PATIENT, "clinician": Respondent.CLINICIAN}
_VISIBILITY: Final = {
    Enablement.ENABLED: Visibility.SHOWN,
    Enablement.DISABLED: Visibility.HIDDEN_NO,
    Enablement.DISABLED_UNKNOWN: Visibility.HIDDEN_UNKNOWN,
}


class Doubt(StrEnum):
    """Why an answer should be looked at by a human, although it was read."""

    OUT_OF_RANGE = "out-of-range"
    WRONG_UNIT = "wrong-unit"
    UNREADABLE = "unreadable"
    CONTRADICTORY = "contradictory"
    ANSWERED_WHILE_HIDDEN = "answered-while-hidden"


_DOUBT_OF: Final = {
    FindingProblem.OUT_OF_RANGE: Doubt.OUT_OF_RANGE,
    FindingProblem.WRONG_UNIT: Doubt.WRONG_UNIT,
    FindingProblem.UNREADABLE: Doubt.UNREADABLE,
}


@dataclass(frozen=True, slots=True)
class DataQuality:
    """One doubt, the fact and question that it is about, and the FHIRPath of the answer."""

    doubt: Doubt
    fact: str
    link_id: str
    expression: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A response as it was read: the findings, the FHIRPath of every answer used by fact name, the doubts."""

    findings: Findings
    expressions: Mapping[str, tuple[str, ...]]
    doubts: tuple[DataQuality, ...]


class FactReader:
    """Reads responses to one Questionnaire for the facts of one pack. Made once, used for every response."""

    def __init__(self, index: QuestionnaireIndex, facts: Sequence[FactDefinition]) -> None:
        self._index = index
        self._facts = tuple((fact, index.items.get(fact.link_id)) for fact in facts)
        self._not_given: dict[tuple[str, Enablement], Finding] = {}

    @property
    def form(self) -> QuestionnaireIndex:
        """The Questionnaire whose responses it reads."""
        return self._index

    def read(self, response: Mapping[str, Any]) -> Reading:
        """The findings together with where each came from and what is doubtful about it.

        A fact whose question is not in the Questionnaire is unknown. Doubts are in the order of the facts.
        Never raises for a structurally valid response.
        """
        view = enablement(self._index, response)
        findings: dict[str, Finding] = {}
        expressions: dict[str, tuple[str, ...]] = {}
        doubts: list[DataQuality] = []
        for fact, item in self._facts:
            answers = view.answers(fact.link_id) if item is not None else ()
            if item is None or not answers:
                state = view.state(fact.link_id) if item is not None else Enablement.ENABLED
                findings[fact.name] = self._without_answer(fact, item, state)
                continue
            findings[fact.name] = _given(fact, item, answers)
            expressions[fact.name] = tuple(answer.expression for answer in answers)
            doubts += _doubts(fact, findings[fact.name], answers)
        return Reading(
            Findings(MappingProxyType(findings), _respondent(findings.get(RESPONDENT_FACT))),
            MappingProxyType(expressions),
            tuple(doubts),
        )

    def _without_answer(self, fact: FactDefinition, item: QuestionItem | None, state: Enablement) -> Finding:
        """No answer: unknown, unless a gate was answered in a way that rules the question out."""
        found = self._not_given.get((fact.name, state))
        if found is None:
            value = _unknown(fact.kind)
            if state is Enablement.DISABLED and not fact.clinician:
                value = Presence.ABSENT if fact.kind is FactKind.PRESENCE else Missing.NOT_APPLICABLE
            question = item.text or "" if item is not None else ""
            visibility = _VISIBILITY[state]
            if state is Enablement.DISABLED and item is not None and not fact.clinician:
                visibility = Visibility.HIDDEN_NO if self._denied_by_its_gate(item) else Visibility.NOT_PUT
            found = Finding(value, (fact.link_id,), question, visibility=visibility)
            self._not_given[fact.name, state] = found
        return found

    def _denied_by_its_gate(self, item: QuestionItem) -> bool:
        """True when the nearest gate of the question asks for yes or no."""
        nearest: QuestionItem | None = item
        while nearest is not None and not nearest.enable_when:
            nearest = self._index.items[nearest.parent] if nearest.parent is not None else None
        if nearest is None:
            return False
        gates = (self._index.items[gate.question] for gate in nearest.enable_when)
        return any((YES_NO_SYSTEM, YES) in gate.option_keys for gate in gates)


def _given(fact: FactDefinition, item: QuestionItem, answers: Sequence[Answer]) -> Finding:
    """One value of all answers; where they disagree, every reading as an alternative."""
    read = [_READERS[fact.kind](fact, item, answer) for answer in answers]
    problem = next((problem for _, problem in read if problem is not None), None)
    values = list(dict.fromkeys(value for value, _ in read))
    if fact.kind is FactKind.CHOICE and item.repeats:
        values = [_together(values)]
    elif fact.kind is FactKind.TEXT and item.repeats:
        values = ["\n".join(each for each in values if isinstance(each, str)) or Missing.UNKNOWN]
    return Finding(
        values[0] if len(values) == 1 else _unknown(fact.kind),
        (fact.link_id,),
        item.text or "",
        "; ".join(dict.fromkeys(_words(item, answer) for answer in answers)),
        alternatives=tuple(values) if len(values) > 1 else (),
        problem=problem,
    )


def _doubts(fact: FactDefinition, finding: Finding, answers: Sequence[Answer]) -> Iterator[DataQuality]:
    where = answers[0].expression
    if finding.problem is not None:
        yield DataQuality(_DOUBT_OF[finding.problem], fact.name, fact.link_id, where)
    if finding.alternatives:
        yield DataQuality(Doubt.CONTRADICTORY, fact.name, fact.link_id, where)
    for answer in answers:
        if answer.state is not Enablement.ENABLED and answer.value is not None:
            yield DataQuality(Doubt.ANSWERED_WHILE_HIDDEN, fact.name, fact.link_id, answer.expression)


_Read = tuple[Value, FindingProblem | None]


def _read_presence(fact: FactDefinition, item: QuestionItem, answer: Answer) -> _Read:
    """Y and N, or true and false, turned round for a negated fact.

    With a code system that the question does not offer, only the answer that makes the fact present is taken.
    """
    value = answer.value
    if value is None or says_unknown(value):
        return Presence.UNKNOWN, None
    if isinstance(value, bool):
        return (Presence.ABSENT if value is fact.negated else Presence.PRESENT), None
    present, absent = (NO, YES) if fact.negated else (YES, NO)
    code = value.code if isinstance(value, Coding) else None
    listed = isinstance(value, Coding) and value.key in item.option_keys
    if code == present:
        return Presence.PRESENT, None if listed else FindingProblem.UNREADABLE
    if code == absent and listed:
        return Presence.ABSENT, None
    return Presence.UNKNOWN, FindingProblem.UNREADABLE


def _read_choice(fact: FactDefinition, item: QuestionItem, answer: Answer) -> _Read:
    """The chosen code, when it is one of the question's options and one that the pack knows."""
    value = answer.value
    if value is None or says_unknown(value):
        return Missing.UNKNOWN, None
    if not isinstance(value, Coding) or value.code is None or value.key not in item.option_keys:
        return Missing.UNKNOWN, FindingProblem.UNREADABLE
    if fact.codes and value.code not in fact.codes:
        return Missing.UNKNOWN, FindingProblem.UNREADABLE
    return frozenset({value.code}), None


def _read_quantity(fact: FactDefinition, item: QuestionItem, answer: Answer) -> _Read:
    """A number in the fact's unit. "Less than" is no number; a plain number has the question's own unit."""
    value = answer.value
    if value is None:
        return Missing.UNKNOWN, None
    if isinstance(value, Quantity):
        if fact.unit is not None and fact.unit not in (value.code, value.unit):
            return Missing.UNKNOWN, FindingProblem.WRONG_UNIT
        value = value.value if value.value is not None and value.comparator is None else ""
    if not is_number(value):
        return Missing.UNKNOWN, FindingProblem.UNREADABLE
    number = Decimal(value)
    too_low = fact.minimum is not None and number < fact.minimum
    too_high = fact.maximum is not None and number > fact.maximum
    if too_low or too_high:
        return Missing.UNKNOWN, FindingProblem.OUT_OF_RANGE
    return number, None


def _read_text(fact: FactDefinition, item: QuestionItem, answer: Answer) -> _Read:
    value = answer.value
    if value is None:
        return Missing.UNKNOWN, None
    return (value, None) if isinstance(value, str) else (Missing.UNKNOWN, FindingProblem.UNREADABLE)


_READERS: Final[Mapping[FactKind, Callable[[FactDefinition, QuestionItem, Answer], _Read]]] = {
    FactKind.PRESENCE: _read_presence,
    FactKind.CHOICE: _read_choice,
    FactKind.QUANTITY: _read_quantity,
    FactKind.TEXT: _read_text,
}


def _together(values: Iterable[Value]) -> Value:
    """All codes of a repeating choice; an unknown one among them means "and perhaps others"."""
    codes: set[str] = set()
    for value in values:
        codes |= value if isinstance(value, frozenset) else {MORE_UNKNOWN}
    return frozenset(codes) if codes != {MORE_UNKNOWN} else Missing.UNKNOWN


def _unknown(kind: FactKind) -> Value:
    match kind:
        case FactKind.PRESENCE:
            return Presence.UNKNOWN
        case FactKind.CHOICE | FactKind.QUANTITY | FactKind.TEXT:
            return Missing.UNKNOWN
    assert_never(kind)


def _words(item: QuestionItem, answer: Answer) -> str:
    """The answer as a reader sees it: an option in its published words, a number with its unit, the text."""
    value = answer.value
    if value is None:
        return "not known"
    if isinstance(value, Coding):
        options = (option.value for option in item.options if option.key == value.key)
        published = next((each.display for each in options if isinstance(each, Coding)), None)
        return published or value.display or value.code or ""
    if isinstance(value, Quantity):
        parts = (value.comparator, value.value, value.unit or value.code)
        return " ".join(str(part) for part in parts if part is not None)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_number(value):
        unit = item.unit
        return f"{value} {unit.display or unit.code}" if unit else str(value)
    return value if isinstance(value, str) else "(attachment)"


def _respondent(finding: Finding | None) -> Respondent:
    """Who answered. More than one answer, or none, is unknown; any other listed code is a parent or carer."""
    if finding is None or not isinstance(finding.value, frozenset) or len(finding.value) != 1:
        return Respondent.UNKNOWN
    (code,) = finding.value
    return _RESPONDENTS.get(code, Respondent.PROXY)
