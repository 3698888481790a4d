"""What the person who fills in the form should do now, asked of triage. Its words are the pack's, for patients.

The last note of a RiskAssessment is the safety net: when to call for help, by the urgency that was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.intake.form.ticket import Ticket
from shared.fhir.client import FhirClient, NeighbourUnavailable
from shared.fhir.codes import EXT_DISPOSITION, Urgency

TRIAGE = "QuestionnaireResponse/$triage"


@dataclass(frozen=True, slots=True)
class Advice:
    """`urgency`: None while there is none. `text`: the safety net in the pack's words."""

    urgency: Urgency | None
    text: str

    @property
    def is_emergency(self) -> bool:
        """True when help is needed now."""
        return self.urgency is Urgency.EMERGENCY


def advice_on(triage: FhirClient | None, ticket: Ticket, response: Mapping[str, Any]) -> Advice | None:
    """What triage says to these answers, which it does not store. None when it does not answer now."""
    if triage is None:
        return None
    try:
        status, bundle = triage.post(TRIAGE, dict(response), tenant=ticket.tenant)
    except NeighbourUnavailable:
        return None
    found = [entry["resource"] for entry in bundle.get("entry", [])] if status == 200 else []
    assessment = next((one for one in found if one["resourceType"] == "RiskAssessment"), None)
    return _read(assessment) if assessment else None


def _read(assessment: Mapping[str, Any]) -> Advice:
    codes = [e["valueCoding"]["code"] for e in assessment.get("extension", []) if e["url"] == EXT_DISPOSITION]
    urgency = next((Urgency(code) for code in codes if code in list(Urgency)), None)
    notes = assessment.get("note", [])
    return Advice(urgency, str(notes[-1]["text"]) if notes else "")
