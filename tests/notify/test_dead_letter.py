"""A message that will never arrive is not the end: whoever comes next is told at once, and somebody can see it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.app import measure
from services.notify.dead_letter import Reach, hastened
from services.notify.escalate import repeat_due
from shared.ids import DEFAULT_TENANT
from tests.notify.conftest import ON_CALL, Service
from tests.notify.neighbours import MailServer, Triage, an_assessment
from tests.notify.on_call.clinic import STANDARD, Clinic
from tests.notify.on_call.conftest import clinic as clinic

GONE, BUSY = "550 no such user", "450 try later"
NOW = datetime(2026, 11, 22, 3, 17, tzinfo=UTC)
TWO_PEOPLE = STANDARD.replace(
    """tell = ["person:first"]

[[policies.standard.emergency]]""",
    """tell = ["person:first", "person:nurse"]

[[policies.standard.emergency]]""",
)


def address(name: str) -> str:
    return f"{name}@clinic.example"


def ticks(clinic: Clinic) -> int:
    """The escalation's clock ticks, without any time passing; what it orders is sent."""
    begun = repeat_due(clinic.service.notify.pool, clinic.service.notify.plan)
    clinic.service.sends()
    return begun


def due_in(service: Service) -> float:
    (row,) = service.rows("SELECT extract(epoch FROM due_at - now())::float8 AS s FROM alert")
    return float(row["s"])


LAST_STEP = "SELECT max(last_updated) FROM resource WHERE type = 'CommunicationRequest' AND version_id = 1"
LAST_LOST = (
    "SELECT max(last_updated) FROM resource WHERE type = 'Communication' "
    "AND last_updated <= (SELECT max(at) FROM alert_event WHERE kind = 'reached_nobody')"
)
"""When the last step was begun; when the message was lost by which it was clear that a step reached nobody."""


def pause(service: Service, since: str) -> float:
    """How long after that the next step begins, in seconds."""
    (row,) = service.rows(f"SELECT extract(epoch FROM due_at - ({since}))::float8 AS s FROM alert")
    return float(row["s"])


@pytest.mark.requirement("REQ-09", "REQ-11", "REQ-34")
def test_when_the_first_doctor_cannot_be_reached_the_second_is_told_at_once(clinic: Clinic, mail: MailServer) -> None:
    clinic.agrees_on(STANDARD)
    mail.refusals[address("first")] = GONE
    clinic.sees()
    assert clinic.told() == []

    assert ticks(clinic) == 1

    assert clinic.told() == ["second"]
    assert clinic.events() == ["opened", "delivery_refused", "reached_nobody", "repeated"]
    assert ticks(clinic) == 0
    assert due_in(clinic.service) > 60


@pytest.mark.requirement("REQ-09")
def test_while_somebody_else_of_the_step_was_reached_the_chain_keeps_its_pauses(
    clinic: Clinic, mail: MailServer
) -> None:
    clinic.agrees_on(TWO_PEOPLE)
    mail.refusals[address("first")] = GONE
    clinic.sees()

    assert clinic.told() == ["nurse"]
    assert ticks(clinic) == 0
    assert "reached_nobody" not in clinic.events()


@pytest.mark.requirement("REQ-09")
def test_one_refused_and_the_other_not_taken_at_the_first_attempt_is_nobody_too(
    clinic: Clinic, mail: MailServer
) -> None:
    clinic.agrees_on(TWO_PEOPLE)
    mail.refusals |= {address("first"): GONE, address("nurse"): BUSY}
    clinic.sees()

    assert ticks(clinic) == 1
    assert clinic.told() == ["second"]


@pytest.mark.requirement("REQ-09", "SR-16")
def test_when_nobody_of_the_chain_can_be_reached_the_fallback_is_told_without_any_pause(
    clinic: Clinic, mail: MailServer
) -> None:
    clinic.agrees_on(STANDARD)
    mail.refusals |= {address("first"): GONE, address("second"): GONE}
    clinic.sees()

    steps = 0
    while "head" not in clinic.told() and steps < 10:
        steps += ticks(clinic)

    assert clinic.told() == ["head"]
    assert clinic.service.alert()["exhausted_at"] is not None
    assert clinic.events().count("reached_nobody") == 4
    assert ticks(clinic) == 0


@pytest.mark.requirement("REQ-09", "SR-16", "REQ-34")
def test_a_fallback_that_cannot_be_reached_either_is_tried_again_with_growing_pauses_and_never_in_a_loop(
    clinic: Clinic, mail: MailServer
) -> None:
    clinic.agrees_on(STANDARD)
    mail.refusal = GONE
    clinic.service.notify.channels["webhook"].receivers.clear()  # type: ignore[attr-defined]
    clinic.sees()
    while clinic.service.alert()["exhausted_at"] is None:
        assert ticks(clinic) == 1

    pauses = []
    for _ in range(6):
        assert ticks(clinic) == 0
        pauses.append((pause(clinic.service, LAST_LOST), pause(clinic.service, LAST_STEP)))
        clinic.service.alerts_due()
        ticks(clinic)

    assert [after_loss for after_loss, _ in pauses[:4]] == [5, 15, 45, 135]
    assert [after_step for _, after_step in pauses[4:]] == [300, 300], "never later than planned"
    assert clinic.told() == []


