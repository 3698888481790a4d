"""A valid response to the Questionnaire from what a record states, in one of two ways to read its silence.

A question that opens others is answered when a detail behind it is stated, from the conditions of the Questionnaire
itself: "yes" when it is the only way to a stated finding, else "not sure", which opens the detail and claims nothing.
Whatever stays closed is left out and remarked on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from deploy.local.evaluation.form import Form
from deploy.local.evaluation.mapping import CaseMapping, Value, codes_of
from deploy.local.evaluation.stated import StatedAnswers
from shared.fhir.answer_values import Coding
from shared.fhir.codes import NOT_SURE
from shared.fhir.enable_when import Enablement
from shared.fhir.questionnaire import Condition, QuestionItem

MAX_GATES = 4
"""Longest chain of unanswered questions that is opened on the way to a stated detail."""


class Silence(StrEnum):
    """What it means that a record does not mention something."""

    DENIED = "denied"  # as on a finished form, for what the mapping lists; nothing else
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Filled:
    """The form, and what of the record could not be put into it."""

    form: Form
    remarks: tuple[str, ...]


def fill_in(mapping: CaseMapping, stated: StatedAnswers, silence: Silence) -> Filled:
    """Fill in the form. The result conforms to the Questionnaire, but for required questions if silence is unknown."""
    return _Filling(mapping, stated, silence).filled()


class _Filling:
    def __init__(self, mapping: CaseMapping, stated: StatedAnswers, silence: Silence) -> None:
        self._mapping = mapping
        self._stated = stated
        self._items = mapping.index.items
        self._silence = silence
        self._form = Form(mapping.index, {})

    def filled(self) -> Filled:
        waiting = sorted(self._stated.answers, key=lambda link_id: self._items[link_id].index)
        self._give(waiting)
        if self._silence is Silence.DENIED:
            before = -1
            while before != (before := len(self._form.answers)):
                self._deny()
                self._give(waiting)
                self._leave_the_rest_unknown()
        self._take_back_what_is_closed()
        return Filled(self._form, tuple(self._lost()))

    # What is stated, and what has to be open for it.

    def _give(self, waiting: list[str]) -> None:
        """Give every stated answer whose question is open or can be opened, until nothing more opens."""
        while True:
            given = [link_id for link_id in waiting if link_id in self._form.answers or self._form.is_open(link_id)]
            for link_id in given:
                waiting.remove(link_id)
                if link_id not in self._form.answers:
                    self._form.answer(link_id, self._stated.answers[link_id])
            findings_first = sorted(waiting, key=lambda link_id: not self._is_finding(link_id))
            if not given and not any(self._open(link_id) for link_id in findings_first):
                return

    def _is_finding(self, link_id: str) -> bool:
        value, finding = self._stated.answers[link_id], self._mapping.finding.get(link_id)
        return finding is None or value == (finding,)

    def _open(self, link_id: str) -> bool:
        """Open the way to a stated answer; False when that cannot be done."""
        return self._open_way(self._items[link_id], self._is_finding(link_id), MAX_GATES)

    def _open_way(self, item: QuestionItem, finding: bool, chain: int) -> bool:
        """From the outermost group inwards."""
        for name in (*item.path, item.link_id):
            each = self._items[name]
            if each.enable_when and not self._form.is_open(name) and not self._open_gate(each, finding, chain):
                return False
        return self._form.is_open(item.link_id)

    def _open_gate(self, item: QuestionItem, finding: bool, chain: int) -> bool:
        gates = {condition.question for condition in item.enable_when}
        if chain == 0 or (item.enable_behavior == "all" and len(gates) > 1):
            return False
        ways = sorted(item.enable_when, key=self._preference)
        if finding and len(gates) == 1 and any(self._by_finding(way, chain) for way in ways):
            return True
        return any(self._by_silence(way, chain) for way in ways) or any(
            self._by_not_sure(way, finding, chain) for way in ways
        )

    def _by_finding(self, way: Condition, chain: int) -> bool:
        """The finding behind a single gate says how that gate is answered, whatever else was said about it."""
        code = _code(way)
        return self._mapping.finding.get(way.question) == code and self._answer_gate(way, True, chain)

    def _by_silence(self, way: Condition, chain: int) -> bool:
        """A gate that silence denies anyway, and that opens by its denial."""
        if self._silence is Silence.UNKNOWN or self._mapping.denied.get(way.question) != _code(way):
            return False
        return not self._is_answered(way) and self._answer_gate(way, False, chain)

    def _by_not_sure(self, way: Condition, finding: bool, chain: int) -> bool:
        """A gate of which nothing is known: not sure. Where silence denies the gate, only for a finding."""
        if _code(way) != NOT_SURE or self._is_answered(way) or way.question not in self._mapping.finding:
            return False
        if self._silence is Silence.DENIED and way.question in self._mapping.denied and not finding:
            return False
        return self._answer_gate(way, finding, chain)

    def _answer_gate(self, way: Condition, finding: bool, chain: int) -> bool:
        code = _code(way)
        if code is None or not self._open_way(self._items[way.question], finding, chain - 1):
            return False
        self._form.answer(way.question, (code,))
        return True

    def _is_answered(self, way: Condition) -> bool:
        return way.question in self._form.answers or way.question in self._stated.answers

    def _preference(self, way: Condition) -> bool:
        """Rather a question that only describes than one of the safety screen."""
        return way.question in self._mapping.screened

    # What is not stated.

    def _deny(self) -> None:
        """Answer what silence denies, as far as it is asked; an answer may lead to further questions."""
        denied = self._mapping.denied
        while asked := [name for name in denied if name not in self._form.answers and self._form.is_open(name)]:
            for link_id in asked:
                self._form.answer(link_id, (denied[link_id],))

    def _leave_the_rest_unknown(self) -> None:
        """What must be answered and is not known: "not sure" where that is offered, else asked and not known."""
        required = [item for item in self._items.values() if item.is_question and item.required]
        for item in [item for item in required if self._form.is_open(item.link_id)]:
            if item.link_id not in self._form.answers and item.link_id not in self._mapping.denied:
                self._form.answer(item.link_id, (NOT_SURE,) if NOT_SURE in codes_of(item) else None)

    def _take_back_what_is_closed(self) -> None:
        while closed := [name for name in self._form.answers if not self._form.is_open(name)]:
            for link_id in closed:
                self._form.withdraw(link_id)

    def _lost(self) -> Iterator[str]:
        """Facts of which nothing could be put into the form, and answers that a stated finding overruled."""
        kept: set[str] = set()
        for link_id, sources in self._stated.sources.items():
            if link_id in self._form.answers:
                kept.update(sources)
        for link_id, sources in self._stated.sources.items():
            if self._is_denied_as_stated(link_id):
                continue
            if link_id not in self._form.answers and not kept.intersection(sources):
                yield f"{link_id}: not asked of this patient, and left out ({'; '.join(sources)})"
            elif link_id in self._form.answers and self._form.answers[link_id] != self._stated.answers[link_id]:
                yield f"{link_id}: {_words(self._form.answers[link_id])} stands, because a finding behind it is stated"

    def _is_denied_as_stated(self, link_id: str) -> bool:
        """A denial that the form implies: its question is ruled out by another answer."""
        return not self._is_finding(link_id) and self._form.state(link_id) is Enablement.DISABLED


def _code(condition: Condition) -> str | None:
    expected = condition.expected
    return expected.code if condition.operator == "=" and isinstance(expected, Coding) else None


def _words(value: Value | None) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
