"""The synthetic emergency: page 1 of the shipped form with chest pain, of a patient that nobody is. Pure.

Nothing in it makes it synthetic: a client may send the very same and people are told. Its tenant alone does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.fhir.codes import CANONICAL
from shared.fhir.identity import instant

SID_ROUND = f"{CANONICAL}/sid/watchdog-round"
QUESTIONNAIRE = f"{CANONICAL}/Questionnaire/posterior-lower-limb|1.0.0"
ANSWERS = f"{CANONICAL}/CodeSystem/posterior-lower-limb-answer"
YES_NO = "http://terminology.hl7.org/CodeSystem/v2-0532"
PRESENT = ("chest_pain",)
ABSENT = (
    "breathless_new",
    "coughing_blood",
    "collapse_faint",
    "foot_cold_pale_blue",
    "saddle_numbness",
    "bladder_bowel_change",
    "sexual_numbness_change",
    "both_legs_weak_or_numb",
    "fever_or_chills",
    "feels_very_unwell",
    "deformity",
    "bone_visible",
    "uncontrolled_bleeding",
)


def emergency_of(round_id: UUID, at: datetime) -> dict[str, Any]:
    """The response of this round, filled in at that moment. Each round has its own patient, so none joins another."""
    items: list[dict[str, Any]] = [
        _coded("respondent", ANSWERS, "self"),
        {"linkId": "age_years", "answer": [{"valueInteger": 52}]},
        _coded("sex_at_birth", ANSWERS, "female"),
        *(_coded(question, YES_NO, "Y") for question in PRESENT),
        *(_coded(question, YES_NO, "N") for question in ABSENT),
    ]
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": QUESTIONNAIRE,
        "status": "in-progress",
        "subject": {"identifier": {"system": SID_ROUND, "value": str(round_id)}, "display": "Nobody (watchdog)"},
        "authored": instant(at),
        "item": [{"linkId": "page-1", "item": items}],
    }


def round_of(subject: Mapping[str, Any] | None) -> UUID | None:
    """The round whose patient this is, or None."""
    identifier = (subject or {}).get("identifier", {})
    return UUID(identifier["value"]) if identifier.get("system") == SID_ROUND else None


def _coded(question: str, system: str, code: str) -> dict[str, Any]:
    return {"linkId": question, "answer": [{"valueCoding": {"system": system, "code": code}}]}
