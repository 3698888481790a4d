"""The chain of seals over the audit: making it in the background, and checking that nothing in it was changed.

Every few seconds the events of a tenant that no seal holds yet get one: it keeps the digest of each event, and its own
hash is made of these digests and of the seal before. So no request waits for another, and yet a changed, removed or
inserted event shows, and so does a seal that is missing before the last. That the end of the chain was cut off shows
only to who noted its head (position and hash) elsewhere: `sural audit verify` prints it and compares it with `--head`.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.audit.act import QUERIES
from shared.failpoint import reach
from shared.loops import run_every
from shared.postgres import DictConnection, Pool

EVERY_S = 2.0
MOST = 2000
"""Events in one seal."""
SEALS = 200
"""Seals that are checked at once."""

log = logging.getLogger(__name__)


def seal_all(connection: DictConnection) -> int:
    """Seal what is not sealed yet, of all tenants; returns how many events."""
    sealed = 0
    for row in connection.execute(QUERIES["tenants_unsealed"]).fetchall():
        while number := _seal(connection, row["tenant"]):
            sealed += number
    return sealed


def _seal(connection: DictConnection, tenant: UUID) -> int:
    reach("audit.before_seal")
    row = connection.execute(QUERIES["seal"], {"tenant": tenant, "most": MOST}).fetchone()
    return int(row["number"]) if row else 0


def run_sealing(pool: Pool, schema: str, stop: threading.Event) -> None:
    """Seal every two seconds until `stop`."""

    def seal() -> None:
        with pool.connection() as connection:
            seal_all(connection)

    run_every(f"{schema}-audit", EVERY_S, seal, stop)


@dataclass(frozen=True, slots=True)
class Head:
    """The last seal of a tenant: whoever noted it elsewhere can tell later whether the chain still holds it."""

    position: int
    hash: str

    def __str__(self) -> str:
        return f"{self.position}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check came to. `faults` are sentences; without any the chain is whole."""

    tenant: UUID
    events: int
    head: Head | None
    faults: tuple[str, ...]


def digest(event: Mapping[str, Any]) -> bytes:
    """The digest of an event, as the function audit_digest of `shared/migrations/0007_audit.sql` makes it."""
    fields = (
        str(event["tenant_id"]),
        str(event["number"]),
        str(round(event["recorded"].timestamp() * 1000)),
        *(event[name] for name in ("interaction", "word", "outcome", "agent", "address", "type", "ref_id")),
        None if event["ref_version"] is None else str(event["ref_version"]),
        *(event[name] for name in ("patient", "query", "request")),
    )
    text = "".join("-" if field is None else f"{len(field)}:{field}" for field in fields)
    return hashlib.sha256(text.encode()).digest()


def verify(connection: DictConnection, tenant: UUID, *, noted: Head | None = None) -> Verified:
    """Check the chain of a tenant from its beginning, in the caller's transaction for that tenant."""
    faults: list[str] = []
    before, position, events = b"", 0, 0
    head: Head | None = None
    seen_noted = noted is None
    for seal in _seals(connection, tenant):
        position += 1
        if seal["position"] != position:
            faults.append(f"Seal {position} is missing.")
            position = seal["position"]
        faults += _faults_of(connection, tenant, seal)
        link = before + f"{position}:".encode() + b"".join(bytes(one) for one in seal["digests"])
        if hashlib.sha256(link).digest() != bytes(seal["hash"]):
            faults.append(f"Seal {position} does not follow from the one before.")
        before, head = bytes(seal["hash"]), Head(position, bytes(seal["hash"]).hex())
        seen_noted = seen_noted or head == noted
        events += len(seal["numbers"])
    if not seen_noted:
        faults.append(f"The noted head {noted} is not in the chain: its end was cut off, or it was made anew.")
    never = connection.execute(QUERIES["never_sealed"], {"tenant": tenant}).fetchall()
    faults += [f"Event {row['number']} is held by no seal." for row in never]
    return Verified(tenant, events, head, tuple(faults))


def _seals(connection: DictConnection, tenant: UUID) -> Iterator[dict[str, Any]]:
    after = 0
    while True:
        found = connection.execute(QUERIES["seals"], {"tenant": tenant, "after": after, "limit": SEALS}).fetchall()
        if not found:
            return
        yield from found
        after = found[-1]["position"]


def _faults_of(connection: DictConnection, tenant: UUID, seal: Mapping[str, Any]) -> list[str]:
    numbers: Sequence[int] = seal["numbers"]
    parameters = {"tenant": tenant, "numbers": list(numbers)}
    held = {row["number"]: row for row in connection.execute(QUERIES["events_of_seal"], parameters).fetchall()}
    faults = []
    for number, sealed in zip(numbers, seal["digests"], strict=True):
        if number not in held:
            faults.append(f"Event {number} was removed.")
        elif digest(held[number]) != bytes(sealed):
            faults.append(f"Event {number} was changed.")
    return faults
