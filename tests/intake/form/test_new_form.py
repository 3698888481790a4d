"""A member of staff makes a link for one patient; a tablet opens it, and nothing else."""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from html import unescape
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from services.intake.app import create_app as create_intake
from services.intake.form import pages as form_pages
from services.intake.form.tablet import COOKIE, SANDBOX_KEY
from services.intake.form.ticket import Ticket, TicketRefused, read, sign
from services.intake.settings import IntakeSettings
from shared.access.jose import new_key
from shared.ids import DEFAULT_TENANT
from tests.browser import OpenPage, browser, no_axe_violations, open_page, watch
from tests.conftest import Database
from tests.intake.form.conftest import FORM, Person
from tests.serving import client_of

__all__ = ["browser", "open_page", "watch"]
NEW = "/submission/new/posterior-lower-limb"
SECRET = "a secret that the services share, long enough"
Stored = Callable[[], list[dict[str, Any]]]


def link_of(page: httpx.Response) -> str:
    found = re.search(r'href="([^"]*ticket=[^"]+)"', page.text)
    assert found, page.text
    return unescape(found[1])


def path_of(link: str) -> str:
    return httpx.URL(link).raw_path.decode()


def test_the_answers_given_on_the_tablet_are_those_of_the_patient_that_staff_named(
    intake: httpx.Client, stored: Stored
) -> None:
    made = intake.post(NEW, data={"number": "7391", "name": "Ada Wrenfield"})
    assert made.status_code == 200
    assert "<svg" in made.text
    intake.cookies.clear()

    person = Person(intake)
    person.opens(path_of(link_of(made)).replace("?", "/plain?"))
    assert "ticket" not in str(person.page.url)
    person.goes_on()

    [response] = stored()
    assert response["subject"]["identifier"]["value"] == "7391"
    assert response["subject"]["display"] == "Ada Wrenfield"


def test_two_links_for_one_patient_are_two_forms(intake: httpx.Client, stored: Stored) -> None:
    for _ in range(2):
        made = intake.post(NEW, data={"number": "7391"})
        intake.cookies.clear()
        person = Person(intake)
        person.opens(path_of(link_of(made)).replace("?", "/plain?"))
        person.goes_on()

    assert len({response["id"] for response in stored()}) == 2


def test_who_makes_a_link_for_whom_is_recorded(intake: httpx.Client, database: Database) -> None:
    intake.post(NEW, data={"number": "7391"})

    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        found = owner.execute("SELECT patient, query FROM intake.audit_event WHERE query = 'new form'").fetchall()
    assert [patient.rpartition("|")[2] for patient, _ in found] == ["7391"]


def test_a_large_body_fills_no_memory_while_nobody_knows_who_asks(production: httpx.Client) -> None:
    chunk = b"x" * 65536
    tracemalloc.start()
    try:
        with suppress(httpx.HTTPError):
            production.post(NEW, content=(chunk for _ in range(640)), headers={"Origin": "http://127.0.0.1:8123"})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 20 * 1024 * 1024


@pytest.mark.parametrize("number", ["", "   ", "1" * 200, "73\u000091"])
def test_without_a_patient_number_there_is_no_link(intake: httpx.Client, number: str) -> None:
    refused = intake.post(NEW, data={"number": number})

    assert refused.status_code == 422
    assert "ticket=" not in refused.text
    assert 'role="alert"' in refused.text


