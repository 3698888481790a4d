"""What triage does is in its audit."""

from __future__ import annotations

from tests.audit.test_recording import codes, events, references
from tests.builders import a_response
from tests.triage.line import Line


def test_an_assessment_is_recorded_with_the_service_that_made_it(line: Line) -> None:
    assessment = line.assessed({}, patient="p-1")

    [event] = events(line.triage, entity=f"RiskAssessment/{assessment['id']}", action="C")

    assert codes(event) == ["create", "assessed"]
    assert event["agent"][0]["who"]["identifier"]["value"] == "service/triage"
    assert "Patient/p-1" in references(event)


def test_a_dry_run_of_a_stored_response_is_recorded_with_its_patient(line: Line) -> None:
    response_id = line.post(a_response(patient="p-1"))
    line.triage.post(f"/fhir/QuestionnaireResponse/{response_id}/$triage").raise_for_status()

    [event] = events(line.triage, entity=f"QuestionnaireResponse/{response_id}")

    assert codes(event) == ["operation"]
    assert "Patient/p-1" in references(event)
