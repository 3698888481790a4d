"""What is claimed for alerts and their messages is kept; a silent neighbour costs no alert."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from services.notify.app import create_app
from services.notify.settings import NotifySettings
from tests.claims import unkept
from tests.conftest import Database
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage, an_assessment
from tests.serving import client_of


@pytest.fixture
def client(settings: NotifySettings, service: Service, triage: Triage) -> Iterator[httpx.Client]:
    """A client of a notify that has told of one emergency and of one patient to be seen today."""
    service.hears(triage.publish(an_assessment(response_id="qr-8842")))
    service.hears(triage.publish(an_assessment("same_day", patient="Patient/2")))
    service.sends()
    with client_of(create_app(settings)) as opened:
        yield opened


def test_every_claim_is_kept_and_nothing_else_is_done(client: httpx.Client, database: Database) -> None:
    assert unkept(client, database.owner_url, "notify") == []


def test_the_worklist_of_an_ehr_is_one_search(client: httpx.Client) -> None:
    found = client.get(
        "/fhir/Task?status=requested,received,on-hold&priority=stat,urgent&_sort=priority,-authored-on"
    ).json()

    assert found["total"] == 2
    urgencies = [entry["resource"]["priority"] for entry in found["entry"]]
    assert sorted(urgencies) == ["stat", "urgent"]
    [task] = [entry["resource"] for entry in found["entry"] if entry["resource"]["priority"] == "stat"]
    for resource_type in ("Communication", "CommunicationRequest"):
        parameter = "part-of" if resource_type == "Communication" else "group-identifier"
        value = f"Task/{task['id']}" if resource_type == "Communication" else task["id"]
        assert client.get(f"/fhir/{resource_type}", params={parameter: value}).json()["total"] >= 1
    orders = client.get(
        "/fhir/Communication?based-on:CommunicationRequest.priority=stat&_include=Communication:based-on"
    ).json()
    assert {entry["search"]["mode"] for entry in orders["entry"]} == {"match", "include"}


def test_tasks_are_given_out_while_the_assessments_cannot_be_had(client: httpx.Client) -> None:
    bundle = client.get("/fhir/Task?_include=Task:focus").json()

    modes = [entry["search"]["mode"] for entry in bundle["entry"]]
    assert modes == ["match", "match", "outcome"]
    assert "RiskAssessment" in bundle["entry"][2]["resource"]["issue"][0]["details"]["text"]
