"""Whoever was told of an assessment hears that it was withdrawn, or that it is less urgent. Once, whatever happens."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.catch_up import catch_up
from services.notify.escalate import repeat_due
from services.notify.escalation import JOB_KINDS
from services.notify.notice import give_notice
from shared import jobs
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from shared.ids import DEFAULT_TENANT
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Receiver, Triage, an_assessment
from tests.notify.sending import deliver_due

RISK = "0a0a0a0a-0000-4000-8000-00000000000"


def version(number: int, urgency: str = "emergency", *, which: int = 1, status: str = "final", **more: Any) -> Any:
    return an_assessment(urgency, assessment_id=f"{RISK}{which}", version=number, status=status, **more)


def in_error(number: int, *, which: int = 1) -> Any:
    return version(number, which=which, status="entered-in-error")


def subjects(mail: MailServer) -> list[str]:
    return [str(one["Subject"]).partition(" (")[0] for one in mail.mails]


def types(receiver: Receiver) -> list[str]:
    return [json.loads(body)["type"] for _, body in receiver.requests]


@pytest.mark.requirement("REQ-32")
def test_a_withdrawn_assessment_cancels_its_task_ends_its_steps_and_is_told_to_everybody_who_was_told(
    service: Service, triage: Triage, mail: MailServer, receiver: Receiver
) -> None:
    service.hears(triage.publish(version(1)))
    service.sends()
    assert types(receiver) == ["alert.due"]

    service.hears(triage.publish(in_error(2)))
    service.sends()
    service.alerts_due()
    repeat_due(service.notify.pool, service.notify.plan)
    service.everything_due()
    service.sends()

    alert = service.alert()
    task = service.task(alert["id"])
    assert task["status"] == "cancelled"
    assert task["statusReason"]["coding"][0]["code"] == "withdrawn"
    assert "entered in error" in task["note"][-1]["text"]
    assert (alert["state"], alert["due_at"]) == ("cancelled", None)
    assert subjects(mail) == ["Sural: emergency alert, one patient", "Sural: an assessment was withdrawn"]
    assert types(receiver) == ["alert.due", "alert.withdrawn"]
    assert json.loads(receiver.requests[1][1])["data"]["open"] is False
    notices = [one for one in service.resources("Communication") if one["category"][0]["coding"][0]["code"] != "alert"]
    assert [one["status"] for one in notices] == ["completed", "completed"]
    assert {one["basedOn"][0]["reference"] for one in notices} <= {
        f"CommunicationRequest/{one['id']}" for one in service.resources("CommunicationRequest")
    }


@pytest.mark.requirement("REQ-32")
def test_a_withdrawal_that_comes_again_and_again_is_told_once(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(version(1)))
    service.sends()
    withdrawn = triage.publish(in_error(2))
    for _ in range(3):
        service.hears(withdrawn)
        service.rows("UPDATE job SET state = 'pending', attempts = 0 WHERE kind LIKE 'raise.%%' AND state = %s", "done")
        service.works()
    service.sends()

    assert subjects(mail).count("Sural: an assessment was withdrawn") == 1


@pytest.mark.requirement("REQ-32")
@pytest.mark.parametrize("state", ["accepted", "completed"])
def test_who_acknowledged_hears_of_the_withdrawal_too(
    service: Service, triage: Triage, mail: MailServer, state: str
) -> None:
    service.hears(triage.publish(version(1)))
    service.sends()
    alert_id = service.alert()["id"]
    acknowledge(service.notify.pool, DEFAULT_TENANT, alert_id, by=Actor("Ada", None, "page"))
    if state == "completed":
        service.rows("UPDATE alert SET state = 'completed', closed_at = now()")

    service.hears(triage.publish(in_error(2)))
    service.sends()

    assert subjects(mail)[-1] == "Sural: an assessment was withdrawn"
    assert service.alert()["state"] == ("completed" if state == "completed" else "cancelled")
    assert service.alert()["acknowledged_by"] == "Ada"
    assert "entered in error" in service.task(alert_id)["note"][-1]["text"]


@pytest.mark.requirement("REQ-32")
@pytest.mark.requirement("REQ-09")
def test_while_another_assessment_stands_the_alert_stays_open_repeats_and_says_so(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(version(1)), triage.publish(version(1, "same_day", which=2)))
    service.sends()

    service.hears(triage.publish(in_error(2)))
    service.sends()
    service.alerts_due()
    assert repeat_due(service.notify.pool, service.notify.plan) == 1
    service.sends()

    alert = service.alert()
    task = service.task(alert["id"])
    assert alert["state"] == "received"
    assert alert["urgency"] == "emergency", "nothing but a person lowers an alert"
    assert task["focus"]["reference"] == f"RiskAssessment/{RISK}2"
    assert "the alert stays" in task["note"][-1]["text"]
    assert "still open" in mail.mails[1].get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert subjects(mail)[2] == "Sural: emergency alert, one patient"

    service.hears(triage.publish(in_error(2, which=2)))
    assert service.alert()["state"] == "cancelled"


@pytest.mark.requirement("REQ-32")
def test_a_message_not_sent_yet_is_withdrawn_and_nobody_is_told_of_what_they_never_heard(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(version(1)))
    service.hears(triage.publish(in_error(2)))
    service.sends()

    assert mail.mails == []
    assert {row["answer"] for row in service.rows("SELECT answer FROM delivery")} == {"entered-in-error"}


@pytest.mark.requirement("REQ-32")
def test_a_message_that_was_on_its_way_is_followed_by_the_withdrawal(
    service: Service, triage: Triage, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.hears(triage.publish(version(1)))
    withdrawn = triage.publish(in_error(2))
    email = service.notify.channels["email"]
    send = type(email).send

    def withdrawn_meanwhile(channel: Any, message: Any) -> Any:
        if message.notice is None:
            service.hears(withdrawn)
        return send(channel, message)

    monkeypatch.setattr(type(email), "send", withdrawn_meanwhile)
    for kind in JOB_KINDS:
        deliver_due(service.notify, kind)
    service.sends()

    assert subjects(mail) == ["Sural: emergency alert, one patient", "Sural: an assessment was withdrawn"]
    assert service.alert()["state"] == "cancelled"


@pytest.mark.requirement("REQ-32")
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_whatever_the_order_of_versions_the_withdrawn_one_leaves_no_open_alert(
    service: Service, triage: Triage, order: tuple[int, ...]
) -> None:
    refs = [triage.publish(one) for one in (version(1, "same_day"), version(2), in_error(3))]
    for number in order:
        service.hears(refs[number])

    assert service.rows("SELECT 1 FROM alert WHERE state IN ('requested', 'received')") == []


@pytest.mark.requirement("REQ-32")
@pytest.mark.parametrize(("urgency", "said"), [("routine", "no longer urgent"), ("same_day", "less urgent now")])
def test_answers_amended_to_something_less_urgent_leave_the_alert_open_and_are_told(
    service: Service, triage: Triage, mail: MailServer, receiver: Receiver, urgency: str, said: str
) -> None:
    service.hears(triage.publish(version(1)))
    service.sends()

    service.hears(triage.publish(version(2, urgency, status="amended")))
    service.sends()

    alert = service.alert()
    assert (alert["state"], alert["urgency"]) == ("received", "emergency")
    assert alert["due_at"] is not None
    assert said in service.task(alert["id"])["note"][-1]["text"]
    assert subjects(mail)[1:] == ["Sural: an assessment is less urgent now"]
    assert types(receiver) == ["alert.due", "alert.changed"]
    assert json.loads(receiver.requests[1][1])["data"]["open"] is True


@pytest.mark.requirement("REQ-32")
@pytest.mark.parametrize("between", ["routine", "same_day"])
def test_answers_amended_back_to_an_emergency_alert_anew_whoever_heard_that_they_were_less_urgent(
    service: Service, triage: Triage, mail: MailServer, receiver: Receiver, between: str
) -> None:
    for number, urgency in ((1, "emergency"), (2, between), (3, "emergency")):
        service.hears(triage.publish(version(number, urgency, status="amended")))
        service.sends()

    assert service.alert()["urgency"] == "emergency"
    assert types(receiver) == ["alert.due", "alert.changed", "alert.due"]
    assert subjects(mail)[2:] == ["Sural: emergency alert, one patient"]


@pytest.mark.requirement("REQ-32")
def test_answers_amended_to_something_more_urgent_alert_anew(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(version(1, "same_day")))
    service.sends()
    service.hears(triage.publish(version(2, status="amended")))
    service.sends()

    assert subjects(mail) == ["Sural: same-day alert, one patient", "Sural: emergency alert, one patient"]


@pytest.mark.requirement("REQ-32")
@pytest.mark.requirement("REQ-14")
def test_a_withdrawal_whose_message_was_lost_is_found_by_asking_triage(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(version(1)))
    service.sends()
    triage.publish(in_error(2))

    catch_up(service.notify.pool, service.notify.triage)
    service.works()
    service.sends()

    assert subjects(mail)[-1] == "Sural: an assessment was withdrawn"


@pytest.mark.requirement("REQ-32")
def test_a_worker_killed_while_it_withdraws_leaves_all_or_nothing(
    service: Service, triage: Triage, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.hears(triage.publish(version(1)))
    service.sends()
    withdrawn = triage.publish(in_error(2))

    def dies(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as moment:
        moment.setattr(give_notice.__globals__["store"], "add_notice", dies)
        service.hears(withdrawn)
    assert service.alert()["state"] == "received"

    service.everything_due()
    service.works()
    service.sends()
    assert service.alert()["state"] == "cancelled"
    assert subjects(mail)[-1] == "Sural: an assessment was withdrawn"


def test_what_is_told_of_a_withdrawal_holds_no_health_data_and_is_valid_r4(
    service: Service, triage: Triage, mail: MailServer, receiver: Receiver
) -> None:
    service.hears(triage.publish(version(1)))
    service.sends()
    service.hears(triage.publish(in_error(2)))
    service.sends()

    assert len(mail.raw) == len(receiver.requests) == 2
    for content in (*mail.raw, *(body for _, body in receiver.requests)):
        assert b"anary" not in content
    for resource_type in ("Task", "CommunicationRequest", "Communication"):
        for resource in service.resources(resource_type):
            assert check_structure(resource, resource_type=resource_type) == []
            assert validate_with_fhir_resources(resource) == []


def test_the_jobs_of_a_withdrawal_end(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(version(1)))
    service.sends()
    service.hears(triage.publish(in_error(2)))
    service.sends()

    with service.notify.pool.connection() as connection:
        assert connection.execute(jobs.QUERIES["measure"]).fetchall() == []
