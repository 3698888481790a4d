"""Answers of a refused submission, put in their places in a form, as far as each can be understood. Pure.

An answer is understood when its question is known and its value says one thing in that question's words: an option by
its code or its text, yes and no in the usual spellings, a number as text. What is not understood is left out, and so it
is unknown, which is never no and never yes. Which answers rule a danger out is judged by `findings.py`, as always.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from services.triage.basis import Resource
from shared.fhir.answer_values import Coding, is_number
from shared.fhir.codes import NO, YES, YES_NO_SYSTEM
from shared.fhir.questionnaire import QuestionItem, QuestionnaireIndex
from shared.fhir.salvage import MOST_DIGITS, FoundAnswer, loose

WORDS_FOR_YES = frozenset({"y", "yes", "true"})
WORDS_FOR_NO = frozenset({"n", "no", "false"})
_CHOICES = frozenset({"choice", "open-choice"})
_NUMBERS = frozenset({"integer", "decimal", "quantity"})
_TEXTS = frozenset({"string", "text"})
_DIGITS = Context(prec=2 * MOST_DIGITS)


def understood(answers: Iterable[FoundAnswer], form: QuestionnaireIndex) -> Resource | None:
    """A response to this form with every answer that can be understood, none twice; None where there is none."""
    given: dict[str, dict[object, Resource]] = {}
    loosely = {loose(link_id): item for link_id, item in form.items.items()}
    for found in answers:
        item = form.items.get(found.link_id) or loosely.get(loose(found.link_id))
        if item is not None and item.is_question:
            answer = _answer(item, found)
            if answer is not None:
                given.setdefault(item.link_id, {}).setdefault(_sameness(answer), answer)
    items = _placed(form, form.roots, {link_id: list(several.values()) for link_id, several in given.items()})
    return {"resourceType": "QuestionnaireResponse", "item": items} if items else None


def _sameness(value: Any) -> object:
    """What equal answers have in common, and others have not.

    Numbers as text: one can choose numbers that a set cannot tell apart without comparing them all.
    """
    if isinstance(value, Mapping):
        return frozenset((name, _sameness(one)) for name, one in value.items())
    return str(_DIGITS.normalize(Decimal(value or 0))) if is_number(value) else value  # 0 for what is zero below zero


def _placed(form: QuestionnaireIndex, link_ids: tuple[str, ...], given: Mapping[str, list[Resource]]) -> list[Resource]:
    """Each answer at the place that its question has in the form, wherever it stood."""
    items: list[Resource] = []
    for link_id in link_ids:
        item = form.items[link_id]
        children = _placed(form, item.children, given)
        if not item.is_question:
            items += [{"linkId": link_id, "item": children}] if children else []
            continue
        answers = list(given.get(link_id, []))
        if children:
            first = answers[0] if answers else {}
            answers[:1] = [{**first, "item": children}]
        if answers:
            items.append({"linkId": link_id, "answer": answers})
    return items


def _answer(item: QuestionItem, found: FoundAnswer) -> Resource | None:
    value = found.value
    if isinstance(value, Mapping) and isinstance(value.get("coding"), list):
        codings = [one for one in value["coding"] if not (isinstance(one, Mapping) and "coding" in one)]
        each = (_answer(item, replace(found, value=coding)) for coding in codings)
        return next((answer for answer in each if answer is not None), None)
    if item.type in _CHOICES:
        return _choice(item, value)
    if item.type in _NUMBERS:
        return _number(value)
    if item.type == "boolean":
        return None if (said := _yes_or_no(value)) is None else {"valueBoolean": said}
    if item.type in _TEXTS and isinstance(value, str) and value.strip():
        return {"valueString": value}
    return None


def _choice(item: QuestionItem, value: Any) -> Resource | None:
    """The option that is meant. A yes or no with a code system of its own keeps it, for `findings.py` to judge."""
    options = [option.value for option in item.options if isinstance(option.value, Coding)]
    if (YES_NO_SYSTEM, YES) in item.option_keys:
        if isinstance(value, Mapping) and value.get("code") in (YES, NO):
            return {
                "valueCoding": {name: value[name] for name in ("system", "code") if isinstance(value.get(name), str)}
            }
        if (said := _yes_or_no(value)) is not None:
            return {"valueCoding": {"system": YES_NO_SYSTEM, "code": YES if said else NO}}
    named = [value.get("code"), value.get("display")] if isinstance(value, Mapping) else [value]
    for name in (loose(name) for name in named if isinstance(name, str)):
        meant = [one for one in options if name in (loose(one.code or ""), loose(one.display or ""))]
        if len(meant) == 1:
            return {"valueCoding": {"system": meant[0].system, "code": meant[0].code}}
    return None


def _yes_or_no(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    name = value.get("code", value.get("display")) if isinstance(value, Mapping) else value
    if not isinstance(name, str):
        return None
    word = loose(name)
    return True if word in WORDS_FOR_YES else False if word in WORDS_FOR_NO else None


def _number(value: Any) -> Resource | None:
    """A number; with a unit as a quantity, for `findings.py` to judge."""
    if isinstance(value, Mapping):
        number = _exact(value.get("value"))
        if number is None:
            return None
        rest = {
            name: value[name] for name in ("unit", "system", "code", "comparator") if isinstance(value.get(name), str)
        }
        return {"valueQuantity": {"value": number, **rest}} if rest else {"valueDecimal": number}
    number = _exact(value)
    return None if number is None else {"valueDecimal": number}


def _exact(value: Any) -> Decimal | int | None:
    if isinstance(value, float):
        value = repr(value)
    if isinstance(value, str):
        if len(value) > MOST_DIGITS:
            return None
        try:
            value = Decimal(value.strip().replace(",", "."))
        except InvalidOperation:
            return None
        return value if value.is_finite() and abs(value.adjusted()) < 30 else None
    return value if is_number(value) else None
