"""What intake does beside answering: telling triage of new responses, and tidying up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

from services.intake import client_store, store
from services.intake.app import SCHEMA
from services.intake.forgetting import forget_old_keys
from services.intake.neighbours import neighbours
from services.intake.retention import look_after_refused
from services.intake.settings import IntakeSettings
from shared.audit.chain import run_sealing
from shared.broker import Publisher, make_celery
from shared.canary import run_heartbeat
from shared.loops import run_every
from shared.postgres import open_pool
from shared.relay import run_relay
from shared.watchdog import EVERY_S, forget_rounds

RETENTION_S = 60.0
FORGET_S = 300.0

Loop = tuple[str, Callable[[threading.Event], None]]


def loops(settings: IntakeSettings) -> list[Loop]:
    """Named loops; each runs until its event is set."""
    publisher = Publisher(make_celery(settings.redis_url.get_secret_value()))
    url = settings.intake_database_url.get_secret_value()
    pool = open_pool(url, schema=SCHEMA, size=2, name="background")
    notify, keep = neighbours(settings).notify, timedelta(days=settings.quarantine_days)

    def retain() -> None:
        look_after_refused(pool, notify, keep)

    def forget() -> None:
        with pool.connection() as connection:
            client_store.forget_assertions(connection)
        forget_old_keys(pool)

    def forget_watchdog() -> None:
        forget_rounds(pool, SCHEMA, store.forget_rounds)

    return [
        ("intake-forgetting", lambda stop: run_every("intake-forgetting", FORGET_S, forget, stop)),
        ("intake-relay", lambda stop: run_relay(url, SCHEMA, publisher, stop)),
        ("intake-audit", lambda stop: run_sealing(pool, SCHEMA, stop)),
        ("intake-retention", lambda stop: run_every("intake-retention", RETENTION_S, retain, stop)),
        ("intake-watchdog", lambda stop: run_every("intake-watchdog", EVERY_S, forget_watchdog, stop)),
        ("intake-heartbeat", lambda stop: run_heartbeat(pool, SCHEMA, stop)),
    ]
