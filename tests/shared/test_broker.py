"""The broker keeps a message until its work is done, whatever happens to the worker that has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.broker import GROWTH_KIB, Publisher, make_celery, memory_kib
from shared.events import Ref
from tests.conftest import Servers
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import os, signal, sys
from pathlib import Path
from shared.broker import make_celery, run_worker

app, begun, done = make_celery(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])

@app.task(name="test.work")
def work(message):
    if not begun.exists():
        begun.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    done.touch()

run_worker(app, "triage")
"""


@pytest.mark.requirement("REQ-08")
def test_a_message_whose_worker_dies_comes_again(servers: Servers, tmp_path: Path) -> None:
    begun, done = tmp_path / "begun", tmp_path / "done"
    database = servers.redis_url.rpartition("/")[0] + "/9"  # of its own: other workers consume the same queue
    command = [sys.executable, "-c", WORKER, database, str(begun), str(done)]
    worker = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "C_FORCE_ROOT": "1"}, stdout=subprocess.DEVNULL)
    try:
        make_celery(database).send_task("test.work", args=[{}], queue="triage")

        eventually(begun.exists, within_s=60)
        eventually(done.exists, within_s=60)
    finally:
        worker.kill()
        worker.wait()


def test_a_worker_is_not_replaced_for_what_it_had_at_its_start() -> None:
    allowed = make_celery("redis://127.0.0.1:1").conf.worker_max_memory_per_child

    assert allowed - memory_kib() == pytest.approx(GROWTH_KIB, abs=50_000)


def test_a_message_waits_until_a_worker_takes_it(servers: Servers) -> None:
    database = servers.redis_url.rpartition("/")[0] + "/9"
    app = make_celery(database)
    publisher = Publisher(app)
    assert not publisher.is_waiting("notify.routine")

    publisher("notify.routine", [Ref("a", 1)])

    assert publisher.is_waiting("notify.routine")
    with app.connection() as connection:
        message = connection.SimpleQueue("notify.routine").get(timeout=20)
        assert not publisher.is_waiting("notify.routine")
        message.ack()
    publisher.close()
