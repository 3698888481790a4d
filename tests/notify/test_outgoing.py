"""The messages of a new alert are taken in the transaction that opens it: told sooner, and as safely as any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Thread

import psycopg
import pytest
from celery.exceptions import SoftTimeLimitExceeded

from services.notify.context import Notify
from services.notify.deliver import deliver_to, due_recipients
from services.notify.escalation import JOB_KINDS, job_kind
from services.notify.hear import RAISE_ROUTINE, RAISE_URGENT, hear
from services.notify.lanes import Lanes
from services.notify.watchdog.emergency import SID_ROUND
from shared import failpoint
from shared.ids import DEFAULT_TENANT, WATCHDOG_TENANT, uuid7
from tests.conftest import Database
from tests.notify.channels.scripted import a_server_that, hangs
from tests.notify.conftest import ON_CALL, Service
from tests.notify.neighbours import MailServer, Receiver, Triage, a_receiver, an_assessment
from tests.notify.test_lanes import at, sending, to_receivers
from tests.waiting import eventually


@pytest.fixture
def arm() -> Iterator[Callable[[str], None]]:
    """Sets traps at places of this process."""
    yield failpoint.arm
    failpoint.arm("")


class Senders(Lanes):
    """Senders of a process that say how often they looked for what is due."""

    def __init__(self, notify: Notify) -> None:
        self.looks = 0
        super().__init__(
            JOB_KINDS,
            find=lambda: self._look(notify),
            work=lambda kind, stopped: deliver_to(notify, kind, stopped=stopped)[1],
        )

    def _look(self, notify: Notify) -> dict[str, list[str]]:
        self.looks += 1
        return due_recipients(notify)


@pytest.fixture
def senders(service: Service) -> Iterator[Senders]:
    lanes = Senders(service.notify)
    yield lanes
    lanes.close(10)


def sent(service: Service) -> int:
    return len(service.rows("SELECT 1 FROM delivery WHERE state = 'sent'"))


def deliver_jobs(service: Service) -> list[tuple[str, int]]:
    rows = service.rows("SELECT state, attempts FROM job WHERE kind LIKE 'deliver%%'")
    return [(row["state"], row["attempts"]) for row in rows]


def busy(senders: Lanes) -> list[str]:
    """Whose senders send, or are held."""
    return [kind for lane in senders._lanes.values() for kind in lane._busy]


def raise_jobs(service: Service) -> list[tuple[str, int]]:
    rows = service.rows("SELECT state, attempts FROM job WHERE kind LIKE 'raise%%'")
    return [(row["state"], row["attempts"]) for row in rows]


def a_job_of_no_message(service: Service, triage: Triage) -> None:
    service.rows(
        "INSERT INTO job (tenant_id, kind, ref_id, ref_version, due_at) "
        "VALUES (%s, %s, 'of-no-message', 1, now() - interval '1 second')",
        DEFAULT_TENANT,
        job_kind("email", "emergency", ON_CALL),
    )


def an_older_message_of_an_unknown_urgency(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment(patient="Patient/old")))
    service.rows("UPDATE delivery SET urgency = 'of-a-newer-version' WHERE channel = 'email'")


@pytest.mark.requirement("REQ-10")
def test_an_emergency_is_told_without_anybody_looking_for_it(
    service: Service, senders: Senders, triage: Triage, mail: MailServer, receiver: Receiver
) -> None:
    hear(service.notify, RAISE_URGENT, [triage.publish(an_assessment())], senders=senders)

    eventually(lambda: sent(service) == 2)
    assert (len(mail.mails), len(receiver.requests), senders.looks) == (1, 1, 0)
    assert deliver_jobs(service) == [("done", 1), ("done", 1)]
    assert "acknowledge" in mail.raw[0].decode().lower()
    assert len(service.rows("SELECT 1 FROM ack_link")) == 2


@pytest.mark.requirement("REQ-10", "REQ-11")
def test_the_longest_due_message_to_somebody_goes_first_and_the_new_one_follows(
    service: Service, senders: Senders, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(an_assessment(patient="Patient/old")))
    [old] = service.rows("SELECT id FROM alert")

    hear(service.notify, RAISE_URGENT, [triage.publish(an_assessment(patient="Patient/new"))], senders=senders)

    eventually(lambda: sent(service) == 4)
    assert len(mail.mails) == 2
    assert str(old["id"]) in mail.raw[0].decode()


@pytest.mark.requirement("REQ-11")
def test_what_is_not_committed_is_told_to_nobody_and_the_sender_is_free_again(
    service: Service, senders: Senders, triage: Triage, mail: MailServer, arm: Callable[[str], None]
) -> None:
    ref = triage.publish(an_assessment())
    arm("notify.raise.before_commit:raise@1")

    hear(service.notify, RAISE_URGENT, [ref], senders=senders)  # undone once, then done as a job

    eventually(lambda: sent(service) == 2)
    assert (len(mail.mails), service.events().count("opened")) == (1, 1)
    assert len(service.rows("SELECT 1 FROM ack_link")) == 2
    eventually(lambda: not busy(senders))
    looks = senders.looks
    hear(service.notify, RAISE_URGENT, [triage.publish(an_assessment(patient="Patient/8"))], senders=senders)
    eventually(lambda: sent(service) == 4)
    assert senders.looks == looks


@pytest.mark.requirement("REQ-10", "REQ-11")
def test_a_process_that_ends_between_commit_and_sending_leaves_the_message_to_the_next(
    service: Service, senders: Senders, triage: Triage, mail: MailServer, arm: Callable[[str], None]
) -> None:
    arm("notify.raise.after_commit:raise@1")
    hear(service.notify, RAISE_URGENT, [triage.publish(an_assessment())], senders=senders)
    assert deliver_jobs(service) == [("running", 1), ("running", 1)]
    assert service.sends() == 0, "somebody has them"

    service.rows("UPDATE job SET lease_until = now() - interval '1 second' WHERE state = 'running'")
    service.sends()

    assert (sent(service), len(mail.mails)) == (2, 1)


@pytest.mark.requirement("REQ-10")
def test_whoever_hangs_holds_up_nobody_else_and_hears_of_the_next_alert_afterwards(
    service: Service, triage: Triage
) -> None:
    with a_receiver() as pager, a_server_that(hangs) as hanging:
        notify = to_receivers(service.notify, {"hanging": at(hanging), "pager": pager.url})
        with sending(notify) as lanes:
            for number in range(3):
                ref = triage.publish(an_assessment(patient=f"Patient/{number}"))
                hear(notify, RAISE_URGENT, [ref], senders=lanes)

            eventually(lambda: len(pager.requests) == 3)
            eventually(
                lambda: sorted(deliver_jobs(service)) == [("done", 1)] * 3 + [("pending", 0)] * 2 + [("running", 1)]
            )
            hanging.ended.set()


@pytest.mark.requirement("REQ-10")
@pytest.mark.parametrize("left", [a_job_of_no_message, an_older_message_of_an_unknown_urgency])
def test_an_older_message_that_cannot_be_read_keeps_no_alert_closed_and_nobody_untold(
    service: Service,
    senders: Senders,
    triage: Triage,
    mail: MailServer,
    receiver: Receiver,
    left: Callable[[Service, Triage], None],
) -> None:
    left(service, triage)
    before = len(service.rows("SELECT 1 FROM alert"))

    hear(service.notify, RAISE_URGENT, [triage.publish(an_assessment(patient="Patient/new"))], senders=senders)

    assert len(service.rows("SELECT 1 FROM alert")) == before + 1
    assert raise_jobs(service) == [("done", 1)] * (before + 1), "opened at the first attempt"
    eventually(lambda: (len(receiver.requests), len(mail.mails)) == (before + 1, 1))
    unread = "SELECT error FROM job WHERE kind LIKE 'deliver%%' AND state <> 'done'"
    eventually(lambda: service.rows(unread) == [{"error": "ValueError"}])  # tried again, and counted


@pytest.mark.requirement("REQ-10")
def test_somebody_who_holds_an_old_link_of_another_alert_holds_up_no_new_one(
    service: Service, senders: Senders, triage: Triage, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    service.hears(triage.publish(an_assessment(patient="Patient/old")))
    service.rows(
        "INSERT INTO ack_link (token_sha256, tenant_id, alert_id, delivery_id, expires_at) "
        "SELECT sha256('old'), tenant_id, alert_id, id, now() - interval '1 day' FROM delivery WHERE channel = 'email'"
    )
    with psycopg.connect(database.owner_url) as other:
        locked = other.execute("SELECT FROM notify.ack_link FOR UPDATE").rowcount

        hear(service.notify, RAISE_URGENT, [triage.publish(an_assessment(patient="Patient/new"))], senders=senders)

        eventually(lambda: sent(service) == 4)
    assert locked == 1
    assert len(service.rows("SELECT 1 FROM alert")) == 2
    assert "assessments not handled at once" not in caplog.messages


@pytest.mark.requirement("REQ-10", "REQ-11")
def test_an_alert_whose_messages_cannot_be_taken_is_opened_all_the_same_and_told_later(
    service: Service, senders: Senders, triage: Triage, mail: MailServer
) -> None:
    taking = "FUNCTION take_message(text, double precision, double precision, bytea, interval)"
    gone = taking.replace("take_message", "take_message_gone")
    service.rows(f"ALTER {taking} RENAME TO take_message_gone")
    try:
        hear(service.notify, RAISE_URGENT, [triage.publish(an_assessment())], senders=senders)
        opened = service.events()
    finally:
        service.rows(f"ALTER {gone} RENAME TO take_message")

    assert opened == ["opened"]
    senders.wake()
    eventually(lambda: sent(service) == 2)
    assert len(mail.mails) == 1


@pytest.mark.requirement("REQ-39")
def test_a_round_of_the_watchdog_that_comes_out_as_no_emergency_is_ended_and_does_not_count(
    service: Service, senders: Senders, triage: Triage
) -> None:
    number = uuid7()
    service.rows("SELECT set_config('sural.tenant', %s, false)", str(WATCHDOG_TENANT))
    service.rows("INSERT INTO watchdog_round (id) VALUES (%s)", number)
    assessment = an_assessment("same_day")
    assessment["subject"] = {"identifier": {"system": SID_ROUND, "value": str(number)}}

    hear(service.notify, RAISE_ROUTINE, [replace(triage.publish(assessment), tenant=WATCHDOG_TENANT)], senders=senders)

    eventually(lambda: service.alert()["state"] == "accepted")
    eventually(lambda: deliver_jobs(service) == [("done", 1)])
    assert raise_jobs(service) == [("done", 1)]
    assert service.rows("SELECT full_at FROM watchdog_round") == [{"full_at": None}]


@pytest.mark.requirement("REQ-10", "REQ-11")
def test_a_worker_whose_time_ends_while_it_hands_messages_to_its_senders_holds_none_of_them(
    service: Service, senders: Senders, triage: Triage, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Thread.start

    def time_is_over(thread: Thread) -> None:
        if thread.name.startswith("deliver."):
            raise SoftTimeLimitExceeded
        start(thread)

    with monkeypatch.context() as machine:
        machine.setattr(Thread, "start", time_is_over)
        hear(service.notify, RAISE_URGENT, [triage.publish(an_assessment())], senders=senders)

    assert busy(senders) == []
    service.rows("UPDATE job SET lease_until = now() - interval '1 second' WHERE state = 'running'")
    hear(service.notify, RAISE_URGENT, [triage.publish(an_assessment(patient="Patient/8"))], senders=senders)
    eventually(lambda: sent(service) == 4)
    assert len(mail.mails) == 2


def test_a_sender_is_let_go_by_nobody_but_whom_it_is_held_for() -> None:
    lanes = Lanes(JOB_KINDS, find=dict, work=lambda _kind, _stopped: True)
    one, mine, another = "deliver.email.urgent/1", object(), object()
    assert lanes.hold(one, by=mine)

    lanes.let_go(one, by=another)
    assert not lanes.hold(one, by=another)
    lanes.let_go(one, by=mine)

    assert lanes.hold(one, by=another)


def test_a_message_for_which_there_is_no_lane_is_left_to_be_found() -> None:
    lanes = Lanes(JOB_KINDS, find=dict, work=lambda _kind, _stopped: True)

    assert not lanes.hold("deliver.of-a-newer-version.urgent/1", by=lanes)
    lanes.let_go("deliver.of-a-newer-version.urgent/1", by=lanes)


def test_a_sender_is_held_for_nobody_who_is_being_told_or_was_not_reached_last(service: Service) -> None:
    lanes = Lanes(JOB_KINDS, find=dict, work=lambda _kind, _stopped: True, most=2)
    one, other, third = (f"deliver.email.urgent/{number}" for number in range(3))

    assert lanes.hold(one, by=service)
    assert not lanes.hold(one, by=service)
    assert lanes.hold(other, by=service)
    assert not lanes.hold(third, by=service), "all threads of the lane are held"
    lanes.let_go(other, by=service)
    lanes.send(one, lambda _stopped: False)
    lane = lanes._lanes["deliver.email.urgent"]
    eventually(lambda: not lane.senders())
    assert not lanes.hold(one, by=service), "whoever was not reached waits for a look"
    lanes.close(10)
    assert not lanes.hold(other, by=service)
