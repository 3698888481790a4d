"""The whole service without any message: what triage knows reaches people by the background loops alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from services.notify.background import Loop, loops
from services.notify.settings import NotifySettings
from shared.loops import pause_s, run_every
from tests.notify.neighbours import MailServer, Receiver, Triage, an_assessment
from tests.waiting import eventually


@pytest.fixture
def running(settings: NotifySettings) -> Iterator[list[Loop]]:
    stop = threading.Event()
    running = loops(settings)
    threads = [threading.Thread(target=run, args=(stop,), name=name) for name, run in running]
    for thread in threads:
        thread.start()
    yield running
    stop.set()
    for thread in threads:
        thread.join(timeout=15)


@pytest.mark.requirement("REQ-08")
def test_an_emergency_reaches_people_without_a_broker(
    running: list[Loop],
    triage: Triage,
    mail: MailServer,
    receiver: Receiver,
    rows: Callable[..., list[dict[str, object]]],
) -> None:
    assert len({name for name, _ in running}) == len(running)

    triage.publish(an_assessment())

    eventually(lambda: mail.mails and receiver.requests, within_s=15)
    eventually(lambda: rows("SELECT state FROM alert") == [{"state": "received"}])


def test_a_loop_survives_every_error_and_ends_when_told() -> None:
    stop, calls = threading.Event(), list[int]()

    def fails_twice() -> None:
        calls.append(len(calls))
        if len(calls) < 3:
            raise ZeroDivisionError
        stop.set()

    run_every("test", 0.001, fails_twice, stop)

    assert calls == [0, 1, 2]


def test_pauses_after_failures_double_up_to_five_seconds() -> None:
    assert [pause_s(1.0, failures) for failures in (0, 1, 2, 3, 50)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert pause_s(3600.0, 4) == 3600.0
