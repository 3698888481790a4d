"""Once a day everybody hears what was no emergency: counts, and nothing about anybody."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from deploy.local.folder import CHECKOUT
from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.catch_up import catch_up
from services.notify.escalation import EMAIL, Plan, Recipient
from services.notify.fatigue.digest import Digest, Reader, day_due
from services.notify.fatigue.send_digests import readers, send_digests
from services.notify.on_call.read import read_document
from shared.ids import DEFAULT_TENANT, uuid7
from tests.notify.conftest import ON_CALL, Service
from tests.notify.neighbours import MailServer, Triage, an_assessment

ALWAYS = "00:00"


def quiet(service: Service, triage: Triage) -> None:
    """Triage has three assessments that need nobody today, and notify catches up."""
    for number, urgency in enumerate(("within_2_weeks", "routine", "routine")):
        triage.publish(an_assessment(urgency, patient=f"Patient/{number}"))
    catch_up(service.notify.pool, service.notify.triage)


def a_day_later(service: Service) -> None:
    """Move the clock: what was digested today was digested yesterday."""
    service.rows(
        "UPDATE digest SET day = day - 1, since = since - interval '1 day', until = until - interval '1 day', "
        "due_at = due_at - interval '1 day', sent_at = sent_at - interval '1 day'"
    )
    service.rows("UPDATE quiet_assessment SET noted_at = noted_at - interval '1 day'")


def text_of(mail: MailServer) -> str:
    return str(mail.mails[-1].get_payload(decode=True), "utf-8")


def test_the_digest_counts_what_is_not_urgent_and_names_nobody(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    quiet(service, triage)

    sent = send_digests(service.notify, ALWAYS)

    assert sent == 1
    assert mail.mails[-1]["To"] == ON_CALL
    assert "within two weeks: 1" in text_of(mail)
    assert "routine: 2" in text_of(mail)
    assert "http://127.0.0.1:8123/worklist" in text_of(mail)
    assert "Canary" not in mail.mails[-1].as_string()
    assert "canary" not in mail.mails[-1].as_string()


def test_it_comes_once_a_day_however_often_somebody_looks_or_starts_anew(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    quiet(service, triage)
    same_day = [send_digests(service.notify, ALWAYS) for _ in range(3)]

    a_day_later(service)
    triage.publish(an_assessment("self_care", patient="Patient/new"))
    catch_up(service.notify.pool, service.notify.triage)
    next_day = send_digests(service.notify, ALWAYS)

    assert same_day == [1, 0, 0]
    assert next_day == 1
    assert "self-care: 1" in text_of(mail)
    assert "routine" not in text_of(mail)


def test_with_nothing_to_say_there_is_no_mail(service: Service, mail: MailServer) -> None:
    assert send_digests(service.notify, ALWAYS) == 0
    assert mail.mails == []
    assert Digest(uuid7(), datetime.now(UTC)).says_nothing


def test_an_acknowledged_alert_that_nobody_closed_is_counted(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(an_assessment()))
    acknowledge(service.notify.pool, DEFAULT_TENANT, service.alert()["id"], by=Actor("Dr Osei", None, "page"))

    send_digests(service.notify, ALWAYS)

    assert "acknowledged, and not closed yet: 1" in text_of(mail)


def test_whoever_was_spared_messages_reads_how_many(service: Service, triage: Triage, mail: MailServer) -> None:
    service.hears(triage.publish(an_assessment("same_day")))
    service.rows("UPDATE delivery SET state = 'suppressed' WHERE recipient = %s", ON_CALL)

    send_digests(service.notify, ALWAYS)

    assert "you were spared, as you had many within an hour: 1" in text_of(mail)


def test_a_mail_server_that_refuses_is_tried_again_with_the_same_mail(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    quiet(service, triage)
    mail.refusal = "451 later"
    refused = send_digests(service.notify, ALWAYS)
    at_once = send_digests(service.notify, ALWAYS)
    [first] = service.rows("SELECT id FROM digest")

    mail.refusal = ""
    service.rows("UPDATE digest SET due_at = now() - interval '1 second'")
    later = send_digests(service.notify, ALWAYS)

    assert (refused, at_once, later) == (0, 0, 1)
    assert str(first["id"]) in mail.mails[-1]["Message-ID"]


@pytest.mark.parametrize(
    ("zone", "at", "day"),
    [
        ("UTC", "07:00", None),
        ("Europe/Berlin", "07:00", date(2026, 11, 29)),
        ("Pacific/Auckland", "07:00", date(2026, 11, 29)),
        ("UTC", "", None),
    ],
)
def test_it_is_due_on_the_clock_of_the_persons_place(zone: str, at: str, day: date | None) -> None:
    moment = datetime(2026, 11, 29, 6, 30, tzinfo=UTC)

    assert day_due(Reader("a@clinic.example", "a", zone), at, moment) == day


def test_everybody_in_a_team_reads_it_and_without_a_document_the_addresses_of_the_settings() -> None:
    document = read_document((CHECKOUT / "examples" / "on-call.toml").read_text(), version=1)
    plan = Plan((Recipient(EMAIL, ON_CALL), Recipient("webhook", "default")), ..., ...)  # type: ignore[arg-type]

    assert [reader.address for reader in readers(document, plan)] == [
        "ama.osei@clinic.example",
        "karin.lind@clinic.example",
        "luc.moreau@clinic.example",
    ]
    assert [reader.address for reader in readers(None, plan)] == [ON_CALL]
