"""From a Subscription to notifications that are taken: a handshake, then events, in order, each numbered once."""

from __future__ import annotations

import json

import pytest

from services.notify.catch_up import catch_up
from services.notify.escalate import repeat_due
from services.notify.subscriptions.send import send_due
from shared.fhir.client import FhirClient, NeighbourUnavailable
from shared.fhir.codes import CANONICAL
from tests.notify.neighbours import Triage, an_assessment
from tests.notify.subscriptions.conftest import ALERTS, ASSESSMENTS, FHIR, Desk
from tests.notify.subscriptions.subscriber import Subscriber, a_subscriber


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


def test_every_version_of_an_alert_is_told_in_order_and_numbered_without_a_gap(
    desk: Desk, triage: Triage, subscriber: Subscriber
) -> None:
    identifier = desk.active(subscriber)
    desk.service.hears(triage.publish(an_assessment("same_day")))
    desk.service.sends()
    desk.service.hears(triage.publish(an_assessment("emergency")))
    alert = desk.service.alert()
    desk.service.alerts_due()
    repeat_due(desk.service.notify.pool, desk.service.notify.plan)
    task = desk.service.task(alert["id"]) | {"status": "accepted", "owner": {"display": "Dr Osei"}}
    headers = FHIR | {"If-Match": f'W/"{task["meta"]["versionId"]}"'}
    desk.http.put(f"/fhir/Task/{task['id']}", json=task, headers=headers).raise_for_status()
    desk.tells()

    versions = [
        row["version_id"] for row in desk.rows("SELECT version_id FROM resource WHERE type = 'Task' ORDER BY 1")
    ]
    assert subscriber.numbers == list(range(1, len(versions) + 1))
    etags = [entry["response"]["etag"] for told in subscriber.told for entry in told.entries]
    assert etags == [f'W/"{version}"' for version in versions]
    assert desk.row(identifier)["sent"] == len(versions)


def test_a_subscriber_may_say_how_many_events_it_takes_at_once(
    desk: Desk, triage: Triage, subscriber: Subscriber
) -> None:
    desk.active(subscriber, max_count=2)
    for patient in range(5):
        desk.service.hears(triage.publish(an_assessment(patient=f"Patient/{patient}")))
    desk.tells()

    assert [told.numbers for told in subscriber.told] == [[1, 2], [3, 4], [5]]
    assert [told.value("events-since-subscription-start") for told in subscriber.told] == ["5", "5", "5"]


@pytest.mark.parametrize(
    ("criterion", "number"),
    [
        ("Task?patient=Patient/1", 1),
        ("Task?patient=1,2", 2),
        ("Task?priority=stat", 2),
        ("Task?priority=stat&patient=1", 1),
        ("Task?status=completed", 0),
        ("Task?status=requested,received", 3),
    ],
)
def test_a_subscriber_hears_of_what_it_asked_for_alone(
    desk: Desk, triage: Triage, subscriber: Subscriber, criterion: str, number: int
) -> None:
    desk.active(subscriber, filters=(criterion,))
    for patient, urgency in ((1, "emergency"), (2, "same_day"), (3, "emergency")):
        desk.service.hears(triage.publish(an_assessment(urgency, patient=f"Patient/{patient}")))
    desk.tells()

    assert subscriber.numbers == list(range(1, number + 1))


