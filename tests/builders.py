"""Builders that mention only what a test is about; everything else is answered as a healthy adult would."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from functools import cache
from typing import Any

from services.intake.questionnaires import shipped
from shared.fhir.codes import CS_ANSWER, YES_NO_SYSTEM
from shared.fhir.enable_when import Enablement, enablement
from shared.fhir.questionnaire import QuestionItem, QuestionnaireIndex

SENDER = "https://ehr.example.org/filled-form"

UNREMARKABLE: Mapping[str, object] = {
    "respondent": "self",
    "patient_can_answer": "Y",
    "age_years": 40,
    "sex_at_birth": "male",
    "location": "calf",
    "location_other": "none",
    "laterality": "left",
    "onset": "gradual",
    "duration_days": 5,
    "severity_0_10": 3,
    "pain_trend": "better",
    "mechanism": "running",
    "can_walk_4_steps": "Y",
    "could_walk_right_after": "Y",
    "can_single_heel_raise": "Y",
    "can_push_off": "Y",
    "can_bend_knee_90": "Y",
    "can_straighten_knee": "Y",
    "can_lift_straight_leg": "Y",
    "can_lift_foot": "Y",
    "child_walks_alone": "Y",
}
"""Answers of a man of 40 with a mild calf ache; every other question is answered No."""


@cache
def posterior_lower_limb() -> QuestionnaireIndex:
    return QuestionnaireIndex.build(json.loads(shipped()[-1].read_bytes()))


def a_response(
    answers: Mapping[str, object] | None = None,
    *,
    status: str = "completed",
    patient: str | None = None,
    identifier: str | None = None,
    only: frozenset[str] | set[str] | None = None,
    leave_out: frozenset[str] | set[str] = frozenset(),
    optional: bool = False,
) -> dict[str, Any]:
    """A QuestionnaireResponse that answers every enabled required question; with `optional`, all that patients see.

    `answers`: linkId to "Y", "N", "ASKU", a code, a number, or a list of codes. `only`: answer nothing but these
    (page 1 alone, say). `leave_out`: leave these unanswered although they are asked.
    """
    index = posterior_lower_limb()
    chosen = {**UNREMARKABLE, **(answers or {})}
    response: dict[str, Any] = {
        "resourceType": "QuestionnaireResponse",
        "identifier": {"system": SENDER, "value": identifier or secrets.token_hex(8)},
        "questionnaire": index.canonical,
        "status": status,
        "subject": {"reference": f"Patient/{patient or secrets.token_hex(6)}", "display": "Test patient"},
        "authored": "2026-11-22T08:00:00+00:00",
    }
    given: dict[str, object] = {}
    while True:
        response["item"] = _items(index, index.roots, given)
        view = enablement(index, response)
        more = {
            item.link_id: chosen.get(item.link_id, _unremarkable(item))
            for item in index.items.values()
            if item.is_question
            and item.link_id not in given
            and item.link_id not in leave_out
            and (only is None or item.link_id in only)
            and (item.required or item.link_id in (answers or {}) or (optional and _for_patients(item)))
            and view.state(item.link_id) is Enablement.ENABLED
        }
        if not more:
            return response
        given.update(more)


def _for_patients(item: QuestionItem) -> bool:
    return "clinician" not in item.path and item.link_id != "other_concerns"


def _unremarkable(item: QuestionItem) -> object:
    if item.type in ("integer", "decimal"):
        return item.min_value if item.min_value is not None else 0
    if item.type in ("text", "string"):
        return "nothing else"
    codes = [getattr(option.value, "code", None) for option in item.options]
    return "N" if "N" in codes else codes[0]


def _items(index: QuestionnaireIndex, link_ids: tuple[str, ...], given: Mapping[str, object]) -> list[dict[str, Any]]:
    items = []
    for link_id in link_ids:
        item = index.items[link_id]
        if item.is_question:
            if link_id in given:
                items.append({"linkId": link_id, "answer": _answers(item, given[link_id])})
        elif children := _items(index, item.children, given):
            items.append({"linkId": link_id, "item": children})
    return items


def _answers(item: QuestionItem, value: object) -> list[dict[str, Any]]:
    values = value if isinstance(value, list) else [value]
    return [_answer(item, one) for one in values]


def _answer(item: QuestionItem, value: object) -> dict[str, Any]:
    match item.type:
        case "integer":
            return {"valueInteger": int(str(value))}
        case "decimal":
            return {"valueDecimal": float(str(value))}
        case "text" | "string":
            return {"valueString": value}
        case _:
            system = YES_NO_SYSTEM if value in ("Y", "N", "ASKU") else CS_ANSWER
            return {"valueCoding": {"system": system, "code": value}}


def answer_of(response: Mapping[str, Any], link_id: str) -> dict[str, Any]:
    """The item of that linkId, to be changed by a test."""
    pending = list(response["item"])
    while pending:
        item: dict[str, Any] = pending.pop()
        if item["linkId"] == link_id:
            return item
        pending += item.get("item", [])
    raise KeyError(link_id)
