"""Nobody's processor time is forgotten, not even that of processes that ended before anybody looked."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from deploy.local.benchmark.accounting import SUPERVISOR, Used, processor_s, read_books, read_memory, spent
from tests.waiting import eventually

BURN = """
import sys, time
def burn(s):
    end = time.process_time() + s
    while time.process_time() < end: pass
"""
PARENT = (
    BURN
    + """
import subprocess
for line in sys.stdin:
    seconds = line.strip()
    subprocess.run([sys.executable, "-c", "import time\\nend = time.process_time() + %s\\nwhile time.process_time() < end: pass" % seconds])
    print("done", flush=True)
"""  # noqa: E501
)


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    """A process that starts a child for each line and waits for it."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.terminate()


def has_child_burn(parent: subprocess.Popen[str], seconds: float) -> None:
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(f"{seconds}\n")
    parent.stdin.flush()
    assert parent.stdout.readline() == "done\n"


def test_what_a_child_used_that_ended_is_counted(parent: subprocess.Popen[str]) -> None:
    has_child_burn(parent, 0.01)
    before = read_books(parent.pid)
    has_child_burn(parent, 0.3)
    total = sum(spent(before, read_books(parent.pid)).values())

    assert 0.29 <= total <= 1.0


def test_without_the_books_of_the_parent_it_would_be_missed(parent: subprocess.Popen[str]) -> None:
    has_child_burn(parent, 0.01)
    before = processor_s(parent.pid)
    has_child_burn(parent, 0.3)
    after = processor_s(parent.pid)

    assert before is not None
    assert after is not None
    assert after - before < 0.2


def test_a_process_that_lived_before_and_ended_meanwhile_counts_only_for_what_it_used_meanwhile() -> None:
    before = {1: Used(SUPERVISOR, 0, 5.0), 2: Used("worker", 1, 10.0), 3: Used("web", 1, 2.0)}
    after = {1: Used(SUPERVISOR, 0, 5.5, inherited=11.0), 3: Used("web", 1, 3.0)}

    assert spent(before, after) == pytest.approx({SUPERVISOR: 1.5, "web": 1.0})


def test_a_process_that_began_meanwhile_counts_whole() -> None:
    assert spent({}, {7: Used("web", 1, 1.5)}) == {"web": 1.5}


def test_all_below_a_process_are_found_and_those_left_out_are_not(parent: subprocess.Popen[str]) -> None:
    assert parent.stdin is not None
    parent.stdin.write("2\n")
    parent.stdin.flush()
    books = eventually(lambda: found if len(found := read_books(parent.pid)) == 2 else None, within_s=10)
    [child] = set(books) - {parent.pid}

    assert set(read_books(parent.pid, without={child})) == {parent.pid}
    assert books[parent.pid].name == SUPERVISOR
    assert os.getpid() not in books


def test_memory_is_that_of_living_processes(parent: subprocess.Popen[str]) -> None:
    has_child_burn(parent, 0.0)
    memory = read_memory(parent.pid)[SUPERVISOR]

    assert memory.processes == 1
    assert 1 < memory.pss_mb <= memory.rss_mb < 200


def test_a_process_that_is_gone_has_no_clock() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    assert processor_s(gone.pid) is None
    began = time.process_time()
    used = processor_s(os.getpid())
    assert used is not None
    assert used >= began
