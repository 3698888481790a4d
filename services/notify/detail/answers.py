"""What the patient answered, grouped and in the order of the form, with what was asked and not answered. Pure.

The texts are those of the Questionnaire that the response names. Without it the answers are shown all the same, under
their linkIds. Whether a question was asked at all is decided as everywhere (`shared/fhir/enable_when.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.notify.detail.parts import NOT_AS_EXPECTED, Element
from shared.fhir.enable_when import Enablement, enablement
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.problems import ProblemError

UNIT = "http://hl7.org/fhir/StructureDefinition/questionnaire-unit"
NO_VALUE = "no value was given"
NOT_READABLE = "an answer that cannot be read"
NO_QUESTIONS = frozenset({"group", "display"})
"""Items of these types are no questions."""


@dataclass(frozen=True, slots=True)
class Value:
    """One answer in words. `own_words`: typed by the patient, shown as a quotation."""

    text: str
    own_words: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A question that was asked. `values` empty: not answered. `fired`: ids of the flags that its answer fired."""

    link_id: str
    text: str
    values: tuple[Value, ...]
    fired: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """A group of the form, with those of its questions that were asked or answered."""

    title: str
    questions: tuple[Question, ...]

    @property
    def answered(self) -> tuple[Question, ...]:
        """Those with an answer, also when that is "Not sure"."""
        return tuple(question for question in self.questions if question.values)

    @property
    def unanswered(self) -> tuple[Question, ...]:
        """Those that were asked, and not answered."""
        return tuple(question for question in self.questions if not question.values)


@dataclass(frozen=True, slots=True)
class Answers:
    """`not_asked`: how many questions earlier answers made unnecessary; `open_gates`: how many were not asked because
    the question before them was not answered. Both None where that cannot be told."""

    groups: tuple[Group, ...]
    with_texts: bool
    not_asked: int | None = None
    open_gates: int | None = None

    @property
    def number(self) -> int:
        """How many questions were answered."""
        return sum(bool(question.values) for group in self.groups for question in group.questions)


@dataclass(frozen=True, slots=True)
class Form:
    """A Questionnaire as published, and compiled where it can be."""

    questionnaire: Element
    index: QuestionnaireIndex | None

    @classmethod
    def of(cls, questionnaire: Element) -> Form:
        """Never raises: a Questionnaire that cannot be compiled still has its texts."""
        try:
            return cls(questionnaire, QuestionnaireIndex.build(questionnaire))
        except (ProblemError, *NOT_AS_EXPECTED):
            return cls(questionnaire, None)

    def texts(self) -> dict[str, str]:
        """The text of every item by linkId."""
        return {str(item.get("linkId")): str(item.get("text", "")) for item, _ in _walk(self.questionnaire, ())}


def read_answers(response: Element, form: Form | None, fired: Mapping[str, tuple[str, ...]]) -> Answers:
    """The answers of a response. `fired`: ids of flags by linkId. Raises what reading something else raises."""
    given = _given(response)
    if form is None:
        rows = [Question(link_id, text, values, fired.get(link_id, ())) for link_id, (text, values) in given.items()]
        return Answers((Group("Answers", tuple(rows)),) if rows else (), with_texts=False)
    asked = _asked(form, response)
    groups: dict[str, list[Question]] = {}
    for item, above in _walk(form.questionnaire, ()):
        link_id = str(item.get("linkId"))
        if item.get("type") in NO_QUESTIONS:
            continue
        _, values = given.pop(link_id, ("", ()))
        if values or asked is None or asked[link_id] is Enablement.ENABLED:
            shown = tuple(_shown(value, item) for value in values)
            row = Question(link_id, str(item.get("text", link_id)), shown, fired.get(link_id, ()))
            groups.setdefault(" · ".join(above) or "Questions", []).append(row)
    unknown = [Question(link_id, text, values) for link_id, (text, values) in given.items()]
    if unknown:
        groups["Not in the questionnaire"] = unknown
    states = list(asked.values()) if asked is not None else None
    return Answers(
        tuple(Group(title, tuple(questions)) for title, questions in groups.items()),
        with_texts=True,
        not_asked=states.count(Enablement.DISABLED) if states is not None else None,
        open_gates=states.count(Enablement.DISABLED_UNKNOWN) if states is not None else None,
    )


