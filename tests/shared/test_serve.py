"""A process of loops ends as a whole, also where one of its loops does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import threading
from shared import serve

serve.END_S = 0.2

def works_on(stop):
    print("works", flush=True)
    threading.Event().wait()

def ends(stop):
    pass

serve.run_loops([("never", works_on), ("first", {other})])
"""


@contextmanager
def running(other: str) -> Iterator[subprocess.Popen[str]]:
    """A process with a loop that never asks whether it shall stop, and another one."""
    command = [sys.executable, "-c", PROGRAM.format(other=other)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.requirement("REQ-08")
def test_a_loop_that_ended_ends_the_process_also_while_another_one_works_on() -> None:
    with running("ends") as process:
        _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "The loop first ended." in said


def test_a_loop_that_works_on_does_not_keep_a_process_that_is_told_to_stop() -> None:
    with running("lambda stop: stop.wait()") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "works\n"
        process.terminate()
        process.communicate(timeout=60)

    assert process.returncode == 0
