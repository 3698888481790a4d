"""Processes can be made to die at every commit, publish and send, in the sandbox and nowhere else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import timeit
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from shared import failpoint
from shared.failpoint import NAMES, VARIABLE, Reached, reach, traps
from shared.settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[2]
PLACE = "triage.store.before_commit"
PROGRAM = f"from shared.failpoint import reach\nfor turn in range(5): print(turn, flush=True); reach('{PLACE}')"


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoint.arm("")


def called() -> set[str]:
    """The places that the code names."""
    files = [path for folder in ("services", "shared") for path in (ROOT / folder).rglob("*.py")]
    return {name for path in files for name in re.findall(r'reach\("([^"]*)"\)', path.read_text(encoding="utf-8"))}


def run(spec: str) -> subprocess.Popen[str]:
    """A process that reaches the place five times and prints the number of each time before it."""
    environment = {**os.environ, VARIABLE: spec}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.requirement("REQ-43")
def test_every_place_is_in_the_code_and_no_other() -> None:
    assert called() == NAMES


def test_exit_kills_as_kill_9_does() -> None:
    process = run(f"{PLACE}:exit")
    printed, _ = process.communicate(timeout=30)

    assert process.returncode == -signal.SIGKILL
    assert printed.split() == ["0"]


def test_it_acts_at_the_time_that_was_asked_for() -> None:
    process = run(f"{PLACE}:exit@3")
    printed, _ = process.communicate(timeout=30)

    assert process.returncode == -signal.SIGKILL
    assert printed.split() == ["0", "1", "2"]


def test_a_stopped_process_goes_on_when_it_is_told_to() -> None:
    process = run(f"{PLACE}:stop@1")
    stopped = os.waitpid(process.pid, os.WUNTRACED)[1]
    assert os.WIFSTOPPED(stopped)

    process.send_signal(signal.SIGCONT)
    printed, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert printed.split() == ["0", "1", "2", "3", "4"]


def test_raise_raises_and_the_next_time_passes() -> None:
    failpoint.arm(f"{PLACE}:raise@1")

    with pytest.raises(Reached):
        reach(PLACE)
    reach(PLACE)


def test_hang_never_returns() -> None:
    failpoint.arm(f"{PLACE}:hang")
    passed = threading.Event()
    threading.Thread(target=lambda: (reach(PLACE), passed.set()), daemon=True).start()

    assert not passed.wait(0.2)


def test_note_writes_the_place_into_the_log_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    failpoint.arm(f"{PLACE}:note")

    reach(PLACE)

    assert [vars(record)["kind"] for record in caplog.records] == [PLACE]


def fallen(seed: int) -> list[int]:
    failpoint.arm(f"{PLACE}:raise@4%{seed}")
    times = []
    for turn in range(200):
        try:
            reach(PLACE)
        except Reached:
            times.append(turn)
    return times


def test_a_seed_draws_the_same_times_again() -> None:
    assert fallen(7) == fallen(7)
    assert fallen(7) != fallen(8)


def test_chance_acts_about_as_often_as_it_was_asked_to() -> None:
    assert 30 <= len(fallen(7)) <= 70


@pytest.mark.parametrize(
    "spec", ["triage.store.befor_commit:exit", f"{PLACE}:explode", PLACE, f"{PLACE}:exit@0", "exit"]
)
def test_what_does_not_exist_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match=VARIABLE):
        traps(spec)


@pytest.mark.parametrize("spec", ["triage.store.befor_commit:exit", f"{PLACE}:explode"])
def test_a_service_does_not_start_with_what_does_not_exist(spec: str) -> None:
    with pytest.raises(ValidationError, match=VARIABLE):
        ServiceSettings.load({"SURAL_MODE": "sandbox", VARIABLE: spec})


@pytest.mark.requirement("REQ-43")
def test_nothing_starts_with_it_outside_the_sandbox() -> None:
    production = {
        "SURAL_MODE": "production",
        "SURAL_PUBLIC_URL": "https://sural.clinic.example",
        "SURAL_SERVICE_TOKEN": "a secret of at least thirty-two characters",
    }
    ServiceSettings.load(production)

    with pytest.raises(ValidationError, match="SURAL_FAILPOINT makes processes die on purpose"):
        ServiceSettings.load({**production, VARIABLE: f"{PLACE}:exit"})


def test_unset_it_costs_less_than_a_microsecond() -> None:
    assert min(timeit.repeat(lambda: reach(PLACE), number=10_000, repeat=5)) / 10_000 < 1e-6
