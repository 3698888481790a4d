"""A message names an assessment: its alert is opened at once, and whatever goes wrong, it is opened once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from services.notify.hear import RAISE_URGENT, hear
from shared import failpoint, jobs
from shared.events import Ref
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage, an_assessment


@pytest.fixture
def arm() -> Iterator[Callable[[str], None]]:
    """Sets traps at places of this process."""
    yield failpoint.arm
    failpoint.arm("")


def note(service: Service, *refs: Ref) -> None:
    """What a catch-up does that was faster than the message, or what a worker left that died."""
    with service.notify.pool.connection() as connection:
        jobs.add(connection, RAISE_URGENT, refs)


def raised(service: Service) -> list[str]:
    """Whose alerts were opened, the first first."""
    return [row["subject_key"] for row in service.rows("SELECT subject_key FROM alert ORDER BY opened_at, id")]


def raise_jobs(service: Service) -> list[dict[str, object]]:
    return service.rows("SELECT state, attempts FROM job WHERE kind LIKE 'raise%%' ORDER BY created_at")


def test_what_a_message_names_is_done_at_once_and_stands_as_done(service: Service, triage: Triage) -> None:
    hear(service.notify, RAISE_URGENT, [triage.publish(an_assessment())])

    assert service.events() == ["opened"]
    assert raise_jobs(service) == [{"state": "done", "attempts": 1}]


@pytest.mark.requirement("REQ-10")
def test_a_fresh_emergency_comes_before_all_that_is_left_over(service: Service, triage: Triage) -> None:
    note(service, *(triage.publish(an_assessment(patient=f"Patient/old-{number}")) for number in range(5)))

    hear(service.notify, RAISE_URGENT, [triage.publish(an_assessment(patient="Patient/new"))])

    assert raised(service) == ["Patient/new"]
    service.works()
    assert len(raised(service)) == 6


@pytest.mark.requirement("REQ-13")
def test_what_a_catch_up_noted_before_the_message_came_is_done_once(service: Service, triage: Triage) -> None:
    ref = triage.publish(an_assessment())
    note(service, ref)

    hear(service.notify, RAISE_URGENT, [ref])
    service.works()

    assert service.events() == ["opened"]
    assert raise_jobs(service) == [{"state": "done", "attempts": 1}]


@pytest.mark.requirement("REQ-13")
def test_one_message_that_ten_workers_get_at_once_raises_one_alert(service: Service, triage: Triage) -> None:
    refs = [triage.publish(an_assessment(patient=f"Patient/{number}")) for number in range(3)]
    barrier = threading.Barrier(10)

    def work() -> None:
        barrier.wait(timeout=20)
        hear(service.notify, RAISE_URGENT, refs)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert service.events() == ["opened"] * 3
    assert len(service.rows("SELECT * FROM delivery")) == 6
    assert {str(job["state"]) for job in raise_jobs(service)} == {"done"}


@pytest.mark.requirement("REQ-10")
def test_what_fails_at_once_is_noted_and_done_and_keeps_no_other(
    service: Service, triage: Triage, arm: Callable[[str], None]
) -> None:
    refs = [triage.publish(an_assessment(patient=f"Patient/{number}")) for number in range(3)]
    arm("notify.raise.before_commit:raise@1")

    hear(service.notify, RAISE_URGENT, refs)

    assert sorted(raised(service)) == ["Patient/0", "Patient/1", "Patient/2"]
    assert service.events() == ["opened"] * 3


@pytest.mark.requirement("REQ-10")
def test_what_cannot_be_done_now_stays_noted_with_its_attempts(
    service: Service, triage: Triage, arm: Callable[[str], None]
) -> None:
    ref = triage.publish(an_assessment())
    arm("notify.raise.before_commit:raise")

    hear(service.notify, RAISE_URGENT, [ref])

    assert raised(service) == []
    assert raise_jobs(service) == [{"state": "pending", "attempts": 1}]


@pytest.mark.requirement("REQ-10")
def test_where_one_fails_the_rest_is_noted_first_and_not_tried_one_by_one(
    service: Service, triage: Triage, arm: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    refs = [triage.publish(an_assessment(patient=f"Patient/{number}")) for number in range(5)]
    arm("notify.raise.before_commit:raise")

    hear(service.notify, RAISE_URGENT, refs)

    assert [record.message for record in caplog.records].count("assessments not handled at once") == 1
    assert [job["state"] for job in raise_jobs(service)] == ["pending"] * 5


def test_a_message_that_takes_long_is_noted_for_others_to_help(
    service: Service, triage: Triage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notify.hear.AT_ONCE_S", -1.0)
    refs = [triage.publish(an_assessment(patient=f"Patient/{number}")) for number in range(3)]
    helped: list[int] = []
    monkeypatch.setattr(jobs, "drain", lambda *_, **__: helped.append(len(raise_jobs(service))))

    hear(service.notify, RAISE_URGENT, refs)

    assert helped == [3]
    assert raised(service) == []


def test_what_had_been_set_aside_is_tried_when_a_message_names_it(service: Service, triage: Triage) -> None:
    ref = triage.publish(an_assessment())
    note(service, ref)
    service.rows("UPDATE job SET state = 'dead', attempts = 3")

    hear(service.notify, RAISE_URGENT, [ref])

    assert service.events() == ["opened"]
