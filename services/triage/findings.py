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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from services.triage.answer_reading import finding_of, unanswered, unknown_value
from services.triage.engine.model import (
    FactDefinition,
    FactKind,
    Finding,
    FindingProblem,
    Findings,
    Missing,
    Presence,
    Respondent,
    Visibility,
)
from shared.fhir.answer_values import Coding
from shared.fhir.codes import YES, YES_NO_SYSTEM
from shared.fhir.enable_when import Answer, Enablement, ResponseView, enablement
from shared.fhir.gates import ASKED, ENABLEMENTS, OPEN, RULED_OUT, Answers, Gates, Option, fits, values_of
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


class Reading:
    """A response as it was read. Where each answer stands, and what is doubtful, is worked out when somebody asks."""

    def __init__(
        self, reader: FactReader, response: Mapping[str, Any], findings: Findings, reworded: bool | None = None
    ) -> None:
        """`reworded`: whether some item has other words than in the Questionnaire; None when nobody has looked."""
        self.findings = findings
        self.reworded = reworded
        self._reader = reader
        self._response = response

    @cached_property
    def expressions(self) -> Mapping[str, tuple[str, ...]]:
        """The FHIRPath of every answer used, by fact name."""
        return MappingProxyType(
            {name: tuple(answer.expression for answer in answers) for name, answers in self._used.items()}
        )

    @cached_property
    def doubts(self) -> tuple[DataQuality, ...]:
        """What a human should look at, in the order of the facts."""
        facts = {fact.name: fact for fact in self._reader.facts}
        given = self.findings.by_name
        return tuple(
            doubt for name, answers in self._used.items() for doubt in _doubts(facts[name], given[name], answers)
        )

    @cached_property
    def _used(self) -> Mapping[str, tuple[Answer, ...]]:
        view = enablement(self._reader.form, self._response)
        read = ((fact.name, view.answers(fact.link_id)) for fact in self._reader.facts)
        return {name: answers for name, answers in read if answers}


