"""When the text of a refused submission goes: not while anybody may still need it to find the patient.

What is not urgent is erased with triage's verdict. What is urgent stays until its alert was acknowledged, which notify
knows, and for a set time after that.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from services.intake import quarantine_store
from shared.fhir.client import FhirClient
from shared.fhir.codes import SID_REFUSED
from shared.postgres import Pool, tenant_transaction

WAITS = frozenset({"requested", "received", "on-hold"})
"""States of a Task in which nobody has acknowledged, or took that back for a while."""


def look_after_refused(pool: Pool, notify: FhirClient | None, keep: timedelta) -> int:
    """Erase what need not be kept any more; returns how many. Without notify nothing urgent is ever erased.

    Raises NeighbourUnavailable.
    """
    if notify is None:
        return 0
    with pool.connection() as connection:
        tenants = quarantine_store.tenants_keeping(connection)
    return sum(_of_tenant(pool, notify, tenant, keep) for tenant in tenants)


def _of_tenant(pool: Pool, notify: FhirClient, tenant: UUID, keep: timedelta) -> int:
    with tenant_transaction(pool, tenant) as connection:
        open_ones = quarantine_store.unacknowledged(connection, tenant)
    known = [one for one in open_ones if _is_known(notify, tenant, one)]
    with tenant_transaction(pool, tenant) as connection:
        for submission in known:
            quarantine_store.keep_until(connection, tenant, submission, after=keep)
        return quarantine_store.erase(connection, tenant)


def _is_known(notify: FhirClient, tenant: UUID, submission: str) -> bool:
    """Somebody has acknowledged every alert of it, and there is one."""
    tasks = notify.find("Task", {"identifier": f"{SID_REFUSED}|{submission}"}, tenant=tenant)
    return bool(tasks) and all(task["status"] not in WAITS for task in tasks)