@pytest.mark.requirement("REQ-11")
def test_without_an_on_call_document_the_same_people_are_tried_again_soon(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.notify.channels["webhook"].receivers.clear()  # type: ignore[attr-defined]
    mail.refusals[ON_CALL] = GONE
    service.hears(triage.publish(an_assessment()))
    service.sends()

    assert pause(service, LAST_LOST) == 5
    assert service.events().count("reached_nobody") == 1


def test_an_alert_that_somebody_knows_of_is_not_told_again(clinic: Clinic, mail: MailServer) -> None:
    clinic.agrees_on(STANDARD)
    mail.refusals[address("first")] = BUSY
    clinic.sees()
    service = clinic.service
    acknowledge(service.notify.pool, DEFAULT_TENANT, service.alert()["id"], by=Actor("Dr First", None, "page"))
    mail.refusals[address("first")] = GONE
    service.everything_due()
    service.sends()

    assert ticks(clinic) == 0
    assert "reached_nobody" not in clinic.events()


def test_a_same_day_message_that_is_given_up_raises_too(clinic: Clinic, mail: MailServer) -> None:
    clinic.agrees_on(STANDARD)
    mail.refusals[address("first")] = BUSY
    clinic.sees("same_day")
    clinic.service.rows("UPDATE delivery SET created_at = now() - interval '25 hours'")
    clinic.service.everything_due()
    clinic.service.sends()

    assert ticks(clinic) == 1
    assert clinic.told() == ["second"]


def test_a_person_with_an_unknown_receiver_raises_instead_of_waiting(clinic: Clinic) -> None:
    contact = '{ channel = "webhook", address = "pager-that-left" }'
    clinic.agrees_on(STANDARD.replace('{ channel = "email", address = "first@clinic.example" }', contact))
    clinic.sees()

    assert ticks(clinic) == 1
    assert clinic.told() == ["second"]


def test_how_many_steps_reached_nobody_is_in_the_figures(clinic: Clinic, mail: MailServer) -> None:
    clinic.agrees_on(STANDARD)
    mail.refusals[address("first")] = GONE
    clinic.sees()

    found = {gauge.name: gauge.value for gauge in measure(clinic.service.notify.pool)}
    assert found["sural_steps_that_reached_nobody"] == 1.0


@pytest.mark.parametrize(
    ("reach", "nobody"),
    [
        ({"sent": 0, "untried": 0, "trying": 0, "lost": 1}, True),
        ({"sent": 0, "untried": 0, "trying": 2, "lost": 1}, True),
        ({"sent": 0, "untried": 1, "trying": 0, "lost": 1}, False),
        ({"sent": 1, "untried": 0, "trying": 0, "lost": 1}, False),
        ({"sent": 0, "untried": 0, "trying": 2, "lost": 0}, False),
    ],
    ids=str,
)
def test_nobody_means_one_lost_none_reached_and_none_left_to_try_first(reach: dict[str, Any], nobody: bool) -> None:
    assert Reach(**reach).is_nobody is nobody


def test_a_step_is_hastened_and_never_put_off() -> None:
    soon, later = NOW + timedelta(seconds=2), NOW + timedelta(minutes=5)

    assert hastened(later, now=NOW, in_chain=True, before=0) == NOW
    assert hastened(later, now=NOW, in_chain=False, before=0) == NOW + timedelta(seconds=5)
    assert hastened(soon, now=NOW, in_chain=False, before=3) == soon


def test_every_attempt_is_a_version_of_the_communication_with_what_it_came_to(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(an_assessment()))
    for refusal in (BUSY, BUSY, "421 closing", ""):
        mail.refusal = refusal
        service.everything_due()
        service.sends()

    (delivery,) = service.rows("SELECT id FROM delivery WHERE channel = 'email'")
    versions = service.rows(
        "SELECT convert_from(body, 'UTF8')::jsonb AS body FROM resource WHERE type = 'Communication' AND id = %s "
        "ORDER BY version_id",
        str(delivery["id"]),
    )
    told = [
        (body["status"], body.get("statusReason", {}).get("coding", [{}])[0].get("code"), body["note"][0]["text"])
        for body in (row["body"] for row in versions)
    ]
    assert told == [
        ("in-progress", "smtp-450", "Attempt 1."),
        ("in-progress", "smtp-450", "Attempt 2."),
        ("in-progress", "smtp-421", "Attempt 3."),
        ("completed", None, "Attempt 4."),
    ]
