"""Intake's queries. Nothing else of the service touches the database."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeAlias
from uuid import UUID

import orjson

from shared.access.service_token import ID_PREFIX
from shared.audit.act import Act, Interaction, asker_or, parameters
from shared.events import TRIAGE
from shared.failpoint import reach
from shared.fhir import resources
from shared.fhir.resources import NewVersion, Stored
from shared.fhir.search_index import Rows
from shared.ids import WATCHDOG_TENANT, seen_by
from shared.loop_connection import Row, Statement, Values, moment
from shared.postgres import DictConnection, database_now, load_queries
from shared.problems import Category, Problem, ProblemError

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
Write: TypeAlias = Mapping[str, Any]
"""The parameters of the statement that stores a version and records that it did."""


@dataclass(frozen=True, slots=True)
class Published:
    """A Questionnaire under its url and version. `version_id` is that of the resource, which a draft counts up."""

    url: str
    version: str
    id: str
    status: str
    tenant: UUID
    version_id: int = 1

    @property
    def canonical(self) -> str:
        """`url|version`."""
        return f"{self.url}|{self.version}"


class Outcome(StrEnum):
    """What became of a version that was to be stored; nothing was changed but by the first two."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    """The current version has the same bytes."""
    EXISTS = "exists"
    """The id is taken, and a new resource was to be made."""
    STALE = "stale"
    """Another version than the expected one is current."""
    MISSING = "missing"
    """A version was expected, and there is none."""
    IDENTIFIED = "identified"
    """Another response has the sender's identifier."""
    REPEATED = "repeated"
    """The same body came with the same Idempotency-Key before."""
    KEY_REUSED = "key-reused"
    """Another body came with the same Idempotency-Key before."""


@dataclass(frozen=True, slots=True)
class NewResponse:
    """A version of a QuestionnaireResponse that is to be stored. `sha256` is that of `body`.

    `expected` is the version that it replaces, None for a new resource. `content` is the digest by which equal answers
    without an identifier are noticed. `rows` are those by which it is found. `key` is an Idempotency-Key of `client`.
    """

    id: str
    body: bytes
    subject: str
    rows: Rows
    expected: int | None = None
    identifier: tuple[str, str] | None = None
    content: bytes | None = None
    client: str = ""
    key: str | None = None
    sha256: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", hashlib.sha256(self.body).digest())


@dataclass(frozen=True, slots=True)
class StoreResult:
    """`id`, `version_id` and `last_updated` are those of the resource that the outcome speaks of; none for MISSING.

    `twin` is the id of a response with the same answers that came without an identifier in the last ten minutes.
    """

    outcome: Outcome
    id: str
    version_id: int
    last_updated: datetime | None
    twin: str | None = None


def store_response(connection: DictConnection, tenant: UUID, new: NewResponse) -> StoreResult:
    """Store a version with its rows for searches and its outbox row, in the caller's transaction.

    The database decides between writers of the same id, version, identifier or key: exactly one of them wins. Raises
    ProblemError (403) for the watchdog's tenant, where nobody would be told of it, unless a service of ours sends it.
    """
    row = connection.execute(QUERIES["store_response"], _write_of(tenant, new)).fetchone()
    assert row is not None
    reach("intake.store.before_commit")
    return StoreResult(
        Outcome(row["outcome"]), row["of_id"] or new.id, row["of_version"] or 0, row["of_time"], row["twin"]
    )


CREATE: Final = Statement(
    QUERIES["create_response"],
    (
        "uuid",
        "text",
        "bytea",
        "bytea",
        "text",
        "text",
        "jsonb",
        "bytea",
        "text",
        "bool",
        "text",
        "text",
        "text",
        "text",
    ),
)
"""Stores a new response that meets no other. Values are those of `create_values`, the row is for `created`."""
JSONB_VERSION: Final = b"\x01"


def create_values(tenant: UUID, new: NewResponse) -> Values:
    """A first version without an Idempotency-Key, for `CREATE`, on behalf of whoever asks now.

    Raises ProblemError as `store_response`.
    """
    assert new.expected is None
    assert new.key is None
    _check_tenant(tenant, new)
    system, value = new.identifier or (None, None)
    asker = asker_or("service/intake")
    return (
        tenant.bytes,
        new.id.encode(),
        resources.packed("QuestionnaireResponse", new.body),
        new.sha256,
        _text(system),
        _text(value),
        JSONB_VERSION + orjson.dumps(new.rows.plain()),
        new.content,
        TRIAGE.encode(),
        b"\0" if tenant == WATCHDOG_TENANT else b"\1",
        asker.agent.encode(),
        _text(asker.address),
        _text(new.subject or None),
        _text(asker.request),
    )


def created(new: NewResponse, row: Row) -> StoreResult | None:
    """What `CREATE` came to; None when nothing was stored, as the identifier is known already."""
    time, twin = row
    if time is None:
        return None
    return StoreResult(Outcome.CREATED, new.id, 1, moment(time), None if twin is None else twin.decode())