def test_another_site_cannot_make_links(intake: httpx.Client) -> None:
    assert intake.post(NEW, data={"number": "7391"}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


@pytest.fixture
def production(database: Database, triage_url: str) -> Iterator[httpx.Client]:
    settings = IntakeSettings(
        intake_database_url=database.intake_url,  # type: ignore[arg-type]
        mode="production",
        public_url="http://127.0.0.1:8123",
        triage_url=triage_url,
        service_token=SecretStr(SECRET),
        token_key=SecretStr(json.dumps({"keys": [new_key()]})),
        form_patient_system="urn:clinic:number",
    )
    with client_of(create_intake(settings)) as client:
        client.headers["Sec-Fetch-Site"] = "same-origin"
        yield client


def test_in_production_nobody_without_a_link_sees_a_form(production: httpx.Client) -> None:
    for address in (FORM, f"{FORM}/plain", f"{FORM}/done", f"{FORM}/check", f"{FORM}/definition", f"{FORM}/draft"):
        refused = production.get(address)
        assert refused.status_code == 403
        assert "need a link" in refused.text
    assert production.post(f"{FORM}/answers", content=b"{}").status_code == 403
    assert production.post(f"{FORM}/advice", content=b"{}").status_code == 403


def test_in_production_only_who_is_signed_in_makes_links(production: httpx.Client) -> None:
    assert production.get(NEW).status_code in (303, 503)
    assert production.post(NEW, data={"number": "1"}).status_code in (303, 503)


def test_in_production_a_link_opens_its_form_and_no_other_and_no_fhir(production: httpx.Client, stored: Stored) -> None:
    patient = {"type": "Patient", "identifier": {"system": "urn:clinic:number", "value": "7391"}}
    ticket = Ticket(DEFAULT_TENANT, "posterior-lower-limb", patient, "a-response", int(time.time()) + 60)
    opened = production.get(FORM, params={"ticket": sign(ticket, SECRET.encode())})
    assert opened.status_code == 303
    assert "HttpOnly" in opened.headers["set-cookie"]
    assert "SameSite=strict" in opened.headers["set-cookie"]

    person = Person(production)
    assert person.opens().status_code == 200
    production.follow_redirects = True
    assert person.goes_on().status_code == 200, person.words
    assert stored()[0]["subject"]["identifier"]["value"] == "7391"
    assert production.get("/fhir/QuestionnaireResponse/a-response").status_code == 401


def test_what_was_sent_is_given_back_to_nobody_who_holds_the_link(
    production: httpx.Client, intake: httpx.Client
) -> None:
    person = Person(intake)
    person.opens()
    person.goes_on()
    assert "item" in intake.get(f"{FORM}/draft").json()
    person.finishes()

    assert person.page.url.path == f"{FORM}/done"
    assert intake.get(f"{FORM}/draft").status_code == 404


@pytest.mark.parametrize("ticket", ["x.é", "é.x", ".", "a" * 5000])
def test_a_ticket_that_is_none_opens_nothing_and_is_no_fault_of_ours(production: httpx.Client, ticket: str) -> None:
    assert production.get(FORM, params={"ticket": ticket}).status_code == 403


@pytest.mark.parametrize("name", ["%00", "a" * 5000, "..%2f..%2fpages.py"])
def test_only_files_of_the_form_are_given_out(production: httpx.Client, name: str) -> None:
    assert production.get(f"/questionnaire/assets/{name}").status_code == 404
    assert production.get("/questionnaire/assets/form.css").status_code == 200


@pytest.mark.requirement("REQ-30")
def test_one_link_cannot_fill_the_check_of_refused_submissions(
    database: Database, triage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form_pages, "MOST_A_SECOND", 1 / 3600)
    monkeypatch.setattr(form_pages, "MOST_AT_ONCE", 3)
    settings = IntakeSettings(
        intake_database_url=database.intake_url,  # type: ignore[arg-type]
        mode="sandbox",
        triage_url=triage_url,
    )
    wrong = {"item": [{"linkId": "nonsense", "answer": [{"valueInteger": 1}]}]}
    with client_of(create_intake(settings)) as client:
        client.headers["Sec-Fetch-Site"], client.follow_redirects = "same-origin", True
        Person(client).opens()
        answers = [client.post(f"{FORM}/answers", json=wrong).status_code for _ in range(6)]

    assert answers == [422] * 3 + [429] * 3


def test_a_ticket_of_the_sandbox_opens_nothing_in_production(production: httpx.Client) -> None:
    ticket = Ticket(DEFAULT_TENANT, "posterior-lower-limb", {}, "a-response", int(time.time()) + 60)

    assert production.get(FORM, params={"ticket": sign(ticket, SANDBOX_KEY)}).status_code == 403


@pytest.mark.parametrize(
    ("form", "later_s", "sentence"),
    [("another", 0, "another form"), ("posterior-lower-limb", 61, "run out")],
)
def test_a_ticket_is_for_one_form_and_for_some_hours(form: str, later_s: int, sentence: str) -> None:
    now = 1_800_000_000
    text = sign(Ticket(DEFAULT_TENANT, "posterior-lower-limb", {}, "r", now + 60), b"key")
    assert read(text, key=b"key", form="posterior-lower-limb", now=now).response_id == "r"

    with pytest.raises(TicketRefused, match=sentence):
        read(text, key=b"key", form=form, now=now + later_s)


def test_staff_can_use_the_page_without_a_mouse_or_a_large_screen(open_page: OpenPage, intake: httpx.Client) -> None:
    page = open_page(viewport={"width": 360, "height": 740})
    page.goto(f"{intake.base_url}{NEW}")
    no_axe_violations(page)
    page.get_by_label("Patient number").fill("7391")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Another patient").wait_for()
    no_axe_violations(page)
    assert COOKIE not in {cookie["name"] for cookie in page.context.cookies()}
