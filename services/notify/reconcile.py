"""Looks for alerts and deliveries that nothing would ever move again, moves them, and counts what it found.

In a healthy system it finds nothing: a number that grows is a fault to be looked at (`sural_reconciler_repairs`).
"""

from __future__ import annotations

import logging
from collections import Counter

from services.notify import store
from services.notify.escalation import Plan, job_kind
from shared.postgres import DictConnection, Pool, tenant_transaction

KINDS = ("alert_without_due", "alert_without_delivery", "delivery_without_job")

log = logging.getLogger(__name__)


def reconcile(pool: Pool, plan: Plan) -> dict[str, int]:
    """Repair, tenant by tenant; returns what was found, by kind."""
    with pool.connection() as connection:
        tenants = store.tenants_waiting(connection)
    found: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    for tenant in tenants:
        with tenant_transaction(pool, tenant) as connection:
            found.update(_repair(connection, plan))
    for kind, number in found.items():
        if number:
            log.error("repaired", extra={"kind": kind, "number": number})
    return dict(found)


def _repair(connection: DictConnection, plan: Plan) -> dict[str, int]:
    """Repair what the present tenant has."""
    found = {"alert_without_due": connection.execute(store.QUERIES["without_due"]).rowcount}
    if plan.recipients:
        found["alert_without_delivery"] = connection.execute(store.QUERIES["untold"]).rowcount
    found["delivery_without_job"] = _revive(connection)
    for kind, number in found.items():
        store.count_repair(connection, kind, number)
    return found


def _revive(connection: DictConnection) -> int:
    revived = 0
    for row in connection.execute(store.QUERIES["orphaned"], {}).fetchall():
        job = {
            "tenant_id": row["tenant_id"],
            "kind": job_kind(row["channel"], row["urgency"]),
            "ref_id": str(row["id"]),
            "ref_version": row["step"],
        }
        revived += connection.execute(store.QUERIES["revive_job"], job).rowcount
    return revived
