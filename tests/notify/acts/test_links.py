"""The one-time link of a message: one press acknowledges, looking never does, and nobody learns more than was told."""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.acts.resolve import resolve
from services.notify.acts.snooze import snooze
from services.notify.app import create_app
from services.notify.hear import RAISE_ROUTINE
from services.notify.settings import NotifySettings
from shared.ids import DEFAULT_TENANT
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Receiver, Triage, an_assessment
from tests.notify.on_call.clinic import Clinic
from tests.serving import client_of

LINK = re.compile(r"http://127\.0\.0\.1:8123(/a/[A-Za-z0-9_-]{22})\r?\n")
FROM_THE_PAGE = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
"""What a browser sends from a page with the referrer policy no-referrer."""


def link_in(mail: MailServer, number: int = -1) -> str:
    [found] = LINK.findall(str(mail.mails[number].get_payload(decode=True), "utf-8"))
    return str(found)


def press(client: httpx.Client, link: str, **more: str) -> httpx.Response:
    """Press the button of the page as it is now, and go where it leads."""
    page = client.get(link)
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', page.text))
    return client.post(link, data=fields | more, headers=FROM_THE_PAGE, follow_redirects=True)


@pytest.mark.requirement("REQ-14")
def test_one_press_acknowledges_as_the_person_to_whom_the_message_went(clinic: Clinic, client: httpx.Client) -> None:
    clinic.sees()
    link = link_in(clinic.mail)

    assert "Acknowledge as Dr First" in client.get(link).text
    answer = press(client, link)

    alert = clinic.service.alert()
    assert (alert["state"], alert["acknowledged_by"], alert["owner"]) == ("accepted", "Dr First", "first")
    assert "Dr First acknowledged this on" in answer.text
    [line] = clinic.service.rows("SELECT way, person_id FROM alert_event WHERE kind = 'acknowledged'")
    assert line == {"way": "link", "person_id": "first"}
    [audited] = clinic.service.rows("SELECT agent FROM audit_event WHERE word = 'acknowledged'")
    assert audited["agent"].startswith("link/")


@pytest.mark.requirement("REQ-14")
def test_an_address_without_a_person_is_asked_for_a_name(
    service: Service, told: UUID, mail: MailServer, client: httpx.Client
) -> None:
    link = link_in(mail)

    assert press(client, link).status_code == 422
    assert service.alert()["state"] == "received"
    assert press(client, link, name="Dr Osei").status_code == 200
    assert service.alert()["acknowledged_by"] == "Dr Osei"


@pytest.mark.requirement("REQ-14")
def test_a_person_cannot_acknowledge_in_another_name(clinic: Clinic, client: httpx.Client) -> None:
    clinic.sees()
    press(client, link_in(clinic.mail), name="Dr Somebody")

    assert clinic.service.alert()["acknowledged_by"] == "Dr First"


@pytest.mark.requirement("REQ-14")
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT"])
def test_looking_and_scanning_never_acknowledge(
    service: Service, told: UUID, mail: MailServer, client: httpx.Client, method: str
) -> None:
    for _ in range(3):
        client.request(method, link_in(mail), headers={"User-Agent": "Slackbot-LinkExpanding 1.0"})

    assert service.alert()["state"] == "received"
    assert service.rows("SELECT used_at FROM ack_link WHERE used_at IS NOT NULL") == []


@pytest.mark.requirement("REQ-30")
def test_the_page_shows_nothing_of_the_patient_and_is_kept_out_of_searches(
    told: UUID, mail: MailServer, client: httpx.Client
) -> None:
    page = client.get(link_in(mail))

    assert "Emergency: alert" in page.text
    for secret in ("Canary", "Wrenfield", "7391", "thrombosis", "qr-5521"):
        assert secret not in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in page.headers["X-Robots-Tag"]
    assert page.headers["Cache-Control"] == "no-store"
    assert "unsafe" not in page.headers["Content-Security-Policy"]


@pytest.mark.requirement("REQ-14")
def test_a_link_acknowledges_once_and_then_says_who_did(
    service: Service, told: UUID, mail: MailServer, client: httpx.Client
) -> None:
    link = link_in(mail)
    press(client, link, name="Dr Osei")

    again = press(client, link, name="Dr Late")

    assert again.status_code == 200
    assert "Dr Osei acknowledged this on" in again.text
    assert "does nothing more" in again.text
    assert service.alert()["acknowledged_by"] == "Dr Osei"
    assert service.events().count("acknowledged") == 1


@pytest.mark.requirement("REQ-14")
def test_a_used_link_does_not_acknowledge_what_was_opened_again(clinic: Clinic, client: httpx.Client) -> None:
    clinic.sees()
    used = link_in(clinic.mail)
    press(client, used)
    by = Actor("Dr First", "first", "page")
    snooze(clinic.service.notify.pool, DEFAULT_TENANT, clinic.service.alert()["id"], by=by, minutes=5)
    assert clinic.minutes_pass(5) == 1

    page = press(client, used)

    assert "open again and waits" in page.text
    assert clinic.service.alert()["acknowledged_at"] is None
    assert press(client, link_in(clinic.mail)).status_code == 200
    assert clinic.service.alert()["state"] == "accepted"


