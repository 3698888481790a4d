"""What people do with an alert: it is in the ledger with time, person and way, and none of it makes silence."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.notify.acts.acknowledge import acknowledge, start
from services.notify.acts.actor import Actor
from services.notify.acts.held import LookedAt
from services.notify.acts.resolve import resolve
from services.notify.acts.snooze import snooze
from services.notify.escalate import repeat_due
from services.notify.hear import RAISE_ROUTINE
from services.notify.reconcile import reconcile
from services.notify.records import Alert
from shared.fhir.codes import Urgency
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from shared.ids import DEFAULT_TENANT
from shared.problems import ProblemError
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Receiver, Triage, an_assessment
from tests.profiles import departures

OSEI = Actor("Dr Osei", "osei", "page")


def acknowledged(service: Service, alert_id: UUID) -> None:
    acknowledge(service.notify.pool, DEFAULT_TENANT, alert_id, by=OSEI)


def snoozed(service: Service, alert_id: UUID, minutes: int = 5, **more: Any) -> Alert:
    return snooze(service.notify.pool, DEFAULT_TENANT, alert_id, by=OSEI, minutes=minutes, **more)


def closed(service: Service, alert_id: UUID, outcome: str, reason: str | None = None, note: str = "") -> Alert:
    return resolve(
        service.notify.pool, DEFAULT_TENANT, alert_id, by=OSEI, outcome=outcome, override_reason=reason, note=note
    )


def ticks(service: Service) -> int:
    return repeat_due(service.notify.pool, service.notify.plan)


def refused(error: pytest.ExceptionInfo[ProblemError]) -> tuple[int, str]:
    return error.value.http_status, error.value.problems[0].code


# Snoozing


@pytest.mark.requirement("REQ-35", "REQ-09")
def test_while_it_is_snoozed_nobody_is_told_and_then_everybody_is_again(
    service: Service, told: UUID, receiver: Receiver
) -> None:
    snoozed(service, told)
    assert (ticks(service), service.sends(), len(receiver.requests)) == (0, 0, 1)
    assert service.task(told)["status"] == "on-hold"

    service.alerts_due()
    assert ticks(service) == 1
    service.sends()

    alert = service.alert()
    assert (alert["state"], alert["snoozed_until"], alert["snoozes"]) == ("received", None, 1)
    assert alert["due_at"] is not None
    assert len(receiver.requests) == 2
    assert [event for event in service.events() if event in ("snoozed", "woken", "repeated")] == ["snoozed", "woken"]


@pytest.mark.requirement("REQ-09")
def test_a_message_that_was_still_being_tried_is_not_sent_during_the_snooze(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    mail.refusal = "451 try again later"
    service.hears(triage.publish(an_assessment()))
    service.sends()
    mail.refusal = ""

    snoozed(service, service.alert()["id"])
    service.everything_due()
    service.sends()

    assert mail.mails == []
    [kept] = service.rows("SELECT state, answer FROM delivery WHERE channel = 'email'")
    assert kept == {"state": "withdrawn", "answer": "snoozed"}


@pytest.mark.requirement("REQ-09")
@pytest.mark.parametrize(("urgency", "longest", "times"), [("emergency", 10, 2), ("same_day", 120, 3)])
def test_an_alert_is_put_off_only_for_so_long_and_so_often(
    service: Service, triage: Triage, urgency: str, longest: int, times: int
) -> None:
    service.hears(triage.publish(an_assessment(urgency)), kind=RAISE_ROUTINE)
    alert_id = service.alert()["id"]

    for minutes in (longest + 1, 0, -5):
        with pytest.raises(ProblemError) as error:
            snoozed(service, alert_id, minutes)
        assert refused(error) == (422, "snooze-limit")
    for _ in range(times):
        snoozed(service, alert_id, longest)
        service.alerts_due()
        assert ticks(service) == 1
    with pytest.raises(ProblemError) as error:
        snoozed(service, alert_id, 1)

    assert refused(error) == (422, "snooze-limit")
    assert service.alert()["state"] == "requested"


@pytest.mark.requirement("REQ-09", "SR-18")
@pytest.mark.parametrize(
    ("first", "further", "urgency"),
    [
        ("emergency", "same_day", "emergency"),
        ("same_day", "same_day", "same_day"),
        ("same_day", "emergency", "emergency"),
    ],
)
@pytest.mark.requirement("REQ-35")
def test_a_further_assessment_wakes_a_snoozed_alert_at_once(
    service: Service, triage: Triage, receiver: Receiver, first: str, further: str, urgency: str
) -> None:
    service.hears(triage.publish(an_assessment(first)))
    service.sends()
    snoozed(service, service.alert()["id"])

    service.hears(triage.publish(an_assessment(further, response_id="qr-77")))
    service.sends()

    alert = service.alert()
    assert (alert["state"], alert["urgency"], alert["snoozed_until"]) == ("received", urgency, None)
    assert len(receiver.requests) == 2
    assert json.loads(receiver.requests[1][1])["data"]["urgency"] == urgency


def test_answers_that_turned_out_less_urgent_are_told_and_do_not_wake_it(
    service: Service, triage: Triage, receiver: Receiver
) -> None:
    risk = "0a0a0a0a-0000-4000-8000-000000000001"
    service.hears(triage.publish(an_assessment(assessment_id=risk)))
    service.sends()
    snoozed(service, service.alert()["id"])

    service.hears(triage.publish(an_assessment("routine", assessment_id=risk, version=2)))
    service.sends()

    assert service.alert()["state"] == "on-hold"
    assert [json.loads(body)["type"] for _, body in receiver.requests] == ["alert.due", "alert.changed"]
    assert json.loads(receiver.requests[1][1])["data"]["open"] is True


@pytest.mark.requirement("REQ-09")
def test_whoever_snoozes_an_acknowledged_alert_takes_the_acknowledgement_back(service: Service, told: UUID) -> None:
    acknowledged(service, told)
    snoozed(service, told)

    alert = service.alert()
    assert (alert["state"], alert["acknowledged_at"], alert["acknowledged_by"]) == ("on-hold", None, None)
    assert "executionPeriod" not in service.task(told)

    service.alerts_due()
    assert ticks(service) == 1
    assert "owner" not in service.task(told)
    acknowledged(service, told)
    assert service.events().count("acknowledged") == 2


@pytest.mark.requirement("REQ-09")
def test_a_snoozed_alert_that_nothing_would_wake_is_found_and_woken(service: Service, told: UUID) -> None:
    snoozed(service, told)
    service.rows("UPDATE alert SET due_at = NULL")

    assert reconcile(service.notify.pool, service.notify.plan)["alert_without_due"] == 1
    assert service.alert()["due_at"] == service.alert()["snoozed_until"]
    service.alerts_due()
    assert ticks(service) == 1
    assert service.alert()["state"] == "requested"


def test_a_snoozed_alert_can_be_acknowledged(service: Service, told: UUID) -> None:
    snoozed(service, told)
    acknowledged(service, told)

    alert = service.alert()
    assert (alert["state"], alert["due_at"], alert["snoozed_until"]) == ("accepted", None, None)


@pytest.mark.requirement("REQ-14")
def test_nobody_snoozes_what_came_after_they_looked(service: Service, told: UUID, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment(response_id="qr-77")))

    with pytest.raises(ProblemError) as error:
        snoozed(service, told, looked_at=LookedAt(Urgency.EMERGENCY, 1))

    assert refused(error) == (409, "alert-changed")
    assert service.alert()["state"] == "received"


@pytest.mark.requirement("REQ-09")
def test_an_acknowledged_alert_is_not_opened_beside_a_newer_one_of_the_patient(
    service: Service, told: UUID, triage: Triage
) -> None:
    acknowledged(service, told)
    service.hears(triage.publish(an_assessment(response_id="qr-77")))

    with pytest.raises(ProblemError) as error:
        snoozed(service, told)

    assert refused(error) == (409, "alert-episode")
    assert sorted(row["state"] for row in service.rows("SELECT state FROM alert")) == ["accepted", "requested"]
    assert service.task(told)["status"] == "accepted"


# Closing


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("seen-and-treated", "completed"), ("referred-emergency", "completed"), ("duplicate", "rejected"),
     ("entered-in-error", "rejected")],
)  # fmt: skip
def test_an_alert_is_closed_with_what_became_of_it(service: Service, told: UUID, outcome: str, state: str) -> None:
    acknowledged(service, told)
    start(service.notify.pool, DEFAULT_TENANT, told, by=OSEI)
    closed(service, told, outcome, note="Seen at\n the bedside.")

    alert, task = service.alert(), service.task(told)
    assert (alert["state"], alert["outcome"], alert["override_reason"]) == (state, outcome, None)
    assert task["output"][0]["valueCodeableConcept"]["coding"][0]["code"] == outcome
    assert (task["note"][-1]["authorString"], task["note"][-1]["text"]) == ("Dr Osei", "Seen at the bedside.")
    assert {"start", "end"} == task["executionPeriod"].keys()


@pytest.mark.requirement("REQ-14")
@pytest.mark.parametrize("outcome", ["appointment-made", "patient-reached-no-action", "false-alarm"])
def test_less_than_the_urgency_asks_for_needs_a_reason(service: Service, told: UUID, outcome: str) -> None:
    acknowledged(service, told)

    with pytest.raises(ProblemError) as error:
        closed(service, told, outcome)
    assert refused(error) == (422, "override-reason")
    with pytest.raises(ProblemError) as error:
        closed(service, told, outcome, "other-with-text")
    assert refused(error) == (422, "override-reason")
    closed(service, told, outcome, "other-with-text", "Lives abroad since last week.")

    [line] = service.rows("SELECT detail, reason, person, way FROM alert_event WHERE detail = %s", outcome)
    assert line == {"detail": outcome, "reason": "other-with-text", "person": "Dr Osei", "way": "page"}
    assert service.task(told)["statusReason"]["text"] == "Lives abroad since last week."


def test_an_appointment_is_enough_for_a_same_day_alert(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment("same_day")), kind=RAISE_ROUTINE)
    alert_id = service.alert()["id"]
    acknowledged(service, alert_id)

    assert closed(service, alert_id, "appointment-made").outcome == "appointment-made"


@pytest.mark.parametrize(
    ("outcome", "reason", "note", "code"),
    [
        ("cured", None, "", "outcome"),
        ("", None, "", "outcome"),
        ("patient-not-reached", None, " ", "outcome"),
        ("seen-and-treated", "no-time", "", "override-reason"),
    ],
)
def test_a_code_that_is_not_ours_closes_nothing(
    service: Service, told: UUID, outcome: str, reason: str | None, note: str, code: str
) -> None:
    acknowledged(service, told)

    with pytest.raises(ProblemError) as error:
        closed(service, told, outcome, reason, note)

    assert refused(error) == (422, code)
    assert service.alert()["state"] == "accepted"


@pytest.mark.requirement("REQ-09")
def test_nobody_closes_or_starts_what_nobody_acknowledged(service: Service, told: UUID) -> None:
    with pytest.raises(ProblemError) as error:
        closed(service, told, "seen-and-treated")
    assert refused(error) == (409, "alert-state")
    with pytest.raises(ProblemError) as error:
        start(service.notify.pool, DEFAULT_TENANT, told, by=OSEI)

    assert refused(error) == (409, "alert-state")
    assert "acknowledge" in error.value.problems[0].message
    assert service.alert()["state"] == "received"


def test_a_closed_alert_stays_closed_whoever_comes_late(service: Service, told: UUID) -> None:
    acknowledged(service, told)
    closed(service, told, "seen-and-treated")

    assert acknowledge(service.notify.pool, DEFAULT_TENANT, told, by=OSEI).new is False
    for act in (lambda: snoozed(service, told), lambda: closed(service, told, "duplicate")):
        with pytest.raises(ProblemError) as error:
            act()
        assert refused(error) == (409, "alert-state")
    assert service.alert()["outcome"] == "seen-and-treated"


# All of them


@pytest.mark.requirement("REQ-14")
def test_every_act_is_in_the_ledger_and_the_audit_with_time_person_and_way(service: Service, told: UUID) -> None:
    snoozed(service, told)
    acknowledged(service, told)
    start(service.notify.pool, DEFAULT_TENANT, told, by=Actor("Dr Bello", None, "link"))
    closed(service, told, "seen-and-treated")

    lines = service.rows(
        "SELECT kind, person, person_id, way, until, at FROM alert_event WHERE way IS NOT NULL ORDER BY id"
    )
    assert [(line["kind"], line["person"], line["person_id"], line["way"]) for line in lines] == [
        ("snoozed", "Dr Osei", "osei", "page"),
        ("acknowledged", "Dr Osei", "osei", "page"),
        ("started", "Dr Bello", None, "link"),
        ("completed", "Dr Osei", "osei", "page"),
    ]
    assert lines[0]["until"] - lines[0]["at"] < timedelta(minutes=5)
    kinds = [line["kind"] for line in lines]
    acts = service.rows("SELECT word FROM audit_event WHERE ref_id = %s AND word = ANY (%s)", str(told), kinds)
    assert len(acts) == 4


@pytest.mark.requirement("REQ-25")
def test_every_version_of_the_task_is_valid_r4_and_fits_its_profile(service: Service, told: UUID) -> None:
    snoozed(service, told)
    acknowledged(service, told)
    start(service.notify.pool, DEFAULT_TENANT, told, by=OSEI)
    closed(service, told, "false-alarm", "different-cause-found")

    bodies = service.rows("SELECT body FROM resource WHERE type = 'Task'")
    assert len(bodies) == 6
    for row in bodies:
        task = json.loads(bytes(row["body"]))
        assert check_structure(task, resource_type="Task") == []
        assert validate_with_fhir_resources(task) == []
        assert departures(task) == []


@pytest.mark.parametrize("alert_id", ["0199a0b0-0000-7000-8000-000000000000"])
def test_what_is_not_there_is_not_found_by_any_act(service: Service, alert_id: str) -> None:
    for act in (lambda: snoozed(service, UUID(alert_id)), lambda: closed(service, UUID(alert_id), "duplicate")):
        with pytest.raises(ProblemError) as error:
            act()
        assert refused(error) == (404, "not-found")
