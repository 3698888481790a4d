"""A Questionnaire as steps of questions that plain HTML can ask: one step for each of its top-level groups. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from shared.fhir.questionnaire import QuestionItem, QuestionnaireIndex


class Kind(StrEnum):
    """How a question is asked."""

    ONE = "one"  # one of its options
    SEVERAL = "several"  # any of its options
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    STRING = "string"
    TEXT = "text"


KINDS = {
    "boolean": Kind.BOOLEAN,
    "integer": Kind.INTEGER,
    "decimal": Kind.DECIMAL,
    "date": Kind.DATE,
    "string": Kind.STRING,
    "text": Kind.TEXT,
}
UNIT = "http://hl7.org/fhir/StructureDefinition/questionnaire-unit"


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `options`: the answers as FHIR has them, with the words beside each in `labels`.

    `low` and `high` are inclusive. `unit` is a word; "" where the number has none.
    """

    link_id: str
    text: str
    kind: Kind
    required: bool
    options: tuple[Mapping[str, Any], ...] = ()
    labels: tuple[str, ...] = ()
    unit: str = ""
    low: int | Decimal | None = None
    high: int | Decimal | None = None
    max_length: int | None = None
    exclusive: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Heading:
    """Words between questions: the title of a group within a step, or a note. Shown while the item is asked."""

    link_id: str
    text: str
    is_note: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What is asked on one page."""

    link_id: str
    title: str
    parts: tuple[Question | Heading, ...]

    @property
    def questions(self) -> Iterator[Question]:
        """The questions among the parts."""
        return (part for part in self.parts if isinstance(part, Question))


@dataclass(frozen=True, slots=True)
class Form:
    """One version of a Questionnaire. `unasked`: linkIds of questions that plain HTML cannot ask here."""

    id: str
    canonical: str
    title: str
    steps: tuple[Step, ...]
    unasked: tuple[str, ...]

    def step(self, link_id: str) -> Step | None:
        """The step of this group, or None."""
        return next((step for step in self.steps if step.link_id == link_id), None)


def form_of(questionnaire: Mapping[str, Any], index: QuestionnaireIndex) -> Form:
    """Steps and questions of a published Questionnaire, in its order.

    Questions of a type that a plain form does not ask (attachment, reference, quantity, open choice), questions below
    questions, and groups that repeat are named in `unasked`, and are not part of any step.
    """
    unasked: list[str] = []
    steps: list[Step] = []
    for raw in questionnaire.get("item", []):
        parts = tuple(_parts(raw, index, unasked, top=True))
        if any(isinstance(part, Question) for part in parts):
            title = str(raw.get("text", "")) if raw["type"] == "group" else str(questionnaire.get("title", ""))
            steps.append(Step(raw["linkId"], title, parts))
    title = str(questionnaire.get("title") or questionnaire.get("name") or index.url)
    return Form(str(questionnaire["id"]), index.canonical, title, tuple(steps), tuple(unasked))


def _parts(
    raw: Mapping[str, Any], index: QuestionnaireIndex, unasked: list[str], *, top: bool
) -> Iterator[Question | Heading]:
    item = index.items[raw["linkId"]]
    below: Sequence[Mapping[str, Any]] = raw.get("item", [])
    if item.hidden or item.read_only:
        return
    if item.type == "group":
        if item.repeats:
            unasked.extend(_questions_below(raw, index))
            return
        if not top and item.text:
            yield Heading(item.link_id, item.text, is_note=False)
        for inner in below:
            yield from _parts(inner, index, unasked, top=False)
    elif not item.is_question:
        yield Heading(item.link_id, item.text or "", is_note=True)
    elif (question := _question(raw, item)) is None or below:
        unasked.extend(_questions_below(raw, index))
    else:
        yield question


def _questions_below(raw: Mapping[str, Any], index: QuestionnaireIndex) -> Iterator[str]:
    if index.items[raw["linkId"]].is_question:
        yield raw["linkId"]
    for inner in raw.get("item", []):
        yield from _questions_below(inner, index)


def _question(raw: Mapping[str, Any], item: QuestionItem) -> Question | None:
    kind = KINDS.get(item.type)
    options: tuple[Mapping[str, Any], ...] = ()
    if item.type == "choice":
        kind = Kind.SEVERAL if item.repeats else Kind.ONE
        options = tuple(_answer(option) for option in raw.get("answerOption", []))
    elif item.repeats or raw.get("answerOption"):
        kind = None
    if kind is None or (item.type == "choice" and len(options) != len(item.options)):
        return None
    return Question(
        link_id=item.link_id,
        text=item.text or item.link_id,
        kind=kind,
        required=item.required,
        options=options,
        labels=tuple(_label(option) for option in options),
        unit=_unit(raw),
        low=item.min_value if isinstance(item.min_value, int | Decimal) else None,
        high=item.max_value if isinstance(item.max_value, int | Decimal) else None,
        max_length=item.max_length,
        exclusive=frozenset(number for number, option in enumerate(item.options) if option.exclusive),
    )


def _answer(option: Mapping[str, Any]) -> dict[str, Any]:
    """The answer that choosing this option makes."""
    return {name: value for name, value in option.items() if name.startswith("value")}


def _label(answer: Mapping[str, Any]) -> str:
    value = next(iter(answer.values()))
    return str(value.get("display") or value.get("code")) if isinstance(value, Mapping) else str(value)


def _unit(raw: Mapping[str, Any]) -> str:
    for extension in raw.get("extension", []):
        if extension["url"] == UNIT:
            coding = extension["valueCoding"]
            return str(coding.get("display") or coding.get("code") or "")
    return ""
