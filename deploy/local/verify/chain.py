"""I8: the chain of seals over the audit, from its newest seal back to a time.

`./sural audit verify` checks the whole chain; here only what was sealed since then is read, and whether it follows from
the seal before. So the cost is that of what is new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from deploy.local.verify.violation import Violation
from shared.audit.act import QUERIES as AUDIT
from shared.audit.chain import digest
from shared.postgres import DictConnection

SERVICES = ("intake", "triage", "notify")
AT_ONCE = 200


def broken_seals(
    connection: DictConnection, queries: Mapping[str, str], tenant: UUID, *, since: datetime
) -> Iterator[Violation]:
    """What is not whole in the chains of a tenant, in all services."""
    for service in SERVICES:
        connection.execute(f"SET LOCAL search_path = {service}".encode())
        yield from _of(connection, queries, service, tenant, since)


def _of(
    connection: DictConnection, queries: Mapping[str, str], service: str, tenant: UUID, since: datetime
) -> Iterator[Violation]:
    later: dict[str, Any] | None = None
    for seal in _back(connection, queries, tenant):
        name = f"{service}/{tenant}/seal/{(later or seal)['position']}"
        if later is not None:
            if seal["position"] != later["position"] - 1:
                yield Violation("I8", "the seal before it is missing", name)
            elif not _follows(later, bytes(seal["hash"])):
                yield Violation("I8", "does not follow from the seal before", name)
        if seal["sealed_at"] < since:
            return
        for number, what in _faults(connection, queries, tenant, seal):
            yield Violation("I8", what, f"{service}/{tenant}/audit/{number}")
        later = seal
    if later is not None and (later["position"] != 1 or not _follows(later, b"")):
        yield Violation("I8", "does not begin the chain", f"{service}/{tenant}/seal/{later['position']}")


def _back(connection: DictConnection, queries: Mapping[str, str], tenant: UUID) -> Iterator[dict[str, Any]]:
    before = 2**62
    while True:
        parameters = {"tenant": tenant, "before": before, "limit": AT_ONCE}
        found = connection.execute(queries["seals_back"], parameters).fetchall()
        if not found:
            return
        yield from found
        before = found[-1]["position"]


def _follows(seal: Mapping[str, Any], before: bytes) -> bool:
    link = before + f"{seal['position']}:".encode() + b"".join(bytes(one) for one in seal["digests"])
    return hashlib.sha256(link).digest() == bytes(seal["hash"])


def _faults(
    connection: DictConnection, queries: Mapping[str, str], tenant: UUID, seal: Mapping[str, Any]
) -> Iterator[tuple[int, str]]:
    parameters = {"tenant": tenant, "numbers": list(seal["numbers"]), "sealed_at": seal["sealed_at"]}
    held = {row["number"]: row for row in connection.execute(queries["events_numbered"], parameters).fetchall()}
    late = [number for number in seal["numbers"] if number not in held]
    if late:  # sealed long after they were recorded, or gone
        rows = connection.execute(AUDIT["events_of_seal"], {"tenant": tenant, "numbers": late}).fetchall()
        held |= {row["number"]: row for row in rows}
    for number, sealed in zip(seal["numbers"], seal["digests"], strict=True):
        if number not in held:
            yield number, "was removed from the audit"
        elif digest(held[number]) != bytes(sealed):
            yield number, "was changed in the audit"