def _asked(form: Form, response: Element) -> dict[str, Enablement] | None:
    """Whether each question was asked; None where that cannot be told."""
    if form.index is None:
        return None
    try:
        view = enablement(form.index, response)
        return {item.link_id: view.state(item.link_id) for item in form.index.items.values() if item.is_question}
    except (ProblemError, *NOT_AS_EXPECTED):
        return None


def _walk(parent: Element, above: tuple[str, ...]) -> Iterator[tuple[Element, tuple[str, ...]]]:
    """Every item in document order, with the texts of the groups above it."""
    for item in parent.get("item", ()):
        yield item, above
        inner = (*above, str(item.get("text", ""))) if item.get("type") == "group" and item.get("text") else above
        yield from _walk(item, inner)


@dataclass(frozen=True, slots=True)
class _Raw(Value):
    """An answer with the coding that the Questionnaire may have better words for."""

    system: str = ""
    code: str = ""


def _given(response: Element) -> dict[str, tuple[str, tuple[Value, ...]]]:
    """Text and values of every answered item, by linkId; repeated groups are put together."""
    found: dict[str, tuple[str, tuple[Value, ...]]] = {}
    pending = list(response.get("item", ()))
    while pending:
        item = pending.pop(0)
        link_id = str(item.get("linkId", "an item without linkId"))
        answers: Sequence[Element] = item.get("answer", ())
        if answers:
            _, earlier = found.get(link_id, ("", ()))
            text = str(item.get("text", link_id))
            found[link_id] = (text, (*earlier, *(_value(answer) for answer in answers)))
        inner = [below for answer in answers for below in answer.get("item", ())]
        pending = [*item.get("item", ()), *inner, *pending]
    return found


def _value(answer: Element) -> Value:
    kind = next((name for name in answer if name.startswith("value")), "")
    if not kind:
        return Value(NO_VALUE)
    return _VALUES.get(kind, _unknown)(answer[kind])


def _coding(value: Any) -> Value:
    system, code = str(value.get("system", "")), str(value.get("code", ""))
    return _Raw(str(value.get("display") or code or NOT_READABLE), system=system, code=code)


def _quantity(value: Any) -> Value:
    return Value(f"{value.get('value', '')} {value.get('unit') or value.get('code') or ''}".strip() or NOT_READABLE)


def _unknown(_: Any) -> Value:
    return Value(NOT_READABLE)


_VALUES: dict[str, Callable[[Any], Value]] = {
    "valueString": lambda value: Value(str(value), own_words=True),
    "valueUri": lambda value: Value(str(value), own_words=True),
    "valueBoolean": lambda value: Value("Yes" if value is True else "No"),
    "valueCoding": _coding,
    "valueQuantity": _quantity,
    **{f"value{kind}": lambda value: Value(str(value)) for kind in ("Integer", "Decimal", "Date", "DateTime", "Time")},
    "valueReference": lambda value: Value(str(value.get("display") or value.get("reference") or NOT_READABLE)),
    "valueAttachment": lambda value: Value(f"attachment {value.get('title', '')}".strip()),
}


def _shown(value: Value, item: Element) -> Value:
    """In the Questionnaire's words: the display of an option, the unit of a number."""
    if isinstance(value, _Raw):
        for option in item.get("answerOption", ()):
            coding = option.get("valueCoding", {})
            if coding.get("code") == value.code and coding.get("system", value.system) == value.system:
                return Value(str(coding.get("display") or value.text))
        return Value(value.text)
    if item.get("type") in ("integer", "decimal"):
        return Value(f"{value.text} {_unit(item)}".strip())
    return value


def _unit(item: Element) -> str:
    for extension in item.get("extension", ()):
        if extension.get("url") == UNIT:
            coding = extension.get("valueCoding", {})
            return str(coding.get("display") or coding.get("code") or "")
    return ""