class FactReader:
    """Reads responses to one Questionnaire for the facts of one pack. Made once, used for every response.

    What each option of a question says about its facts, and what silence says, is worked out once. A response in which
    every item stands once and in its place is then read by looking up (`gates.py`), every other one by laying it over
    the Questionnaire (`enable_when.py`). Both ways agree; tests compare them.
    """

    def __init__(self, index: QuestionnaireIndex, facts: Sequence[FactDefinition]) -> None:
        self.form = index
        """The Questionnaire whose responses it reads."""
        self.facts = tuple(facts)
        self._asked = [(fact, item) for fact in facts if (item := index.items.get(fact.link_id)) is not None]
        self._gates = Gates(index) if fits(index) else None
        self._silent = {fact.name: _lasting(self._without_answer(fact, Enablement.ENABLED)) for fact in facts}
        self._of_question: dict[str, list[tuple[FactDefinition, QuestionItem]]] = {}
        for fact, item in self._asked:
            self._of_question.setdefault(fact.link_id, []).append((fact, item))
        self._of_option = () if self._gates is None else tuple(self._by_option(self._gates))
        self._hidden = () if self._gates is None else tuple(self._by_family(self._gates))

    def read(self, response: Mapping[str, Any]) -> Reading:
        """The findings, in the order of the facts, together with where each came from and what is doubtful about it.

        A fact whose question is not in the Questionnaire is unknown. Never raises for a structurally valid response.
        """
        answers = None if self._gates is None else self._gates.answers(response)
        if self._gates is None or answers is None:
            findings, reworded = self._laid_over(enablement(self.form, response)), None
        else:
            findings, reworded = self._looked_up(self._gates, answers), answers.reworded
        found = Findings(MappingProxyType(findings), _respondent(findings.get(RESPONDENT_FACT)))
        return Reading(self, response, found, reworded)

    def _looked_up(self, gates: Gates, answers: Answers) -> dict[str, Finding]:
        findings, of_option = self._silent.copy(), self._of_option
        for state, hidden in zip(gates.states(answers), self._hidden, strict=True):
            if state != ASKED:
                findings.update(hidden[state])
        for link_id, given in answers.given.items():
            if isinstance(given, Option):
                for name, finding in of_option[given.number]:
                    findings[name] = finding
            elif given and (values := values_of(given)):
                for fact, item in self._of_question.get(link_id, ()):
                    findings[fact.name] = finding_of(fact, item, values)
        return findings

    def _laid_over(self, view: ResponseView) -> dict[str, Finding]:
        findings = self._silent.copy()
        for fact, item in self._asked:
            answers = view.answers(fact.link_id)
            if answers:
                findings[fact.name] = finding_of(fact, item, [answer.value for answer in answers])
            else:
                findings[fact.name] = self._without_answer(fact, view.state(fact.link_id))
        return findings

    def _by_option(self, gates: Gates) -> Iterator[tuple[tuple[str, Finding], ...]]:
        """By number, what each option of a question that is looked up says about its facts."""
        for link_id, item in self.form.items.items():
            for option in item.options:
                coding = option.value
                if isinstance(coding, Coding) and gates.option(link_id, coding.code) is not None:
                    asked = self._of_question.get(link_id, ())
                    yield tuple((fact.name, _lasting(finding_of(fact, item, [coding]))) for fact, item in asked)

    def _by_family(self, gates: Gates) -> Iterator[tuple[Mapping[str, Finding], Mapping[str, Finding]]]:
        """By family of the gates: what its facts are when they are ruled out, and when that is open."""
        members: dict[int, list[FactDefinition]] = {}
        for fact, _ in self._asked:
            members.setdefault(gates.family[fact.link_id], []).append(fact)
        for family in range(gates.families):
            ruled_out, still_open = (
                {
                    fact.name: _lasting(self._without_answer(fact, ENABLEMENTS[state]))
                    for fact in members.get(family, ())
                }
                for state in (RULED_OUT, OPEN)
            )
            yield ruled_out, still_open

    def _without_answer(self, fact: FactDefinition, state: Enablement) -> Finding:
        """No answer: unknown, unless a gate was answered in a way that rules the question out."""
        item = self.form.items.get(fact.link_id)
        value = unknown_value(fact.kind)
        visibility = _VISIBILITY[state]
        if state is Enablement.DISABLED and item is not None and not fact.clinician:
            value = Presence.ABSENT if fact.kind is FactKind.PRESENCE else Missing.NOT_APPLICABLE
            visibility = Visibility.HIDDEN_NO if self._denied_by_its_gate(item) else Visibility.NOT_PUT
        return unanswered(fact, item, value, visibility)

    def _denied_by_its_gate(self, item: QuestionItem) -> bool:
        """True when the nearest gate of the question asks for yes or no."""
        nearest: QuestionItem | None = item
        while nearest is not None and not nearest.enable_when:
            nearest = self.form.items[nearest.parent] if nearest.parent is not None else None
        if nearest is None:
            return False
        gates = (self.form.items[gate.question] for gate in nearest.enable_when)
        return any((YES_NO_SYSTEM, YES) in gate.option_keys for gate in gates)


def _lasting(finding: Finding) -> Finding:
    """As it is used for every patient of whom it is true; nothing in it is anybody's own words."""
    return replace(finding, lasting=True)


def _doubts(fact: FactDefinition, finding: Finding, answers: Sequence[Answer]) -> Iterator[DataQuality]:
    where = answers[0].expression
    if finding.problem is not None:
        yield DataQuality(_DOUBT_OF[finding.problem], fact.name, fact.link_id, where)
    if finding.alternatives:
        yield DataQuality(Doubt.CONTRADICTORY, fact.name, fact.link_id, where)
    for answer in answers:
        if answer.state is not Enablement.ENABLED and answer.value is not None:
            yield DataQuality(Doubt.ANSWERED_WHILE_HIDDEN, fact.name, fact.link_id, answer.expression)


def _respondent(finding: Finding | None) -> Respondent:
    """Who answered. More than one answer, or none, is unknown; any other listed code is a parent or carer."""
    if finding is None or not isinstance(finding.value, frozenset) or len(finding.value) != 1:
        return Respondent.UNKNOWN
    (code,) = finding.value
    return _RESPONDENTS.get(code, Respondent.PROXY)
