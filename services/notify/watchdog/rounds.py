"""Rounds of the watchdog: begin one when it is time, and tell the outside of each that came back."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from services.notify.watchdog import store
from services.notify.watchdog.emergency import emergency_of
from shared.fhir.client import FhirClient, NeighbourFault, NeighbourUnavailable
from shared.ids import WATCHDOG_TENANT, uuid7
from shared.outbound import Outbound, OutboundFailed, OutboundRefused
from shared.postgres import Pool

CREATED = 201

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watchdog:
    """What rounds need from outside. `intake` signs its calls: unsigned ones would be for real patients' tenant."""

    pool: Pool
    intake: FhirClient
    every: timedelta
    url: str = field(default="", repr=False)
    sandbox: bool = False


def look(watchdog: Watchdog) -> None:
    """One look: a new round if it is time, and news of the newest full one. Raises NeighbourUnavailable."""
    tell(watchdog)
    begin(watchdog)


def begin(watchdog: Watchdog) -> bool:
    """Send a synthetic emergency if it is time; True when one went out.

    Raises NeighbourUnavailable when intake did not take it; then another round may begin at once.
    """
    round_id = uuid7()
    with watchdog.pool.connection() as connection:
        began_at = store.begin(connection, round_id, watchdog.every)
    if began_at is None:
        return False
    try:
        response = emergency_of(round_id, began_at)
        status, _ = watchdog.intake.post("QuestionnaireResponse", response, tenant=WATCHDOG_TENANT)
        if status != CREATED:
            raise NeighbourFault(f"intake answered {status} to a synthetic emergency")
    except NeighbourUnavailable:
        with watchdog.pool.connection() as connection:
            store.drop(connection, round_id)
        raise
    return True


def tell(watchdog: Watchdog) -> bool:
    """Ask the configured address once for the newest full round; True when it answered with 2xx."""
    if not watchdog.url:
        return False
    with watchdog.pool.connection() as connection:
        round_id = store.take_told(connection)
    if round_id is None:
        return False
    answer = _ask(watchdog)
    if answer.startswith("http-2"):
        return True
    log.warning("nobody outside heard of the watchdog", extra={"error": answer})
    with watchdog.pool.connection() as connection:
        store.not_told(connection, round_id)
    return False


def _ask(watchdog: Watchdog) -> str:
    """To the one host that the operator named, and to no other."""
    host = (urlsplit(watchdog.url).hostname or "").removesuffix(".")
    try:
        return f"http-{Outbound(frozenset({host}), sandbox=watchdog.sandbox).get(watchdog.url).status}"
    except OutboundFailed as failed:
        return str(failed)
    except OutboundRefused:
        return "address-refused"
