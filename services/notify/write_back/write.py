"""Use case: what alerts say is kept on the EHR's server, so that it shows them where clinicians already look.

Only the newest version of each resource is written, one at a time and under a lease; a write may happen twice and then
changes nothing. What the server does not take is tried again for 72 hours by rows that are due, then given up and
counted (`sural_write_back_given_up`); the next version of the resource begins anew. An alert never waits for it.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final
from uuid import UUID

from services.notify.write_back import store
from services.notify.write_back.ehr import Ehr
from services.notify.write_back.store import Claimed
from shared.failpoint import reach
from shared.postgres import Pool, database_now, tenant_transaction

LEASE_S: Final = 60.0
"""Longer than a token, a write and recording it can take."""
GIVE_UP: Final = timedelta(hours=72)
PAUSES_S: Final = (5.0, 15.0, 60.0, 300.0, 900.0, 1800.0)
"""After the first failure, the second, and so on; the last one again and again."""

log = logging.getLogger(__name__)


def write_due(pool: Pool, ehr: Ehr) -> int:
    """Write what is due, one after the other; returns how many were taken up."""
    taken = 0
    while True:
        with pool.connection() as connection:
            due = store.due(connection)
        done = [write_one(pool, ehr, *each) for each in due]
        taken += done.count(True)
        if not any(done):
            return taken


def write_one(pool: Pool, ehr: Ehr, tenant: UUID, resource_type: str, resource_id: str) -> bool:
    """Write one resource as it is now; False when somebody else has it."""
    with tenant_transaction(pool, tenant) as connection:
        claimed = store.claim(connection, tenant, resource_type, resource_id, lease_s=LEASE_S)
        if claimed is None:
            return False
        resource = store.newest(connection, claimed)
        if store.is_synthetic(connection, claimed):
            store.note_written(connection, claimed, claimed.wanted)
            return True
    reach("write_back.before_send")
    answer = ehr.write(resource)
    reach("write_back.after_send")
    with tenant_transaction(pool, tenant) as connection:
        if answer is None:
            store.note_written(connection, claimed, int(resource["meta"]["versionId"]))
            return True
        over = claimed.failing_since is not None and database_now(connection) - claimed.failing_since >= GIVE_UP
        store.note_failed(connection, claimed, answer, pause_s=None if over else _pause_s(claimed))
    log.log(
        logging.ERROR if over else logging.WARNING,
        "not written to the EHR, given up" if over else "not written to the EHR",
        extra={"reference": f"{resource_type}/{resource_id}", "error": answer, "attempts": claimed.attempts + 1},
    )
    return True


def _pause_s(claimed: Claimed) -> float:
    return PAUSES_S[min(claimed.attempts, len(PAUSES_S) - 1)]
