"""What the answers to one question say about a fact: a value, in words, and what is wrong with it.

Unanswered, "not sure", declined, unreadable or out of range: unknown, never "no". Answers that disagree stay side by
side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, assert_never

from services.triage.engine.model import (
    MORE_UNKNOWN,
    FactDefinition,
    FactKind,
    Finding,
    FindingProblem,
    Missing,
    Presence,
    Value,
    Visibility,
)
from shared.fhir.answer_values import AnswerValue, Coding, Quantity, is_number, says_unknown
from shared.fhir.codes import NO, YES
from shared.fhir.questionnaire import QuestionItem


def finding_of(fact: FactDefinition, item: QuestionItem, answers: Sequence[AnswerValue | None]) -> Finding:
    """One value of all answers; where they disagree, every reading as an alternative. None: said to be not known."""
    if len(answers) == 1 and not item.repeats:
        value, problem = _READERS[fact.kind](fact, item, answers[0])
        options = _words_of_options(item) if value is Missing.UNKNOWN and fact.kind is FactKind.CHOICE else ()
        said = _words(item, answers[0])
        return Finding(value, (fact.link_id,), item.text or "", said, problem=problem, options=options)
    read = [_READERS[fact.kind](fact, item, answer) for answer in answers]
    problem = next((problem for _, problem in read if problem is not None), None)
    values = list(dict.fromkeys(value for value, _ in read))
    if fact.kind is FactKind.CHOICE and item.repeats:
        values = [_together(values)]
    elif fact.kind is FactKind.TEXT and item.repeats:
        values = ["\n".join(each for each in values if isinstance(each, str)) or Missing.UNKNOWN]
    return Finding(
        values[0] if len(values) == 1 else unknown_value(fact.kind),
        (fact.link_id,),
        item.text or "",
        "; ".join(dict.fromkeys(_words(item, answer) for answer in answers)),
        alternatives=tuple(values) if len(values) > 1 else (),
        problem=problem,
    )


_Read = tuple[Value, FindingProblem | None]


def _read_presence(fact: FactDefinition, item: QuestionItem, value: AnswerValue | None) -> _Read:
    """Y and N, or true and false, turned round for a negated fact.

    With a code system that the question does not offer, only the answer that makes the fact present is taken.
    """
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


def _read_choice(fact: FactDefinition, item: QuestionItem, value: AnswerValue | None) -> _Read:
    """The chosen code, when it is one of the question's options and one that the pack knows."""
    if value is None or says_unknown(value):
        return Missing.UNKNOWN, None
    if not isinstance(value, Coding) or value.code is None or value.key not in item.option_keys:
        return Missing.UNKNOWN, FindingProblem.UNREADABLE
    if fact.codes and value.code not in fact.codes:
        return Missing.UNKNOWN, FindingProblem.UNREADABLE
    return frozenset({value.code}), None


def _read_quantity(fact: FactDefinition, item: QuestionItem, value: AnswerValue | None) -> _Read:
    """A number in the fact's unit. "Less than" is no number; a plain number has the question's own unit."""
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


def _read_text(fact: FactDefinition, item: QuestionItem, value: AnswerValue | None) -> _Read:
    if value is None:
        return Missing.UNKNOWN, None
    return (value, None) if isinstance(value, str) else (Missing.UNKNOWN, FindingProblem.UNREADABLE)


_READERS: Final[Mapping[FactKind, Callable[[FactDefinition, QuestionItem, AnswerValue | None], _Read]]] = {
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


def unknown_value(kind: FactKind) -> Value:
    """What a fact of this kind is while nobody knows it."""
    match kind:
        case FactKind.PRESENCE:
            return Presence.UNKNOWN
        case FactKind.CHOICE | FactKind.QUANTITY | FactKind.TEXT:
            return Missing.UNKNOWN
    assert_never(kind)


_ONE: Final = {"days": "day", "weeks": "week", "months": "month", "years": "year", "hours": "hour", "minutes": "minute"}
"""Units of which there can be one, in words."""


def _in_words(unit: Coding, number: object) -> str:
    words = unit.display or unit.code or ""
    return _ONE.get(words, words) if number == 1 else words


def _words_of_options(item: QuestionItem) -> tuple[tuple[str, str], ...]:
    """Each code that could be chosen, with its words."""
    codings = (option.value for option in item.options)
    return tuple((one.code, one.display) for one in codings if isinstance(one, Coding) and one.code and one.display)


def unanswered(fact: FactDefinition, item: QuestionItem | None, value: Value, visibility: Visibility) -> Finding:
    """A fact whose question has no answer; of a choice it keeps the words of what could be chosen."""
    if item is None:
        return Finding(value, (fact.link_id,), visibility=visibility)
    options = _words_of_options(item) if fact.kind is FactKind.CHOICE else ()
    return Finding(value, (fact.link_id,), item.text or "", visibility=visibility, options=options)


def _words(item: QuestionItem, value: AnswerValue | None) -> str:
    """The answer as a reader sees it: an option in its published words, a number with its unit, the text."""
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
        return f"{value} {_in_words(unit, value)}" if unit else str(value)
    return value if isinstance(value, str) else "(attachment)"
