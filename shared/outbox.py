"""The outbox: what neighbours must be told, from a row written with the thing itself to a message on the broker.

The broker is only a wake-up. A row is deleted when its message was accepted; a message lost after that is found by the
neighbour's catch-up, a row published twice is stopped by the neighbour's job table.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import psycopg

from shared.events import MAX_REFS, QUEUES, Ref
from shared.failpoint import reach
from shared.postgres import DictConnection, has_news, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
CHANNEL_SUFFIX = "_outbox"
DEBOUNCE_S, BUSY_DEBOUNCE_S = 0.003, 0.02
BUSY_PER_S = 250
"""Rows a second from which on the relay is woken less often: a message of ten costs what a message of one costs."""

Publish = Callable[[str, Sequence[Ref]], None]
"""Hands one message to the broker: queue and references. Raises when the broker did not take it."""


def add(connection: DictConnection, queue: str, refs: Sequence[Ref]) -> None:
    """Note, in the caller's transaction, that `queue` must hear of these references."""
    connection.execute(
        QUERIES["add"],
        {
            "queue": queue,
            "tenants": [ref.tenant for ref in refs],
            "ids": [ref.id for ref in refs],
            "versions": [ref.version for ref in refs],
        },
    )


def relay(connection: DictConnection, publish: Publish, *, limit: int = 1000, queues: Sequence[str] = QUEUES) -> int:
    """Publish unsent rows of these queues, oldest first, and delete them. Returns how many went out.

    Rows that another relay holds are skipped, and so are rows for a queue that this version does not know. When
    `publish` raises, the transaction is undone and every row stays: some messages may then go out twice, none is lost.
    """
    with connection.transaction():
        rows = connection.execute(QUERIES["take"], {"limit": limit, "queues": list(queues)}).fetchall()
        rows.sort(key=lambda row: (str(row["queue"]), int(row["id"])))
        for queue, group in groupby(rows, key=lambda row: str(row["queue"])):
            refs = [Ref(row["ref_id"], row["ref_version"], row["tenant_id"]) for row in group]
            for start in range(0, len(refs), MAX_REFS):
                reach("outbox.before_publish")
                publish(queue, refs[start : start + MAX_REFS])
                reach("outbox.after_publish")
    if rows:
        reach("outbox.after_mark")
    return len(rows)


def undeliverable(connection: DictConnection) -> dict[str, int]:
    """How many rows wait for each queue that this version does not know. They stay for one that does."""
    rows = connection.execute(QUERIES["undeliverable"], {"queues": list(QUEUES)}).fetchall()
    return {str(row["queue"]): int(row["number"]) for row in rows}


def channel(schema: str) -> str:
    """Name of the NOTIFY channel on which new rows of this schema's outbox are announced."""
    return schema + CHANNEL_SUFFIX


def announce(connection: DictConnection, schema: str, queue: str = "") -> None:
    """Wake the relay for rows of this queue, or of any.

    Never inside the transaction that inserts: that would make all commits wait for each other.
    """
    connection.execute("SELECT pg_notify(%s, %s)", (channel(schema), queue))


class Waker:
    """Announces new outbox rows at most once every few milliseconds, from a thread with a connection of its own.

    A failed announcement costs nothing but the relay's poll interval, so errors only drop the connection.
    """

    def __init__(self, connect: Callable[[], DictConnection], schema: str) -> None:
        self._connect, self._schema = connect, schema
        self._wanted, self._stopped = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._number, self._announced_at = 0, -math.inf

    def wake(self) -> None:
        """Ask for an announcement soon. Never blocks, never raises."""
        self._number += 1  # may miss one when threads meet: it only tells a busy time from a quiet one
        if not self._wanted.is_set():
            self._wanted.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="outbox-waker", daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._wanted.set()

    def _run(self) -> None:
        connection: DictConnection | None = None
        pause_s = DEBOUNCE_S
        while not self._stopped.is_set():
            self._wanted.wait()
            self._stopped.wait(pause_s)
            self._wanted.clear()
            pause_s = self._next_pause_s()
            try:
                if connection is None or connection.closed:
                    connection = self._connect()
                announce(connection, self._schema)
            except psycopg.Error:
                connection = None
        if connection is not None:
            connection.close()

    def _next_pause_s(self) -> float:
        """Longer while many rows come, judged by how many came since the last announcement."""
        now, number = time.monotonic(), self._number
        is_busy = number > (now - self._announced_at) * BUSY_PER_S
        self._announced_at, self._number = now, 0
        return BUSY_DEBOUNCE_S if is_busy else DEBOUNCE_S


class Announcements:
    """What is announced on a connection, which listens from now on.

    Heard from libpq itself: psycopg's own way costs as much as taking a row, and most of what is heard says that there
    is more for a worker that is busy.
    """

    def __init__(self, connection: DictConnection, schema: str) -> None:
        self._connection = connection
        self._queues: set[str] = set()
        connection.add_notify_handler(lambda told: self._queues.add(told.payload))  # those that come with other answers
        connection.execute(f'LISTEN "{channel(schema)}"'.encode())

    def hear(self, *, timeout_s: float = 0) -> set[str]:
        """The queues for which new rows were announced since the last call, "" for any; none after `timeout_s`."""
        self._gather()
        if not self._queues and has_news(self._connection.fileno(), timeout_s=timeout_s):
            self._connection.pgconn.consume_input()
            self._gather()
        heard, self._queues = self._queues, set()
        return heard

    def _gather(self) -> None:
        while (told := self._connection.pgconn.notifies()) is not None:
            self._queues.add(told.extra.decode())
