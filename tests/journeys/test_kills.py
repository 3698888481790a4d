"""Whichever process dies at whatever moment, every accepted response gets its one assessment and its alert."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest
import redis

from tests.builders import a_response
from tests.intake.ehr import post, put
from tests.journeys.system import RECOVERY_S, System, a_system, settled
from tests.journeys.test_main_line import by_response
from tests.local.processes import alive, descendants
from tests.waiting import eventually

CHILDREN = ["postgres", "valkey", "web", "triage", "notify-urgent", "notify-routine", "background", "mail"]


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """A system of its own: it is killed again and again."""
    with a_system() as running:
        yield running


@pytest.mark.requirement("REQ-01", "REQ-05", "REQ-08", "REQ-22")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("child", CHILDREN)
def test_killing_a_process_again_and_again_loses_nothing(system: System, child: str) -> None:
    def strike(number: int) -> None:
        if number % 3 == 0:
            system.kill(child)

    rows = system.demo(strike)

    assert [row.problem for row in rows] == [None] * len(rows)
    settled(system)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("worker", ["triage", "notify-urgent"])
def test_killing_the_process_in_which_tasks_run_loses_nothing(system: System, worker: str) -> None:
    def strike(number: int) -> None:
        if number % 3 == 0:
            for pid in descendants(system.process(worker).pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    rows = system.demo(strike)

    assert [row.problem for row in rows] == [None] * len(rows)
    settled(system)


@pytest.mark.requirement("REQ-05", "REQ-08")
@pytest.mark.timeout(400)
def test_emptying_the_broker_again_and_again_loses_nothing(system: System) -> None:
    def strike(_number: int) -> None:
        with redis.Redis.from_url(system.redis_url) as broker:
            broker.flushall()

    rows = system.demo(strike)

    assert [row.problem for row in rows] == [None] * len(rows)
    settled(system)


@pytest.mark.requirement("REQ-08")
@pytest.mark.timeout(400)
def test_while_the_broker_is_frozen_alerts_go_out_without_it(system: System) -> None:
    broker = system.process("valkey").pid
    os.kill(broker, signal.SIGSTOP)
    try:
        rows = system.demo()
    finally:
        os.kill(broker, signal.SIGCONT)

    assert [row.problem for row in rows] == [None] * len(rows)
    settled(system)


@pytest.mark.requirement("REQ-05", "SR-18")
def test_an_emergency_that_was_amended_during_an_outage_is_told(system: System) -> None:
    first = a_response({"chest_pain": "Y"}, patient="p-amended")
    then = a_response({"chest_pain": "N"}, patient="p-amended", status="amended")
    broker, background = system.process("valkey").pid, system.process("background").pid
    with httpx.Client(base_url=system.url, timeout=20, trust_env=False) as client:
        os.kill(broker, signal.SIGSTOP)
        try:
            os.kill(background, signal.SIGSTOP)
            try:
                response_id = post(client, first).headers["location"].split("/")[-3]
                amended = {**then, "identifier": first["identifier"], "id": response_id}
                assert put(client, amended, If_Match='W/"1"').status_code == 200
            finally:
                os.kill(background, signal.SIGCONT)
            [task] = eventually(lambda: by_response(client, "Task", response_id), within_s=RECOVERY_S)
        finally:
            os.kill(broker, signal.SIGCONT)
        assert task["priority"] == "stat"
    settled(system)


@pytest.mark.requirement("REQ-22")
@pytest.mark.timeout(400)
def test_after_the_supervisor_was_killed_nothing_runs_on_and_the_next_up_resumes(system: System) -> None:
    supervisor = system.supervisor()
    pids = [system.process(name).pid for name in CHILDREN]

    def strike(number: int) -> None:
        if number == 5:
            os.kill(supervisor, signal.SIGKILL)
            eventually(lambda: not any(alive(pid) for pid in pids), within_s=30)
            system.up()

    rows = system.demo(strike)

    assert [row.problem for row in rows] == [None] * len(rows)
    settled(system)
