"""An alert that nobody acknowledges is told again; one that somebody acknowledged is not."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from services.notify.acts.acknowledge import accept, acknowledge
from services.notify.acts.actor import Actor
from services.notify.acts.held import held
from services.notify.escalate import repeat_due, repeat_one
from services.notify.escalation import Plan
from services.notify.hear import RAISE_ROUTINE
from services.notify.reconcile import reconcile
from shared.ids import DEFAULT_TENANT
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Triage, an_assessment


def tick(service: Service) -> int:
    return repeat_due(service.notify.pool, service.notify.plan)


@pytest.mark.requirement("SR-16", "REQ-09")
def test_an_unacknowledged_emergency_is_told_again_after_five_minutes(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(an_assessment()))
    service.sends()
    assert tick(service) == 0

    service.alerts_due()
    assert tick(service) == 1
    service.sends()

    alert = service.alert()
    assert len(mail.mails) == 2
    assert alert["step"] == 2
    assert service.task(alert["id"])["businessStatus"] == {"text": "step 2"}
    assert service.events().count("repeated") == 1
    assert tick(service) == 0


@pytest.mark.requirement("SR-16")
def test_a_same_day_alert_is_told_again_after_an_hour(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment("same_day")), kind=RAISE_ROUTINE)

    (row,) = service.rows("SELECT extract(epoch FROM due_at - opened_at)::int AS s FROM alert")
    assert row["s"] == 3600


@pytest.mark.requirement("SR-16", "REQ-09")
def test_an_acknowledgement_ends_the_repeats(service: Service, triage: Triage, mail: MailServer) -> None:
    service.hears(triage.publish(an_assessment()))
    service.sends()
    acknowledge(service.notify.pool, DEFAULT_TENANT, service.alert()["id"], by=Actor("Dr Osei", None, "page"))

    service.alerts_due()
    assert tick(service) == 0
    service.everything_due()
    service.sends()

    alert = service.alert()
    assert len(mail.mails) == 1
    assert alert["due_at"] is None
    assert alert["acknowledged_by"] == "Dr Osei"
    assert service.task(alert["id"])["owner"] == {"display": "Dr Osei"}


@pytest.mark.requirement("REQ-09")
def test_no_step_begins_after_an_acknowledgement_however_the_two_race(service: Service, triage: Triage) -> None:
    for round_number in range(15):
        service.hears(triage.publish(an_assessment(patient=f"Patient/{round_number}")))
        service.alerts_due()
        (alert,) = service.rows("SELECT id FROM alert WHERE state = 'requested'")
        barrier = threading.Barrier(2)

        def fire(barrier: threading.Barrier = barrier) -> None:
            barrier.wait(timeout=20)
            tick(service)

        thread = threading.Thread(target=fire)
        thread.start()
        barrier.wait(timeout=20)
        acknowledge(service.notify.pool, DEFAULT_TENANT, alert["id"], by=Actor("Dr Osei", None, "page"))
        thread.join()

    late = service.rows(
        "SELECT * FROM alert_event AS told JOIN alert_event AS known ON known.alert_id = told.alert_id "
        "WHERE told.kind = 'repeated' AND known.kind = 'acknowledged' AND told.id > known.id"
    )
    assert late == []
    assert service.rows("SELECT * FROM alert WHERE due_at IS NOT NULL") == []


@pytest.mark.requirement("REQ-09")
def test_while_somebody_acknowledges_no_step_begins(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment()))
    service.alerts_due()
    alert = service.alert()

    with held(service.notify.pool, DEFAULT_TENANT, alert["id"]) as now:
        accept(now, Actor("Dr Osei", None, "page"))
        begun = repeat_one(service.notify.pool, service.notify.plan, DEFAULT_TENANT, alert["id"])

    assert begun is None
    assert (service.alert()["state"], service.alert()["step"]) == ("accepted", 1)
    assert "repeated" not in service.events()


def test_two_ticks_at_the_same_time_begin_each_step_once(service: Service, triage: Triage) -> None:
    for number in range(8):
        service.hears(triage.publish(an_assessment(patient=f"Patient/{number}")))
    service.alerts_due()

    threads = [threading.Thread(target=tick, args=(service,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {row["step"] for row in service.rows("SELECT step FROM alert")} == {2}
    assert service.events().count("repeated") == 8


def test_somebody_who_is_still_being_tried_gets_no_second_message(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    mail.refusal = "451 try later"
    service.hears(triage.publish(an_assessment()))
    service.sends()

    service.alerts_due()
    tick(service)
    mail.refusal = ""
    service.everything_due()
    service.sends()

    assert len(mail.mails) == 1
    counts = service.rows("SELECT channel, count(*)::int AS n FROM delivery GROUP BY channel ORDER BY channel")
    assert [(row["channel"], row["n"]) for row in counts] == [("email", 1), ("webhook", 2)]


def test_the_reconciler_finds_nothing_in_a_healthy_system(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment()))
    service.sends()

    assert set(reconcile(service.notify.pool, service.notify.plan).values()) == {0}


@pytest.mark.requirement("REQ-08")
def test_the_reconciler_makes_a_forgotten_alert_due(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment()))
    service.rows("UPDATE alert SET due_at = NULL")

    assert reconcile(service.notify.pool, service.notify.plan)["alert_without_due"] == 1

    assert tick(service) == 1
    assert service.rows("SELECT kind, number FROM repair") == [{"kind": "alert_without_due", "number": 1}]


@pytest.mark.requirement("REQ-08")
def test_the_reconciler_gives_a_delivery_its_job_back(service: Service, triage: Triage, mail: MailServer) -> None:
    service.hears(triage.publish(an_assessment()))
    service.rows("DELETE FROM job WHERE kind LIKE 'deliver.email%'")
    service.rows("UPDATE job SET state = 'done' WHERE kind LIKE 'deliver.webhook%'")

    assert reconcile(service.notify.pool, service.notify.plan)["delivery_without_job"] == 2
    service.sends()

    assert len(mail.mails) == 1


def test_an_alert_from_before_anybody_was_set_up_is_told_once_somebody_is(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    nobody = replace(service.notify.plan, recipients=())
    alone = Service(replace(service.notify, plan=nobody), service.rows)
    alone.hears(triage.publish(an_assessment()))
    assert set(reconcile(alone.notify.pool, Plan((), nobody.repeat_emergency, nobody.repeat_same_day)).values()) == {0}

    assert reconcile(service.notify.pool, service.notify.plan)["alert_without_delivery"] == 1
    tick(service)
    service.sends()

    assert len(mail.mails) == 1


@pytest.mark.requirement("REQ-10")
def test_an_alert_that_cannot_be_told_again_keeps_no_other_from_it(service: Service, triage: Triage) -> None:
    for number in range(3):
        service.hears(triage.publish(an_assessment(patient=f"Patient/{number}", response_id=f"qr-{number}")))
    broken, *others = service.rows("SELECT id FROM alert ORDER BY opened_at")
    service.rows("DELETE FROM resource WHERE type = 'Task' AND id = %s", str(broken["id"]))
    service.alerts_due()
    service.rows("UPDATE alert SET due_at = due_at - interval '1 minute' WHERE id = %s", broken["id"])

    assert tick(service) == 2

    steps = {row["id"]: row["step"] for row in service.rows("SELECT id, step FROM alert")}
    assert steps == {broken["id"]: 1} | {other["id"]: 2 for other in others}
    (left,) = service.rows("SELECT extract(epoch FROM due_at - now()) AS s FROM alert WHERE id = %s", broken["id"])
    assert 20 < left["s"] <= 30
    assert service.events().count("repeat_failed") == 1
