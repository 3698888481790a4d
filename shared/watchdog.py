"""Forgetting what the watchdog's rounds leave in the tables that every service has.

Row security holds the deletions to the watchdog's tenant: no row of any other is seen by them. A reader keeps longer
than whoever it reads from, so that nothing that was forgotten is found anew: intake one hour, triage two, notify three.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from shared.ids import WATCHDOG_TENANT
from shared.postgres import DictConnection, Pool, load_queries, tenant_transaction

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
EVERY_S = 60.0
KEPT = {"intake": timedelta(hours=1), "triage": timedelta(hours=2), "notify": timedelta(hours=3)}


def nothing_else(connection: DictConnection, kept: timedelta) -> None:
    """For a service that keeps nothing of a round in tables of its own."""


def forget_rounds(pool: Pool, service: str, own: Callable[[DictConnection, timedelta], None] = nothing_else) -> None:
    """Delete what is older than the service keeps it. `own`: does so in the service's own tables, first."""
    kept = KEPT[service]
    with tenant_transaction(pool, WATCHDOG_TENANT) as connection:
        own(connection, kept)
        for name in ("forget_resources", "forget_jobs", "forget_messages"):
            connection.execute(QUERIES[name], {"tenant": WATCHDOG_TENANT, "kept": kept})
