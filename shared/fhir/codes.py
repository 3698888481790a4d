"""System URIs and value sets that more than one service writes or reads. No clinical thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from shared.ids import named

CANONICAL = "https://sural.example/fhir"
"""Base of every canonical of ours. A reserved name: it identifies, it is never fetched."""

SID_RESPONSE = f"{CANONICAL}/sid/qr"
SID_TRIAGE_RUN = f"{CANONICAL}/sid/triage-run"
SID_ASSESSMENT = f"{CANONICAL}/sid/risk-assessment"
SID_FLAG = f"{CANONICAL}/sid/flag"
SID_CLIENT = f"{CANONICAL}/sid/client"
SID_REFUSED = f"{CANONICAL}/sid/refused-submission"
SID_SUBMISSION = f"{CANONICAL}/sid/submission"
"""Stands for the sender's identifier of a filled form (`submission_key`), the same for a refused one and its
correction."""
SID_ALERT = f"{CANONICAL}/sid/alert"
SID_RECIPIENT = f"{CANONICAL}/sid/recipient"
SID_PERSON = f"{CANONICAL}/sid/person"
SID_TEAM = f"{CANONICAL}/sid/team"

CS_AUDIT_ACT = f"{CANONICAL}/CodeSystem/audit-act"
CS_ISSUE = f"{CANONICAL}/CodeSystem/qr-issue"
CS_METHOD = f"{CANONICAL}/CodeSystem/triage-method"
CS_RED_FLAG = f"{CANONICAL}/CodeSystem/red-flag"
CS_CONDITION = f"{CANONICAL}/CodeSystem/condition"
CS_URGENCY = f"{CANONICAL}/CodeSystem/triage-disposition"
CS_ANSWER = f"{CANONICAL}/CodeSystem/posterior-lower-limb-answer"

EXT_LINK_ID = f"{CANONICAL}/StructureDefinition/issue-link-id"
EXT_DISPOSITION = f"{CANONICAL}/StructureDefinition/triage-disposition"
EXT_RED_FLAG = f"{CANONICAL}/StructureDefinition/red-flag-result"
EXT_SCORE = f"{CANONICAL}/StructureDefinition/triage-score"
EXT_NOT_FIRED = f"{CANONICAL}/StructureDefinition/red-flags-not-fired"
EXT_DATA_QUALITY = f"{CANONICAL}/StructureDefinition/data-quality"
EXT_REFUSED = f"{CANONICAL}/StructureDefinition/refused-submission"
EXT_CONTENT_SHA256 = f"{CANONICAL}/StructureDefinition/content-sha256"

PROFILES = {
    "QuestionnaireResponse": f"{CANONICAL}/StructureDefinition/questionnaire-response",
    "RiskAssessment": f"{CANONICAL}/StructureDefinition/risk-assessment",
    "DetectedIssue": f"{CANONICAL}/StructureDefinition/detected-issue",
    "Provenance": f"{CANONICAL}/StructureDefinition/provenance",
    "Device": f"{CANONICAL}/StructureDefinition/device",
    "Task": f"{CANONICAL}/StructureDefinition/task",
    "CommunicationRequest": f"{CANONICAL}/StructureDefinition/communication-request",
    "Communication": f"{CANONICAL}/StructureDefinition/communication",
}
"""Resource type to our profile of it: in meta.profile of all that we emit."""

REVIEW_TAG = "clinician_review"
"""In CS_URGENCY, as a tag of a RiskAssessment: the answers ask for a clinician's eyes today, whatever the urgency."""

YES_NO_SYSTEM = "http://terminology.hl7.org/CodeSystem/v2-0532"
YES, NO, NOT_SURE = "Y", "N", "ASKU"


class Urgency(StrEnum):
    """The five urgencies, most urgent first; also the disposition codes in a RiskAssessment."""

    EMERGENCY = "emergency"
    SAME_DAY = "same_day"
    WITHIN_2_WEEKS = "within_2_weeks"
    ROUTINE = "routine"
    SELF_CARE = "self_care"

    @property
    def rank(self) -> int:
        """0 is the most urgent."""
        return list(Urgency).index(self)

    @property
    def alerts(self) -> bool:
        """True when a clinician must be told: emergency and same_day."""
        return self.rank <= Urgency.SAME_DAY.rank


PRIORITY = {
    Urgency.EMERGENCY: "stat",
    Urgency.SAME_DAY: "urgent",
    Urgency.WITHIN_2_WEEKS: "routine",
    Urgency.ROUTINE: "routine",
    Urgency.SELF_CARE: "routine",
}
"""Urgency (our triage result) to FHIR request-priority (what a Task carries)."""


def submission_key(identifier: object) -> str | None:
    """What stands for a sender's identifier of a filled form, or None: one without a system is anybody's."""
    if not isinstance(identifier, Mapping):
        return None
    system, value = identifier.get("system"), identifier.get("value")
    if not (isinstance(system, str) and isinstance(value, str) and system and value):
        return None
    return str(named("submission", system, value))
