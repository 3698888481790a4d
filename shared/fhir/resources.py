"""Versioned FHIR resources in a service's own schema: save, read, search. One mechanism, each service its own data.

A body is kept as the bytes that were given and is never changed. Resources that we emit carry id and meta already;
resources that others sent get them when they are read (see `shared.fhir.identity`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from psycopg import sql

from shared.audit.act import Act, Asker, Interaction, Word, record
from shared.fhir.search import Search
from shared.fhir.search_index import rows
from shared.ids import PUBLISHED_TENANT, seen_by
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
WITHOUT_BODY = frozenset({"resourceType", "id", "meta"})
"""Elements that every resource can be given without its body."""
PUBLISHED_TYPES = frozenset(
    {
        "CapabilityStatement",
        "CodeSystem",
        "ConceptMap",
        "Device",
        "ImplementationGuide",
        "Library",
        "NamingSystem",
        "OperationDefinition",
        "PlanDefinition",
        "Questionnaire",
        "SearchParameter",
        "StructureDefinition",
        "ValueSet",
    }
)
"""Types of which some are published for all tenants: of these a tenant sees its own and the published ones."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored version of a resource."""

    type: str
    id: str
    version_id: int
    last_updated: datetime
    body: bytes
    sha256: bytes
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What is to be stored: `identifiers` are (system, value) pairs, with '' for no system."""

    type: str
    id: str
    version_id: int
    last_updated: datetime
    body: bytes
    status: str | None = None
    subject: str | None = None
    tag: str | None = None
    identifiers: Sequence[tuple[str, str]] = ()


def save(connection: DictConnection, tenant: UUID, versions: Sequence[NewVersion]) -> None:
    """Store new versions in the caller's transaction; each becomes the current one of its resource.

    Raises psycopg.errors.UniqueViolation when that version exists already.
    """
    for new in versions:
        key = {"tenant_id": tenant, "type": new.type, "id": new.id}
        if new.version_id > 1:
            connection.execute(QUERIES["retire"], key)
            connection.execute(QUERIES["forget_identifiers"], key)
        connection.execute(
            QUERIES["insert"],
            key
            | {
                "version_id": new.version_id,
                "last_updated": new.last_updated,
                "status": new.status,
                "subject": new.subject,
                "tag": new.tag,
                "body": new.body,
                "sha256": hashlib.sha256(new.body).digest(),
            },
        )
        if new.identifiers:
            connection.execute(
                QUERIES["add_identifiers"],
                key
                | {
                    "systems": [system for system, _ in new.identifiers],
                    "values": [value for _, value in new.identifiers],
                },
            )
        if tenant == PUBLISHED_TENANT:
            interaction = Interaction.CREATE if new.version_id == 1 else Interaction.UPDATE
            act = Act(interaction, new.type, id=new.id, version=new.version_id, word=Word.PUBLISHED)
            record(connection, tenant, act, Asker("migration"))
        index = rows(orjson.loads(new.body), also=[("identifier", identifier) for identifier in new.identifiers])
        connection.execute(QUERIES["index"], key | {"rows": index.as_json(), "anew": new.version_id > 1})


def read(connection: DictConnection, tenant: UUID, resource_type: str, resource_id: str) -> Stored | None:
    """The current version, or None. What is published goes before a tenant's own of the same id."""
    row = connection.execute(
        QUERIES["read"],
        {
            "tenants": _tenants(tenant, resource_type),
            "type": resource_type,
            "id": resource_id,
            "published": PUBLISHED_TENANT,
        },
    ).fetchone()
    return _stored(row) if row else None


def vread(
    connection: DictConnection, tenant: UUID, resource_type: str, resource_id: str, version_id: int
) -> Stored | None:
    """One version, or None."""
    row = connection.execute(
        QUERIES["vread"],
        {
            "tenants": _tenants(tenant, resource_type),
            "type": resource_type,
            "id": resource_id,
            "version_id": version_id,
            "published": PUBLISHED_TENANT,
        },
    ).fetchone()
    return _stored(row) if row else None


