"""Queries of the detail page and of feedback. What is asked here is asked by nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from services.notify.records import Alert
from shared.events import Ref
from shared.fhir.codes import Urgency
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an assessment that an alert stands for. `stands`: False when it asks for no alert (any more)."""

    ref: Ref
    urgency: Urgency
    joined_at: datetime
    stands: bool


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody said of a version of an assessment. `flags` None: it was not known which fired."""

    person: str
    verdict: str
    comment: str
    assessment: Ref
    flags: tuple[str, ...] | None
    account: UUID | None = None


@dataclass(frozen=True, slots=True)
class FlagVerdicts:
    """How often a verdict was given on assessments in which this flag fired."""

    flag: str
    verdict: str
    number: int


def read_alert(connection: DictConnection, tenant: UUID, alert_id: UUID) -> tuple[Alert, datetime] | None:
    """An alert and the database's time, or None."""
    row = connection.execute(QUERIES["alert"], {"tenant_id": tenant, "alert_id": alert_id}).fetchone()
    return (Alert.of(row), row["now"]) if row else None


def alerts_of_patient(connection: DictConnection, tenant: UUID, subject_key: str, *, limit: int) -> list[Alert]:
    """All alerts of a patient, newest first."""
    parameters = {"tenant_id": tenant, "subject_key": subject_key, "limit": limit}
    return [Alert.of(row) for row in connection.execute(QUERIES["alerts_of_patient"], parameters).fetchall()]


def versions(connection: DictConnection, alert: Alert) -> list[Version]:
    """Every version that the alert stands for, first the one that matters most."""
    rows = _of(connection, "assessments", alert)
    return [
        Version(
            Ref(row["assessment_id"], row["assessment_version"], alert.tenant_id),
            Urgency(row["urgency"]),
            row["joined_at"],
            row["stands"],
        )
        for row in rows
    ]


def alerts_of_assessments(connection: DictConnection, tenant: UUID, ids: Sequence[str]) -> dict[str, list[UUID]]:
    """The alerts that stand for each of these assessments."""
    rows = connection.execute(QUERIES["alerts_of_assessments"], {"tenant_id": tenant, "ids": list(ids)}).fetchall()
    found: dict[str, list[UUID]] = {}
    for row in rows:
        found.setdefault(row["assessment_id"], []).append(row["alert_id"])
    return found


def ledger(connection: DictConnection, alert: Alert) -> list[Row]:
    """All events of an alert, in order."""
    return _of(connection, "ledger", alert)


def unsent(connection: DictConnection, alert: Alert) -> list[Row]:
    """Messages that are still being tried."""
    return _of(connection, "unsent", alert)


def add_feedback(connection: DictConnection, alert: Alert, given: Feedback) -> None:
    """Keep it, for ever: nothing changes or deletes it."""
    connection.execute(
        QUERIES["add_feedback"],
        {
            "tenant_id": alert.tenant_id,
            "alert_id": alert.id,
            "assessment_id": given.assessment.id,
            "assessment_version": given.assessment.version,
            "person": given.person,
            "account": given.account,
            "verdict": given.verdict,
            "comment": given.comment,
            "flags": None if given.flags is None else list(given.flags),
        },
    )


def feedback(connection: DictConnection, alert: Alert) -> list[Row]:
    """What was said of the assessments of an alert, newest first."""
    return _of(connection, "feedback", alert)


def feedback_by_flag(connection: DictConnection, tenant: UUID, since: datetime) -> list[FlagVerdicts]:
    """Verdicts by red flag since a time; of somebody who spoke twice on the same version, the last word counts."""
    rows = connection.execute(QUERIES["feedback_by_flag"], {"tenant_id": tenant, "since": since}).fetchall()
    return [FlagVerdicts(row["flag"], row["verdict"], row["number"]) for row in rows]


def _of(connection: DictConnection, query: str, alert: Alert) -> list[Row]:
    parameters = {"tenant_id": alert.tenant_id, "alert_id": alert.id}
    return connection.execute(QUERIES[query], parameters).fetchall()
