"""What is to be written to the EHR's server, and how far that has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from shared.fhir import resources
from shared.postgres import DictConnection, Pool, load_queries, tenant_transaction

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, slots=True)
class Claimed:
    """One resource that this process writes now. `wanted`: the version that is the newest."""

    tenant: UUID
    type: str
    id: str
    wanted: int
    attempts: int
    failing_since: datetime | None
    lease_token: UUID

    @property
    def key(self) -> dict[str, Any]:
        """What its row is found by, while the lease is ours."""
        return {"tenant": self.tenant, "type": self.type, "id": self.id, "lease_token": self.lease_token}


def name_target(pool: Pool, tenant: UUID | None) -> None:
    """From now on what this tenant's alerts say is noted for its server, and no other's; None: nobody's."""
    with pool.connection() as connection:
        connection.execute(QUERIES["forget_others"], {"tenant": tenant})
    if tenant is not None:
        with tenant_transaction(pool, tenant) as connection:
            connection.execute(QUERIES["name_target"], {"tenant": tenant})


def due(connection: DictConnection, *, most: int = 50) -> list[tuple[UUID, str, str]]:
    """Tenant, type and id of what is to be written now."""
    rows = connection.execute(QUERIES["due"], {"most": most}).fetchall()
    return [(row["tenant_id"], row["type"], row["id"]) for row in rows]


def claim(
    connection: DictConnection, tenant: UUID, resource_type: str, resource_id: str, *, lease_s: float
) -> Claimed | None:
    """Take it up; None when somebody else has it, or it is not due any more."""
    key = {"tenant": tenant, "type": resource_type, "id": resource_id, "lease_s": lease_s}
    row = connection.execute(QUERIES["claim"], key).fetchone()
    return Claimed(tenant, resource_type, resource_id, **row) if row else None


def newest(connection: DictConnection, claimed: Claimed) -> dict[str, Any]:
    """The resource as it is now."""
    stored = resources.read(connection, claimed.tenant, claimed.type, claimed.id)
    assert stored is not None
    resource: dict[str, Any] = orjson.loads(stored.body)
    return resource


def is_synthetic(connection: DictConnection, claimed: Claimed) -> bool:
    """Whether its alert was made by the watchdog."""
    row = connection.execute(QUERIES["is_synthetic"], {"tenant": claimed.tenant, "id": claimed.id}).fetchone()
    return bool(row and row["synthetic"])


def note_written(connection: DictConnection, claimed: Claimed, version: int) -> None:
    """This version stands there now."""
    connection.execute(QUERIES["written"], {**claimed.key, "version": version})


def note_failed(connection: DictConnection, claimed: Claimed, answer: str, *, pause_s: float | None) -> None:
    """It could not be written; `pause_s`: when it is tried again, None when it is given up."""
    if pause_s is None:
        connection.execute(QUERIES["given_up"], {**claimed.key, "answer": answer})
    else:
        connection.execute(QUERIES["failed"], {**claimed.key, "answer": answer, "pause_s": pause_s})


def behind(connection: DictConnection) -> dict[str, Any]:
    """How much is not written yet, how much of it was given up, and for how many seconds something has failed."""
    row = connection.execute(QUERIES["behind"]).fetchone()
    assert row is not None
    return dict(row)
