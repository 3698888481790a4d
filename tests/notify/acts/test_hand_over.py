"""Handing over an alert never makes silence: the other is told at once, and it is open until somebody acknowledges."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.acts.hand_over import hand_over
from services.notify.acts.snooze import snooze
from services.notify.records import Alert
from shared.fhir.codes import SID_PERSON, SID_TEAM
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from shared.ids import DEFAULT_TENANT
from shared.problems import ProblemError
from tests.notify.on_call.clinic import PEOPLE, Clinic
from tests.profiles import departures

FIRST = Actor("Dr First", "first", "page")


def handed(clinic: Clinic, to: str, by: Actor = FIRST) -> Alert:
    notify = clinic.service.notify
    alert = hand_over(notify.pool, notify.plan, DEFAULT_TENANT, clinic.service.alert()["id"], by=by, to=to)
    clinic.service.sends()
    return alert


def known(clinic: Clinic, by: Actor = FIRST) -> None:
    acknowledge(clinic.service.notify.pool, DEFAULT_TENANT, clinic.service.alert()["id"], by=by)


@pytest.mark.requirement("REQ-09", "REQ-14", "REQ-35")
def test_the_other_is_told_at_once_and_the_alert_is_open_until_somebody_acknowledges(clinic: Clinic) -> None:
    clinic.sees()
    known(clinic)
    assert clinic.minutes_pass(60) == 0

    handed(clinic, "second")

    alert = clinic.service.alert()
    assert clinic.told() == ["first", "second"]
    assert (alert["state"], alert["owner"], alert["acknowledged_at"]) == ("received", "second", None)
    [line] = clinic.service.rows("SELECT person, person_id, way, target FROM alert_event WHERE kind = 'handed_over'")
    assert line == {"person": "Dr First", "person_id": "first", "way": "page", "target": "second"}
    task = clinic.service.task(alert["id"])
    assert task["owner"]["identifier"] == {"system": SID_PERSON, "value": "second"}
    assert "executionPeriod" not in task


@pytest.mark.requirement("REQ-09")
def test_if_the_other_does_not_acknowledge_the_chain_follows_from_its_beginning(clinic: Clinic) -> None:
    clinic.sees()
    known(clinic)
    handed(clinic, "nurse")

    clinic.minutes_pass(5)
    clinic.minutes_pass(5)

    assert clinic.told() == ["first", "nurse", "first", "second"]


@pytest.mark.requirement("REQ-09")
def test_a_team_is_told_by_its_own_chain(clinic: Clinic) -> None:
    clinic.sees()
    known(clinic)
    handed(clinic, "vascular")

    assert clinic.told() == ["first", "first"]
    assert clinic.service.alert()["team"] == "vascular"
    clinic.minutes_pass(5)
    assert clinic.told() == ["first", "first", "second"]


@pytest.mark.requirement("REQ-09")
def test_an_alert_that_was_never_acknowledged_or_is_snoozed_can_be_handed_over(clinic: Clinic) -> None:
    clinic.sees()
    snooze(clinic.service.notify.pool, DEFAULT_TENANT, clinic.service.alert()["id"], by=FIRST, minutes=5)

    handed(clinic, "second")
    handed(clinic, "nurse", Actor("Dr Second", "second", "page"))

    assert clinic.told() == ["first", "second", "nurse"]
    assert clinic.service.alert()["snoozed_until"] is None


def test_whoever_acknowledges_has_it(clinic: Clinic) -> None:
    clinic.sees()
    known(clinic)
    handed(clinic, "second")
    known(clinic, Actor("Dr Second", "second", "link"))

    alert = clinic.service.alert()
    assert (alert["acknowledged_by"], alert["owner"], alert["due_at"]) == ("Dr Second", "second", None)
    assert clinic.minutes_pass(60) == 0


@pytest.mark.requirement("REQ-09")
@pytest.mark.parametrize("to", ["nobody", "", "Dr Second", "mute"])
def test_an_alert_is_handed_to_nobody_who_cannot_be_told(clinic: Clinic, to: str) -> None:
    clinic.agrees_on(PEOPLE.replace("[people.head]", '[people.mute]\nname = "Dr Mute"\ncontacts = []\n[people.head]'))
    clinic.sees()
    known(clinic)

    with pytest.raises(ProblemError) as error:
        handed(clinic, to)

    assert (error.value.http_status, error.value.problems[0].code) == (422, "hand-over")
    assert clinic.service.alert()["state"] == "accepted"


@pytest.mark.requirement("REQ-09")
def test_an_alert_is_not_handed_over_beside_a_newer_one_of_the_patient(clinic: Clinic) -> None:
    clinic.sees()
    known(clinic)
    older = clinic.service.alert()["id"]
    clinic.sees(response_id="qr-77")

    notify = clinic.service.notify
    with pytest.raises(ProblemError) as error:
        hand_over(notify.pool, notify.plan, DEFAULT_TENANT, older, by=FIRST, to="second")

    assert (error.value.http_status, error.value.problems[0].code) == (409, "alert-episode")
    assert clinic.service.task(older)["status"] == "accepted"


def put(client: httpx.Client, alert_id: UUID, **change: Any) -> httpx.Response:
    read = client.get(f"/fhir/Task/{alert_id}")
    headers = {"Content-Type": "application/fhir+json", "If-Match": read.headers["ETag"]}
    return client.put(f"/fhir/Task/{alert_id}", json=read.json() | change, headers=headers)


@pytest.mark.parametrize(
    ("owner", "told"),
    [
        ({"identifier": {"system": SID_PERSON, "value": "second"}, "display": "Second"}, "second"),
        ({"display": "Dr Second"}, "second"),
        ({"type": "CareTeam", "identifier": {"system": SID_TEAM, "value": "vascular"}, "display": "Vascular"}, "first"),
    ],
    ids=str,
)
@pytest.mark.parametrize("status", ["accepted", "requested"])
def test_another_owner_of_the_task_is_handing_over(
    clinic: Clinic, client: httpx.Client, owner: dict[str, Any], told: str, status: str
) -> None:
    clinic.sees()
    known(clinic)

    answer = put(client, clinic.service.alert()["id"], owner=owner, status=status)
    clinic.service.sends()

    assert answer.status_code == 200
    assert answer.json()["status"] == "requested"
    assert clinic.told() == ["first", told]
    [line] = clinic.service.rows("SELECT person, way FROM alert_event WHERE kind = 'handed_over'")
    assert line == {"person": "Dr First", "way": "task"}


@pytest.mark.requirement("REQ-09")
@pytest.mark.parametrize("owner", [{"display": "Dr Elsewhere"}, {"reference": "Practitioner/elsewhere"}], ids=str)
def test_an_owner_whom_nobody_can_tell_is_refused(clinic: Clinic, client: httpx.Client, owner: dict[str, Any]) -> None:
    clinic.sees()
    known(clinic)

    answer = put(client, clinic.service.alert()["id"], owner=owner)

    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Task.owner"]
    assert clinic.service.alert()["state"] == "accepted"


VASCULAR = {"identifier": {"system": SID_TEAM, "value": "vascular"}, "display": "Vascular"}


@pytest.mark.requirement("REQ-09")
@pytest.mark.parametrize("status", ["accepted", "on-hold"])
def test_a_team_that_was_handed_an_alert_knows_nothing_of_it_until_one_of_its_people_does(
    clinic: Clinic, client: httpx.Client, status: str
) -> None:
    clinic.sees()
    known(clinic)
    alert = clinic.service.alert()["id"]
    end = (datetime.now(UTC) + timedelta(minutes=20)).isoformat()
    change = {"status": status} | ({"restriction": {"period": {"end": end}}} if status == "on-hold" else {})
    assert put(client, alert, owner={"type": "CareTeam"} | VASCULAR).status_code == 200

    for owner in ({}, {"owner": VASCULAR}):  # as it is held, and without its type
        answer = put(client, alert, **change, **owner)
        assert answer.status_code == 422
        assert "The owner must be a person" in answer.json()["issue"][0]["details"]["text"]
    assert clinic.service.alert()["acknowledged_at"] is None

    assert put(client, alert, status="accepted", owner={"display": "Dr First"}).status_code == 200


def test_without_an_on_call_document_nobody_can_be_handed_an_alert(told: UUID, client: httpx.Client) -> None:
    assert put(client, told, owner={"display": "Dr Second"}).status_code == 422


@pytest.mark.requirement("REQ-25")
def test_a_task_that_was_handed_over_is_valid_r4_and_fits_its_profile(clinic: Clinic) -> None:
    clinic.sees()
    known(clinic)
    handed(clinic, "vascular")
    handed(clinic, "second")

    for row in clinic.service.rows("SELECT body FROM resource WHERE type = 'Task'"):
        task = json.loads(bytes(row["body"]))
        assert check_structure(task, resource_type="Task") == []
        assert validate_with_fhir_resources(task) == []
        assert departures(task) == []
