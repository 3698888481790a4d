"""A form that nobody wrote rules for, and the life of a response through intake and triage."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.builders import a_response
from tests.forms import answered, yes_no
from tests.triage.line import Line, urgency

FHIR = {"Content-Type": "application/fhir+json"}
URL = "https://clinic.example/Questionnaire/elbow"
FORM = {
    "resourceType": "Questionnaire",
    "url": URL,
    "version": "1",
    "status": "active",
    "item": [yes_no("swollen", required=True)],
}


def put(line: Line, response: dict[str, Any], version: int | None = None) -> httpx.Response:
    headers = FHIR if version is None else {**FHIR, "If-Match": f'W/"{version}"'}
    path = f"/fhir/QuestionnaireResponse/{response['id']}"
    return line.ehr.put(path, content=json.dumps(response), headers=headers)


def test_answers_to_a_form_without_rules_are_stored_and_a_human_is_asked_the_same_day(line: Line) -> None:
    assert line.ehr.post("/fhir/Questionnaire", content=json.dumps(FORM), headers=FHIR).status_code == 201
    response_id = line.post(
        {**a_response(), "questionnaire": f"{URL}|1", "item": [answered("swollen", "Y")]},
    )

    line.deliver(response_id)

    [assessment] = line.found("RiskAssessment", response_id)
    assert urgency(assessment) == "same_day"
    assert assessment["basis"][0]["reference"].endswith(f"QuestionnaireResponse/{response_id}/_history/1")
    assert "prediction" not in assessment or all("outcome" not in each for each in assessment["prediction"])


def test_a_response_is_finished_amended_and_withdrawn_and_its_assessment_follows(line: Line) -> None:
    form = {"id": "form-1", **a_response(patient="p", identifier="form-1")}
    steps = [
        ("in-progress", {}, "preliminary"),
        ("completed", {}, "final"),
        ("amended", {"chest_pain": "Y"}, "amended"),
        ("entered-in-error", {"chest_pain": "Y"}, "entered-in-error"),
    ]

    for version, (status, answers, assessed) in enumerate(steps, start=1):
        filled = {**form, **a_response(answers, patient="p", identifier="form-1"), "status": status}
        answer = put(line, filled, version - 1 or None)
        assert answer.status_code == (201 if version == 1 else 200), answer.text
        line.deliver("form-1", version=version)
        [assessment] = line.found("RiskAssessment", "form-1")
        assert (assessment["status"], assessment["meta"]["versionId"]) == (assessed, str(version))
