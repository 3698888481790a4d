"""The broker keeps a message until its work is done, whatever happens to the worker that has it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from shared.broker import BROKER_ERRORS, GROWTH_KIB, KEY_PREFIX, TASKS, Publisher, make_celery, memory_kib
from shared.events import Ref, encode
from tests.conftest import Servers
from tests.notify.channels.certificates import Certified, certify
from tests.notify.channels.scripted import Scripted, a_server_that
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


def test_what_the_relay_publishes_is_what_celery_would_send(servers: Servers) -> None:
    database = servers.redis_url.rpartition("/")[0] + "/9"
    app, refs = make_celery(database), [Ref("a", 1), Ref("b", 2)]
    publisher = Publisher(app)
    own = {"id", "root_id", "correlation_id", "delivery_tag", "reply_to", "argsrepr", "kwargsrepr", "ignore_result"}

    def without_own(part: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in part.items() if name not in own}

    with redis.Redis.from_url(database) as broker:

        def taken() -> dict[str, Any]:
            message = json.loads(broker.lpop(KEY_PREFIX + "notify.urgent") or b"")
            parts = {name: without_own(message[name]) for name in ("headers", "properties")}
            assert message["headers"]["id"] == message["properties"]["correlation_id"]
            return message | parts

        publisher("notify.urgent", refs)
        ours = taken()
        app.send_task(TASKS["notify.urgent"], args=[encode(refs)], queue="notify.urgent", retry=False)

        assert ours == taken()
    publisher.close()


def clients_of(broker: redis.Redis) -> set[str]:
    """The ids of all connections that it has; those of earlier tests may end at any time."""
    return {str(client["id"]) for client in broker.client_list()}


def test_one_connection_carries_all_that_the_relay_asks_of_the_broker(servers: Servers) -> None:
    database = servers.redis_url.rpartition("/")[0] + "/9"
    publisher = Publisher(make_celery(database))
    with redis.Redis.from_url(database) as broker:
        before = clients_of(broker)
        for _ in range(3):
            publisher("notify.routine", [Ref("a", 1)])
            assert publisher.is_waiting("notify.routine")

        assert len(clients_of(broker) - before) == 1
        broker.delete(KEY_PREFIX + "notify.routine")
    publisher.close()


def test_what_a_worker_has_in_hand_is_acknowledged_by_a_client_that_is_kept(servers: Servers) -> None:
    database = servers.redis_url.rpartition("/")[0] + "/9"
    app = make_celery(database)
    publisher = Publisher(app)
    for number in range(3):
        publisher("notify.routine", [Ref(str(number), 1)])
    publisher.close()
    in_hand = KEY_PREFIX + "unacked"

    with app.connection_for_read() as connection, redis.Redis.from_url(database) as broker:
        queue = connection.SimpleQueue("notify.routine")
        used = list[object]()
        for _ in range(3):
            message = queue.get(timeout=20)
            had = broker.hlen(in_hand)
            message.ack()
            with message.channel.conn_or_acquire() as client:
                used.append(client)
            assert broker.hlen(in_hand) == had - 1

    assert used == [used[0]] * 3


def speak_to_a_broker_with_tls(certified: Certified, *, query: str = "") -> tuple[list[bytes], list[str]]:
    """What it hears first from a worker and from the relay, and why they give up: it never answers."""
    heard = list[bytes]()

    def takes(server: Scripted, connection: socket.socket) -> None:
        with certified.server.wrap_socket(connection, server_side=True) as secure:
            heard.append(secure.recv(1000))

    def error_of(speak: Callable[[], object]) -> str:
        with pytest.raises(BROKER_ERRORS) as caught:
            speak()
        return str(caught.value)

    with a_server_that(takes) as server, ThreadPoolExecutor(2) as both:
        app = make_celery(f"rediss://:secret@127.0.0.1:{server.port}/0{query}")
        speaks = [app.connection_for_read().channel, lambda: Publisher(app)("triage", [Ref("a", 1)])]
        errors = list(both.map(error_of, speaks))
    return heard, errors


def test_a_broker_whose_certificate_nobody_vouches_for_is_not_told_the_password(tmp_path: Path) -> None:
    heard, errors = speak_to_a_broker_with_tls(certify(tmp_path))

    assert heard == []
    assert ["CERTIFICATE_VERIFY_FAILED" in error for error in errors] == [True, True]


def test_who_vouches_for_the_certificate_of_the_broker_is_named_in_its_address(tmp_path: Path) -> None:
    certified = certify(tmp_path)
    authority = tmp_path / "authority.pem"
    authority.write_text(certified.authority, encoding="ascii")

    heard, errors = speak_to_a_broker_with_tls(certified, query=f"?ssl_ca_certs={authority}")

    assert heard
    assert all(b"secret" in first for first in heard)
    assert not [error for error in errors if "CERTIFICATE" in error]
