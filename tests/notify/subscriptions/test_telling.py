"""From a Subscription to notifications that are taken: a handshake, then events, in order, each numbered once."""

from __future__ import annotations

from shared.fhir.codes import CANONICAL
from tests.notify.neighbours import Triage, an_assessment
from tests.notify.subscriptions.conftest import Desk
from tests.notify.subscriptions.subscriber import Subscriber


def test_a_subscriber_hears_of_an_alert(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    identifier = desk.subscribe(subscriber.url)
    assert desk.read(identifier)["status"] == "requested"
    desk.tells()
    assert desk.read(identifier)["status"] == "active"
    [handshake] = subscriber.received
    assert (handshake.kind, handshake.value("status")) == ("handshake", "requested")
    assert handshake.value("subscription") == {"reference": f"http://127.0.0.1:8123/fhir/Subscription/{identifier}"}

    desk.service.hears(triage.publish(an_assessment()))
    desk.tells()

    [told] = subscriber.told
    task = desk.service.alert()["id"]
    [event] = told.events
    assert event["event-number"] == "1"
    assert event["focus"] == {"reference": f"http://127.0.0.1:8123/fhir/Task/{task}"}
    assert told.value("topic") == f"{CANONICAL}/SubscriptionTopic/alert"
    assert (told.value("status"), told.value("events-since-subscription-start")) == ("active", "1")
    [entry] = told.entries
    assert entry["fullUrl"] == event["focus"]["reference"]
    assert (entry["request"], entry["response"]["etag"]) == ({"method": "POST", "url": "Task"}, 'W/"1"')
    assert "resource" not in entry
    assert told.headers["content-type"] == "application/fhir+json"