@pytest.mark.requirement("REQ-14")
def test_a_link_to_what_somebody_else_acknowledged_says_who_and_changes_nothing(
    service: Service, told: UUID, mail: MailServer, client: httpx.Client
) -> None:
    acknowledge(service.notify.pool, DEFAULT_TENANT, told, by=Actor("Dr Page", None, "page"))

    page = press(client, link_in(mail), name="Dr Late")

    assert "Dr Page acknowledged this on" in page.text
    assert service.alert()["acknowledged_by"] == "Dr Page"


@pytest.mark.requirement("REQ-14")
def test_wrong_old_and_closed_links_are_answered_alike(
    service: Service, told: UUID, mail: MailServer, client: httpx.Client
) -> None:
    link = link_in(mail)
    wrong = client.get("/a/" + "A" * 22)
    service.rows("UPDATE ack_link SET expires_at = now() - interval '1 second'")
    old = press(client, link, name="Dr Osei")
    service.rows("UPDATE ack_link SET expires_at = now() + interval '1 hour'")
    acknowledge(service.notify.pool, DEFAULT_TENANT, told, by=Actor("Dr Osei", None, "page"))
    resolve(service.notify.pool, DEFAULT_TENANT, told, by=Actor("Dr Osei", None, "page"), outcome="seen-and-treated")
    closed = client.get(link)

    assert [page.status_code for page in (wrong, old, closed)] == [404, 404, 404]
    assert wrong.text == old.text == closed.text
    assert "Nothing was changed" in wrong.text


def test_a_link_lasts_for_48_hours_and_its_token_is_kept_nowhere(
    service: Service, told: UUID, mail: MailServer
) -> None:
    token = link_in(mail).removeprefix("/a/")
    kept = service.rows("SELECT * FROM ack_link")

    assert [round((row["expires_at"] - service.alert()["opened_at"]).total_seconds() / 3600) for row in kept] == [
        48,
        48,
    ]
    assert all(len(bytes(row["token_sha256"])) == 32 for row in kept)
    assert token not in json.dumps(kept, default=str)
    for table in ("alert_event", "audit_event", "resource", "job", "outbox"):
        assert service.rows(f"SELECT 1 FROM {table} AS t WHERE t::text LIKE %s", f"%{token}%") == []


@pytest.mark.requirement("REQ-14")
@pytest.mark.parametrize("newer", ["emergency", "same_day"])
def test_a_page_from_before_a_further_assessment_cannot_acknowledge_it(
    service: Service, triage: Triage, mail: MailServer, client: httpx.Client, newer: str
) -> None:
    service.hears(triage.publish(an_assessment("same_day")), kind=RAISE_ROUTINE)
    service.sends()
    link = link_in(mail)
    seen = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', client.get(link).text))
    service.hears(triage.publish(an_assessment(newer, response_id="qr-77")))

    stale = client.post(link, data={"name": "Dr Osei", **seen}, headers=FROM_THE_PAGE)

    assert stale.status_code == 409
    assert client.post(link, data={"name": "Dr Osei"}, headers=FROM_THE_PAGE).status_code == 409
    assert service.alert()["acknowledged_at"] is None
    assert press(client, link, name="Dr Osei").status_code == 200
    assert service.alert()["acknowledged_by"] == "Dr Osei"


def test_whoever_tries_many_links_is_slowed_down_and_a_good_link_is_not(
    service: Service, told: UUID, mail: MailServer, client: httpx.Client
) -> None:
    answers = [client.get(f"/a/guess-{number}") for number in range(30)]

    assert {answer.status_code for answer in answers} == {404, 429}
    assert "Retry-After" in next(answer for answer in answers if answer.status_code == 429).headers
    assert press(client, link_in(mail), name="Dr Osei").status_code == 200
    assert service.alert()["state"] == "accepted"


@pytest.mark.requirement("REQ-14")
def test_where_people_sign_in_a_link_and_a_signed_answer_need_no_sign_in_and_the_worklist_does(
    settings: NotifySettings, service: Service, told: UUID, mail: MailServer
) -> None:
    with client_of(create_app(settings.model_copy(update={"sandbox_sign_in": True}))) as client:
        assert client.get("/worklist").status_code == 303
        assert client.post("/worklist/answer", json={}).status_code == 401
        assert "Wrenfield" not in client.get(link_in(mail)).text
        press(client, link_in(mail), name="Dr Osei")

    assert service.alert()["acknowledged_by"] == "Dr Osei"


@pytest.mark.parametrize("token", ["%00", "..%2f..", "x" * 2000, "ü", "'; DROP TABLE alert"])
def test_an_address_that_is_no_link_is_a_page_that_says_so(client: httpx.Client, token: str) -> None:
    assert client.get(f"/a/{token}").status_code in (400, 404)


def test_every_message_has_a_link_of_its_own_in_mail_and_webhook(
    service: Service, told: UUID, mail: MailServer, receiver: Receiver
) -> None:
    data: dict[str, Any] = json.loads(receiver.requests[0][1])["data"]

    assert data["acknowledge"].startswith("http://127.0.0.1:8123/a/")
    assert not data["acknowledge"].endswith(link_in(mail))
    assert len(service.rows("SELECT 1 FROM ack_link")) == 2


def test_a_notice_has_no_link(service: Service, triage: Triage, mail: MailServer) -> None:
    risk = "0a0a0a0a-0000-4000-8000-000000000001"
    service.hears(triage.publish(an_assessment(assessment_id=risk)))
    service.sends()
    service.hears(triage.publish(an_assessment(assessment_id=risk, version=2, status="entered-in-error")))
    service.sends()

    assert LINK.findall(str(mail.mails[-1].get_payload(decode=True), "utf-8")) == []