def find(connection: DictConnection, tenant: UUID, search: Search) -> tuple[list[Stored], bool]:
    """One page of current versions in the order of (last updated, id), and whether more follow.

    Pages stay valid while data arrives: the next page starts after the last row of this one. Bodies are left empty
    when the search asks for nothing of them.
    """
    where: list[sql.Composable] = [sql.SQL("tenant_id = ANY (%(tenants)s) AND type = %(type)s AND is_current")]
    tenants = _tenants(tenant, search.resource_type)
    values: dict[str, Any] = {"tenants": tenants, "type": search.resource_type, "limit": search.count + 1}
    if search.ids is not None:
        where.append(sql.SQL("id = ANY (%(ids)s)"))
        values["ids"] = list(search.ids)
    if search.subjects is not None:
        where.append(sql.SQL("subject = ANY (%(subjects)s)"))
        values["subjects"] = list(search.subjects)
    if search.tags is not None:
        where.append(sql.SQL("tag = ANY (%(tags)s)"))
        values["tags"] = list(search.tags)
    if search.statuses is not None:
        where.append(sql.SQL("status = ANY (%(statuses)s)"))
        values["statuses"] = list(search.statuses)
    for number, token in enumerate(search.identifiers):
        where.append(
            sql.SQL(
                "id IN (SELECT owner.id FROM resource_identifier AS owner WHERE owner.tenant_id = ANY (%(tenants)s) "
                "AND owner.type = %(type)s AND owner.value = ANY ({values}) "
                "AND ({any_system} OR owner.system = {system}))"
            ).format(
                values=sql.Placeholder(f"value_{number}"),
                any_system=sql.Placeholder(f"any_system_{number}"),
                system=sql.Placeholder(f"system_{number}"),
            )
        )
        values[f"value_{number}"] = list(token.values)
        values[f"any_system_{number}"] = token.system is None
        values[f"system_{number}"] = token.system or ""
    for number, bound in enumerate(search.last_updated):
        where.append(
            sql.SQL("last_updated {operator} {value}").format(
                operator=sql.SQL(bound.operator), value=sql.Placeholder(f"updated_{number}")
            )
        )
        values[f"updated_{number}"] = bound.instant
    if search.after is not None:
        where.append(sql.SQL("(last_updated, id) > (%(after_time)s, %(after_id)s)"))
        values["after_time"], values["after_id"] = search.after
    without_body = search.elements is not None and WITHOUT_BODY.issuperset(search.elements)
    body = "''::bytea" if without_body else "body"
    query = sql.SQL(
        "SELECT type, id, version_id, last_updated, {body} AS body, sha256, tag FROM resource WHERE {where} "
        "ORDER BY last_updated, id LIMIT %(limit)s"
    ).format(body=sql.SQL(body), where=sql.SQL(" AND ").join(where))
    rows = connection.execute(query, values).fetchall()
    return [_stored(row) for row in rows[: search.count]], len(rows) > search.count


def tenants_changed(connection: DictConnection, resource_type: str, since: datetime) -> list[UUID]:
    """The tenants that have a current resource of this type which changed at or after this time. Needs no tenant."""
    rows = connection.execute(QUERIES["tenants_changed"], {"type": resource_type, "since": since}).fetchall()
    return [row["tenant"] for row in rows]


def _tenants(tenant: UUID, resource_type: str) -> list[UUID]:
    return seen_by(tenant) if resource_type in PUBLISHED_TYPES else [tenant]


def _stored(row: dict[str, Any]) -> Stored:
    return Stored(
        type=row["type"],
        id=row["id"],
        version_id=row["version_id"],
        last_updated=row["last_updated"],
        body=bytes(row["body"]),
        sha256=bytes(row["sha256"]),
        tag=row["tag"],
    )
