"""What became of a submission: $everything, $status and its page, over all three services in one process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from services.intake import follow_up
from services.intake.app import create_app as create_intake
from services.intake.settings import IntakeSettings
from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.acts.snooze import snooze
from services.notify.app import create_app as create_notify
from services.notify.context import Notify, open_notify
from services.notify.escalation import JOB_KINDS
from services.notify.hear import RAISE_ROUTINE, RAISE_URGENT, raise_alerts
from services.notify.settings import NotifySettings
from services.triage.app import create_app as create_triage
from services.triage.assess_response import Assessor, open_assessor, open_examiner
from services.triage.catch_up import KIND
from services.triage.refused import EXAMINE, look_for_refused
from services.triage.settings import TriageSettings
from shared import jobs, outbox
from shared.events import Ref
from shared.fhir import search
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from shared.ids import DEFAULT_TENANT
from shared.postgres import Pool, open_pool
from tests.builders import a_response
from tests.conftest import Database
from tests.notify.neighbours import MailServer, a_mail_server
from tests.notify.sending import deliver_due
from tests.serving import client_of, served

FHIR = {"Content-Type": "application/fhir+json"}


@dataclass
class Whole:
    """All three services, whose workers the test is."""

    ehr: httpx.Client
    notify: Notify
    pool: Pool
    assessor: Assessor
    notify_base: httpx.Client

    def post(self, response: dict[str, Any], expected: int = 201) -> httpx.Response:
        answer = self.ehr.post("/fhir/QuestionnaireResponse", content=json.dumps(response), headers=FHIR)
        assert answer.status_code == expected, answer.text
        return answer

    def accepted(self, response: dict[str, Any]) -> str:
        return self.post(response).headers["location"].split("/")[-3]

    def triages(self, response_id: str) -> None:
        with self.pool.connection() as connection:
            jobs.add(connection, KIND, [Ref(response_id, 1)])
        jobs.drain(self.pool, KIND, self.assessor.work)

    def examines(self) -> None:
        look_for_refused(self.pool, self.assessor.client)
        jobs.drain(self.pool, EXAMINE, open_examiner(self.assessor).work)

    def alerts(self) -> None:
        """Notify hears what triage's outbox holds."""
        with self.pool.connection() as connection:
            outbox.relay(connection, lambda _queue, refs: self._hear(list(refs)))
        for kind in (RAISE_URGENT, RAISE_ROUTINE):
            jobs.drain(self.notify.pool, kind, lambda claims: raise_alerts(self.notify, claims))

    def _hear(self, refs: list[Ref]) -> None:
        with self.notify.pool.connection() as connection:
            jobs.add(connection, RAISE_URGENT, refs)

    def delivers(self) -> None:
        for kind in JOB_KINDS:
            deliver_due(self.notify, kind)

    def status(self, identifier: str) -> dict[str, str]:
        """Step to state."""
        parameters = self.ehr.get(f"/fhir/QuestionnaireResponse/{identifier}/$status").json()
        assert check_structure(parameters, resource_type="Parameters") == []
        states = {}
        for one in parameters["parameter"]:
            parts = {part["name"]: part for part in one.get("part", [])}
            if parts:
                states[one["name"]] = parts["state"]["valueCode"]
                assert ("time" in parts) == (parts["state"]["valueCode"] in ("done", "failed")), one
        return states

    def page(self, identifier: str) -> str:
        answer = self.ehr.get(f"/submission/{identifier}")
        assert answer.status_code == 200, answer.text
        assert "script" not in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        return answer.text

    def tasks(self) -> list[dict[str, Any]]:
        return [entry["resource"] for entry in self.notify_base.get("/fhir/Task").json().get("entry", [])]


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with a_mail_server() as running:
        yield running


