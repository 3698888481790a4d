"""One slow or dead recipient never delays another: whoever hangs holds up nobody but itself."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from threading import Event, Thread

import pytest
from pydantic import SecretStr

from services.notify.channels.receivers import Receiver
from services.notify.channels.webhook import WebhookChannel
from services.notify.context import Notify
from services.notify.deliver import deliver_to, due_recipients
from services.notify.escalation import JOB_KINDS, Recipient
from services.notify.lanes import Lanes, choose
from services.notify.settings import NotifySettings
from shared import jobs
from tests.notify.channels.scripted import Scripted, a_server_that, hangs
from tests.notify.conftest import SECRET, Service
from tests.notify.neighbours import MailServer, Triage, a_receiver, an_assessment
from tests.waiting import eventually

Opened = Callable[[NotifySettings], AbstractContextManager[Service]]
HANG_S = 60.0


@contextmanager
def sending(notify: Notify, *, most: int = 6) -> Iterator[Lanes]:
    """The senders of a process."""
    lanes = Lanes(
        JOB_KINDS,
        find=lambda: due_recipients(notify),
        work=lambda kind, stopped: deliver_to(notify, kind, stopped=stopped)[1],
        most=most,
    )
    try:
        yield lanes
    finally:
        lanes.close(10)


def to_receivers(notify: Notify, urls: dict[str, str], *, timeout_s: float = HANG_S) -> Notify:
    """The same, but everybody who is told is one of these receivers."""
    receivers = {name: Receiver(name, url, (SECRET,)) for name, url in urls.items()}
    plan = replace(notify.plan, recipients=tuple(Recipient("webhook", name) for name in urls))
    channels = {**notify.channels, "webhook": WebhookChannel(receivers, timeout_s, sandbox=True)}
    return replace(notify, plan=plan, channels=channels, channel_timeout_s=timeout_s)


def states(service: Service) -> dict[str, tuple[str, int]]:
    rows = service.rows("SELECT recipient, state, attempts FROM delivery")
    return {row["recipient"]: (row["state"], row["attempts"]) for row in rows}


def states_of(service: Service, recipient: str) -> list[str]:
    return [row["state"] for row in service.rows("SELECT state FROM delivery WHERE recipient = %s", recipient)]


def at(server: Scripted) -> str:
    return f"http://127.0.0.1:{server.port}/hook"


@pytest.mark.requirement("REQ-10", "REQ-34")
def test_a_receiver_that_hangs_for_a_minute_delays_no_other_receiver(service: Service, triage: Triage) -> None:
    with a_receiver() as pager, a_server_that(hangs) as hanging:
        notify = to_receivers(service.notify, {"hanging": at(hanging), "pager": pager.url})
        with sending(notify) as lanes:
            for number in range(5):
                Service(notify, service.rows).hears(triage.publish(an_assessment(patient=f"Patient/{number}")))
            lanes.wake()

            eventually(lambda: len(pager.requests) == 5)
            eventually(lambda: states_of(service, "pager") == ["sent"] * 5)
            assert service.rows("SELECT sum(attempts) AS n FROM delivery WHERE recipient = 'hanging'") == [{"n": 0}]
            hanging.ended.set()


@pytest.mark.requirement("REQ-10")
def test_a_mail_server_that_hangs_for_a_minute_delays_no_webhook(
    settings: NotifySettings, open_service: Opened, triage: Triage
) -> None:
    with a_receiver() as pager, a_server_that(hangs) as hanging:
        change = {
            "smtp_url": SecretStr(f"smtp://127.0.0.1:{hanging.port}"),
            "webhook_url": SecretStr(pager.url),
            "channel_timeout_s": HANG_S,
        }
        with open_service(settings.model_copy(update=change)) as service, sending(service.notify) as lanes:
            service.hears(triage.publish(an_assessment()))
            lanes.wake()

            eventually(lambda: len(pager.requests) == 1)
            eventually(lambda: states(service)["default"] == ("sent", 1))
            assert states(service)["on-call@example.org"] == ("pending", 0)
            hanging.ended.set()


@pytest.mark.requirement("REQ-10")
def test_receivers_that_failed_before_never_take_the_last_threads_however_many_hang(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    """Four of five receivers hang, in a lane of four threads: the fifth is reached while they do."""
    first_try = Event()

    def fails_then_hangs(server: Scripted, connection: socket.socket) -> None:
        if not first_try.is_set():
            return
        server.received.append(b"hangs")
        hangs(server, connection)

    with a_receiver() as pager, a_server_that(fails_then_hangs) as bad:
        urls = {f"bad-{number}": at(bad) for number in range(4)} | {"pager": pager.url}
        notify = to_receivers(service.notify, urls)
        heard = Service(notify, service.rows)
        with sending(notify, most=4) as lanes:
            heard.hears(triage.publish(an_assessment()))
            lanes.wake()
            eventually(lambda: sorted(attempts for _, attempts in states(service).values()) == [1] * 5)
            first_try.set()
            heard.everything_due()
            lanes.wake()
            eventually(lambda: len(bad.received) == 2)

            for number in range(20):
                heard.hears(triage.publish(an_assessment(patient=f"Patient/{number}")))
            lanes.wake()

            eventually(lambda: len(pager.requests) == 21)
            assert len(bad.received) == 2
            bad.ended.set()


@pytest.mark.requirement("REQ-11")
def test_nobody_is_told_twice_while_two_processes_send_at_the_same_time(service: Service, triage: Triage) -> None:
    with a_receiver() as first, a_receiver() as second:
        notify = to_receivers(service.notify, {"first": first.url, "second": second.url})
        Service(notify, service.rows).hears(
            *(triage.publish(an_assessment(patient=f"Patient/{number}")) for number in range(60))
        )
        with sending(notify) as lanes, sending(notify) as others:
            lanes.wake()
            others.wake()
            eventually(lambda: {state for state, _ in states(service).values()} == {"sent"}, within_s=60)
            eventually(lambda: service.rows("SELECT 1 FROM delivery WHERE state <> 'sent'") == [], within_s=60)

    for receiver in (first, second):
        came = [headers["webhook-id"] for headers, _ in receiver.requests]
        assert len(came) == len(set(came)) == 60


def test_whoever_went_well_last_time_comes_first_and_leaves_one_thread_to_the_others() -> None:
    due = ["a", "b", "c", "d", "e"]

    assert choose(due, busy=[], failed={}, most=4) == ["a", "b", "c", "d"]
    assert choose(due, busy=["a"], failed={}, most=4) == ["b", "c", "d"]
    assert choose(due, busy=[], failed={"a": 1.0}, most=4) == ["b", "c", "d", "a"]
    assert choose(due, busy=["a"], failed={"a": 1.0}, most=4) == ["b", "c", "d"]
    assert choose(due, busy=["x"] * 4, failed={}, most=4) == []


def test_those_that_failed_hold_half_of_the_threads_at_most_and_take_turns() -> None:
    failed = {"a": 30.0, "b": 10.0, "c": 20.0, "d": 40.0}

    assert choose(["a", "b", "c", "d"], busy=[], failed=failed, most=4) == ["b", "c"]
    assert choose(["a", "d"], busy=["b"], failed=failed, most=4) == ["a"]
    assert choose(["a", "d"], busy=["b", "c"], failed=failed, most=4) == []


def test_figures_of_jobs_name_lanes_and_no_recipient(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment()))

    with service.notify.pool.connection() as connection:
        measured = connection.execute(jobs.QUERIES["measure"]).fetchall()

    assert {row["kind"] for row in measured} == {"deliver.email.urgent", "deliver.webhook.urgent"}


def test_messages_that_waited_when_the_software_was_replaced_are_sent(service: Service, triage: Triage) -> None:
    """Before, a lane was one queue, and its jobs were named after it."""
    service.hears(triage.publish(an_assessment()))
    service.rows("UPDATE job SET kind = split_part(kind, '/', 1) WHERE kind LIKE 'deliver.%'")

    service.sends()

    assert {state for state, _ in states(service).values()} == {"sent"}


@pytest.mark.requirement("REQ-10")
def test_senders_that_found_no_thread_at_first_begin_with_the_next_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    looked = Event()

    def find() -> dict[str, list[str]]:
        looked.set()
        return {}

    lanes = Lanes(JOB_KINDS, find=find, work=lambda _kind, _stopped: True)
    with monkeypatch.context() as machine:
        machine.setattr(Thread, "start", no_thread)
        with pytest.raises(RuntimeError):
            lanes.wake()

    lanes.wake()

    assert looked.wait(10)
    lanes.close(10)
