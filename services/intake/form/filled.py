"""What was filled in: form fields to answers, answers to a response, and what is still to be asked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from services.intake.form.questions import Form, Heading, Kind, Question, Step
from shared.fhir.enable_when import Enablement, ResponseView, enablement
from shared.fhir.questionnaire import QuestionnaireIndex

Answers = Mapping[str, Sequence[Mapping[str, Any]]]
"""By linkId, as FHIR `answer` elements."""
Fields = Mapping[str, Sequence[str]]
"""By name, as a browser sends a form."""

PREFIX = "q."
"""Stands before the linkId in the name of a field."""
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,9}([.,][0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Gap:
    """What is wrong with one field, in a sentence that says what to do."""

    link_id: str
    question: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One part of a page: a heading or note, or a question with what was filled in and what is wrong with it."""

    part: Question | Heading
    chosen: frozenset[int] = frozenset()
    text: str = ""
    fault: str = ""


def read_fields(questions: Iterable[Question], fields: Fields) -> tuple[dict[str, list[dict[str, Any]]], list[Gap]]:
    """Answers to these questions, empty for those that were left open, and what could not be understood."""
    answers: dict[str, list[dict[str, Any]]] = {}
    faults: list[Gap] = []
    for question in questions:
        values = [value.strip() for value in fields.get(PREFIX + question.link_id, []) if value.strip()]
        try:
            answers[question.link_id] = _read(question, values)
        except ValueError as error:
            answers[question.link_id] = []
            faults.append(Gap(question.link_id, question.text, str(error)))
    return answers, faults


def left_open(questions: Iterable[Question], answers: Answers) -> list[Gap]:
    """The required ones among these questions that have no answer."""
    return [
        Gap(question.link_id, question.text, "Please answer this question.")
        for question in questions
        if question.required and not answers.get(question.link_id)
    ]


def _read(question: Question, values: Sequence[str]) -> list[dict[str, Any]]:
    if not values:
        return []
    match question.kind:
        case Kind.ONE | Kind.SEVERAL:
            return _chosen(question, values)
        case Kind.BOOLEAN:
            return [{"valueBoolean": values[0] == "true"}]
        case Kind.INTEGER:
            return [{"valueInteger": _number(question, values[0], _INTEGER, "a whole number")}]
        case Kind.DECIMAL:
            return [{"valueDecimal": _number(question, values[0], _DECIMAL, "a number")}]
        case Kind.DATE:
            return [{"valueDate": _date(values[0])}]
        case Kind.STRING | Kind.TEXT:
            if question.max_length is not None and len(values[0]) > question.max_length:
                raise ValueError(f"This is too long: write at most {question.max_length} characters.")
            return [{"valueString": values[0].replace("\r\n", "\n")}]


def _chosen(question: Question, values: Sequence[str]) -> list[dict[str, Any]]:
    numbers = sorted({int(value) for value in values if value.isdecimal() and int(value) < len(question.options)})
    if len(numbers) != len(set(values)) or (question.kind is Kind.ONE and len(numbers) > 1):
        raise ValueError("Choose one of the answers that are offered.")
    if len(numbers) > 1 and question.exclusive.intersection(numbers):
        alone = question.labels[min(question.exclusive.intersection(numbers))]
        raise ValueError(f"“{alone}” cannot be chosen together with another answer.")
    return [dict(question.options[number]) for number in numbers]


def _number(question: Question, text: str, pattern: re.Pattern[str], what: str) -> int | Decimal:
    if not pattern.fullmatch(text):
        raise ValueError(f"Write {what}, for example 3.")
    value = int(text) if pattern is _INTEGER else Decimal(text.replace(",", "."))
    if (question.low is not None and value < question.low) or (question.high is not None and value > question.high):
        raise ValueError(f"Write a number from {question.low} to {question.high}.")
    return value


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError("Write a date, for example 2026-03-31.") from None


def answers_of(response: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The answers of a response, wherever they stand."""

    def walk(items: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        for item in items:
            if item.get("answer"):
                yield item["linkId"], [dict(answer) for answer in item["answer"]]
            yield from walk(item.get("item", []))

    return dict(walk(response.get("item", [])))


def items_of(index: QuestionnaireIndex, answers: Answers) -> list[dict[str, Any]]:
    """The `item` of a response with these answers, in the order of the Questionnaire, without those that are not asked.

    Answers that a later change has hidden are left out: R4 allows none to a question that is not enabled.
    """
    everything = _tree(index, answers, index.roots)
    view = enablement(index, {"item": everything})
    asked = {link_id: given for link_id, given in answers.items() if view.state(link_id) is Enablement.ENABLED}
    return _tree(index, asked, index.roots)


def _tree(index: QuestionnaireIndex, answers: Answers, link_ids: Sequence[str]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for link_id in link_ids:
        item = index.items[link_id]
        if item.is_question and answers.get(link_id):
            items.append({"linkId": link_id, "answer": [dict(answer) for answer in answers[link_id]]})
        elif item.children and (below := _tree(index, answers, item.children)):
            items.append({"linkId": link_id, "item": below})
    return items


def view_of(index: QuestionnaireIndex, answers: Answers) -> ResponseView:
    """Which questions are asked after these answers."""
    return enablement(index, {"item": items_of(index, answers)})


def asked_of(step: Step, view: ResponseView) -> list[Question | Heading]:
    """The parts of this step that are asked now."""
    return [part for part in step.parts if view.state(part.link_id) is Enablement.ENABLED]


def steps_to_ask(form: Form, view: ResponseView) -> list[Step]:
    """The steps that have something to ask."""
    return [step for step in form.steps if any(isinstance(part, Question) for part in asked_of(step, view))]


def shown(parts: Iterable[Question | Heading], answers: Answers, fields: Fields, faults: Iterable[Gap]) -> list[Asked]:
    """The parts with what was filled in: what was just sent where it was sent, else what is stored."""
    wrong = {fault.link_id: fault.sentence for fault in faults}
    return [_shown(part, answers, fields, wrong.get(part.link_id, "")) for part in parts]


def _shown(part: Question | Heading, answers: Answers, fields: Fields, fault: str) -> Asked:
    if isinstance(part, Heading):
        return Asked(part)
    given = answers.get(part.link_id, [])
    sent = fields.get(PREFIX + part.link_id)
    if part.options:
        numbers = {int(value) for value in sent if value.isdecimal()} if sent is not None else _numbers(part, given)
        return Asked(part, frozenset(numbers), fault=fault)
    text = sent[0] if sent else "".join(_words(answer) for answer in given)
    return Asked(part, text=text, fault=fault)


def _numbers(question: Question, given: Sequence[Mapping[str, Any]]) -> set[int]:
    keys = [_key(answer) for answer in given]
    return {number for number, option in enumerate(question.options) if _key(option) in keys}


def _key(answer: Mapping[str, Any]) -> object:
    value = next((value for name, value in answer.items() if name.startswith("value")), None)
    return (value.get("system"), value.get("code")) if isinstance(value, Mapping) else value


def _words(answer: Mapping[str, Any]) -> str:
    value = next((value for name, value in answer.items() if name.startswith("value")), "")
    return str(value).lower() if isinstance(value, bool) else str(value)
