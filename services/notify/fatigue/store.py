"""Queries of this room: what was told lately, digests, red flags of alerts, measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

from shared.ids import uuid7
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, slots=True)
class Taken:
    """A digest that somebody tries to send now: id of its mail, and what it counts."""

    id: UUID
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Measured:
    """How it went with alerts of one red flag or of one team. Times in seconds; None: nobody acknowledged any."""

    name: str
    alerts: int
    p50_s: float | None
    p90_s: float | None
    closed: int
    overridden: int


def told_lately(connection: DictConnection, tenant: UUID, since: datetime, keys: Sequence[str]) -> Mapping[str, int]:
    """Of how many steps that were no emergencies each of these was told since then (`budget.person_key`).

    Until this transaction ends nobody else counts what they were told: two alerts at once do not miss each other.
    """
    parameters = {"tenant_id": tenant, "since": since, "keys": list(dict.fromkeys(keys))}
    connection.execute(QUERIES["lock_budgets"], parameters)
    rows = connection.execute(QUERIES["told_lately"], parameters).fetchall()
    return {row["key"]: row["number"] for row in rows}


def note_flags(connection: DictConnection, tenant: UUID, alert_id: UUID, flags: Sequence[str]) -> None:
    """These red flags stand behind the alert."""
    if flags:
        connection.execute(QUERIES["note_flags"], {"tenant_id": tenant, "alert_id": alert_id, "flags": list(flags)})


def note_quiet(connection: DictConnection, tenant: UUID, urgencies: Mapping[str, str]) -> None:
    """These assessments, by id, need nobody today; what is old is forgotten."""
    if urgencies:
        parameters = {"tenant_id": tenant, "ids": list(urgencies), "urgencies": list(urgencies.values())}
        connection.execute(QUERIES["note_quiet"], parameters)
        connection.execute(QUERIES["forget_quiet"], {"tenant_id": tenant})


def tenants_with_news(connection: DictConnection) -> list[UUID]:
    """Tenants for which a digest may have something to say."""
    return [row["tenant"] for row in connection.execute(QUERIES["tenants_with_news"]).fetchall()]


def last_digest(connection: DictConnection, tenant: UUID, recipient: str, day: date) -> datetime | None:
    """Until when the last digest before this day counted; None before the first."""
    parameters = {"tenant_id": tenant, "recipient": recipient, "day": day}
    row = connection.execute(QUERIES["last_digest"], parameters).fetchone()
    return row["until"] if row else None


def take_digest(connection: DictConnection, tenant: UUID, recipient: str, day: date, since: datetime) -> Taken | None:
    """The digest of this day, for whoever asks first; tried again after five minutes when that one did not end it."""
    parameters = {"tenant_id": tenant, "recipient": recipient, "day": day, "since": since, "id": uuid7()}
    row = connection.execute(QUERIES["take_digest"], parameters).fetchone()
    return Taken(**row) if row else None


def end_digest(connection: DictConnection, tenant: UUID, recipient: str, day: date, *, answer: str, sent: bool) -> None:
    """What became of it. Not sent: tried again, unless there was nothing to say."""
    parameters = {"tenant_id": tenant, "recipient": recipient, "day": day, "answer": answer, "sent": sent}
    connection.execute(QUERIES["end_digest"], parameters)


def quiet_counts(connection: DictConnection, tenant: UUID, taken: Taken) -> Mapping[str, int]:
    """Assessments that needed nobody at once, by urgency."""
    parameters = {"tenant_id": tenant, "since": taken.since, "until": taken.until}
    rows = connection.execute(QUERIES["quiet_counts"], parameters).fetchall()
    return {row["urgency"]: row["number"] for row in rows}


def unresolved(connection: DictConnection, tenant: UUID, teams: Sequence[str] | None) -> int:
    """Alerts of these teams (None: of all) that somebody acknowledged and nobody closed."""
    parameters = {"tenant_id": tenant, "teams": None if teams is None else list(teams)}
    row = connection.execute(QUERIES["unresolved"], parameters).fetchone()
    assert row is not None
    return int(row["number"])


def spared_and_held(connection: DictConnection, tenant: UUID, key: str, taken: Taken) -> tuple[int, int]:
    """How many messages this person was spared, and how many waited for the end of quiet hours."""
    parameters = {"tenant_id": tenant, "key": key, "since": taken.since, "until": taken.until}
    row = connection.execute(QUERIES["spared"], parameters).fetchone()
    assert row is not None
    return int(row["suppressed"]), int(row["held"])


def measures(connection: DictConnection, tenant: UUID, since: datetime, *, by: str) -> list[Measured]:
    """Alerts opened since then, by `flag` or by `team`, the most frequent first."""
    rows = connection.execute(QUERIES["measures"], {"tenant_id": tenant, "since": since, "by": by}).fetchall()
    return [Measured(**row) for row in rows]


def measured_alerts(connection: DictConnection, by: str) -> list[Measured]:
    """Alerts of the last thirty days of all tenants together, by `flag` or by `team`."""
    rows = connection.execute(QUERIES["measured_alerts"], {"by": by}).fetchall()
    return [Measured(**row) for row in rows]


def suppressed_share(connection: DictConnection, tenant: UUID, since: datetime) -> tuple[int, int]:
    """How many messages that were no emergencies were ordered since then, and how many of them were suppressed."""
    row = connection.execute(QUERIES["suppressed_share"], {"tenant_id": tenant, "since": since}).fetchone()
    assert row is not None
    return int(row["messages"]), int(row["suppressed"])