@pytest.fixture
def whole(database: Database, mail: MailServer) -> Iterator[Whole]:
    """Intake is told of triage and notify, triage of intake, notify of triage: so intake is served twice."""
    bare = create_intake(IntakeSettings(intake_database_url=database.intake_url))  # type: ignore[arg-type]
    with served(bare) as intake_url, open_pool(database.triage_url, schema="triage") as pool:
        triage = TriageSettings(triage_database_url=database.triage_url, intake_url=intake_url)  # type: ignore[arg-type]
        with served(create_triage(triage)) as triage_url:
            notify = NotifySettings.load(
                {
                    "SURAL_MODE": "sandbox",
                    "SURAL_NOTIFY_DATABASE_URL": database.notify_url,
                    "SURAL_TRIAGE_URL": triage_url,
                    "SURAL_SMTP_URL": mail.url,
                    "SURAL_SMTP_FROM": "sural@clinic.example",
                    "SURAL_ALERT_RECIPIENTS": "on-call@example.org",
                }
            )
            opened = open_notify(notify, size=8, name="test")
            with client_of(create_notify(notify)) as notify_client:
                intake = IntakeSettings(
                    intake_database_url=database.intake_url,  # type: ignore[arg-type]
                    mode="sandbox",
                    triage_url=triage_url,
                    notify_url=str(notify_client.base_url),
                )
                with client_of(create_intake(intake)) as ehr:
                    assessor = open_assessor(triage, pool)
                    with assessor.client:
                        yield Whole(ehr, opened, pool, assessor, notify_client)
            opened.close()


STEPS = ("received", "validated", "triaged", "alerted", "delivered", "acknowledged")


def states(*values: str) -> dict[str, str]:
    return dict(zip(STEPS, values, strict=True))


def test_each_step_is_shown_when_it_is_done_until_a_person_knows(whole: Whole) -> None:
    done, pending = "done", "pending"
    identifier = whole.accepted(a_response({"chest_pain": "Y"}))
    assert whole.status(identifier) == states(done, done, pending, pending, pending, pending)
    assert "being assessed" in whole.page(identifier)
    whole.triages(identifier)
    assert whole.status(identifier) == states(done, done, done, pending, pending, pending)
    whole.alerts()
    assert whole.status(identifier) == states(done, done, done, done, pending, pending)
    whole.delivers()
    assert whole.status(identifier) == states(done, done, done, done, done, pending)
    page = whole.page(identifier)
    assert "told again until one of them acknowledges" in page
    assert "Look again" in page

    [task] = whole.tasks()
    acknowledge(whole.notify.pool, DEFAULT_TENANT, task["id"], by=Actor("Ada", None, "page"))

    assert whole.status(identifier) == states(done, done, done, done, done, done)
    page = whole.page(identifier)
    assert "A clinician has seen the alert" in page
    assert "Look again" not in page
    assert "Ada" not in page


def test_a_snoozed_alert_is_not_over(whole: Whole) -> None:
    done, pending = "done", "pending"
    identifier = whole.accepted(a_response({"chest_pain": "Y"}))
    whole.triages(identifier)
    whole.alerts()
    [task] = whole.tasks()
    snooze(whole.notify.pool, DEFAULT_TENANT, task["id"], by=Actor("Ada", None, "page"), minutes=5)
    whole.delivers()

    assert whole.status(identifier) == states(done, done, done, done, pending, pending)
    assert "Look again" in whole.page(identifier)


def test_what_is_not_urgent_needs_no_alert(whole: Whole) -> None:
    identifier = whole.accepted(a_response({}))
    whole.triages(identifier)

    assert whole.status(identifier) == states("done", "done", "done", "not-needed", "not-needed", "not-needed")
    assert "not urgent enough to alert" in whole.page(identifier)


def test_everything_holds_the_response_and_all_that_followed(whole: Whole) -> None:
    other = whole.accepted(a_response({"chest_pain": "Y"}, patient="somebody-else"))
    identifier = whole.accepted(a_response({"chest_pain": "Y"}))
    for each in (other, identifier):
        whole.triages(each)
    whole.alerts()
    whole.delivers()

    bundle = whole.ehr.get(f"/fhir/QuestionnaireResponse/{identifier}/$everything").json()

    assert check_structure(bundle, resource_type="Bundle") == []
    types = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    assert types[0] == "QuestionnaireResponse"
    assert bundle["entry"][0]["search"]["mode"] == "match"
    assert set(types) == {
        "QuestionnaireResponse",
        "RiskAssessment",
        "DetectedIssue",
        "Provenance",
        "Task",
        "CommunicationRequest",
        "Communication",
    }
    about_another = whole.ehr.get(f"/fhir/QuestionnaireResponse/{other}/$everything").json()
    ids = [{entry["resource"]["id"] for entry in one["entry"]} for one in (bundle, about_another)]
    assert ids[0].isdisjoint(ids[1]), "nothing of another patient"
    for entry in bundle["entry"]:
        assert validate_with_fhir_resources(entry["resource"]) == []


