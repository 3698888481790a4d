"""What travels over the broker: references, never health data.

A message is ``{"v": 1, "refs": [{"id": …, "version": …, "tenant": …}, …]}``. Consumers ignore members that they do not
know, so that fields can be added; a break would be ``"v": 2``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.ids import DEFAULT_TENANT

TRIAGE = "triage"
TRIAGE_REFUSED = "triage.refused"
"""Refused submissions: a queue of their own, so that no emergency among them waits behind a backlog of responses."""
NOTIFY_URGENT = "notify.urgent"
NOTIFY_ROUTINE = "notify.routine"
QUEUES = (TRIAGE, TRIAGE_REFUSED, NOTIFY_URGENT, NOTIFY_ROUTINE)

MAX_REFS = 200
"""References in one message: enough to share Celery's cost under load, few enough for one task's time limit."""


@dataclass(frozen=True, slots=True)
class Ref:
    """One version of one resource (or one row) of a neighbour."""

    id: str
    version: int
    tenant: UUID = DEFAULT_TENANT


def encode(refs: Sequence[Ref]) -> dict[str, Any]:
    """The message for these references."""
    return {"v": 1, "refs": [{"id": r.id, "version": r.version, "tenant": str(r.tenant)} for r in refs]}


def decode(message: Any) -> list[Ref]:
    """References of a message. A message that cannot be read gives none: catch-up will find the work without it."""
    refs: list[Ref] = []
    if not isinstance(message, dict) or message.get("v") != 1 or not isinstance(message.get("refs"), list):
        return refs
    for entry in message["refs"][:MAX_REFS]:
        try:
            tenant = UUID(entry["tenant"]) if "tenant" in entry else DEFAULT_TENANT
            refs.append(Ref(id=str(entry["id"])[:64], version=int(entry["version"]), tenant=tenant))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return refs
