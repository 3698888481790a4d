"""The table of refused submissions. Nothing else touches it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from shared.events import TRIAGE_REFUSED
from shared.ids import named
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


class State(StrEnum):
    """How far triage has come with a refused submission."""

    WAITING = "waiting"
    NOT_URGENT = "not_urgent"
    URGENT = "urgent"


class Kept(StrEnum):
    """What became of a submission that was to be kept."""

    KEPT = "kept"
    KNOWN = "known"  # the same text was refused before
    FULL = "full"  # too many: it was not kept


@dataclass(frozen=True, slots=True)
class Submission:
    """A refused submission. `body` is None once it is erased; `problems` are codes."""

    id: str
    received_at: datetime
    refused_at: datetime
    times: int
    client: str
    status: int
    problems: Sequence[str]
    state: State
    examined_at: datetime | None
    body: bytes | None


def submission_id(tenant: UUID, body: bytes) -> str:
    """The id of a refused submission: the same for the same text of the same tenant."""
    return str(named(tenant, "refused-submission", hashlib.sha256(body).hexdigest()))


def keep(
    connection: DictConnection,
    tenant: UUID,
    *,
    body: bytes,
    client: str,
    status: int,
    problems: Sequence[str],
    limit: int,
) -> Kept:
    """Keep the text of a refused submission, with the outbox row for triage, in one statement."""
    row = connection.execute(
        QUERIES["keep"],
        {
            "tenant": tenant,
            "id": submission_id(tenant, body),
            "client": client,
            "status": status,
            "problems": list(problems),
            "body": body,
            "sha256": hashlib.sha256(body).digest(),
            "limit": limit,
            "queue": TRIAGE_REFUSED,
        },
    ).fetchone()
    assert row is not None
    return Kept(row["outcome"])


def count_turned_away(connection: DictConnection, tenant: UUID) -> None:
    """Count one submission that was not kept."""
    connection.execute(QUERIES["count_turned_away"], {"tenant": tenant})


def waiting(connection: DictConnection, tenant: UUID, *, limit: int) -> list[tuple[str, datetime]]:
    """Ids of what triage has not looked at yet, and when each came."""
    rows = connection.execute(QUERIES["waiting"], {"tenant": tenant, "limit": limit}).fetchall()
    return [(row["id"], row["received_at"]) for row in rows]


def read(connection: DictConnection, tenant: UUID, submission: str) -> Submission | None:
    """A refused submission, or None."""
    row = connection.execute(QUERIES["submission"], {"tenant": tenant, "id": submission}).fetchone()
    if row is None:
        return None
    body = None if row["body"] is None else bytes(row["body"])
    return Submission(**(row | {"state": State(row["state"]), "body": body}))


def examined(connection: DictConnection, tenant: UUID, submission: str, state: State) -> bool:
    """Note triage's verdict, and erase what is not urgent. False: it has one already, or is not known."""
    parameters = {"tenant": tenant, "id": submission, "state": state}
    return connection.execute(QUERIES["examined"], parameters).rowcount == 1


def unacknowledged(connection: DictConnection, tenant: UUID) -> list[str]:
    """Urgent submissions of which nobody is known to have acknowledged the alert."""
    rows = connection.execute(QUERIES["unacknowledged"], {"tenant": tenant}).fetchall()
    return [row["id"] for row in rows]


def keep_until(connection: DictConnection, tenant: UUID, submission: str, *, after: timedelta) -> None:
    """Its alert was acknowledged: erase it after this time."""
    seconds = after / timedelta(seconds=1)
    connection.execute(QUERIES["keep_until"], {"tenant": tenant, "id": submission, "seconds": seconds})


def erase(connection: DictConnection, tenant: UUID) -> int:
    """Erase the texts whose time has come; returns how many."""
    return connection.execute(QUERIES["erase"], {"tenant": tenant}).rowcount


def tenants_with(connection: DictConnection) -> list[UUID]:
    """Tenants with submissions that triage has not looked at."""
    return [row["tenant"] for row in connection.execute(QUERIES["tenants_with"]).fetchall()]


def tenants_keeping(connection: DictConnection) -> list[UUID]:
    """Tenants with urgent submissions whose text is still there."""
    return [row["tenant"] for row in connection.execute(QUERIES["tenants_keeping"]).fetchall()]
