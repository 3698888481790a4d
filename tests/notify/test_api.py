"""Tasks over FHIR: what an EHR system reads, and how it acknowledges."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.notify.acts.outcomes import CS_OUTCOME, CS_OVERRIDE
from services.notify.app import create_app
from services.notify.escalate import repeat_due
from services.notify.settings import NotifySettings
from services.notify.task import CS_ALERT
from shared.fhir.codes import SID_ALERT, SID_RESPONSE
from shared.fhir.identity import instant
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage, an_assessment
from tests.profiles import departures
from tests.serving import client_of


@pytest.fixture
def client(settings: NotifySettings) -> Iterator[httpx.Client]:
    with client_of(create_app(settings)) as opened:
        yield opened


@pytest.fixture
def task_id(service: Service, triage: Triage) -> str:
    """An emergency that was told, in its second version: requested, received."""
    service.hears(triage.publish(an_assessment(response_id="qr-8842")))
    service.sends()
    return str(service.alert()["id"])


def put(client: httpx.Client, task: dict[str, Any], *, if_match: str | None) -> httpx.Response:
    headers = {"Content-Type": "application/fhir+json"} | ({"If-Match": if_match} if if_match else {})
    return client.put(f"/fhir/Task/{task['id']}", json=task, headers=headers)


def test_the_sender_of_a_response_finds_its_task(client: httpx.Client, task_id: str) -> None:
    bundle = client.get("/fhir/Task", params={"identifier": f"{SID_RESPONSE}|qr-8842"}).json()

    assert [entry["resource"]["id"] for entry in bundle["entry"]] == [task_id]


def test_what_was_done_for_an_alert_is_found_by_its_task(client: httpx.Client, task_id: str) -> None:
    for resource_type, number in (("Communication", 2), ("CommunicationRequest", 1)):
        bundle = client.get(f"/fhir/{resource_type}", params={"identifier": f"{SID_ALERT}|{task_id}"}).json()
        assert len(bundle["entry"]) == number


@pytest.mark.parametrize(
    "parameters", [{"status": "received"}, {"patient": "7391"}, {"subject": "Patient/7391"}, {"_tag": "emergency"}]
)
def test_tasks_are_found_by_status_patient_and_urgency(
    client: httpx.Client, task_id: str, parameters: dict[str, str]
) -> None:
    bundle = client.get("/fhir/Task", params=parameters).json()

    assert [entry["resource"]["id"] for entry in bundle["entry"]] == [task_id]


def test_an_ehr_acknowledges_by_accepting_the_task(client: httpx.Client, service: Service, task_id: str) -> None:
    read = client.get(f"/fhir/Task/{task_id}")
    task = read.json() | {"status": "accepted", "owner": {"display": "Dr Osei"}}

    answer = put(client, task, if_match=read.headers["ETag"])

    assert answer.status_code == 200
    assert answer.json()["status"] == "accepted"
    assert answer.headers["ETag"] == 'W/"3"'
    alert = service.alert()
    assert (alert["state"], alert["acknowledged_by"], alert["due_at"]) == ("accepted", "Dr Osei", None)
    assert service.events()[-1] == "acknowledged"


def accepted(client: httpx.Client, task_id: str) -> dict[str, Any]:
    """The Task, acknowledged by Dr Osei: version 3."""
    task = client.get(f"/fhir/Task/{task_id}").json() | {"status": "accepted", "owner": {"display": "Dr Osei"}}
    held: dict[str, Any] = put(client, task, if_match='W/"2"').json()
    return held


def outcome(code: str) -> dict[str, Any]:
    """Task.output with an outcome."""
    return {
        "type": {"coding": [{"system": CS_ALERT, "code": "outcome"}]},
        "valueCodeableConcept": {"coding": [{"system": CS_OUTCOME, "code": code}]},
    }


def test_an_accepted_task_is_completed_with_a_note(client: httpx.Client, service: Service, task_id: str) -> None:
    task = accepted(client, task_id) | {"status": "completed", "note": [{"text": "Sent to the vascular team."}]}

    answer = put(client, task | {"output": [outcome("seen-and-treated")]}, if_match='W/"3"')

    assert answer.status_code == 200
    assert answer.json()["output"][0]["valueCodeableConcept"]["coding"][0]["display"] == "Seen and treated"
    alert = service.alert()
    assert (alert["state"], alert["outcome"], alert["override_reason"]) == ("completed", "seen-and-treated", None)
    assert alert["closed_at"] is not None


@pytest.mark.parametrize(
    "outputs",
    [[], [outcome("cured")], [outcome("duplicate"), outcome("false-alarm")], [{"type": {"text": "x"}}]],
    ids=str,
)
def test_a_task_is_closed_only_with_one_outcome_of_ours(
    client: httpx.Client, service: Service, task_id: str, outputs: list[dict[str, Any]]
) -> None:
    task = accepted(client, task_id) | {"status": "completed"}

    answer = put(client, task | ({"output": outputs} if outputs else {}), if_match='W/"3"')

    assert answer.status_code in (400, 422)
    assert service.alert()["state"] == "accepted"


def test_an_outcome_below_the_urgency_needs_a_coded_reason(
    client: httpx.Client, service: Service, task_id: str
) -> None:
    task = accepted(client, task_id) | {"status": "completed", "output": [outcome("appointment-made")]}

    refused = put(client, task, if_match='W/"3"')
    reason = {"coding": [{"system": CS_OVERRIDE, "code": "already-known"}], "text": "Thrombosis treated since May."}
    answer = put(client, task | {"statusReason": reason}, if_match='W/"3"')

    assert refused.status_code == 422
    assert "already-known" in refused.json()["issue"][0]["details"]["text"]
    assert answer.status_code == 200
    assert answer.json()["statusReason"] == reason
    assert service.alert()["override_reason"] == "already-known"


def test_a_task_on_hold_is_snoozed_until_the_end_of_its_restriction(
    client: httpx.Client, service: Service, task_id: str
) -> None:
    task = client.get(f"/fhir/Task/{task_id}").json() | {"status": "on-hold", "owner": {"display": "Dr Osei"}}
    until = datetime.now(UTC) + timedelta(minutes=5)

    answer = put(client, task | {"restriction": {"period": {"end": instant(until)}}}, if_match='W/"2"')

    assert answer.status_code == 200
    alert = service.alert()
    assert (alert["state"], alert["due_at"], alert["acknowledged_at"]) == ("on-hold", alert["snoozed_until"], None)
    assert abs(alert["snoozed_until"] - until) < timedelta(seconds=1)
    assert client.get("/fhir/Task?status=on-hold").json()["total"] == 1


@pytest.mark.parametrize(
    ("end", "expression"),
    [
        (None, "Task.restriction.period.end"),
        ("2026-11-29", "Task.restriction.period.end"),
        ("2001-01-01T00:00:00Z", "Task.restriction.period.end"),
        ("2999-01-01T00:00:00Z", "Task.restriction.period.end"),
    ],
)
def test_a_snooze_without_an_end_that_is_near_is_refused(
    client: httpx.Client, service: Service, task_id: str, end: str | None, expression: str
) -> None:
    task = client.get(f"/fhir/Task/{task_id}").json() | {"status": "on-hold", "owner": {"display": "Dr Osei"}}
    task |= {"restriction": {"period": {"end": end}} if end else {"repetitions": 1}}

    answer = put(client, task, if_match='W/"2"')

    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == [expression]
    assert service.alert()["state"] == "received"


@pytest.mark.requirement("REQ-14")
def test_an_acknowledgement_does_not_fail_because_a_message_went_out_in_between(
    client: httpx.Client, service: Service, triage: Triage
) -> None:
    service.hears(triage.publish(an_assessment()))
    read = client.get(f"/fhir/Task/{service.alert()['id']}")
    service.sends()
    assert service.alert()["state"] == "received"

    answer = put(client, read.json() | {"status": "accepted", "owner": {"display": "Dr Osei"}}, if_match='W/"1"')

    assert answer.status_code == 200
    assert (service.alert()["state"], answer.headers["ETag"]) == ("accepted", 'W/"3"')


@pytest.mark.requirement("REQ-14")
def test_what_is_more_than_a_delivery_in_between_is_refused(
    client: httpx.Client, service: Service, triage: Triage
) -> None:
    service.hears(triage.publish(an_assessment()))
    task = client.get(f"/fhir/Task/{service.alert()['id']}").json()
    service.hears(triage.publish(an_assessment(response_id="qr-2")))
    service.sends()

    answer = put(client, task | {"status": "accepted", "owner": {"display": "Dr Osei"}}, if_match='W/"1"')

    assert answer.status_code == 412
    assert service.alert()["state"] == "received"


@pytest.mark.requirement("REQ-14")
def test_a_task_that_changed_in_between_is_not_overwritten(
    client: httpx.Client, service: Service, task_id: str
) -> None:
    task = client.get(f"/fhir/Task/{task_id}").json() | {"status": "accepted", "owner": {"display": "Dr Osei"}}
    service.alerts_due()
    repeat_due(service.notify.pool, service.notify.plan)

    answer = put(client, task, if_match='W/"2"')

    assert answer.status_code == 412
    assert answer.json()["issue"][0]["code"] == "conflict"
    assert service.alert()["state"] == "received"


def test_an_update_without_if_match_is_refused(client: httpx.Client, task_id: str) -> None:
    answer = put(client, client.get(f"/fhir/Task/{task_id}").json(), if_match=None)

    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("change", "expression"),
    [
        ({"status": "completed"}, "Task.status"),
        ({"status": "rejected"}, "Task.status"),
        ({"status": "accepted"}, "Task.owner"),
        ({"priority": "routine"}, "Task.priority"),
        ({"for": {"reference": "Patient/other"}}, "Task.for"),
        ({"focus": {"reference": "RiskAssessment/other"}}, "Task.focus"),
    ],
)
def test_what_may_not_change_is_refused_with_its_place(
    client: httpx.Client, service: Service, task_id: str, change: dict[str, Any], expression: str
) -> None:
    answer = put(client, client.get(f"/fhir/Task/{task_id}").json() | change, if_match='W/"2"')

    assert answer.status_code == 422
    assert expression in answer.json()["issue"][0]["expression"]
    assert service.alert()["state"] == "received"


def test_a_rejection_needs_a_reason(client: httpx.Client, task_id: str) -> None:
    task = accepted(client, task_id) | {"status": "rejected", "output": [outcome("duplicate")]}

    assert put(client, task, if_match='W/"3"').status_code == 422
    task |= {"statusReason": {"text": "Another clinic treats this patient."}}
    assert put(client, task, if_match='W/"3"').status_code == 200


def test_sending_a_task_back_unchanged_makes_no_new_version(client: httpx.Client, task_id: str) -> None:
    answer = put(client, client.get(f"/fhir/Task/{task_id}").json(), if_match='W/"2"')

    assert answer.status_code == 200
    assert answer.headers["ETag"] == 'W/"2"'


def test_a_task_cannot_be_created_or_deleted_by_a_client(client: httpx.Client, task_id: str) -> None:
    headers = {"Content-Type": "application/fhir+json"}

    assert client.post("/fhir/Task", content=b"{}", headers=headers).status_code == 405
    assert client.delete(f"/fhir/Task/{task_id}").status_code == 405


@pytest.mark.requirement("REQ-25")
def test_every_version_of_every_resource_is_valid_r4(service: Service, triage: Triage, task_id: str) -> None:
    service.hears(triage.publish(an_assessment("same_day")))
    service.alerts_due()
    repeat_due(service.notify.pool, service.notify.plan)
    service.sends()

    bodies = service.rows("SELECT body FROM resource")
    assert len(bodies) >= 10
    for row in bodies:
        resource = json.loads(bytes(row["body"]))
        assert check_structure(resource, resource_type=resource["resourceType"]) == []
        assert validate_with_fhir_resources(resource) == []
        assert departures(resource) == []


def test_capability_and_metrics_say_what_there_is(client: httpx.Client, task_id: str) -> None:
    types = [part["type"] for part in client.get("/capability/notify").json()["resource"]]
    metrics = client.get("/metrics").text

    assert types == ["Task", "CommunicationRequest", "Communication", "Subscription"]
    assert 'sural_alerts_open{state="received",urgency="emergency"} 1.0' in metrics
    assert 'sural_deliveries{channel="email",state="sent"} 1.0' in metrics
    assert "sural_alert_oldest_unacknowledged_seconds" in metrics


@pytest.mark.requirement("REQ-14")
@pytest.mark.parametrize(
    "owner",
    [
        {"reference": "Device/interface-engine"},
        {"reference": "Patient/7391", "display": "Dr Osei"},
        {"reference": "https://ehr.example/fhir/RelatedPerson/1/_history/2"},
        {"reference": "Organization/clinic", "display": "Dr Osei"},
        {"display": "Dr Osei", "type": "Device"},
    ],
    ids=str,
)
def test_only_a_person_acknowledges(
    client: httpx.Client, service: Service, task_id: str, owner: dict[str, Any]
) -> None:
    task = client.get(f"/fhir/Task/{task_id}").json() | {"status": "accepted", "owner": owner}

    answer = put(client, task, if_match='W/"2"')

    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Task.owner"]
    assert service.alert()["state"] == "received"


@pytest.mark.parametrize(
    "owner",
    [
        {"reference": "Practitioner/osei"},
        {"reference": "https://ehr.example/fhir/PractitionerRole/7", "type": "PractitionerRole"},
        {"identifier": {"system": "https://gmc.example", "value": "7"}},
    ],
    ids=str,
)
def test_a_person_may_be_named_by_reference_or_identifier(
    client: httpx.Client, service: Service, task_id: str, owner: dict[str, Any]
) -> None:
    task = client.get(f"/fhir/Task/{task_id}").json() | {"status": "accepted", "owner": owner}

    assert put(client, task, if_match='W/"2"').status_code == 200
    assert service.alert()["state"] == "accepted"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8123"},
    ],
    ids=str,
)
def test_a_page_of_another_site_cannot_change_a_task(
    client: httpx.Client, service: Service, task_id: str, headers: dict[str, str]
) -> None:
    task = client.get(f"/fhir/Task/{task_id}").json() | {"status": "accepted", "owner": {"display": "Dr Osei"}}
    sent = {"Content-Type": "application/fhir+json", "If-Match": 'W/"2"', **headers}

    answer = client.put(f"/fhir/Task/{task_id}", json=task, headers=sent)

    assert answer.status_code == 403
    assert answer.json()["issue"][0]["code"] == "forbidden"
    assert service.alert()["state"] == "received"


def test_a_version_that_cannot_be_one_is_not_found_and_matches_nothing(client: httpx.Client, task_id: str) -> None:
    assert client.get(f"/fhir/Task/{task_id}/_history/%C2%B2").status_code == 404
    assert put(client, client.get(f"/fhir/Task/{task_id}").json(), if_match='W/"' + "9" * 5000 + '"').status_code == 400
