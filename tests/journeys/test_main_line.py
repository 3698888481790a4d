"""A filled form becomes an explained assessment and an alert that a person acknowledges."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from deploy.local.demo import EXAMPLES, expectations
from shared.fhir.codes import SID_ALERT, SID_RESPONSE
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from tests.builders import a_response
from tests.journeys.system import System, settled
from tests.waiting import eventually


@pytest.fixture
def client(system: System) -> Any:
    with httpx.Client(base_url=system.url, timeout=20, trust_env=False) as client:
        yield client


def post(client: httpx.Client, response: dict[str, Any]) -> str:
    answer = client.post(
        "/fhir/QuestionnaireResponse",
        content=json.dumps(response),
        headers={"Content-Type": "application/fhir+json"},
    )
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].split("/QuestionnaireResponse/")[1].split("/")[0]


def by_response(client: httpx.Client, resource_type: str, response_id: str) -> list[dict[str, Any]]:
    bundle = client.get(f"/fhir/{resource_type}", params={"identifier": f"{SID_RESPONSE}|{response_id}"}).json()
    return [entry["resource"] for entry in bundle.get("entry", [])]


def test_every_shipped_example_ends_as_it_is_expected_to(system: System) -> None:
    rows = system.demo()

    assert [row.problem for row in rows] == [None] * len(expectations())
    assert sum(row.acknowledged for row in rows) == sum(expected.alert for expected in expectations())


@pytest.mark.requirement("SR-16", "REQ-15")
def test_an_emergency_reaches_the_inbox_without_a_word_about_the_patient(system: System, client: httpx.Client) -> None:
    response = a_response({"chest_pain": "Y", "other_concerns": "ZZCANARYANSWER"}, patient="ZZCANARYID")
    response["subject"]["display"] = "ZZCANARYNAME"
    response_id = post(client, response)

    [task] = eventually(lambda: by_response(client, "Task", response_id), within_s=20)

    def mail() -> list[dict[str, Any]]:
        messages = httpx.get(f"{system.inbox_url}/messages", trust_env=False).json()
        listed = messages["messages"] if isinstance(messages, dict) else messages
        return [message for message in listed if task["id"] in json.dumps(message)]

    [message] = eventually(mail, within_s=20)
    assert "ZZCANARY" not in json.dumps(message)
    assert "emergency" in json.dumps(message)


@pytest.mark.requirement("REQ-15")
def test_no_log_line_and_no_metric_holds_what_the_patient_said(system: System, client: httpx.Client) -> None:
    response = a_response({"chest_pain": "Y", "other_concerns": "ZZCANARYANSWER"}, patient="ZZCANARYID")
    response["subject"]["display"] = "ZZCANARYNAME"
    response_id = post(client, response)
    eventually(lambda: by_response(client, "Task", response_id), within_s=20)
    client.post("/fhir/QuestionnaireResponse", content=b'{"ZZCANARYKEY": 1}')

    logs = [path.read_text(errors="replace") for path in (system.folder / "logs").iterdir()]
    append_only = [path.read_bytes() for path in (system.folder / "valkey").rglob("*") if path.is_file()]

    assert "ZZCANARY" not in "".join(logs) + client.get("/metrics").text
    assert b"ZZCANARY" not in b"".join(append_only)


def test_one_button_on_the_worklist_acknowledges_an_alert(client: httpx.Client) -> None:
    response_id = post(client, a_response({"chest_pain": "Y"}))
    [task] = eventually(lambda: by_response(client, "Task", response_id), within_s=20)
    page = client.get("/worklist")
    form = re.search(
        rf'action="[^"]*/worklist/alert/{task["id"]}/acknowledge">(.*?)</form>', page.text, flags=re.DOTALL
    )
    assert form
    seen = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', form[1]))

    pressed = client.post(
        f"/worklist/alert/{task['id']}/acknowledge",
        data={"name": "Dr Example", **seen},
        headers={"Origin": str(client.base_url).rstrip("/")},
    )

    assert pressed.status_code in (200, 303)
    [task] = by_response(client, "Task", response_id)
    assert task["status"] == "accepted"
    assert task["owner"]["display"] == "Dr Example"


@pytest.mark.requirement("REQ-25")
def test_everything_that_a_response_leads_to_is_valid_r4(client: httpx.Client) -> None:
    response = json.loads((EXAMPLES / "cold-pale-foot.json").read_bytes())
    response["identifier"]["value"] += "-validity"
    response["subject"]["reference"] += "-validity"
    response_id = post(client, response)
    [task] = eventually(lambda: by_response(client, "Task", response_id), within_s=20)
    by_alert = {"identifier": f"{SID_ALERT}|{task['id']}"}

    def delivered() -> list[dict[str, Any]]:
        return [e["resource"] for e in client.get("/fhir/Communication", params=by_alert).json().get("entry", [])]

    resources = [*eventually(delivered, within_s=20), task]
    resources += [e["resource"] for e in client.get("/fhir/CommunicationRequest", params=by_alert).json()["entry"]]
    [assessment] = by_response(client, "RiskAssessment", response_id)
    about = {"target": f"RiskAssessment/{assessment['id']}"}
    resources += [e["resource"] for e in client.get("/fhir/Provenance", params=about).json()["entry"]]
    resources += [assessment, *by_response(client, "DetectedIssue", response_id)]

    assert {resource["resourceType"] for resource in resources} == {
        "Task", "Communication", "CommunicationRequest", "RiskAssessment", "DetectedIssue", "Provenance",
    }  # fmt: skip
    for resource in resources:
        assert check_structure(resource, resource_type=resource["resourceType"]) == []
        assert validate_with_fhir_resources(resource) == []


def test_one_capability_statement_names_the_types_of_all_services(client: httpx.Client) -> None:
    statement = client.get("/fhir/metadata").json()

    types = {resource["type"] for resource in statement["rest"][0]["resource"]}
    assert {"QuestionnaireResponse", "Questionnaire", "RiskAssessment", "DetectedIssue", "Task"} <= types
    assert check_structure(statement, resource_type="CapabilityStatement") == []
    for resource in statement["rest"][0]["resource"]:
        assert client.get(f"/fhir/{resource['type']}").status_code == 200, resource["type"]


@pytest.mark.requirement("REQ-27")
def test_status_shows_that_everything_runs(system: System) -> None:
    shown = system.command("status")

    assert shown.returncode == 0, shown.stdout
    assert "background" in shown.stdout


def test_after_all_stories_every_promise_is_kept(system: System) -> None:
    settled(system)
