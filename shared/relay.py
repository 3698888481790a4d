"""The relay's loop: publishes outbox rows as they appear, waits out a broker or a database that is away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
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
HELD_S, LOOK_S = 0.1, 0.01
"""While no worker has come to the last message of a queue, rows for it stay in the outbox and share the next one: a
worker that is busy is not sent a message for each response. Not for longer than this, as messages are what shows
operators a backlog; looked at this often."""
BROKER_PAUSE_S = 1.0
FAULT_PAUSE_S = 5.0

log = logging.getLogger(__name__)


def run_relay(url: str, schema: str, publisher: Publisher, stop: threading.Event) -> None:
    """Relay this schema's outbox until `stop` is set, whatever goes wrong. Any number may run side by side."""
    connection: DictConnection | None = None
    sent = _Sent(publisher)
    while not stop.is_set():
        try:
            if connection is None or connection.closed:
                connection = connect(url, schema=schema)
                for queue, number in outbox.undeliverable(connection).items():
                    log.error("rows for an unknown queue stay in the outbox", extra={"queue": queue, "number": number})
                connection.execute(f'LISTEN "{outbox.channel(schema)}"'.encode())
            held = sent.not_taken()
            told = outbox.relay(connection, sent, limit=MOST, queues=[one for one in QUEUES if one not in held])
            stop.wait(max(min(told * GATHER_EACH_S, GATHER_S), LOOK_S if held else 0))
            if told < MOST and not held:  # what came meanwhile is announced
                outbox.wait_for_rows(connection, timeout_s=POLL_S)
        except BROKER_ERRORS as error:
            log.warning("broker away", extra={"error": type(error).__name__})
            stop.wait(BROKER_PAUSE_S)
        except psycopg.Error as error:
            log.warning("database away", extra={"error": type(error).__name__})
            connection = None
            stop.wait(POLL_S)
        except Exception as error:
            log.exception("relay failed", extra={"error": type(error).__name__})
            stop.wait(FAULT_PAUSE_S)
    publisher.close()
    if connection is not None:
        connection.close()


@dataclass(slots=True)
class _Sent:
    """Publishes, and knows to which queues it lately did."""

    publisher: Publisher
    _at: dict[str, float] = field(default_factory=dict)

    def __call__(self, queue: str, refs: Sequence[Ref]) -> None:
        self.publisher(queue, refs)
        self._at[queue] = time.monotonic()

    def not_taken(self) -> set[str]:
        """Queues to which something was sent a moment ago that still waits. Raises what the publisher raises."""
        lately = time.monotonic() - HELD_S
        self._at = {queue: at for queue, at in self._at.items() if at > lately and self.publisher.is_waiting(queue)}
        return set(self._at)
