"""I1 against a ledger: what was answered 201 is there, with the very text that was sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from deploy.local.verify.violation import Violation
from shared.ids import DEFAULT_TENANT

AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Accepted:
    """A 201 that somebody noted: the version of the response that it named, and the SHA-256 (hex) of what was sent."""

    id: str
    version: int
    sha256: str
    tenant: UUID = DEFAULT_TENANT


def missing(
    cursor: psycopg.Cursor[dict[str, Any]], queries: Mapping[str, str], noted: Sequence[Accepted]
) -> Iterator[Violation]:
    """What was accepted and is not there, or not as it was sent."""
    tenants: dict[UUID, list[Accepted]] = defaultdict(list)
    for one in noted:
        tenants[one.tenant].append(one)
    for tenant, accepted in tenants.items():
        for start in range(0, len(accepted), AT_ONCE):
            page = accepted[start : start + AT_ONCE]
            parameters = {"tenant": tenant, "ids": [one.id for one in page], "versions": [one.version for one in page]}
            rows = cursor.execute(queries["stored"], parameters).fetchall()
            stored = {(row["id"], row["version"]): row["sha256"] for row in rows}
            for one in page:
                held, name = stored[one.id, one.version], f"QuestionnaireResponse/{one.id}/_history/{one.version}"
                if held is None:
                    yield Violation("I1", "accepted, and not there", name)
                elif held != one.sha256:
                    yield Violation("I1", "accepted, and not as it was sent", name)
