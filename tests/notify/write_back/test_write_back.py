"""Alerts on the EHR's own server: a real FHIR-speaking server in the test keeps what conditional updates bring."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.app import create_app
from services.notify.settings import NotifySettings
from services.notify.write_back.copy import SID_DELIVERY, copy_of
from services.notify.write_back.store import name_target
from services.notify.write_back.write import write_due
from shared.access.jose import new_key, parse_key_set, prove, public_half, read_token
from shared.fhir.codes import SID_ALERT
from shared.fhir.structure import check_structure
from shared.ids import DEFAULT_TENANT
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage, an_assessment
from tests.serving import client_of

Opened = Callable[[NotifySettings], AbstractContextManager[Service]]


@dataclass
class Server:
    """What an EHR's FHIR server keeps, by type and identifier; `answers` are given before it takes anything."""

    url: str = ""
    kept: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    assertions: list[str] = field(default_factory=list)
    hang: threading.Event | None = None

    def newest(self, resource_type: str) -> list[dict[str, Any]]:
        return [versions[-1] for (kind, _), versions in self.kept.items() if kind == resource_type]

    def writes(self) -> int:
        return sum(len(versions) for versions in self.kept.values())


class Handler(BaseHTTPRequestHandler):
    ehr: Server

    def log_message(self, *_: Any) -> None:
        pass

    def answered(self, status: int, content: dict[str, Any] | None = None) -> None:
        body = json.dumps(content or {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def do_GET(self) -> None:
        self.answered(200, {"token_endpoint": f"{self.ehr.url}/token"})

    def do_POST(self) -> None:
        form = parse_qs(self.body().decode())
        self.ehr.assertions.append(form["client_assertion"][0])
        self.answered(200, {"access_token": f"token-{len(self.ehr.assertions)}", "expires_in": 300})

    def do_PUT(self) -> None:
        resource = json.loads(self.body())
        self.ehr.authorizations.append(self.headers.get("Authorization", ""))
        if self.ehr.hang is not None:
            self.ehr.hang.wait(10)
        if self.ehr.answers:
            return self.answered(self.ehr.answers.pop(0))
        path = urlsplit(self.path)
        [identifier] = parse_qs(path.query)["identifier"]
        system, _, value = identifier.partition("|")
        assert "id" not in resource
        assert {"system": system, "value": value} in resource["identifier"]
        assert check_structure(resource, resource_type=path.path.strip("/").split("/")[-1]) == []
        versions = self.ehr.kept.setdefault((resource["resourceType"], identifier), [])
        versions.append(resource)
        return self.answered(201 if len(versions) == 1 else 200)


@contextmanager
def an_ehr() -> Iterator[Server]:
    ehr = Server()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"ehr": ehr}))
    ehr.url = f"http://127.0.0.1:{httpd.server_address[1]}/fhir"
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    try:
        yield ehr
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


@pytest.fixture
def ehr() -> Iterator[Server]:
    with an_ehr() as running:
        yield running


@pytest.fixture
def wired(settings: NotifySettings, ehr: Server, open_service: Opened) -> Iterator[Service]:
    """Notify whose settings name the EHR, as its background process has it."""
    with open_service(settings.model_copy(update={"ehr_url": ehr.url})) as service:
        name_target(service.notify.pool, DEFAULT_TENANT)
        yield service


def writes(service: Service) -> int:
    assert service.notify.ehr is not None
    return write_due(service.notify.pool, service.notify.ehr)


def due_again(service: Service) -> None:
    """Move the clock: what waits for a later time is due now."""
    service.rows("UPDATE write_back SET due_at = now() WHERE due_at IS NOT NULL")


def alerted(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment()))
    service.sends()


def test_an_alert_and_each_message_stand_on_the_server_of_the_ehr(wired: Service, triage: Triage, ehr: Server) -> None:
    alerted(wired, triage)
    writes(wired)

    [task] = ehr.newest("Task")
    assert task["status"] == "received"
    assert task["identifier"][0] == {"system": SID_ALERT, "value": str(wired.alert()["id"])}
    assert task["focus"]["reference"].startswith("http://127.0.0.1:8123/fhir/RiskAssessment/")
    assert not task["for"]["reference"].startswith("http")
    messages = ehr.newest("Communication")
    assert {message["status"] for message in messages} == {"completed"}
    assert {message["identifier"][0]["system"] for message in messages} == {SID_DELIVERY}


