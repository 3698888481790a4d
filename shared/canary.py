"""Proof that a worker consumes: a message to its canary queue comes back as a time in the database.

A worker can be connected and idle for ever without consuming; only work that was done shows that work is done.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import psycopg
from celery import Celery

from shared.broker import BROKER_ERRORS, Publisher, canary_queue
from shared.loops import run_every
from shared.postgres import DictConnection, Pool, connect

INTERVAL_S = 10.0
STALE_S = 60.0
BACKGROUND = "background"
"""Stands in the place of a queue for the process that runs the loops."""

log = logging.getLogger(__name__)


def task_name(queue: str) -> str:
    """The Celery task that answers the canary of this queue."""
    return f"canary.{queue}"


def install_canary(app: Celery, pool: Callable[[], Pool], queue: str) -> None:
    """Let workers of this app answer the canary of `queue`. `pool` is called in the process that runs the task."""

    @app.task(name=task_name(queue))
    def canary(_message: object) -> None:
        with pool().connection() as connection:
            note_seen(connection, queue)


def note_seen(connection: DictConnection, queue: str) -> None:
    """Note that a worker consumed a canary just now."""
    connection.execute(
        "INSERT INTO canary (queue, seen_at) VALUES (%s, now()) "
        "ON CONFLICT (queue) DO UPDATE SET seen_at = excluded.seen_at",
        (queue,),
    )


def send_canaries(publisher: Publisher, queues: Sequence[str], stop: threading.Event) -> None:
    """Send a canary to each queue every few seconds until `stop`; a broker that is away is waited out."""
    while not stop.is_set():
        try:
            for queue in queues:
                publisher.send(task_name(queue), canary_queue(queue), {"v": 1})
        except BROKER_ERRORS:
            publisher.close()
        except Exception as error:
            log.exception("canary failed", extra={"error": type(error).__name__})
            publisher.close()
        stop.wait(INTERVAL_S)
    publisher.close()


def run_heartbeat(pool: Pool, schema: str, stop: threading.Event) -> None:
    """Note every few seconds that this service's background process runs, until `stop`."""

    def beat() -> None:
        with pool.connection() as connection:
            note_seen(connection, BACKGROUND)

    run_every(f"{schema}-heartbeat", INTERVAL_S, beat, stop)


def check_worker(url: str, schema: str, queue: str) -> str | None:
    """None when a worker of this queue answered within the last minute, else one sentence."""
    try:
        with connect(url, schema=schema) as connection:
            row = connection.execute(
                "SELECT extract(epoch FROM now() - seen_at)::float8 AS age FROM canary WHERE queue = %s", (queue,)
            ).fetchone()
    except psycopg.Error as error:
        return f"The database does not answer ({type(error).__name__})."
    if row is None:
        return f"No worker of {queue} has answered a canary yet."
    if row["age"] > STALE_S:
        return f"No worker of {queue} has answered a canary for {row['age']:.0f} s. Restart it."
    return None