def test_of_several_filters_all_must_hold(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    desk.active(subscriber, filters=("Task?patient=1", "Task?priority=stat"))
    for patient, urgency in ((1, "same_day"), (2, "emergency"), (1, "emergency")):
        desk.service.hears(triage.publish(an_assessment(urgency, patient=f"Patient/{patient}")))
    desk.tells()

    [told] = subscriber.told
    assert [entry["response"]["etag"] for entry in told.entries] == ['W/"2"']


def test_every_assessment_is_told_whatever_its_urgency(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    desk.active(subscriber, topic=ASSESSMENTS)
    first, second = an_assessment("self_care"), an_assessment("emergency")
    for assessment in (first, second):
        triage.publish(assessment)
        for _ in range(2):
            catch_up(desk.service.notify.pool, triage_client(desk))
        desk.tells()
    triage.publish({**first, "meta": {**second["meta"], "versionId": "2"}, "status": "amended"})
    catch_up(desk.service.notify.pool, triage_client(desk))
    desk.tells()

    focus = [event["focus"]["reference"].rpartition("/")[2] for told in subscriber.told for event in told.events]
    assert focus == [first["id"], second["id"], first["id"]]
    assert subscriber.numbers == [1, 2, 3]
    assert subscriber.told[-1].entries[0]["response"]["etag"] == 'W/"2"'


def triage_client(desk: Desk) -> FhirClient:
    return desk.service.notify.triage


@pytest.mark.parametrize(("criterion", "number"), [("_tag=emergency", 1), ("patient=7391", 2), ("patient=8", 0)])
def test_assessments_are_filtered_by_urgency_and_patient(
    desk: Desk, triage: Triage, subscriber: Subscriber, criterion: str, number: int
) -> None:
    desk.active(subscriber, topic=ASSESSMENTS, filters=(f"RiskAssessment?{criterion}",))
    for urgency in ("routine", "emergency"):
        triage.publish(an_assessment(urgency))
    catch_up(desk.service.notify.pool, triage_client(desk))
    desk.tells()

    assert len(subscriber.numbers) == number


def test_while_triage_is_away_filtered_assessments_wait_and_alerts_are_told(
    desk: Desk, triage: Triage, subscriber: Subscriber
) -> None:
    desk.active(subscriber, topic=ASSESSMENTS, filters=("RiskAssessment?patient=7391",))
    desk.active(subscriber)
    desk.service.hears(triage.publish(an_assessment()))
    catch_up(desk.service.notify.pool, triage_client(desk))
    triage.status = 503
    with pytest.raises(NeighbourUnavailable):
        desk.tells()
    send_due(desk.service.notify.sender, failing=False)
    assert [told.value("topic") for told in subscriber.told] == [ALERTS]

    triage.status = 200
    desk.tells()
    assert [told.value("topic") for told in subscriber.told] == [ALERTS, ASSESSMENTS]


def test_an_assessment_that_cannot_be_read_is_told_rather_than_held_back(
    desk: Desk, triage: Triage, subscriber: Subscriber
) -> None:
    desk.active(subscriber, topic=ASSESSMENTS, filters=("RiskAssessment?patient=8",))
    assessment = an_assessment()
    triage.publish(assessment)
    catch_up(desk.service.notify.pool, triage_client(desk))
    triage.faulty.add(assessment["id"])
    desk.tells()

    assert subscriber.numbers == [1]


def test_with_empty_content_nothing_says_what_it_is_about(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    desk.active(subscriber, content="empty")
    assessment = an_assessment()
    desk.service.hears(triage.publish(assessment))
    desk.tells()

    [told] = subscriber.told
    assert told.numbers == [1]
    assert "focus" not in told.events[0]
    assert told.entries == []
    text = json.dumps(told.bundle)
    for word in ("Task", str(desk.service.alert()["id"]), "SubscriptionTopic"):
        assert word not in text


def test_no_health_data_leaves_but_ids(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    desk.active(subscriber)
    desk.active(subscriber, topic=ASSESSMENTS, filters=("RiskAssessment?patient=7391",))
    desk.service.hears(triage.publish(an_assessment()))
    catch_up(desk.service.notify.pool, triage_client(desk))
    desk.tells()

    assert len(subscriber.told) == 2
    text = json.dumps([each.bundle for each in subscriber.received])
    for canary in ("Wrenfield", "7391", "canary", "qr-5521", "emergency"):
        assert canary not in text


def test_events_from_before_the_subscription_are_not_told(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    with a_subscriber() as earlier:
        for topic in (ALERTS, ASSESSMENTS):
            desk.active(earlier, topic=topic)
        desk.service.hears(triage.publish(an_assessment()))
        catch_up(desk.service.notify.pool, triage_client(desk))
        for topic in (ALERTS, ASSESSMENTS):
            desk.subscribe(subscriber.url, topic=topic)
        catch_up(desk.service.notify.pool, triage_client(desk))
        desk.tells()

        assert earlier.numbers == [1, 1]
    assert (len(subscriber.handshakes), subscriber.told) == (2, [])


def test_what_happens_before_the_handshake_is_told_after_it(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    desk.subscribe(subscriber.url)
    desk.service.hears(triage.publish(an_assessment()))
    desk.tells()

    assert [each.kind for each in subscriber.received] == ["handshake", "event-notification"]
    assert subscriber.numbers == [1]


def test_a_test_alert_of_the_watchdog_is_nobodys_news(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    desk.active(subscriber)
    desk.service.hears(triage.publish(an_assessment()))
    desk.rows("UPDATE alert SET synthetic = true")
    desk.tells()

    assert subscriber.told == []


def test_who_is_told_nothing_for_a_while_hears_that_we_are_alive(
    desk: Desk, triage: Triage, subscriber: Subscriber
) -> None:
    identifier = desk.active(subscriber, heartbeat=60)
    desk.later(identifier, "59 seconds")
    desk.tells()
    assert subscriber.of("heartbeat") == []

    desk.later(identifier, "1 second")
    desk.tells()
    desk.tells()

    [heartbeat] = subscriber.of("heartbeat")
    assert heartbeat.value("events-since-subscription-start") == "0"
    assert heartbeat.events == []


def test_headers_that_the_subscriber_named_are_sent(desk: Desk, subscriber: Subscriber) -> None:
    header = ["Authorization: Bearer canary-secret", "X-Clinic:north"]
    desk.active(subscriber, channel={"header": header})

    [handshake] = subscriber.handshakes
    assert handshake.headers["authorization"] == "Bearer canary-secret"
    assert handshake.headers["x-clinic"] == "north"


def test_a_subscription_ends_when_it_said(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    identifier = desk.active(subscriber, end="2030-01-01T00:00:00Z")
    desk.rows("UPDATE subscription SET ends_at = now() - interval '1 second', due_at = now()")
    desk.tells()
    desk.service.hears(triage.publish(an_assessment()))
    desk.tells()

    assert desk.read(identifier)["status"] == "off"
    assert subscriber.told == []