def test_the_acknowledgement_of_a_person_reaches_the_ehr(wired: Service, triage: Triage, ehr: Server) -> None:
    alerted(wired, triage)
    writes(wired)
    alert = wired.alert()["id"]
    acknowledge(wired.notify.pool, DEFAULT_TENANT, alert, by=Actor("Dr Ada", None, "page"))
    writes(wired)

    [task] = ehr.newest("Task")
    assert task["status"] == "accepted"
    assert task["owner"]["display"] == "Dr Ada"


def test_what_is_written_twice_stands_there_once(wired: Service, triage: Triage, ehr: Server) -> None:
    alerted(wired, triage)
    writes(wired)
    wired.rows("UPDATE write_back SET written = 0, due_at = now()")
    writes(wired)

    assert len(ehr.newest("Task")) == 1


def test_nothing_new_is_written_again(wired: Service, triage: Triage, ehr: Server) -> None:
    alerted(wired, triage)
    writes(wired)
    before = ehr.writes()
    due_again(wired)

    assert writes(wired) == 0
    assert ehr.writes() == before


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422, 429, 500, 503])
def test_what_the_server_does_not_take_is_tried_again(wired: Service, triage: Triage, ehr: Server, status: int) -> None:
    alerted(wired, triage)
    ehr.answers = [status] * 20
    writes(wired)
    assert ehr.writes() == 0
    rows = wired.rows("SELECT answer, attempts, due_at > now() AS later FROM write_back")
    assert {(row["answer"], row["attempts"], row["later"]) for row in rows} == {(f"http-{status}", 1, True)}

    ehr.answers = []
    due_again(wired)
    writes(wired)

    assert len(ehr.newest("Task")) == 1
    assert wired.rows("SELECT 1 FROM write_back WHERE written < wanted") == []


def test_after_three_days_it_is_given_up_and_counted_and_the_next_version_begins_anew(
    wired: Service, triage: Triage, ehr: Server, settings: NotifySettings
) -> None:
    alerted(wired, triage)
    ehr.answers = [500] * 50
    writes(wired)
    wired.rows("UPDATE write_back SET failing_since = now() - interval '73 hours', due_at = now()")
    writes(wired)
    with client_of(create_app(settings)) as client:
        metrics = client.get("/metrics").text
    given_up = wired.rows("SELECT 1 FROM write_back WHERE due_at IS NULL")
    assert len(given_up) == 3
    assert "sural_write_back_given_up 3.0" in metrics

    ehr.answers = [503]
    acknowledge(wired.notify.pool, DEFAULT_TENANT, wired.alert()["id"], by=Actor("Dr Ada", None, "page"))
    writes(wired)
    due_again(wired)
    writes(wired)

    [task] = ehr.newest("Task")
    assert task["status"] == "accepted"


def test_a_server_that_hangs_holds_up_no_message_and_no_acknowledgement(
    wired: Service, triage: Triage, ehr: Server
) -> None:
    ehr.hang = threading.Event()
    wired.hears(triage.publish(an_assessment()))
    writing = threading.Thread(target=writes, args=(wired,))
    writing.start()
    try:
        assert wired.sends() == 2
        acknowledge(wired.notify.pool, DEFAULT_TENANT, wired.alert()["id"], by=Actor("Dr Ada", None, "page"))
        assert wired.alert()["state"] == "accepted"
    finally:
        ehr.hang.set()
        writing.join()
    writes(wired)

    [task] = ehr.newest("Task")
    assert task["status"] == "accepted"


def test_what_happened_while_a_write_was_on_its_way_is_written_after_it(
    wired: Service, triage: Triage, ehr: Server
) -> None:
    ehr.hang = threading.Event()
    alerted(wired, triage)
    writing = threading.Thread(target=writes, args=(wired,))
    writing.start()
    acknowledge(wired.notify.pool, DEFAULT_TENANT, wired.alert()["id"], by=Actor("Dr Ada", None, "page"))
    ehr.hang.set()
    writing.join()
    ehr.hang = None
    writes(wired)

    assert ehr.newest("Task")[0]["status"] == "accepted"
    assert wired.rows("SELECT 1 FROM write_back WHERE written < wanted") == []