def test_everything_holds_what_stands_on_later_pages_of_a_neighbour_and_says_where_it_stops(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    identifier = whole.accepted(a_response({"chest_pain": "Y", "foot_cold_pale_blue": "Y"}))
    whole.triages(identifier)
    whole.alerts()
    whole.delivers()

    def everything() -> tuple[list[str], list[dict[str, Any]]]:
        """What followed, and what is said of what is missing."""
        bundle = whole.ehr.get(f"/fhir/QuestionnaireResponse/{identifier}/$everything").json()
        assert check_structure(bundle, resource_type="Bundle") == []
        found = [entry for entry in bundle["entry"] if entry["search"]["mode"] != "outcome"]
        told = [entry["resource"]["issue"] for entry in bundle["entry"] if entry["search"]["mode"] == "outcome"]
        return sorted(entry["fullUrl"] for entry in found), [issue for issues in told for issue in issues]

    complete, nothing = everything()
    flags = [url for url in complete if "/DetectedIssue/" in url]
    assert len(flags) > 1
    monkeypatch.setattr(search, "MAX_COUNT", 1)
    assert everything() == (complete, nothing) == (complete, [])
    monkeypatch.setattr(follow_up, "MOST", len(flags) - 1)
    some, told = everything()
    status = whole.ehr.get(f"/fhir/QuestionnaireResponse/{identifier}/$status").json()

    assert set(some) < set(complete)
    assert {issue["details"]["coding"][0]["code"] for issue in told} == {"include-too-many"}
    assert "DetectedIssue" in [issue["details"]["text"].split()[3] for issue in told]
    assert status["parameter"][-1]["resource"]["issue"] == told


@pytest.mark.requirement("REQ-30")
def test_a_refused_submission_has_its_steps_and_its_page_too(whole: Whole) -> None:
    refused = whole.post(a_response({"chest_pain": "Y"}) | {"status": "banana"}, expected=400)
    words = refused.json()["issue"][-1]["details"]["text"]
    identifier = words.partition("submission ")[2].partition(" ")[0]
    waiting = whole.status(identifier)
    assert (waiting["validated"], waiting["quarantined"], waiting["triaged"]) == ("failed", "done", "pending")
    assert "looked at for emergency answers" in whole.page(identifier)

    whole.examines()
    whole.alerts()
    whole.delivers()

    seen = whole.status(identifier)
    assert (seen["triaged"], seen["alerted"], seen["delivered"], seen["acknowledged"]) == (
        "done",
        "done",
        "done",
        "pending",
    )
    page = whole.page(identifier)
    assert "correct it and send it again" in page
    assert "chest" not in page


@pytest.mark.requirement("REQ-31")
def test_a_refused_submission_without_urgency_says_that_nobody_was_told(whole: Whole) -> None:
    refused = whole.post(a_response({}) | {"status": "banana"}, expected=400)
    identifier = refused.json()["issue"][-1]["details"]["text"].partition("submission ")[2].partition(" ")[0]
    whole.examines()

    assert whole.status(identifier)["alerted"] == "not-needed"
    assert "Nobody was told" in whole.page(identifier)


def test_an_unknown_id_is_said_to_be_unknown(whole: Whole) -> None:
    assert whole.ehr.get("/fhir/QuestionnaireResponse/nothing/$status").status_code == 404
    assert whole.ehr.get("/fhir/QuestionnaireResponse/nothing/$everything").status_code == 404
    page = whole.ehr.get("/submission/nothing")
    assert page.status_code == 404
    assert "No submission has this id" in page.text


def test_services_that_do_not_answer_are_named_and_nothing_is_claimed_of_them(database: Database) -> None:
    settings = IntakeSettings(
        intake_database_url=database.intake_url,  # type: ignore[arg-type]
        mode="sandbox",
        triage_url="http://127.0.0.1:9",
        notify_url="http://127.0.0.1:9",
    )
    with client_of(create_intake(settings)) as ehr:
        posted = ehr.post("/fhir/QuestionnaireResponse", content=json.dumps(a_response({})), headers=FHIR)
        identifier = posted.headers["location"].split("/")[-3]
        bundle = ehr.get(f"/fhir/QuestionnaireResponse/{identifier}/$everything").json()
        status = ehr.get(f"/fhir/QuestionnaireResponse/{identifier}/$status").json()
        page = ehr.get(f"/submission/{identifier}").text

    [outcome] = [entry["resource"] for entry in bundle["entry"] if entry["search"]["mode"] == "outcome"]
    assert [issue["details"]["text"].partition(" ")[0] for issue in outcome["issue"]] == ["triage", "notify"]
    assert status["parameter"][-1]["name"] == "outcome"
    assert "triage does not answer now" in page
    assert "Look again" in page
