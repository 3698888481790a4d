"""An alert that nobody acknowledges is told again; one that somebody acknowledged is not."""

from __future__ import annotations

import threading
from dataclasses import replace
from uuid import uuid4

import pytest

from services.notify.acts.acknowledge import accept, acknowledge
from services.notify.acts.actor import Actor
from services.notify.acts.held import held
from services.notify.acts.snooze import snooze
from services.notify.escalate import repeat_due, repeat_one
from services.notify.escalation import Plan
from services.notify.hear import RAISE_ROUTINE
from services.notify.reconcile import reconcile
from shared import jobs
from shared.ids import DEFAULT_TENANT
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Triage, an_assessment


def tick(service: Service) -> int:
    return repeat_due(service.notify.pool, service.notify.plan)


def repaired(service: Service) -> dict[str, int]:
    """What the reconciler finds."""
    found = reconcile(service.notify.pool, service.notify.plan)
    return {kind: number for kind, number in found.items() if number}


def set_back(service: Service, *, minutes: int = 60) -> None:
    """Move the clock back: whatever was written down lies so far ahead."""
    times = {
        "alert": ("opened_at", "due_at", "snoozed_until"),
        "delivery": ("created_at", "held_until"),
        "job": ("created_at", "due_at", "lease_until"),
    }
    for table, columns in times.items():
        moved = ", ".join(f"{column} = {column} + interval '{minutes} minutes'" for column in columns)
        service.rows(f"UPDATE {table} SET {moved}")


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


@pytest.mark.requirement("REQ-08", "REQ-23")
@pytest.mark.parametrize(
    ("minutes", "steps"), [(1, {}), (60, {"alert_due_too_late": 1}), (540000, {"alert_due_too_late": 1})]
)
def test_after_the_clock_was_set_back_a_message_goes_out_as_soon_as_that_is_found(
    service: Service, triage: Triage, mail: MailServer, minutes: int, steps: dict[str, int]
) -> None:
    service.hears(triage.publish(an_assessment()))
    set_back(service, minutes=minutes)
    assert service.sends() == 0

    assert repaired(service) == {"job_due_too_late": 2} | steps
    service.sends()

    assert len(mail.mails) == 1
    assert repaired(service) == {}
    assert {"kind": "job_due_too_late", "number": 2} in service.rows("SELECT kind, number FROM repair")


@pytest.mark.requirement("REQ-08", "REQ-23")
def test_after_the_clock_was_set_back_an_assessment_that_waited_for_triage_raises_its_alert(
    service: Service, triage: Triage
) -> None:
    emergency, same_day = an_assessment(), an_assessment("same_day", patient="Patient/2")
    urgent, routine = triage.publish(emergency), triage.publish(same_day)
    triage.status = 503
    service.hears(urgent)
    service.hears(routine, kind=RAISE_ROUTINE)
    triage.status = 200
    set_back(service)
    service.hears(urgent)
    service.works()
    assert service.rows("SELECT id FROM alert") == []

    assert repaired(service) == {"job_due_too_late": 2}
    service.works()

    assert {row["urgency"] for row in service.rows("SELECT urgency FROM alert")} == {"emergency", "same_day"}


@pytest.mark.requirement("REQ-08", "REQ-23")
def test_after_the_clock_was_set_back_no_lease_lasts_longer_than_any_that_is_given(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(an_assessment()))
    (kind,) = [row["kind"] for row in service.rows("SELECT kind FROM job WHERE kind LIKE 'deliver.email%'")]
    with service.notify.pool.connection() as connection:
        [lost] = jobs.claim(connection, kind)
    set_back(service)
    service.rows("UPDATE job SET due_at = now() - interval '1 second' WHERE state = 'pending'")

    assert repaired(service) == {"lease_too_long": 1, "alert_due_too_late": 1}

    (row,) = service.rows("SELECT extract(epoch FROM lease_until - now()) AS s FROM job WHERE state = 'running'")
    assert 0 < row["s"] <= jobs.LEASE_S, "a sender that lives keeps it by its heartbeat"
    service.rows("UPDATE job SET lease_until = lease_until - interval '10 seconds' WHERE state = 'running'")
    service.sends()
    assert len(mail.mails) == 1
    with service.notify.pool.connection() as connection:
        assert not jobs.finish(connection, lost)


@pytest.mark.requirement("REQ-08", "REQ-23")
def test_after_the_clock_was_set_back_a_snooze_is_over(service: Service, triage: Triage, mail: MailServer) -> None:
    service.hears(triage.publish(an_assessment()))
    service.sends()
    alert = service.alert()["id"]
    snooze(service.notify.pool, DEFAULT_TENANT, alert, by=Actor("Dr Osei", None, "page"), minutes=10)
    assert repaired(service) == {}
    set_back(service)

    assert repaired(service) == {"snooze_too_long": 1}
    assert tick(service) == 1
    service.sends()

    assert len(mail.mails) == 2
    assert (service.alert()["state"], service.alert()["snoozed_until"]) == ("received", None)


@pytest.mark.requirement("REQ-23")
def test_what_waits_no_longer_than_it_may_is_left_alone(service: Service, triage: Triage) -> None:
    other = uuid4()
    service.hears(triage.publish(an_assessment()))
    service.hears(triage.publish(an_assessment("same_day", patient="Patient/2")), kind=RAISE_ROUTINE)
    for lane, pause in (("urgent", "5 minutes"), ("routine", "1 hour")):
        service.rows(
            f"UPDATE job SET due_at = now() + interval '{pause}', error = 'x' WHERE kind LIKE 'deliver.%.{lane}/%'"
        )
    for tenant in (other, DEFAULT_TENANT):
        service.rows("SELECT set_config('sural.tenant', %s, false)", str(tenant))
        service.rows(
            "INSERT INTO alert (id, tenant_id, subject_key, pathway, state, urgency, first_step, step, task_version, "
            "opened_at, due_at) VALUES (%s, %s, 'x', 'leg', 'on-hold', 'same_day', 1, 1, 1, now(), "
            "now() + interval '2 hours')",
            tenant,
            tenant,
        )
        service.rows(
            "INSERT INTO delivery (id, tenant_id, alert_id, step, channel, recipient, urgency, created_at, held_until) "
            "VALUES (%s, %s, %s, 1, 'email', 'held', 'same_day', now(), now() + interval '7 days')",
            tenant,
            tenant,
            tenant,
        )
        service.rows(
            "INSERT INTO job (tenant_id, kind, ref_id, ref_version, due_at) "
            "VALUES (%s, 'deliver.email.routine/held', %s, 1, now() + interval '7 days')",
            tenant,
            str(tenant),
        )
    assert repaired(service) == {}

    for never in ("NULL", "now() + interval '9 days'"):
        for tenant in (other, DEFAULT_TENANT):
            service.rows("SELECT set_config('sural.tenant', %s, false)", str(tenant))
            service.rows(f"UPDATE delivery SET held_until = {never} WHERE recipient = 'held'")
        service.rows("UPDATE job SET due_at = now() + interval '9 days' WHERE kind LIKE '%/held'")
        assert repaired(service) == {"job_due_too_late": 2}


@pytest.mark.requirement("REQ-23")
def test_a_job_of_a_message_that_is_none_keeps_no_other_from_being_put_right(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment()))
    service.rows(
        "INSERT INTO job (tenant_id, kind, ref_id, ref_version, due_at) "
        "VALUES (%s, 'deliver.email.urgent/x', 'nonsense', 1, now() + interval '1 day')",
        DEFAULT_TENANT,
    )
    set_back(service)

    assert repaired(service)["job_due_too_late"] == 3
