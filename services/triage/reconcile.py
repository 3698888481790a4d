"""Looks for work that waits for a time which is too far ahead, puts it right, and counts what it found.

Such times were written while the database's clock was ahead: a response would be assessed only when they have come. In
a healthy system it finds nothing (`sural_reconciler_repairs`).
"""

from __future__ import annotations

import logging

from services.triage import assess_response, refused, store
from services.triage.catch_up import KIND
from shared import jobs
from shared.postgres import Pool

LONGEST_S = {
    KIND: max(
        assess_response.NEIGHBOUR_PAUSE_S,
        assess_response.RETRY_PAUSE_S,
        assess_response.EARLIER_PAUSE_S,
        assess_response.HOPELESS_PAUSE_S,
        *assess_response.UNKNOWN_PAUSES_S,
    ),
    refused.EXAMINE: refused.PAUSE_S,
}
"""How long work is put off at the most, by kind of job."""

log = logging.getLogger(__name__)


def reconcile(pool: Pool) -> dict[str, int]:
    """Hold all jobs to the longest times that they are given; returns what was found, by kind."""
    with pool.connection() as connection:
        found = {
            "job_due_too_late": jobs.hasten(connection, LONGEST_S),
            "lease_too_long": jobs.shorten_leases(connection),
        }
        for kind, number in found.items():
            if number:
                store.count_repair(connection, kind, number)
                log.error("repaired", extra={"kind": kind, "number": number})
    return found
