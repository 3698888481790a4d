"""What is kept to recognise a repetition goes when its time is over: keys after 24 hours, digests after 10 minutes."""

from __future__ import annotations

from services.intake import store
from shared.postgres import Pool, tenant_transaction


def forget_old_keys(pool: Pool) -> int:
    """Delete Idempotency-Keys and digests of answers that count no more; returns how many."""
    with pool.connection() as connection:
        tenants = store.tenants_with_old_keys(connection)
    forgotten = 0
    for tenant in tenants:
        with tenant_transaction(pool, tenant) as connection:
            forgotten += store.forget_old_keys(connection, tenant)
    return forgotten
