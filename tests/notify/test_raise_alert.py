"""One alert per patient and pathway, whatever arrives, however often and in which order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.catch_up import catch_up
from services.notify.hear import RAISE_ROUTINE, RAISE_URGENT, raise_alerts
from shared import jobs
from shared.events import Ref
from shared.fhir.codes import SID_ALERT, SID_ASSESSMENT, SID_RESPONSE
from shared.ids import DEFAULT_TENANT, uuid7
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Triage, an_assessment


def test_an_emergency_opens_an_alert_with_a_task_that_its_sender_can_find(service: Service, triage: Triage) -> None:
    assessment = an_assessment("emergency", response_id="qr-8842")

    service.hears(triage.publish(assessment))

    alert = service.alert()
    task = service.task(alert["id"])
    assert task["status"] == "requested"
    assert task["priority"] == "stat"
    assert task["focus"] == {"reference": f"RiskAssessment/{assessment['id']}"}
    assert task["for"] == assessment["subject"]
    assert {"system": SID_RESPONSE, "value": "qr-8842"} in task["identifier"]
    assert {"system": SID_ASSESSMENT, "value": assessment["id"]} in task["identifier"]
    assert {"system": SID_ALERT, "value": str(alert["id"])} in task["identifier"]
    assert len(service.rows("SELECT * FROM delivery WHERE state = 'pending'")) == 2
    (order,) = service.resources("CommunicationRequest")
    assert order["status"] == "active"
    assert len(order["recipient"]) == 2


@pytest.mark.requirement("REQ-13")
@pytest.mark.parametrize("urgency", ["within_2_weeks", "routine", "self_care"])
def test_what_is_less_urgent_than_same_day_alerts_nobody(service: Service, triage: Triage, urgency: str) -> None:
    service.hears(triage.publish(an_assessment(urgency)))

    assert service.rows("SELECT * FROM alert") == []


@pytest.mark.requirement("SR-10")
@pytest.mark.parametrize("urgency", ["emergency", "same_day"])
def test_the_emergency_questions_alone_alert_because_the_rest_may_never_come(
    service: Service, triage: Triage, urgency: str
) -> None:
    service.hears(triage.publish(an_assessment(urgency, status="preliminary")))

    assert service.alert()["urgency"] == urgency


def test_the_finished_form_joins_the_alert_of_its_emergency_questions(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment("same_day", status="preliminary")))
    service.hears(triage.publish(an_assessment("same_day")))

    service.alert()
    assert service.events() == ["opened", "joined"]


@pytest.mark.requirement("REQ-13")
def test_two_copies_of_one_message_raise_one_alert(service: Service, triage: Triage) -> None:
    ref = triage.publish(an_assessment())

    service.hears(ref)
    service.hears(ref)
    service.hears(ref, kind=RAISE_ROUTINE)

    service.alert()
    assert service.events() == ["opened"]
    assert len(service.rows("SELECT * FROM delivery")) == 2


@pytest.mark.requirement("REQ-13")
def test_twenty_assessments_of_one_patient_at_the_same_time_raise_one_alert(service: Service, triage: Triage) -> None:
    refs = [triage.publish(an_assessment()) for _ in range(20)]
    with service.notify.pool.connection() as connection:
        jobs.add(connection, RAISE_URGENT, refs)
        claims = jobs.claim(connection, RAISE_URGENT)
    barrier = threading.Barrier(10)

    def work(mine: list[jobs.Claim]) -> None:
        barrier.wait(timeout=20)
        raise_alerts(service.notify, mine)

    threads = [threading.Thread(target=work, args=(claims[start::10],)) for start in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    service.everything_due()
    service.works()

    service.alert()
    assert sorted(service.events()) == ["joined"] * 19 + ["opened"]
    assert len(service.rows("SELECT * FROM delivery")) == 2
    assert service.rows("SELECT count(*) AS n FROM alert_assessment") == [{"n": 20}]


def test_another_pathway_of_the_same_patient_is_another_alert(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment()), triage.publish(an_assessment(pathway="chest-pain")))

    assert len(service.rows("SELECT * FROM alert")) == 2


@pytest.mark.requirement("REQ-13", "SR-18")
def test_a_milder_assessment_joins_and_tells_nobody_again(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment("emergency")))
    second = an_assessment("same_day")
    service.hears(triage.publish(second), kind=RAISE_ROUTINE)

    alert = service.alert()
    task = service.task(alert["id"])
    assert alert["urgency"] == "emergency"
    assert alert["step"] == 1
    assert task["meta"]["versionId"] == "2"
    assert second["id"] in task["note"][0]["text"]
    assert {"system": SID_ASSESSMENT, "value": second["id"]} in task["identifier"]


@pytest.mark.requirement("REQ-13")
def test_a_worse_assessment_alerts_again_at_once_with_higher_priority(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment("same_day")), kind=RAISE_ROUTINE)
    worse = an_assessment("emergency")
    service.hears(triage.publish(worse))

    alert = service.alert()
    task = service.task(alert["id"])
    assert (alert["urgency"], alert["step"], alert["first_step"]) == ("emergency", 2, 2)
    assert task["priority"] == "stat"
    assert task["focus"] == {"reference": f"RiskAssessment/{worse['id']}"}
    assert len(service.rows("SELECT * FROM delivery WHERE step = 2 AND urgency = 'emergency'")) == 2
    (left,) = service.rows("SELECT extract(epoch FROM due_at - now())::int AS s FROM alert")
    assert 0 < left["s"] <= 300
    assert "replaces" in service.resources("CommunicationRequest")[-1]


def test_what_a_worse_assessment_overtook_is_withdrawn_not_sent(service: Service, triage: Triage) -> None:
    mild = triage.publish(an_assessment("same_day"))
    service.hears(mild, kind=RAISE_ROUTINE)
    service.hears(triage.publish(an_assessment("emergency")))

    service.sends()

    states = service.rows("SELECT step, state, answer FROM delivery ORDER BY step, channel")
    assert [(row["step"], row["state"]) for row in states] == [
        (1, "withdrawn"),
        (1, "withdrawn"),
        (2, "sent"),
        (2, "sent"),
    ]
    assert {row["answer"] for row in states if row["step"] == 1} == {"raised"}
    not_done = [c for c in service.resources("Communication") if c["status"] == "not-done"]
    assert all(c["priority"] == "urgent" and {"reference": f"RiskAssessment/{mild.id}"} in c["about"] for c in not_done)
    assert len(not_done) == 2


def test_after_an_acknowledgement_a_new_assessment_opens_a_new_alert(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment()))
    acknowledge(service.notify.pool, DEFAULT_TENANT, service.alert()["id"], by=Actor("Dr Osei", None, "page"))

    service.hears(triage.publish(an_assessment("same_day")), kind=RAISE_ROUTINE)

    states = service.rows("SELECT state, urgency FROM alert ORDER BY opened_at")
    assert [(row["state"], row["urgency"]) for row in states] == [("accepted", "emergency"), ("requested", "same_day")]


@pytest.mark.requirement("REQ-09", "SR-18")
def test_a_version_that_is_no_longer_urgent_leaves_the_alert_open_with_a_note(service: Service, triage: Triage) -> None:
    first = an_assessment("emergency")
    service.hears(triage.publish(first))
    triage.publish(an_assessment("routine", assessment_id=first["id"], version=2))

    assert catch_up(service.notify.pool, service.notify.triage) == 1
    service.works()

    alert = service.alert()
    task = service.task(alert["id"])
    assert alert["state"] == "requested"
    assert alert["urgency"] == "emergency"
    assert alert["due_at"] is not None
    assert "no longer urgent" in task["note"][-1]["text"]


@pytest.mark.requirement("REQ-08")
def test_while_triage_is_away_nothing_is_lost_or_counted_against_the_assessment(
    service: Service, triage: Triage
) -> None:
    ref = triage.publish(an_assessment())
    triage.status = 503
    for _ in range(6):
        service.hears(ref)
        service.everything_due()
    assert service.rows("SELECT state, attempts FROM job") == [{"state": "pending", "attempts": 0}]

    triage.status = 200
    service.works()

    assert service.alert()["urgency"] == "emergency"


@pytest.mark.requirement("REQ-07")
def test_an_assessment_that_cannot_be_read_is_brought_to_a_human(service: Service, triage: Triage) -> None:
    broken = an_assessment()
    del broken["subject"]
    ref = triage.publish(broken)

    for _ in range(4):
        service.hears(ref)
        service.everything_due()
    service.works()

    alert = service.alert()
    assert alert["urgency"] == "emergency"
    assert alert["subject"] is None
    assert service.task(alert["id"])["focus"] == {"reference": f"RiskAssessment/{ref.id}"}


@pytest.mark.requirement("REQ-10")
def test_one_assessment_that_triage_fails_on_does_not_keep_the_others(service: Service, triage: Triage) -> None:
    refs = [triage.publish(an_assessment(patient=f"Patient/{number}")) for number in range(3)]
    triage.faulty = {refs[0].id}

    for _ in range(6):
        service.hears(*refs)
        service.everything_due()

    subjects = [row["subject_key"] for row in service.rows("SELECT subject_key FROM alert ORDER BY subject_key")]
    assert subjects == ["Patient/1", "Patient/2", f"RiskAssessment/{refs[0].id}"]


def test_a_message_about_something_that_triage_does_not_know_alerts_nobody(service: Service) -> None:
    for _ in range(4):
        service.hears(Ref(str(uuid7()), 1))
        service.everything_due()

    assert service.rows("SELECT * FROM alert") == []
    assert {row["state"] for row in service.rows("SELECT state FROM job")} <= {"dead", "pending"}


def test_a_worker_that_lost_its_lease_writes_nothing(service: Service, triage: Triage) -> None:
    with service.notify.pool.connection() as connection:
        jobs.add(connection, RAISE_URGENT, [triage.publish(an_assessment())])
        (claim,) = jobs.claim(connection, RAISE_URGENT)

    raise_alerts(service.notify, [replace(claim, token=uuid7())])

    assert service.rows("SELECT * FROM alert") == []


@pytest.mark.requirement("REQ-08")
def test_catch_up_finds_what_no_message_told(service: Service, triage: Triage) -> None:
    triage.publish(an_assessment("emergency", patient="Patient/a"))
    triage.publish(an_assessment("same_day", patient="Patient/b"))
    triage.publish(an_assessment("self_care", patient="Patient/c"))

    assert catch_up(service.notify.pool, service.notify.triage) == 2
    assert catch_up(service.notify.pool, service.notify.triage) == 0
    service.works()

    assert len(service.rows("SELECT * FROM alert")) == 2


def test_the_ledger_cannot_be_changed(service: Service, triage: Triage, rows: Callable[..., object]) -> None:
    service.hears(triage.publish(an_assessment()))

    with pytest.raises(Exception, match="append-only"):
        rows("DELETE FROM alert_event")


@pytest.mark.requirement("REQ-12")
@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "#patient"},
        {"reference": "#"},
        {"identifier": {"value": "1"}},
        {"identifier": {"value": "1", "assigner": {"display": "Clinic B"}}},
    ],
    ids=str,
)
def test_patients_who_cannot_be_told_apart_get_an_alert_each(
    service: Service, triage: Triage, mail: MailServer, subject: dict[str, Any]
) -> None:
    for name in ("Ann", "Bob"):
        assessment = an_assessment(response_id=f"qr-{name}")
        assessment["subject"] = {**subject, "display": name}
        service.hears(triage.publish(assessment))
    service.sends()

    assert {row["subject"]["display"] for row in service.rows("SELECT subject FROM alert")} == {"Ann", "Bob"}
    assert len(mail.mails) == 2


def test_a_contained_patient_with_an_identifier_of_a_system_is_known_by_it(service: Service, triage: Triage) -> None:
    for response_id in ("qr-1", "qr-2"):
        assessment = an_assessment(response_id=response_id)
        assessment["subject"] = {"reference": "#p", "identifier": {"system": "http://clinic.example", "value": "7"}}
        service.hears(triage.publish(assessment))

    assert service.alert()["subject_key"] == "http://clinic.example|7"
