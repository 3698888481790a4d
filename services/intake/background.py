"""What intake does beside answering: telling triage of new responses, and tidying up."""

from __future__ import annotations

import threading
from collections.abc import Callable

from services.intake.app import SCHEMA
from services.intake.settings import IntakeSettings
from shared.audit.chain import run_sealing
from shared.broker import Publisher, make_celery
from shared.canary import run_heartbeat
from shared.relay import run_relay

Loop = tuple[str, Callable[[threading.Event], None]]


def loops(settings: IntakeSettings) -> list[Loop]:
    """Named loops; each runs until its event is set."""
    publisher = Publisher(make_celery(settings.redis_url.get_secret_value()))
    url = settings.intake_database_url.get_secret_value()
    return [
        ("intake-relay", lambda stop: run_relay(url, SCHEMA, publisher, stop)),
        ("intake-audit", lambda stop: run_sealing(url, SCHEMA, stop)),
        ("intake-heartbeat", lambda stop: run_heartbeat(url, SCHEMA, stop)),
    ]
