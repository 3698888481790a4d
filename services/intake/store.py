"""Intake's queries. Nothing else of the service touches the database."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from shared.events import TRIAGE
from shared.fhir import resources
from shared.fhir.resources import NewVersion, Stored
from shared.fhir.search_index import Rows
from shared.ids import uuid7
from shared.postgres import DictConnection, database_now, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, slots=True)
class Published:
    """One published Questionnaire version."""

    url: str
    version: str
    id: str
    status: str

    @property
    def canonical(self) -> str:
        """`url|version`."""
        return f"{self.url}|{self.version}"


def accept(
    connection: DictConnection,
    tenant: UUID,
    *,
    body: bytes,
    status: str,
    subject: str,
    identifier: tuple[str, str] | None,
    rows: Rows,
) -> tuple[bool, str]:
    """Store a response with its rows for searches and its outbox row in one statement. Returns (created, id).

    Not created: a response with the same identifier was there first, and its id is returned. When this returns, the
    response is durable.
    """
    system, value = identifier or (None, None)
    row = connection.execute(
        QUERIES["accept"],
        {
            "tenant": tenant,
            "id": str(uuid7()),
            "status": status,
            "subject": subject,
            "body": body,
            "sha256": hashlib.sha256(body).digest(),
            "rows": rows.as_json(),
            "system": system,
            "value": value,
            "queue": TRIAGE,
        },
    ).fetchone()
    assert row is not None
    return bool(row["created"]), str(row["response_id"])


def read_response(connection: DictConnection, tenant: UUID, response_id: str) -> Stored:
    """The current version of a response that is known to exist."""
    stored = resources.read(connection, tenant, "QuestionnaireResponse", response_id)
    assert stored is not None
    return stored


def publish(connection: DictConnection, tenant: UUID, *, body: bytes, published: Published) -> bool:
    """Publish a Questionnaire version; False when that version was published before (it never changes)."""
    parameters = {
        "tenant": tenant,
        "url": published.url,
        "version": published.version,
        "id": published.id,
        "status": published.status,
    }
    with connection.transaction():
        if connection.execute(QUERIES["publish"], parameters).rowcount == 0:
            return False
        new = NewVersion(
            type="Questionnaire",
            id=published.id,
            version_id=1,
            last_updated=database_now(connection),
            body=body,
            status=published.status,
        )
        resources.save(connection, tenant, [new])
    return True


def published(connection: DictConnection, tenant: UUID) -> list[Published]:
    """All published Questionnaire versions, those of one url oldest first."""
    rows = connection.execute(QUERIES["published"], {"tenant": tenant}).fetchall()
    return [Published(row["url"], row["version"], row["id"], row["status"]) for row in rows]
