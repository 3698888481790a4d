"""Every act is in the audit, in the transaction of the act; what is in the audit tells nothing that was answered."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from shared.access.service_token import ServiceToken
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from shared.ids import DEFAULT_TENANT
from tests.builders import a_response
from tests.conftest import Database
from tests.serving import client_of

SECRET = "shared by the services"


@pytest.fixture
def ehr(database: Database) -> Iterator[httpx.Client]:
    settings = IntakeSettings(intake_database_url=database.intake_url, service_token=SECRET)  # type: ignore[arg-type]
    with client_of(create_app(settings)) as client:
        yield client


def events(client: httpx.Client, **parameters: str) -> list[dict[str, Any]]:
    bundle = client.get("/fhir/AuditEvent", params=parameters).raise_for_status().json()
    return [entry["resource"] for entry in bundle.get("entry", [])]


def post(client: httpx.Client, **more: Any) -> str:
    answer = client.post("/fhir/QuestionnaireResponse", json=a_response(**more), headers={"X-Request-Id": "request-1"})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"].split("/")[-3])


def codes(event: dict[str, Any]) -> list[str]:
    return [coding["code"] for coding in event["subtype"]]


def mark(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def references(event: dict[str, Any]) -> list[str]:
    return [entity["what"]["reference"] for entity in event.get("entity", []) if "reference" in entity.get("what", {})]


def test_a_response_that_is_stored_read_and_searched_leaves_three_events(ehr: httpx.Client) -> None:
    response_id = post(ehr, patient="p-1")
    ehr.get(f"/fhir/QuestionnaireResponse/{response_id}").raise_for_status()
    ehr.get("/fhir/QuestionnaireResponse", params={"patient": "p-1"}).raise_for_status()

    searched, read, created = events(ehr, patient="p-1")

    assert (codes(created), created["action"], created["outcome"]) == (["create"], "C", "0")
    assert references(created) == ["Patient/p-1", f"QuestionnaireResponse/{response_id}/_history/1"]
    assert created["agent"][0]["who"]["identifier"]["value"] == "sandbox"
    assert created["entity"][0]["what"]["identifier"]["value"] == "request-1"
    assert (codes(read), read["action"]) == (["read"], "R")
    assert (codes(searched), searched["action"]) == (["search-type"], "E")
    asked = base64.b64decode(searched["entity"][-1]["query"]).decode()
    assert asked.startswith("QuestionnaireResponse?")
    assert "patient=p-1" in asked


def test_events_claim_the_profiles_of_ihe_and_are_r4(ehr: httpx.Client) -> None:
    response_id = post(ehr, patient="p-1")
    ehr.get(f"/fhir/QuestionnaireResponse/{response_id}")
    ehr.get("/fhir/QuestionnaireResponse", params={"patient": "p-1"})
    ehr.get("/fhir/QuestionnaireResponse")

    found = events(ehr)

    assert [event["meta"]["profile"][0].rpartition(".")[2] for event in found] == [
        "Query",
        "PatientQuery",
        "PatientRead",
        "PatientCreate",
    ]
    for event in found:
        assert check_structure(event, resource_type="AuditEvent") == []
        assert validate_with_fhir_resources(event) == []


def test_a_failed_write_leaves_no_event_and_a_repeated_one_no_second(ehr: httpx.Client) -> None:
    response = a_response(identifier="form-1")
    for _ in range(2):
        ehr.post("/fhir/QuestionnaireResponse", json=response)
    ehr.post("/fhir/QuestionnaireResponse", json={**response, "status": "banana"})

    assert [codes(event) for event in events(ehr, subtype="create")] == [["create"]]


def test_no_answer_and_no_name_is_in_the_audit(ehr: httpx.Client, database: Database) -> None:
    response = a_response({"other_concerns": "ZZCANARY-answer"}, patient="p-1")
    response["subject"]["display"] = "ZZCANARY-name"
    response_id = ehr.post("/fhir/QuestionnaireResponse", json=response).headers["location"].split("/")[-3]
    ehr.get(f"/fhir/QuestionnaireResponse/{response_id}")

    with psycopg.connect(database.owner_url) as owner:
        kept = owner.execute("SELECT e::text FROM intake.audit_event AS e").fetchall()
    assert len(kept) == 2
    assert "ZZCANARY" not in json.dumps(kept)
    assert "ZZCANARY" not in json.dumps(events(ehr))


def refuse_to_record(database: Database) -> Callable[[], None]:
    """Make recording fail; gives what makes it work again."""
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(
            "ALTER TABLE intake.audit_event ADD CONSTRAINT full CHECK (false) NOT VALID".replace("full", "no_more")
        )

    def again() -> None:
        with psycopg.connect(database.owner_url, autocommit=True) as owner:
            owner.execute("ALTER TABLE intake.audit_event DROP CONSTRAINT no_more")

    return again


def test_what_cannot_be_recorded_is_neither_read_nor_stored(ehr: httpx.Client, database: Database) -> None:
    response_id = post(ehr, patient="p-1")
    again = refuse_to_record(database)
    try:
        read = ehr.get(f"/fhir/QuestionnaireResponse/{response_id}")
        searched = ehr.get("/fhir/QuestionnaireResponse")
        stored = ehr.post("/fhir/QuestionnaireResponse", json=a_response(identifier="form-2"))
    finally:
        again()

    assert (read.status_code, searched.status_code, stored.status_code) == (500, 500, 500)
    assert "Patient/p-1" not in read.text + searched.text
    assert ehr.get("/fhir/QuestionnaireResponse?_count=50").json()["entry"][0]["resource"]["id"] == response_id
    assert len(ehr.get("/fhir/QuestionnaireResponse").json()["entry"]) == 1


def test_nobody_writes_the_audit(ehr: httpx.Client, database: Database) -> None:
    post(ehr)
    [event] = events(ehr)

    assert ehr.post("/fhir/AuditEvent", json=event).status_code == 405
    assert ehr.put(f"/fhir/AuditEvent/{event['id']}", json=event).status_code == 405
    assert ehr.delete(f"/fhir/AuditEvent/{event['id']}").status_code == 405
    with psycopg.connect(database.intake_url, autocommit=True) as service:
        service.execute("SET search_path = intake")
        service.execute("SELECT set_config('sural.tenant', %s, false)", (str(DEFAULT_TENANT),))
        for statement in ("UPDATE audit_event SET agent = 'x'", "DELETE FROM audit_event", "TRUNCATE audit_event"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                service.execute(statement.encode())
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        for statement in ("UPDATE intake.audit_event SET agent = 'x'", "DELETE FROM intake.audit_event"):
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                owner.execute(statement.encode())


def test_an_event_is_read_by_its_id_and_reading_it_is_recorded(ehr: httpx.Client) -> None:
    post(ehr)
    [event] = events(ehr)

    read = ehr.get(f"/fhir/AuditEvent/{event['id']}")

    assert read.json() == event
    assert ehr.get("/fhir/AuditEvent/intake-1-1").status_code == 404
    assert codes(events(ehr)[0]) == ["read"]


def test_pages_hold_every_event_once_while_events_are_recorded(ehr: httpx.Client) -> None:
    made = [post(ehr) for _ in range(5)]
    found, url = [], "/fhir/AuditEvent?subtype=create&_count=2"
    while url:
        bundle = ehr.get(url).raise_for_status().json()
        found += [reference for entry in bundle["entry"] for reference in references(entry["resource"])]
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        url = httpx.URL(following[0]).raw_path.decode() if following else ""
        post(ehr)

    seen = [reference.split("/")[1] for reference in found if reference.startswith("QuestionnaireResponse")]
    assert seen == list(reversed(made))


@pytest.mark.parametrize(
    ("parameters", "number"),
    [
        ({"action": "C"}, 1),
        ({"action": "R"}, 1),
        ({"outcome": "4"}, 0),
        ({"subtype": "http://hl7.org/fhir/restful-interaction|read"}, 1),
        ({"subtype": "http://example.org/other|read"}, 0),
        ({"date": "gt2020-01-01"}, 2),
        ({"date": "lt2020-01-01"}, 0),
        ({"patient": "Patient/p-1"}, 2),
        ({"patient": "p-2"}, 0),
        ({"date": "le9999-12-31"}, 2),
        ({"date": "9999"}, 0),
        ({"date": "ge0001"}, 2),
        ({"date": "lt0001-01-01T00:00:00Z"}, 0),
    ],
)
def test_a_search_finds_what_it_asks_for(ehr: httpx.Client, parameters: dict[str, str], number: int) -> None:
    response_id = post(ehr, patient="p-1")
    ehr.get(f"/fhir/QuestionnaireResponse/{response_id}")

    assert len(events(ehr, **parameters)) == number


def test_who_looked_at_a_response_is_found_by_the_response(ehr: httpx.Client) -> None:
    response_id = post(ehr)
    other = post(ehr)
    ehr.get(f"/fhir/QuestionnaireResponse/{response_id}")

    assert [codes(event) for event in events(ehr, entity=f"QuestionnaireResponse/{response_id}")] == [
        ["read"],
        ["create"],
    ]
    assert [codes(event) for event in events(ehr, entity=f"QuestionnaireResponse/{other}")] == [["create"]]


@pytest.mark.parametrize(
    "wrong",
    [
        "date=yesterday",
        "date=0001-01-01T00:00:00%2B14:00",
        "_page=x",
        f"_page={mark('0001-01-01T00:00:00+14:00 intake 1')}",
        f"_page={mark('9999-12-31T23:59:59-14:00 intake 1')}",
        "entity=nothing",
        "_count=many",
        "action=Z",
        "patient=%00",
        "patient=Patient/%00",
        "outcome=%00",
        "subtype=%00",
        "entity=%00/Patient/p",
    ],
)
def test_a_parameter_that_cannot_be_read_is_refused(ehr: httpx.Client, wrong: str) -> None:
    assert ehr.get(f"/fhir/AuditEvent?{wrong}").status_code == 400


def test_another_tenants_events_are_not_found(ehr: httpx.Client) -> None:
    post(ehr)
    [event] = events(ehr)
    signed = {"Authorization": ServiceToken(SECRET.encode(), "triage").authorization(uuid4())}

    assert ehr.get(f"/fhir/AuditEvent/{event['id']}", headers=signed).status_code == 404
    assert "entry" not in ehr.get("/fhir/AuditEvent", headers=signed).json()


def test_our_own_services_read_without_flooding_the_audit(ehr: httpx.Client) -> None:
    response_id = post(ehr)
    signed = {"Authorization": ServiceToken(SECRET.encode(), "triage").authorization(DEFAULT_TENANT)}
    ehr.get(f"/fhir/QuestionnaireResponse/{response_id}", headers=signed).raise_for_status()
    ehr.get("/fhir/QuestionnaireResponse", headers=signed).raise_for_status()

    assert [codes(event) for event in events(ehr)] == [["create"]]


def test_an_unknown_parameter_is_named_and_with_strict_handling_refused(ehr: httpx.Client) -> None:
    lenient = ehr.get("/fhir/AuditEvent?nothing=1")
    strict = ehr.get("/fhir/AuditEvent?nothing=1", headers={"Prefer": "handling=strict"})

    assert (lenient.status_code, strict.status_code) == (200, 400)
    told = [each["resource"] for each in lenient.json()["entry"] if each["search"]["mode"] == "outcome"]
    assert ["'nothing'" in each["issue"][0]["details"]["text"] for each in (*told, strict.json())] == [True, True]
