"""The clinical safety rules that live in notify, by name."""

from __future__ import annotations

import pytest

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.escalate import repeat_due
from services.notify.hear import RAISE_ROUTINE
from shared.ids import DEFAULT_TENANT
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Triage, an_assessment


def seconds_to_repeat(service: Service) -> int:
    (row,) = service.rows("SELECT extract(epoch FROM due_at - opened_at)::int AS s FROM alert")
    return int(row["s"])


@pytest.mark.requirement("SR-16")
def test_SR_16_an_emergency_is_told_at_once_and_again_until_a_person_acknowledges_whatever_fails(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    mail.refusal = "451 try later"
    service.hears(triage.publish(an_assessment()))
    service.sends()
    assert service.alert()["state"] == "received"  # by the other channel
    assert seconds_to_repeat(service) == 300

    mail.refusal = ""
    service.everything_due()
    service.sends()
    service.alerts_due()
    repeat_due(service.notify.pool, service.notify.plan)
    service.sends()
    assert len(mail.mails) == 2

    acknowledge(service.notify.pool, DEFAULT_TENANT, service.alert()["id"], by=Actor("Dr Osei", None, "page"))
    service.alerts_due()
    assert repeat_due(service.notify.pool, service.notify.plan) == 0


@pytest.mark.requirement("SR-16")
def test_SR_16_a_same_day_result_is_told_within_the_hour_and_again_every_hour(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(an_assessment("same_day")), kind=RAISE_ROUTINE)
    service.sends()

    assert len(mail.mails) == 1
    assert seconds_to_repeat(service) == 3600


@pytest.mark.requirement("SR-18")
def test_SR_18_milder_answers_leave_the_open_alert_as_urgent_as_it_was(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(an_assessment(assessment_id="a-1")))
    service.hears(triage.publish(an_assessment("routine", assessment_id="a-1", version=2)))

    assert (service.alert()["urgency"], service.alert()["due_at"] is None) == ("emergency", False)
    acknowledge(service.notify.pool, DEFAULT_TENANT, service.alert()["id"], by=Actor("Dr Osei", None, "page"))
    assert service.alert()["urgency"] == "emergency"
