"""The relay's loop: publishes outbox rows as they appear, waits out a broker or a database that is away."""

from __future__ import annotations

import logging
import threading

import psycopg

from shared import outbox
from shared.broker import BROKER_ERRORS, Publisher
from shared.postgres import DictConnection, connect

MOST = 1000
"""Rows that are relayed in one transaction."""
POLL_S = 0.5
GATHER_EACH_S, GATHER_S = 0.003, 0.04
"""The more there was to tell, the longer is waited for more, so that under load many references share one message and
one call of a worker. What comes alone goes at once."""
BROKER_PAUSE_S = 1.0
FAULT_PAUSE_S = 5.0

log = logging.getLogger(__name__)


def run_relay(url: str, schema: str, publisher: Publisher, stop: threading.Event) -> None:
    """Relay this schema's outbox until `stop` is set, whatever goes wrong. Any number may run side by side."""
    connection: DictConnection | None = None
    while not stop.is_set():
        try:
            if connection is None or connection.closed:
                connection = connect(url, schema=schema)
                for queue, number in outbox.undeliverable(connection).items():
                    log.error("rows for an unknown queue stay in the outbox", extra={"queue": queue, "number": number})
                connection.execute(f'LISTEN "{outbox.channel(schema)}"'.encode())
            told = outbox.relay(connection, publisher, limit=MOST)
            stop.wait(min(told * GATHER_EACH_S, GATHER_S))
            if told < MOST:  # what came meanwhile is announced
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
