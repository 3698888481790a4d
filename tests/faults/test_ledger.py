"""What was accepted stays known, whatever becomes of whoever noted it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deploy.local.faults.ledger import Accepted, Acknowledged, Ledger, read
from deploy.local.folder import CHECKOUT

WRITER = """
import sys
from pathlib import Path
from deploy.local.faults.ledger import Accepted, Ledger
with Ledger(Path(sys.argv[1])) as ledger:
    number = 0
    while True:
        number += 1
        ledger.record(Accepted(str(number), 1, "ab", "routine", True, 1.0, 1.0))
        print(number, flush=True)
"""


def entry(number: int) -> Accepted:
    return Accepted(str(number), 1, "ab" * 32, "emergency", True, 2.0, 1.0)


def test_what_was_recorded_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.record(entry(1))
        ledger.record(Acknowledged("a-1", "link", 3.0))
    with Ledger(path) as ledger:
        ledger.record(entry(2))
    assert list(read(path)) == [entry(1), Acknowledged("a-1", "link", 3.0), entry(2)]


def test_many_threads_lose_nothing_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        threads = [
            threading.Thread(target=lambda first=first: [ledger.record(entry(first + n)) for n in range(50)])
            for first in range(0, 400, 50)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {each.id for each in read(path) if isinstance(each, Accepted)} == {str(n) for n in range(400)}


@pytest.mark.requirement("REQ-43")
def test_everything_that_a_killed_writer_had_noted_is_there(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    command = [sys.executable, "-P", "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(CHECKOUT)}) as writer:
        assert writer.stdout is not None
        noted = [int(writer.stdout.readline()) for _ in range(100)]
        writer.send_signal(signal.SIGKILL)
        noted += [int(line) for line in writer.stdout if line.endswith("\n")]
    found = {int(each.id) for each in read(path) if isinstance(each, Accepted)}
    assert set(noted) <= found


def test_half_a_line_of_a_killed_writer_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.record(entry(1))
    with path.open("ab") as torn:
        torn.write(b'{"kind": "accepted", "id": "2", "ver')
    assert list(read(path)) == [entry(1)]