def _text(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _check_tenant(tenant: UUID, new: NewResponse) -> None:
    if tenant == WATCHDOG_TENANT and not new.client.startswith(ID_PREFIX):
        message = "This tenant is reserved for the watchdog, whose emergencies are told to nobody. Send it as your own."
        raise ProblemError(Problem(Category.FORBIDDEN, "tenant", message, issue_code="forbidden"))


def _write_of(tenant: UUID, new: NewResponse) -> Write:
    _check_tenant(tenant, new)
    system, value = new.identifier or (None, None)
    interaction = Interaction.CREATE if new.expected is None else Interaction.UPDATE
    act = Act(interaction, "QuestionnaireResponse", patient=new.subject or None)
    return parameters(act, asker_or("service/intake")) | {
        "tenant": tenant,
        "id": new.id,
        "expected": new.expected,
        "body": resources.packed("QuestionnaireResponse", new.body),
        "sha256": new.sha256,
        "system": system,
        "value": value,
        "rows": new.rows.as_json(),
        "content": new.content,
        "client": new.client,
        "key": new.key,
        "queue": TRIAGE,
        "recorded": tenant != WATCHDOG_TENANT,
    }


def read_response(connection: DictConnection, tenant: UUID, response_id: str, version_id: int) -> Stored:
    """A version of a response that is known to exist."""
    stored = resources.vread(connection, tenant, "QuestionnaireResponse", response_id, version_id)
    assert stored is not None
    return stored


def identified(connection: DictConnection, tenant: UUID, identifier: tuple[str, str]) -> str | None:
    """The id of the response that the sender's identifier belongs to."""
    system, value = identifier
    row = connection.execute(QUERIES["identified"], {"tenant": tenant, "system": system, "value": value}).fetchone()
    return str(row["id"]) if row else None


def tenants_with_old_keys(connection: DictConnection) -> list[UUID]:
    """The tenants for which `forget_old_keys` has something to do. Needs no tenant."""
    return [row["tenant"] for row in connection.execute(QUERIES["tenants_with_old_keys"]).fetchall()]


def forget_old_keys(connection: DictConnection, tenant: UUID) -> int:
    """Delete the keys and digests of this tenant whose time is over; returns how many."""
    return sum(
        connection.execute(QUERIES[name], {"tenant": tenant}).rowcount for name in ("forget_keys", "forget_content")
    )


def forget_rounds(connection: DictConnection, kept: timedelta) -> None:
    """Delete what rounds of the watchdog left here longer ago than that, in a transaction of its tenant."""
    connection.execute(QUERIES["forget_rounds"], {"tenant": WATCHDOG_TENANT, "kept": kept})


def versions(connection: DictConnection, tenant: UUID, response_id: str) -> list[tuple[int, bytes]]:
    """Number of all versions of a response and SHA-256 of their texts, the current one first."""
    rows = connection.execute(QUERIES["versions"], {"tenant": tenant, "id": response_id}).fetchall()
    return [(row["version_id"], bytes(row["sha256"])) for row in rows]


def lock_questionnaires(connection: DictConnection, tenant: UUID) -> None:
    """One writer of a tenant's Questionnaires at a time, until the transaction ends."""
    connection.execute(QUERIES["lock_questionnaires"], {"tenant": tenant})


def publish(connection: DictConnection, *, body: bytes, published: Published, value_sets: Mapping[str, Any]) -> Stored:
    """Store a version of a Questionnaire, in the caller's transaction, which holds the lock."""
    entry = {
        "tenant": published.tenant,
        "url": published.url,
        "version": published.version,
        "id": published.id,
        "status": published.status,
        "version_id": published.version_id,
        "value_sets": orjson.dumps(value_sets).decode(),
    }
    connection.execute(QUERIES["forget_entry"], entry)
    connection.execute(QUERIES["publish"], entry)
    now = database_now(connection)
    new = NewVersion(
        type="Questionnaire",
        id=published.id,
        version_id=published.version_id,
        last_updated=now,
        body=body,
    )
    resources.save(connection, published.tenant, [new])
    digest = hashlib.sha256(body).digest()
    return Stored("Questionnaire", published.id, published.version_id, now, body, digest)


def lock_publication(connection: DictConnection) -> None:
    """Wait until no other transaction publishes; held until this transaction ends."""
    connection.execute(QUERIES["lock"], {"key": "intake/publication"})


def published(connection: DictConnection, tenant: UUID) -> list[Published]:
    """All Questionnaires that this tenant may use, those of one url oldest first."""
    rows = connection.execute(QUERIES["published"], {"tenants": seen_by(tenant)}).fetchall()
    return [
        Published(row["url"], row["version"], row["id"], row["status"], row["tenant_id"], row["version_id"])
        for row in rows
    ]


def questionnaire_text(connection: DictConnection, entry: Published) -> tuple[bytes, dict[str, Any]]:
    """The text of a Questionnaire and the value sets that were expanded when it was published."""
    key = {"tenant": entry.tenant, "id": entry.id, "version_id": entry.version_id}
    text = connection.execute(QUERIES["questionnaire_body"], key).fetchone()
    codes = connection.execute(QUERIES["value_sets"], key).fetchone()
    assert text is not None
    return bytes(text["body"]), codes["value_sets"] if codes else {}
