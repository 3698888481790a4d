"""SR-22: answers to words that nobody has validated never lead to self-care.

A Questionnaire is written in one language, and its wording is reviewed in that language only. A response that was
filled in another one, or whose items carry other words than the Questionnaire's, still gets every red flag; but its
answers may not mean what they seem to mean, so the least urgency is an ordinary appointment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.triage.engine.model import Urgency
from services.triage.engine.results import AppliedFloor, FloorKind
from shared.fhir.questionnaire import QuestionnaireIndex


def wording_floor(
    form: QuestionnaireIndex, response: Mapping[str, Any], language: str, *, reworded: bool | None = None
) -> AppliedFloor | None:
    """The floor for wording that was not validated; None where the response shows none. `language`: the validated one.

    `reworded`: whether some item has other words than the Questionnaire's, where that is known already.

    A response without a language and without item texts says nothing about it and is taken to be in the
    Questionnaire's own words.
    """
    if not _in_another_language(response, language):
        if reworded is None:
            reworded = _in_other_words(form, response)
        if not reworded:
            return None
    return AppliedFloor(id="SR-22", kind=FloorKind.RULE, urgency=Urgency.ROUTINE, text="floor.wording", facts=())


def _in_another_language(response: Mapping[str, Any], language: str) -> bool:
    """Compares what comes before the first hyphen: en-GB is English."""
    stated = response.get("language")
    return isinstance(stated, str) and stated.partition("-")[0].casefold() != language.partition("-")[0].casefold()


def _in_other_words(form: QuestionnaireIndex, holder: Mapping[str, Any]) -> bool:
    """Of all items below a response, an item or an answer. (JSON objects are dicts; `Mapping` would cost more.)"""
    items, published = holder.get("item"), form.items
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict):
            continue
        known = published.get(str(item.get("linkId")))
        if known is not None and item.get("text", known.text) != known.text:
            return True
        if "item" in item and _in_other_words(form, item):
            return True
        answers = item.get("answer")
        for answer in answers if isinstance(answers, list) else ():
            if isinstance(answer, dict) and "item" in answer and _in_other_words(form, answer):
                return True
    return False
