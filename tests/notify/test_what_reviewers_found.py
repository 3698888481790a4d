"""Alerts and notices that did not reach people until somebody read the code as an adversary would."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

import pytest

from deploy.local.folder import CHECKOUT
from services.notify import escalate, store
from services.notify.acts.actor import Actor
from services.notify.acts.hand_over import hand_over
from services.notify.escalate import repeat_due
from services.notify.hear import RAISE_ROUTINE
from services.notify.lanes import Lanes
from services.notify.on_call import route
from services.notify.settings import NotifySettings
from shared.ids import DEFAULT_TENANT
from tests.notify.conftest import ON_CALL, Service
from tests.notify.neighbours import MailServer, Receiver, Triage, an_assessment
from tests.notify.on_call.clinic import STANDARD, Clinic
from tests.notify.on_call.conftest import clinic as clinic
from tests.notify.test_withdrawal import in_error, subjects, types, version
from tests.waiting import eventually

MIGRATION = CHECKOUT / "services/notify/migrations/0017_names_of_sent_webhooks.sql"


def test_a_withdrawal_is_told_once_to_an_address_that_was_told_as_two_people(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    """The first step told a person, a later one the same address of the settings."""
    service.hears(triage.publish(version(1)))
    service.sends()
    service.rows("UPDATE delivery SET person = 'anna' WHERE channel = 'email'")
    service.alerts_due()
    repeat_due(service.notify.pool, service.notify.plan)
    service.sends()
    assert len(service.rows("SELECT DISTINCT person FROM delivery WHERE channel = 'email'")) == 2

    service.hears(triage.publish(in_error(2)))
    for _ in range(6):
        service.everything_due()
        service.works()
    service.sends()

    assert [row["state"] for row in service.rows("SELECT state FROM alert")] == ["cancelled"]
    assert subjects(mail).count("Sural: an assessment was withdrawn") == 1


def test_whoever_works_is_told_where_the_one_who_was_not_spared_cannot_be_reached(
    settings: NotifySettings,
    open_service: Callable[[NotifySettings], AbstractContextManager[Service]],
    triage: Triage,
    mail: MailServer,
) -> None:
    """Refused messages do not count for the budget: the dead address is never over it, the living one is."""
    wanted = settings.model_copy(
        update={"messages_per_hour": 2, "webhook_url": None, "alert_recipients": f"gone@clinic.example, {ON_CALL}"}
    )
    mail.refusals["gone@clinic.example"] = "550 no such user"
    with open_service(wanted) as service:
        for number in range(3):
            service.hears(triage.publish(an_assessment("same_day", patient=f"Patient/{number}")), kind=RAISE_ROUTINE)
            service.sends()
        for _ in range(5):
            service.alerts_due()
            repeat_due(service.notify.pool, service.notify.plan)
            service.sends()
        assert service.rows("SELECT subject_key, state FROM alert WHERE state <> 'received'") == []


def test_a_lane_goes_on_after_a_thread_could_not_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    looked, refused = threading.Event(), threading.Event()

    def find() -> dict[str, list[str]]:
        looked.set()
        return {"lane": ["lane/a"]} if may_find.is_set() and not sent else {}

    may_find = threading.Event()
    lanes = Lanes(["lane"], find=find, work=lambda kind, _: not sent.append(kind))
    lanes.wake()
    assert looked.wait(30)
    start = threading.Thread.start

    def full(thread: threading.Thread) -> None:
        refused.set()
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    may_find.set()
    lanes.wake()
    assert refused.wait(30)
    monkeypatch.setattr(threading.Thread, "start", start)

    lanes.wake()
    eventually(lambda: sent == ["lane/a"])
    lanes.close(5)


def test_a_team_that_is_handed_a_same_day_alert_is_told_though_it_takes_emergencies_only(clinic: Clinic) -> None:
    clinic.agrees_on(
        STANDARD
        + """
[people.surgeon]
name = "Surgeon"
contacts = [{ channel = "email", address = "surgeon@clinic.example" }]

[teams.surgery]
name = "Surgery"
members = ["surgeon"]
policy = "surgery"
threshold = "emergency"

