"""Intake's page of a submission is for the same people as the worklist: it asks notify whose the session is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from starlette.requests import Request

from services.intake.app import create_app as create_intake
from services.intake.settings import IntakeSettings
from services.intake.who_looks import Door, SignInNeeded
from services.notify.app import create_app as create_notify
from services.notify.settings import NotifySettings
from services.notify.sign_in.visitor import Role
from shared.access.service_token import ServiceToken
from shared.access.session_cookie import hashed
from shared.ids import DEFAULT_TENANT
from tests.builders import a_response
from tests.conftest import Database
from tests.notify.signed_in import somebody
from tests.serving import client_of

Rows = Callable[..., list[dict[str, Any]]]
SECRET = "a secret that the services share among themselves"
FHIR = {"Content-Type": "application/fhir+json"}


@pytest.fixture
def notify(asking: NotifySettings) -> Iterator[httpx.Client]:
    with client_of(create_notify(asking.model_copy(update={"service_token": SecretStr(SECRET)}))) as client:
        yield client


def intake_settings(database: Database, notify_url: str) -> IntakeSettings:
    return IntakeSettings(
        intake_database_url=SecretStr(database.intake_url),
        mode="sandbox",
        sandbox_sign_in=True,
        service_token=SecretStr(SECRET),
        notify_url=notify_url,
        public_url="http://127.0.0.1:8123",
    )


@pytest.fixture
def intake(database: Database, notify: httpx.Client) -> Iterator[httpx.Client]:
    with client_of(create_intake(intake_settings(database, str(notify.base_url)))) as client:
        yield client


@pytest.fixture
def page(intake: httpx.Client) -> str:
    """The address of the page of a submission that was accepted."""
    posted = intake.post("/fhir/QuestionnaireResponse", content=json.dumps(a_response({})), headers=FHIR)
    return f"/submission/{posted.headers['location'].split('/')[-3]}"


def test_who_is_not_signed_in_is_sent_to_the_sign_in_and_back(intake: httpx.Client, page: str) -> None:
    answer = intake.get(page)

    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/worklist/sign-in?next={page}"
    assert intake.get("/submission/style.css").status_code == 200


def test_a_clinician_sees_it_and_what_was_looked_at_is_recorded_of_them(
    intake: httpx.Client, page: str, rows: Rows
) -> None:
    person = somebody(rows, Role.CLINICIAN)

    answer = person.uses(intake).get(page)

    assert answer.status_code == 200
    assert "What happens next" in answer.text
    agents = [row["agent"] for row in rows("SELECT agent FROM intake.audit_event WHERE interaction <> 'create'")]
    assert agents == [f"account/{person.account}"]


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.AUDITOR])
def test_who_sees_no_patients_does_not_see_it(intake: httpx.Client, page: str, rows: Rows, role: Role) -> None:
    answer = somebody(rows, role).uses(intake).get(page)

    assert answer.status_code == 403
    assert "for clinicians and leads" in answer.text


def test_somebody_of_another_tenant_finds_nothing(intake: httpx.Client, page: str, rows: Rows) -> None:
    assert somebody(rows, Role.CLINICIAN, tenant=uuid4()).uses(intake).get(page).status_code == 404


@pytest.mark.parametrize(
    "ended",
    [
        "DELETE FROM session",
        "UPDATE account SET disabled_at = now()",
        "UPDATE session SET used_at = used_at - interval '16 minutes'",
        "UPDATE session SET begun_at = begun_at - interval '13 hours'",
        "UPDATE session SET complete = false",
    ],
)
def test_a_session_that_is_over_opens_nothing(intake: httpx.Client, page: str, rows: Rows, ended: str) -> None:
    person = somebody(rows, Role.CLINICIAN)
    rows(ended)

    assert person.uses(intake).get(page).status_code == 303


def test_a_page_that_looks_again_by_itself_keeps_no_session_alive(intake: httpx.Client, page: str, rows: Rows) -> None:
    person = somebody(rows, Role.CLINICIAN)
    rows("UPDATE session SET used_at = used_at - interval '10 minutes'")
    before = rows("SELECT used_at FROM session")

    assert person.uses(intake).get(page).status_code == 200
    assert rows("SELECT used_at FROM session") == before


def test_while_notify_is_away_nobody_is_shown_anything(database: Database) -> None:
    with client_of(create_intake(intake_settings(database, "http://127.0.0.1:9"))) as intake:
        intake.cookies.set("sural-session", "something", domain="127.0.0.1", path="/")
        posted = intake.post("/fhir/QuestionnaireResponse", content=json.dumps(a_response({})), headers=FHIR)
        answer = intake.get(f"/submission/{posted.headers['location'].split('/')[-3]}")

    assert answer.status_code == 503
    assert "Not available now" in answer.text
    assert "What happens next" not in answer.text


def test_an_answer_counts_for_three_seconds_and_no_longer(notify: httpx.Client, rows: Rows) -> None:
    clock = [100.0]
    door = Door(True, str(notify.base_url), ServiceToken(SECRET.encode(), "intake"), False, now=lambda: clock[0])
    person = somebody(rows, Role.CLINICIAN)

    cookie = f"sural-session={person.token}".encode()
    asked = Request({"type": "http", "headers": [(b"cookie", cookie)], "client": None, "state": {"request_id": "r"}})

    assert door.who(asked).account == str(person.account)
    rows("DELETE FROM session")
    clock[0] += 2.9
    assert door.who(asked).account == str(person.account)
    clock[0] += 0.2
    with pytest.raises(SignInNeeded):
        door.who(asked)
    door.close()


def test_only_our_own_services_learn_whose_a_session_is(notify: httpx.Client, rows: Rows) -> None:
    person = somebody(rows, Role.CLINICIAN)
    path = f"/worklist/whose/{hashed(person.token).hex()}"

    assert notify.get(path).status_code == 404
    assert person.uses(notify).get(path).status_code == 404
    forged = ServiceToken(b"guessed", "intake").authorization(DEFAULT_TENANT)
    assert notify.get(path, headers={"Authorization": forged}).status_code == 401
    signed = {"Authorization": ServiceToken(SECRET.encode(), "intake").authorization(DEFAULT_TENANT)}
    told = notify.get(path, headers=signed).json()
    assert (told["signed_in"], told["account"], told["roles"]) == (True, str(person.account), ["clinician"])
    assert person.csrf not in str(told)
    for nothing in ("0" * 64, person.token):
        answer = notify.get(f"/worklist/whose/{nothing}", headers=signed)
        assert answer.status_code == 404 or answer.json() == {"signed_in": False}
