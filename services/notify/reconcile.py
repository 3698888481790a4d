"""Looks for alerts and deliveries that nothing would ever move again, moves them, and counts what it found.

What waits longer than it may was put off while the database's clock was ahead, and nobody would hear until it is there
again: jobs, leases and snoozes are held to the longest that the code gives.

In a healthy system it finds nothing: a number that grows is a fault to be looked at (`sural_reconciler_repairs`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from uuid import UUID

from services.notify import attempt, hear, store
from services.notify.acts.snoozing import SNOOZE
from services.notify.escalate import repeat_one
from services.notify.escalation import EMERGENCY, LONGEST_PUT_OFF, SAME_DAY, Plan, job_kind
from services.notify.on_call import quiet
from services.notify.on_call import store as on_call
from services.notify.on_call.route import chain_length
from shared import jobs
from shared.postgres import DictConnection, Pool, tenant_transaction, unavailable

KINDS = (
    "alert_without_due",
    "alert_without_delivery",
    "alert_overdue",
    "alert_due_too_late",
    "alert_past_its_policy",
    "delivery_without_job",
    "snooze_too_long",
    "job_due_too_late",
    "lease_too_long",
)
LONGEST_S = dict.fromkeys((hear.RAISE_URGENT, hear.RAISE_ROUTINE), max(hear.TRIAGE_PAUSE_S, attempt.PAUSE_S))
"""How long an assessment is put off at the most, by kind of job."""

log = logging.getLogger(__name__)


def reconcile(pool: Pool, plan: Plan) -> dict[str, int]:
    """Repair, tenant by tenant; returns what was found, by kind."""
    with pool.connection() as connection:
        tenants = store.tenants_waiting(connection)
    found: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    failed: Exception | None = None
    repairs: list[Callable[[], Mapping[str, int]]] = [partial(_repair_jobs, pool)]
    repairs += [partial(repair, pool, plan, tenant) for tenant in tenants for repair in (_repair, _fire_overdue)]
    for repair in repairs:
        try:
            found.update(repair())
        except Exception as error:
            if unavailable(error) and getattr(error, "sqlstate", None) is None:
                raise  # the database is away: for all of them
            failed = error  # one tenant's trouble is not another's, and what cannot be repaired holds up no step
    for kind, number in found.items():
        if number:
            log.error("repaired", extra={"kind": kind, "number": number})
    if failed is not None:
        raise failed
    return dict(found)


def _repair_jobs(pool: Pool) -> dict[str, int]:
    """Hold the jobs of all tenants, also of those that have no alert yet, to the longest times that they are given."""
    with pool.connection() as connection:
        late = jobs.hasten(connection, LONGEST_S) + store.hasten_messages(connection, LONGEST_PUT_OFF, quiet.AHEAD)
        return _counted(connection, {"job_due_too_late": late, "lease_too_long": jobs.shorten_leases(connection)})


def _counted(connection: DictConnection, found: dict[str, int]) -> dict[str, int]:
    for kind, number in found.items():
        store.count_repair(connection, kind, number)
    return found


def _repair(pool: Pool, plan: Plan, tenant: UUID) -> dict[str, int]:
    """Repair what the tenant has, all of it or nothing."""
    with tenant_transaction(pool, tenant) as connection:
        found = {"alert_without_due": connection.execute(store.QUERIES["without_due"]).rowcount}
        if plan.recipients or on_call.newest(connection, tenant):
            found["alert_without_delivery"] = connection.execute(store.QUERIES["untold"]).rowcount
        found["alert_due_too_late"] = _hasten(connection, plan)
        found["snooze_too_long"] = _wake(connection)
        found["alert_past_its_policy"] = _bring_back(connection, tenant)
        found["delivery_without_job"] = _revive(connection)
        return _counted(connection, found)


def _hasten(connection: DictConnection, plan: Plan) -> int:
    """Alerts that wait longer than any policy may say are due at the latest that one may say."""
    hastened = 0
    for urgency in (EMERGENCY, SAME_DAY):
        parameters = {"urgency": urgency, "longest": plan.longest_pause(urgency)}
        hastened += connection.execute(store.QUERIES["due_too_late"], parameters).rowcount
    return hastened


def _wake(connection: DictConnection) -> int:
    """Alerts that are snoozed for longer than anybody may ask for are open again with the next tick."""
    woken = 0
    for urgency, limit in SNOOZE.items():
        parameters = {"urgency": urgency, "longest": limit.longest}
        woken += connection.execute(store.QUERIES["snoozed_too_long"], parameters).rowcount
    return woken


def _bring_back(connection: DictConnection, tenant: UUID) -> int:
    """Alerts at a step that their policy does not have, or of a policy that cannot be found, are due now.

    Their next turn is the fallback's (`on_call.route`).
    """
    lost = 0
    for chain in connection.execute(store.QUERIES["chains"], {"tenant_id": tenant}).fetchall():
        steps = chain_length(connection, tenant, chain["policy"], chain["policy_version"], chain["urgency"])
        if chain["furthest"] >= steps:
            lost += connection.execute(
                store.QUERIES["past_policy"], chain | {"tenant_id": tenant, "steps": steps}
            ).rowcount
    return lost


def _fire_overdue(pool: Pool, plan: Plan, tenant: UUID) -> dict[str, int]:
    """Begin the step of every alert that should have had it a minute ago: whoever should have done it does not."""
    with tenant_transaction(pool, tenant) as connection:
        overdue = [row["id"] for row in connection.execute(store.QUERIES["overdue"], {"tenant_id": tenant}).fetchall()]
    fired = sum(repeat_one(pool, plan, tenant, alert_id) is not None for alert_id in overdue)
    if fired:
        with pool.connection() as connection:
            store.count_repair(connection, "alert_overdue", fired)
    return {"alert_overdue": fired}


def _revive(connection: DictConnection) -> int:
    revived = 0
    for row in connection.execute(store.QUERIES["orphaned"], {}).fetchall():
        job = {
            "tenant_id": row["tenant_id"],
            "kind": job_kind(row["channel"], row["urgency"], row["recipient"]),
            "ref_id": str(row["id"]),
            "ref_version": row["step"],
        }
        revived += connection.execute(store.QUERIES["revive_job"], job).rowcount
    return revived