[policies.surgery]
name = "Surgeon"
repeat = 0
emergency = [{ after_minutes = 0, tell = ["person:surgeon"] }]
"""
    )
    clinic.sees("same_day")
    by = Actor("Dr First", "first", "page")
    service = clinic.service
    hand_over(service.notify.pool, service.notify.plan, DEFAULT_TENANT, service.alert()["id"], by=by, to="surgery")
    service.sends()

    assert "surgeon" in clinic.told()


def test_a_message_that_waited_for_quiet_hours_is_tried_more_than_once(clinic: Clinic, mail: MailServer) -> None:
    """A week-end is longer than the day for which a same-day message is tried."""
    clinic.agrees_on(STANDARD)
    clinic.sees("same_day")
    clinic.service.rows(
        "UPDATE delivery SET state = 'pending', attempts = 0, created_at = now() - interval '57 hours', "
        "held_until = now() - interval '1 second'"
    )
    clinic.service.rows(
        "UPDATE job SET state = 'pending', attempts = 0 WHERE kind LIKE 'deliver%%' AND state = %s", "done"
    )
    mail.refusals["first@clinic.example"] = "450 try later"
    clinic.service.sends()

    assert {row["state"] for row in clinic.service.rows("SELECT state FROM delivery")} == {"pending"}


def test_a_withdrawal_reaches_a_webhook_that_was_told_before_receivers_had_names(
    service: Service, triage: Triage, receiver: Receiver
) -> None:
    """What was sent before an upgrade has an address in place of the name; a migration gives it the name."""
    service.hears(triage.publish(version(1)))
    service.sends()
    service.rows("UPDATE delivery SET recipient = 'https://pager.clinic.example' WHERE channel = 'webhook'")
    _, _, change = MIGRATION.read_text(encoding="utf-8").partition("'on';")
    service.rows(change)

    service.hears(triage.publish(in_error(2)))
    service.sends()

    assert types(receiver) == ["alert.due", "alert.withdrawn"]


def test_one_alert_whose_step_waits_for_a_lock_keeps_no_other_from_being_told(
    service: Service, triage: Triage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        service.hears(triage.publish(an_assessment("emergency", patient=f"Patient/{number}")))
    service.sends()
    service.alerts_due()
    first = service.rows("SELECT id FROM alert ORDER BY due_at LIMIT 1")[0]["id"]
    begin = escalate.begin_step

    def slow(connection: Any, alert: Any, *rest: Any, **more: Any) -> None:
        if alert.id == first:
            connection.execute("SET LOCAL statement_timeout = 50")
            connection.execute("SELECT pg_sleep(5)")
        begin(connection, alert, *rest, **more)

    monkeypatch.setattr(escalate, "begin_step", slow)
    with suppress(Exception):
        repeat_due(service.notify.pool, service.notify.plan)

    assert [row["step"] for row in service.rows("SELECT step FROM alert WHERE id <> %s", first)] == [2]


def test_after_an_outage_emergencies_do_not_wait_behind_the_others(service: Service, triage: Triage) -> None:
    for number, urgency in enumerate(["same_day", "emergency"]):
        service.hears(triage.publish(an_assessment(urgency, patient=f"Patient/{number}")))
    service.rows("UPDATE alert SET due_at = now() - interval '2 hours' WHERE urgency = 'same_day'")
    service.rows("UPDATE alert SET due_at = now() - interval '1 minute' WHERE urgency = 'emergency'")

    with service.notify.pool.connection() as connection:
        due = [alert_id for _, alert_id in store.due_alerts(connection)]

    assert [row["urgency"] for row in service.rows("SELECT urgency FROM alert WHERE id = %s", due[0])] == ["emergency"]


def test_a_fault_in_who_is_on_call_still_tells_the_addresses_of_the_settings(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic.agrees_on(STANDARD)

    def broken(*_: object) -> None:
        raise OverflowError("date value out of range")

    monkeypatch.setattr(route, "turn_at", broken)
    clinic.sees()
    for _ in range(8):
        clinic.service.everything_due()
        clinic.service.works()
        clinic.service.sends()

    assert clinic.told() == ["on-call"]
