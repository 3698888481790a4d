"""The relay's loop: publishes outbox rows as they appear, waits out a broker or a database that is away."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import psycopg

from shared import outbox
from shared.broker import BROKER_ERRORS, Publisher
from shared.events import QUEUES, Ref
from shared.postgres import DictConnection, connect

MOST = 1000
"""Rows that are relayed in one transaction."""
POLL_S = 0.5
GATHER_EACH_S, GATHER_S = 0.003, 0.04
"""The more there was to tell, the longer is waited for more, so that under load many references share one message and
one call of a worker. What comes alone goes at once."""
HELD_S, LOOK_S = 0.1, 0.02
"""While no worker has come to the last message of a queue, rows for it stay in the outbox and share the next one: a
worker that is busy is not sent a message for each response. Not for longer than this, as messages are what shows
operators a backlog; looked at this often."""
BROKER_PAUSE_S = 1.0
FAULT_PAUSE_S = 5.0

log = logging.getLogger(__name__)


def run_relay(url: str, schema: str, publisher: Publisher, stop: threading.Event) -> None:
    """Relay this schema's outbox until `stop` is set, whatever goes wrong. Any number may run side by side."""
    connection: DictConnection | None = None
    sent, news = _Sent(publisher), _News()
    while not stop.is_set():
        try:
            if connection is None or connection.closed:
                connection, news = _open(url, schema), _News()
                announced = outbox.Announcements(connection, schema)
            held = sent.not_taken(news.queues)
            if asked := [queue for queue in QUEUES if queue in news.queues and queue not in held]:
                told = outbox.relay(connection, sent, limit=MOST, queues=asked)
                if told < MOST:  # what came meanwhile is announced
                    news.queues.difference_update(asked)
                stop.wait(min(told * GATHER_EACH_S, GATHER_S))
            else:
                stop.wait(LOOK_S)
            news.add(announced.hear(timeout_s=0 if news.queues else news.next_look_s()))
            news.look_for_all()
        except BROKER_ERRORS as error:
            log.warning("broker away", extra={"error": type(error).__name__})
            stop.wait(BROKER_PAUSE_S)
        except psycopg.Error as error:
            log.warning("database away", extra={"error": type(error).__name__})
            if connection is not None:
                connection.close()
            stop.wait(POLL_S)
        except Exception as error:
            log.exception("relay failed", extra={"error": type(error).__name__})
            if connection is not None:
                connection.close()
            stop.wait(FAULT_PAUSE_S)
    publisher.close()
    if connection is not None:
        connection.close()


def _open(url: str, schema: str) -> DictConnection:
    """A connection of its own."""
    connection = connect(url, schema=schema)
    for queue, number in outbox.undeliverable(connection).items():
        log.error("rows for an unknown queue stay in the outbox", extra={"queue": queue, "number": number})
    return connection


@dataclass(slots=True)
class _News:
    """Queues for which rows may wait: those that were announced, and every half second all of them."""

    queues: set[str] = field(default_factory=lambda: set(QUEUES))
    _all_at: float = field(default_factory=time.monotonic)

    def add(self, announced: set[str]) -> None:
        """What was announced for no queue that we know may be for any."""
        self.queues |= announced if announced.issubset(QUEUES) else set(QUEUES)

    def next_look_s(self) -> float:
        """Seconds until all are looked for, as announcements get lost."""
        return max(self._all_at + POLL_S - time.monotonic(), 0.0)

    def look_for_all(self) -> None:
        """Do so, if it is time to."""
        if self.next_look_s() == 0:
            self.queues, self._all_at = set(QUEUES), time.monotonic()


@dataclass(slots=True)
class _Sent:
    """Publishes, and knows to which queues it lately did."""

    publisher: Publisher
    _at: dict[str, float] = field(default_factory=dict)

    def __call__(self, queue: str, refs: Sequence[Ref]) -> None:
        self.publisher(queue, refs)
        self._at[queue] = time.monotonic()

    def not_taken(self, queues: Iterable[str]) -> set[str]:
        """Those of them to which something was sent a moment ago that still waits. Raises what the publisher raises."""
        lately = time.monotonic() - HELD_S
        sent = [queue for queue in queues if self._at.get(queue, -math.inf) > lately]
        return {queue for queue in sent if self.publisher.is_waiting(queue)}
