"""The supervisor: it restarts what dies, stops in order, and takes everything with it when it is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local import running
from deploy.local.folder import CHECKOUT, DataFolder, free_port
from tests.local.processes import alive, descendants, kill, named
from tests.waiting import eventually

Machine = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def machine(data: Path) -> Iterator[Machine]:
    """Starts a small machine on the data folder; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*children: str, port: int | None = None, ready: bool = True) -> subprocess.Popen[bytes]:
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "tests.local.machine",
            data,
            str(port or free_port()),
            *children,
        ]
        process = subprocess.Popen(
            command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        started.append(process)
        if ready:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n", process.communicate()[1].decode()
        return process

    yield start
    for process in started:
        family = descendants(process.pid)
        process.kill()
        process.communicate()
        eventually(lambda: not [pid for pid in family if alive(pid)], within_s=60)  # noqa: B023 - called in this turn


def pid_of(data: Path, name: str) -> int:
    system = running.find(DataFolder(data))
    assert system is not None
    return next(process.pid for process in system.processes if process.name == name)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_ends_every_process_in_order(machine: Machine, data: Path, number: signal.Signals) -> None:
    process = machine("waits", "forks")
    family = descendants(process.pid)

    process.send_signal(number)

    assert process.wait(60) == 0
    assert not [pid for pid in family if alive(pid)]
    assert "database system is shut down" in (data / "logs" / "postgres.log").read_text()


def test_a_killed_supervisor_takes_servers_children_and_worker_pools_with_it(machine: Machine, data: Path) -> None:
    process = machine("waits", "forks", "celery")
    celery = pid_of(data, "celery")
    eventually(lambda: len(descendants(celery)) == 2, within_s=60)
    family = descendants(process.pid)
    assert len(family) > 8

    process.kill()

    eventually(lambda: not [pid for pid in family if alive(pid)], within_s=60)


@pytest.mark.requirement("REQ-22")
def test_a_start_after_a_kill_resumes_on_the_same_data_and_ports(machine: Machine, data: Path) -> None:
    machine("waits").kill()
    ports = [(data / "state" / f"{name}-port").read_text() for name in ("postgres", "valkey")]

    process = machine("waits")

    assert process.poll() is None
    assert ports == [(data / "state" / f"{name}-port").read_text() for name in ("postgres", "valkey")]


@pytest.mark.requirement("REQ-22")
@pytest.mark.parametrize("name", ["waits", "postgres", "valkey"])
def test_a_process_that_dies_is_started_again(machine: Machine, data: Path, name: str) -> None:
    machine("waits")
    before = pid_of(data, name)

    kill(before, signal.SIGKILL)

    eventually(lambda: pid_of(data, name) != before and alive(pid_of(data, name)))


def test_a_process_that_cannot_be_started_now_is_tried_again_and_ends_nothing_else(
    machine: Machine, data: Path
) -> None:
    process = machine("waits")
    before, waits = pid_of(data, "valkey"), pid_of(data, "waits")
    log = data / "logs" / "valkey.log"
    log.unlink()
    log.mkdir()

    kill(before, signal.SIGKILL)
    assert process.stdout
    said = iter(process.stdout.readline, b"")
    assert any(b" valkey: [Errno" in line for line in said)
    assert process.poll() is None
    assert alive(waits)
    log.rmdir()

    def started_again() -> bool:
        system = running.find(DataFolder(data))
        assert system is not None
        return any(kept.name == "valkey" and kept.pid != before for kept in system.processes)

    eventually(started_again, within_s=30)
    assert pid_of(data, "waits") == waits


def test_the_pool_of_a_killed_worker_dies_with_it(machine: Machine, data: Path) -> None:
    machine("forks")
    forking = pid_of(data, "forks")
    eventually(lambda: len(descendants(forking)) == 2)
    pool = descendants(forking)

    kill(forking, signal.SIGKILL)

    eventually(lambda: not [pid for pid in pool if alive(pid)])


def test_children_are_named_after_their_work(machine: Machine) -> None:
    process = machine("waits")
    eventually(lambda: len(named("sural-waits", descendants(process.pid))) == 1)


def test_a_child_that_ignores_the_request_to_stop_is_killed_in_the_end(machine: Machine, data: Path) -> None:
    process = machine("deaf")
    deaf = pid_of(data, "deaf")
    log = data / "logs" / "deaf.log"
    eventually(lambda: log.exists() and "hears nothing" in log.read_text())

    process.terminate()

    assert process.wait(60) == 0
    assert not alive(deaf)


def test_a_child_that_cannot_start_ends_the_start_with_its_own_words(machine: Machine, data: Path) -> None:
    process = machine("broken", ready=False)

    output, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    assert b"ready" not in output
    assert b"`broken` keeps ending (the questionnaire folder is empty)." in errors
    assert running.find(DataFolder(data)) is None


def test_a_taken_port_is_told_in_a_sentence_and_nothing_is_started(machine: Machine, data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = machine("waits", port=port, ready=False)
        _, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    assert f"Port {port} is taken by another program. Stop that program, or choose".encode() in errors
    assert not (data / "state" / "postgres.lock").exists()


@pytest.mark.requirement("REQ-22")
def test_two_supervisors_never_run_on_one_folder(machine: Machine, data: Path) -> None:
    machine("waits")

    second = machine("waits", ready=False)

    assert b"Sural already runs on the data in" in second.communicate(timeout=30)[1]


def test_stopping_waits_until_nothing_is_left(machine: Machine, data: Path) -> None:
    process = machine("waits")
    family = descendants(process.pid)

    assert running.stop(DataFolder(data))

    assert not [pid for pid in family if alive(pid)]
    assert not running.stop(DataFolder(data))


def test_a_process_number_without_the_lock_is_not_believed(data: Path) -> None:
    folder = DataFolder.open(data)
    (folder.state / "supervisor.lock").touch()
    facts = {"pid": os.getpid(), "port": 8000, "started": running.now(), "processes": []}
    (folder.state / "supervisor.json").write_text(json.dumps(facts))

    assert not running.stop(folder)


def test_a_failpoint_holds_for_the_next_starts_of_one_process_until_it_is_taken_away(
    data: Path, machine: Machine
) -> None:
    folder = DataFolder(data)

    def said(words: str) -> int:
        log = folder.log("trapped")
        return log.read_text().count(words) if log.exists() else 0

    machine("trapped")
    eventually(lambda: said("passed") == 1)
    trap = folder.state / "failpoint-trapped"
    trap.write_text("outbox.before_publish:exit")

    kill(pid_of(data, "trapped"), signal.SIGKILL)
    eventually(lambda: said("failpoint") >= 2, within_s=30)
    assert said("passed") == 1, "it died there, and was started again"

    trap.unlink()
    eventually(lambda: said("passed") == 2, within_s=30)
    eventually(lambda: alive(pid_of(data, "trapped")))
