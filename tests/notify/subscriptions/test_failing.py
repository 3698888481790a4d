"""Endpoints that fail, hang and come back: nothing is lost, nobody else waits, and the subscriber is told why."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from deploy.local.folder import free_port
from services.notify.settings import NotifySettings
from services.notify.subscriptions import send
from services.notify.subscriptions.distribute import distribute
from services.notify.subscriptions.send import send_due
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Triage, an_assessment
from tests.notify.subscriptions.conftest import FHIR, Desk, a_subscription
from tests.notify.subscriptions.subscriber import Notification, Subscriber, a_subscriber
from tests.waiting import eventually

Opened = Callable[[NotifySettings], AbstractContextManager[Service]]


def events_of(desk: Desk, identifier: str, **query: Any) -> Notification:
    """What $events gives."""
    answer = desk.http.get(f"/fhir/Subscription/{identifier}/$events", params=query).raise_for_status()
    return Notification(answer.json(), {})


def status_of(desk: Desk, identifier: str) -> Notification:
    """What $status gives, of one."""
    answer = desk.http.get(f"/fhir/Subscription/{identifier}/$status").raise_for_status().json()
    assert (answer["type"], len(answer["entry"])) == ("searchset", 1)
    return Notification(answer, {})


@pytest.mark.parametrize("status", [500, 404, 302])
def test_a_refused_handshake_is_an_error_that_says_why(desk: Desk, subscriber: Subscriber, status: int) -> None:
    subscriber.status = status
    identifier = desk.subscribe(subscriber.url)
    desk.tells()

    subscription = desk.read(identifier)
    assert subscription["status"] == "error"
    assert f"answered the handshake with HTTP {status}" in subscription["error"]
    assert len(subscriber.received) == 1


def test_a_handshake_that_nobody_answers_is_an_error_that_says_why(desk: Desk, subscriber: Subscriber) -> None:
    subscriber.hangs = True
    identifier = desk.subscribe(subscriber.url, timeout=1)
    desk.tells()

    assert "did not answer the handshake in time" in desk.read(identifier)["error"]


def test_an_endpoint_where_nobody_listens_is_an_error_that_says_why(desk: Desk) -> None:
    identifier = desk.subscribe(f"http://127.0.0.1:{free_port()}/fhir-events")
    desk.tells()

    assert "could not be reached with the handshake" in desk.read(identifier)["error"]


def test_what_is_not_taken_is_sent_again_with_the_same_number_and_in_order(
    desk: Desk, triage: Triage, subscriber: Subscriber
) -> None:
    identifier = desk.active(subscriber, max_count=1)
    subscriber.status = 503
    desk.service.hears(triage.publish(an_assessment()))
    desk.tells()
    assert (desk.read(identifier)["status"], subscriber.numbers) == ("active", [1])
    desk.service.hears(triage.publish(an_assessment(patient="Patient/8")))
    desk.tells()
    assert subscriber.numbers == [1], "it waits before it tries again"

    subscriber.status = 200
    desk.later(identifier, "5 seconds")
    desk.tells()
    desk.tells()

    assert subscriber.numbers == [1, 1, 2]
    assert subscriber.told[0].events == subscriber.told[1].events
    assert status_of(desk, identifier).value("error") is None


def test_pauses_grow_to_half_an_hour(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    identifier = desk.active(subscriber)
    subscriber.status = 500
    desk.service.hears(triage.publish(an_assessment()))
    pauses = []
    for _ in range(8):
        desk.tells()
        [row] = desk.rows("SELECT extract(epoch FROM due_at - failing_since) AS s FROM subscription")
        pauses.append(row["s"])
        desk.later(identifier, f"{pauses[-1]} seconds")
        desk.rows("UPDATE subscription SET failing_since = NULL")  # the next failure notes its own time

    assert pauses == [5, 15, 60, 300, 900, 1800, 1800, 1800]


def test_while_it_fails_the_status_says_so(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    identifier = desk.active(subscriber)
    subscriber.status = 500
    desk.service.hears(triage.publish(an_assessment()))
    desk.tells()

    status = status_of(desk, identifier)
    assert (status.kind, status.value("status"), status.value("events-since-subscription-start")) == (
        "query-status",
        "active",
        "1",
    )
    assert "http-500" in status.value("error")["text"]


def test_after_72_hours_it_is_in_error_and_loses_nothing(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    identifier = desk.active(subscriber)
    subscriber.status = 500
    desk.service.hears(triage.publish(an_assessment(patient="Patient/1")))
    desk.tells()
    desk.later(identifier, "71 hours")
    desk.tells()
    assert desk.read(identifier)["status"] == "active"
    desk.later(identifier, "1 hour")
    desk.tells()

    subscription = desk.read(identifier)
    assert subscription["status"] == "error"
    assert "HTTP 500" in subscription["error"]
    attempts = len(subscriber.told)
    desk.service.hears(triage.publish(an_assessment(patient="Patient/2")))
    desk.later(identifier, "2 hours")
    desk.tells()
    assert len(subscriber.told) == attempts, "nothing is sent until it is asked for"
    status = status_of(desk, identifier)
    assert (status.value("status"), status.value("events-since-subscription-start")) == ("error", "2")

    # the subscriber comes back: it reads what it missed, and asks to be told again
    missed = events_of(desk, identifier, eventsSinceNumber=1)
    assert (missed.kind, missed.numbers) == ("query-event", [1, 2])
    subscriber.status, subscriber.received[:] = 200, []
    assert desk.put(subscription | {"status": "requested"}).status_code == 200
    desk.tells()
    assert [each.kind for each in subscriber.received] == ["handshake", "event-notification"]
    assert subscriber.numbers == [1, 2]
    assert [each["focus"] for each in missed.events] == [each["focus"] for each in subscriber.told[0].events]
    assert "error" not in desk.read(identifier)


def test_an_endpoint_that_says_it_is_gone_is_asked_no_more(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    identifier = desk.active(subscriber)
    subscriber.status = 410
    desk.service.hears(triage.publish(an_assessment()))
    desk.tells()

    assert desk.read(identifier)["status"] == "error"
    assert events_of(desk, identifier).numbers == [1]


def test_an_error_that_nobody_looks_after_for_thirty_days_is_off(desk: Desk, subscriber: Subscriber) -> None:
    subscriber.status = 500
    identifier = desk.subscribe(subscriber.url)
    desk.tells()
    desk.later(identifier, "29 days")
    desk.tells()
    assert desk.read(identifier)["status"] == "error"
    desk.later(identifier, "1 day")
    desk.tells()

    assert desk.read(identifier)["status"] == "off"


def test_one_that_hangs_keeps_no_other_waiting(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    with a_subscriber() as dead:
        desk.active(dead)
        identifier = desk.active(subscriber)
        dead.hangs = True
        desk.service.hears(triage.publish(an_assessment()))
        desk.distributes()
        threads = [
            threading.Thread(target=send_due, args=(desk.service.notify.sender,), kwargs={"failing": False})
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        eventually(lambda: subscriber.numbers == [1] and dead.numbers == [1])
        assert any(thread.is_alive() for thread in threads), "the other one is still waiting"
        dead.released.set()
        for thread in threads:
            thread.join()

        # from now on the dead one is not among those that the first senders look at
        desk.rows("UPDATE subscription SET attempts = 1, due_at = now() WHERE id <> %s", identifier)
        desk.service.hears(triage.publish(an_assessment(patient="Patient/8")))
        desk.distributes()
        assert send_due(desk.service.notify.sender, failing=False) == 1
    assert subscriber.numbers == [1, 2]


def test_a_dead_subscriber_delays_no_alert(
    desk: Desk, triage: Triage, subscriber: Subscriber, mail: MailServer
) -> None:
    desk.active(subscriber)
    subscriber.hangs = True
    desk.service.hears(triage.publish(an_assessment()))
    thread = threading.Thread(target=desk.tells)
    thread.start()
    eventually(lambda: subscriber.told)

    desk.service.sends()

    assert len(mail.mails) == 1
    assert thread.is_alive()
    subscriber.released.set()
    thread.join()


def test_a_sender_that_dies_between_sending_and_recording_sends_the_same_again(
    desk: Desk, triage: Triage, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    identifier = desk.active(subscriber)
    desk.service.hears(triage.publish(an_assessment()))
    with monkeypatch.context() as crash:
        crash.setattr(send, "_record_taken", lambda *_: None)
        desk.tells()
    assert subscriber.numbers == [1]
    desk.tells()
    assert subscriber.numbers == [1], "the lease of whoever died still holds"

    desk.later(identifier, "61 seconds")
    desk.tells()

    assert subscriber.numbers == [1, 1]
    assert desk.row(identifier)["sent"] == 1


def test_whoever_lost_the_lease_records_nothing(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    identifier = desk.active(subscriber)
    desk.service.hears(triage.publish(an_assessment()))
    desk.distributes()
    subscriber.hangs = True
    thread = threading.Thread(target=send_due, args=(desk.service.notify.sender,), kwargs={"failing": False})
    thread.start()
    eventually(lambda: subscriber.told)
    with a_subscriber() as moved:
        changed = a_subscription(moved.url) | {"id": identifier, "meta": {"versionId": "2"}}
        assert desk.put(changed).status_code == 200
        subscriber.released.set()
        thread.join()
        desk.tells()

        assert [each.kind for each in moved.received] == ["handshake", "event-notification"]
        assert moved.numbers == [1]
    assert desk.read(identifier)["status"] == "active"


def test_what_was_committed_is_told_by_whoever_starts_next(
    desk: Desk, triage: Triage, subscriber: Subscriber, settings: NotifySettings, open_service: Opened
) -> None:
    desk.active(subscriber)
    desk.service.hears(triage.publish(an_assessment()))

    with open_service(settings) as restarted:
        distribute(restarted.notify.pool, restarted.notify.triage)
    with open_service(settings) as again:
        send_due(again.notify.sender, failing=False)

    assert subscriber.numbers == [1]


def test_events_of_another_tenant_are_not_told(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    desk.active(subscriber)
    ref = triage.publish(an_assessment())
    desk.service.hears(replace(ref, tenant=uuid4()))
    with desk.service.notify.pool.connection() as connection:
        assert len(connection.execute("SELECT FROM open_alerts()").fetchall()) == 1
    desk.tells()
    assert subscriber.told == []

    desk.service.hears(triage.publish(an_assessment()))
    desk.tells()
    assert subscriber.numbers == [1]


def test_an_event_and_its_task_are_written_together_or_not_at_all(
    desk: Desk, triage: Triage, subscriber: Subscriber
) -> None:
    desk.active(subscriber)
    assessment = an_assessment()
    with desk.service.notify.pool.connection() as connection, connection.transaction() as transaction:
        connection.execute("SELECT set_config('sural.tenant', %s, true)", (desk.rows(TENANT)[0]["tenant_id"],))
        connection.execute(
            "INSERT INTO resource (tenant_id, type, id, version_id, last_updated, body, sha256) "
            "SELECT tenant_id, 'Task', 'never', 1, now(), '', '' FROM subscription"
        )
        raise_back(transaction)
    assert desk.rows("SELECT * FROM topic_event") == []
    desk.service.hears(triage.publish(assessment))

    assert len(desk.rows("SELECT * FROM topic_event")) == len(
        desk.rows("SELECT version_id FROM resource WHERE type = 'Task'")
    )


TENANT = "SELECT tenant_id::text FROM subscription"


def raise_back(transaction: Any) -> None:
    """Undo what was done in this transaction."""
    transaction.force_rollback = True


def test_events_are_replayed_by_number(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    identifier = desk.active(subscriber)
    for patient in range(4):
        desk.service.hears(triage.publish(an_assessment(patient=f"Patient/{patient}")))
    desk.tells()

    assert events_of(desk, identifier).numbers == [1, 2, 3, 4]
    assert events_of(desk, identifier, eventsSinceNumber=2, eventsUntilNumber=3).numbers == [2, 3]
    assert events_of(desk, identifier, eventsSinceNumber=5).numbers == []
    assert events_of(desk, identifier, content="empty").entries == []
    full = events_of(desk, identifier, eventsSinceNumber=4, content="full-resource")
    assert full.entries[0]["resource"]["resourceType"] == "Task"
    sent = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "eventsSinceNumber", "valueString": "3"},
            {"name": "eventsUntilNumber", "valueString": "3"},
        ],
    }
    posted = desk.http.post(f"/fhir/Subscription/{identifier}/$events", json=sent, headers=FHIR).raise_for_status()
    assert Notification(posted.json(), {}).numbers == [3]
    for bad in ({"eventsSinceNumber": "x"}, {"content": "everything"}):
        assert desk.http.get(f"/fhir/Subscription/{identifier}/$events", params=bad).status_code == 400
