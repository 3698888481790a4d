"""$triage: what an assessment would say, without leaving a trace."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from tests.builders import a_response, posterior_lower_limb
from tests.triage.line import Line, urgency

FHIR = {"Content-Type": "application/fhir+json"}
TRIAGE = "/fhir/QuestionnaireResponse/$triage"


def sent(line: Line, resource: dict[str, Any], path: str = TRIAGE) -> httpx.Response:
    return line.triage.post(path, content=json.dumps(resource), headers=FHIR)


def parts(answer: httpx.Response, resource_type: str) -> list[dict[str, Any]]:
    return [e["resource"] for e in answer.json()["entry"] if e["resource"]["resourceType"] == resource_type]


def said(answer: httpx.Response) -> list[str]:
    [outcome] = parts(answer, "OperationOutcome")
    return [issue["details"]["coding"][0]["code"] for issue in outcome["issue"]]


def traces(line: Line) -> int:
    stored = line.triage.get("/fhir/RiskAssessment").json().get("entry", [])
    return len(stored) + len(line.outbox()) + len(line.ehr.get("/fhir/QuestionnaireResponse").json().get("entry", []))


@pytest.mark.parametrize("wrapped", [False, True], ids=["the resource", "in Parameters"])
def test_a_dry_run_says_what_an_assessment_would_say_and_leaves_no_trace(line: Line, wrapped: bool) -> None:
    response = a_response({"chest_pain": "Y"})
    given = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": response}]}

    answer = sent(line, given if wrapped else response)

    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    [assessment] = parts(answer, "RiskAssessment")
    assert bundle["type"] == "collection"
    assert urgency(assessment) == "emergency"
    assert assessment["status"] == "preliminary"
    assert {issue["code"]["coding"][0]["code"] for issue in parts(answer, "DetectedIssue")} >= {"RFX-01"}
    assert said(answer)[0] == "dry-run"
    assert "QuestionnaireResponse/" not in json.dumps(assessment)
    assert traces(line) == 0
    for entry in bundle["entry"]:
        resource = entry["resource"]
        assert check_structure(resource, resource_type=resource["resourceType"]) == []
        assert validate_with_fhir_resources(resource) == []


def test_two_dry_runs_name_no_resource_of_each_other_or_of_a_stored_one(line: Line) -> None:
    response = a_response({"chest_pain": "Y"})
    ids = [entry["fullUrl"] for _ in range(2) for entry in sent(line, response).json()["entry"]]

    assert len(ids) == len(set(ids))


def test_what_is_no_r4_and_what_names_no_known_pack_is_refused(line: Line) -> None:
    assert sent(line, a_response({}) | {"status": "banana"}).status_code == 400
    assert (
        sent(line, {"resourceType": "Parameters", "parameter": [{"name": "x", "valueString": "y"}]}).status_code == 400
    )
    unknown = sent(line, a_response({}), f"{TRIAGE}?knowledge=https://other.example|9")
    assert unknown.status_code == 422
    assert "names no pack" in unknown.json()["issue"][0]["details"]["text"]


def test_an_invalid_response_is_answered_with_the_reasons_of_intake(line: Line) -> None:
    response = a_response({"severity_0_10": 3}, leave_out={"chest_pain"})

    answer = sent(line, response)
    offered = line.ehr.post("/fhir/QuestionnaireResponse/$validate", content=json.dumps(response), headers=FHIR)

    if offered.status_code in (404, 405):
        assert answer.status_code == 200, "alone, the gate judges"
    else:
        assert answer.status_code == 422
        assert answer.json()["issue"][0]["severity"] == "error"
        assert answer.json()["issue"][0]["expression"]
    assert traces(line) == 0


def test_a_stored_response_is_evaluated_again_and_compared(line: Line) -> None:
    index = posterior_lower_limb()
    response_id = line.post(a_response({"chest_pain": "Y"}))
    path = f"/fhir/QuestionnaireResponse/{response_id}/$triage"
    assert said(line.triage.post(path, headers=FHIR))[-1] == "no-stored-assessment"
    line.deliver(response_id)
    before = line.found("RiskAssessment", response_id)

    same = line.triage.post(path, headers=FHIR)

    assert said(same) == ["dry-run", "same-as-stored"]
    assert parts(same, "RiskAssessment")[0]["basis"][0]["reference"].endswith(f"{response_id}/_history/1")
    assert line.found("RiskAssessment", response_id) == before
    assert line.outbox() == [("notify.urgent", 1)]
    assert index.version == "1.0.0"


def test_it_says_where_the_stored_assessment_differs(line: Line) -> None:
    response_id = line.post(a_response({}, patient="p-8"))
    line.deliver(line.post(a_response({"chest_pain": "Y"}, patient="p-8")))
    line.deliver(response_id)

    answer = line.triage.post(f"/fhir/QuestionnaireResponse/{response_id}/$triage", headers=FHIR)

    assert said(answer) == ["dry-run", "differs-from-stored"]


@pytest.mark.parametrize("resource_id", ["nothing", "a%00b", "x" * 65])
def test_an_unknown_response_is_not_found(line: Line, resource_id: str) -> None:
    address = f"/fhir/QuestionnaireResponse/{resource_id}/$triage"
    assert line.triage.post(address, headers=FHIR).status_code == 404