def test_two_senders_do_not_write_the_same_at_once(wired: Service, triage: Triage, ehr: Server) -> None:
    alerted(wired, triage)
    together = [threading.Thread(target=writes, args=(wired,)) for _ in range(4)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()

    assert [len(versions) for versions in ehr.kept.values()] == [1, 1, 1]


def test_without_a_server_nothing_is_noted_for_one(service: Service, triage: Triage) -> None:
    name_target(service.notify.pool, None)
    alerted(service, triage)

    assert service.notify.ehr is None
    assert service.rows("SELECT 1 FROM write_back") == []


def test_a_server_that_is_taken_out_of_the_settings_gets_nothing_more(wired: Service, triage: Triage) -> None:
    alerted(wired, triage)
    name_target(wired.notify.pool, None)
    before = wired.rows("SELECT sum(wanted) AS versions FROM write_back")
    acknowledge(wired.notify.pool, DEFAULT_TENANT, wired.alert()["id"], by=Actor("Dr Ada", None, "page"))

    assert wired.rows("SELECT sum(wanted) AS versions FROM write_back") == before


def test_what_the_watchdog_makes_is_not_written(wired: Service, triage: Triage, ehr: Server) -> None:
    wired.hears(triage.publish(an_assessment()))
    wired.rows("UPDATE alert SET synthetic = true")
    wired.sends()
    writes(wired)

    assert ehr.writes() == 0
    assert wired.rows("SELECT 1 FROM write_back WHERE written < wanted") == []


def test_a_given_token_is_sent(settings: NotifySettings, ehr: Server, triage: Triage, open_service: Opened) -> None:
    changed = {"ehr_url": ehr.url, "ehr_token": SecretStr("abc")}
    with open_service(settings.model_copy(update=changed)) as service:
        name_target(service.notify.pool, DEFAULT_TENANT)
        alerted(service, triage)
        writes(service)

    assert set(ehr.authorizations) == {"Bearer abc"}


def test_a_token_is_asked_for_with_a_signed_assertion_once_while_it_holds(
    settings: NotifySettings, ehr: Server, triage: Triage, open_service: Opened
) -> None:
    key = new_key()
    changed = {"ehr_url": ehr.url, "ehr_client_id": "sural", "ehr_client_key": SecretStr(json.dumps(key))}
    with open_service(settings.model_copy(update=changed)) as service:
        name_target(service.notify.pool, DEFAULT_TENANT)
        alerted(service, triage)
        writes(service)
        assert set(ehr.authorizations) == {"Bearer token-1"}

        ehr.answers = [401]
        acknowledge(service.notify.pool, DEFAULT_TENANT, service.alert()["id"], by=Actor("Dr Ada", None, "page"))
        writes(service)
        due_again(service)
        writes(service)

    assert ehr.authorizations[-1] == "Bearer token-2"
    proven = read_token(ehr.assertions[0], algorithms={"ES384"}, types={"jwt"})
    prove(proven, parse_key_set(json.dumps({"keys": [public_half(key)]})))
    assert proven.claims["iss"] == proven.claims["sub"] == "sural"
    assert proven.claims["aud"] == f"{ehr.url}/token"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"SURAL_EHR_URL": "ftp://ehr.example/fhir"}, "SURAL_EHR_URL must start with https://"),
        ({"SURAL_EHR_URL": "https://u:p@ehr.example/fhir"}, "SURAL_EHR_URL must hold no user"),
        ({"SURAL_EHR_URL": "https://ehr.example", "SURAL_EHR_CLIENT_ID": "sural"}, "Set SURAL_EHR_TOKEN, or"),
        (
            {"SURAL_EHR_URL": "https://ehr.example", "SURAL_EHR_CLIENT_ID": "a", "SURAL_EHR_CLIENT_KEY": "b"},
            "SURAL_EHR_CLIENT_KEY is no private key",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused_with_what_to_do(values: dict[str, str], sentence: str) -> None:
    base = {"SURAL_MODE": "sandbox", "SURAL_NOTIFY_DATABASE_URL": "postgresql://x"}
    with pytest.raises(Exception, match=sentence):
        NotifySettings.load(base | values)


def test_a_copy_keeps_the_patient_and_leads_everything_of_ours_back_to_us() -> None:
    resource = {
        "resourceType": "Communication",
        "id": "1",
        "meta": {"versionId": "3", "lastUpdated": "2026-11-29T00:00:00Z", "profile": ["p"], "tag": [{"code": "x"}]},
        "subject": {"reference": "Patient/7"},
        "basedOn": [{"reference": "CommunicationRequest/2"}],
        "about": [{"reference": "Task/9"}, {"reference": "https://elsewhere.example/Task/9"}],
    }

    copied = copy_of(resource, base="https://sural.example/fhir")

    assert copied["subject"] == {"reference": "Patient/7"}
    assert copied["basedOn"] == [{"reference": "https://sural.example/fhir/CommunicationRequest/2"}]
    assert [one["reference"] for one in copied["about"]] == [
        "https://sural.example/fhir/Task/9",
        "https://elsewhere.example/Task/9",
    ]
    assert copied["meta"] == {"profile": ["p"], "tag": [{"code": "x"}]}
    assert copied["identifier"] == [{"system": SID_DELIVERY, "value": "1"}]
