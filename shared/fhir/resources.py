"""Versioned FHIR resources in a service's own schema: save, read, search. One mechanism, each service its own data.

A body is kept as the bytes that were given and is never changed. Resources that we emit carry id and meta already;
resources that others sent get them when they are read (see `shared.fhir.identity`).
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from shared.audit.act import Act, Asker, Interaction, Word, record
from shared.fhir.elements import kinds
from shared.fhir.history import History
from shared.fhir.search import Search
from shared.fhir.search_conditions import Ids, Updated
from shared.fhir.search_index import rows
from shared.fhir.search_parameters import Parameter
from shared.fhir.search_place import Place
from shared.fhir.search_sql import count_of, page_of, plan_of
from shared.ids import PUBLISHED_TENANT, seen_by
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
VERSION = re.compile(r"[1-9][0-9]{0,8}")
"""What a version id of ours can be."""
MOST_COUNTED = 10_000
WITHOUT_BODY = frozenset({"resourceType", "id", "meta"})
"""Elements that every resource can be given without its body."""
PACKED_TYPES = frozenset({"QuestionnaireResponse", "RiskAssessment"})
"""Types with long bodies that no SQL looks into."""
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
    """What is to be stored; it is found by what its body says. `tag`: what can be given without its body.

    `content`: what the body says, where the caller has it at hand; else the body is read once more.
    """

    type: str
    id: str
    version_id: int
    last_updated: datetime
    body: bytes
    tag: str | None = None
    content: Mapping[str, Any] | None = None


def save(connection: DictConnection, tenant: UUID, versions: Sequence[NewVersion]) -> None:
    """Store new versions of different resources in the caller's transaction; each becomes the current one of its own.

    Raises psycopg.errors.UniqueViolation when that version exists already.
    """
    if not versions:
        return
    connection.execute(QUERIES["save"], {"tenant_id": tenant} | as_saved(versions))
    if tenant == PUBLISHED_TENANT:
        for new in versions:
            interaction = Interaction.CREATE if new.version_id == 1 else Interaction.UPDATE
            act = Act(interaction, new.type, id=new.id, version=new.version_id, word=Word.PUBLISHED)
            record(connection, tenant, act, Asker("migration"))


def as_saved(versions: Sequence[NewVersion]) -> dict[str, Any]:
    """The parameters of `save_resources`, for statements that do something else beside."""
    return {
        "new": orjson.dumps([_about(new) for new in versions]).decode(),
        "bodies": [packed(new.type, new.body) for new in versions],
        "digests": [hashlib.sha256(new.body).digest() for new in versions],
    }


def _about(new: NewVersion) -> dict[str, Any]:
    head = {"type": new.type, "id": new.id, "version": new.version_id, "time": new.last_updated, "tag": new.tag}
    return head | rows(new.content or orjson.loads(new.body)).plain()


def packed(resource_type: str, body: bytes) -> bytes:
    """A body as it lies in the database: long texts that only this module reads are kept as zlib (RFC 1950).

    It takes a quarter of the time that PostgreSQL's own compression takes, and half of the room.
    """
    return zlib.compress(body, 1) if resource_type in PACKED_TYPES else body


def unpacked(stored: bytes) -> bytes:
    """The body again, packed or not: no JSON begins as zlib does, with an x."""
    return zlib.decompress(stored) if stored[:1] == b"x" else stored


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


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search: current versions in their order, where the next page begins, and how many there are."""

    found: Sequence[Stored]
    following: Place | None
    total: int | None


def find(connection: DictConnection, tenant: UUID, search: Search) -> Page:
    """One page of a search. Bodies are left empty when the search asks for nothing of them.

    The total is given when it was asked for, or when it costs nothing: the first page holds all.
    """
    if search.summary == "count":
        return Page((), None, count(connection, tenant, search, accurate=True))
    found: list[tuple[Stored, Place]] = []
    for with_first in (True,) if _always_there(search.resource_type, search.sort[0].parameter) else (True, False):
        if search.after is not None and search.after.keys[0] is None and with_first:
            continue
        left = search.count + 1 - len(found)
        if left > 0:
            found += _some(connection, tenant, search, left, with_first)
    page, more = found[: search.count], len(found) > search.count
    total = None if more or search.after is not None else len(page)
    if search.total != "none" and total is None:
        total = count(connection, tenant, search, accurate=search.total == "accurate")
    return Page([stored for stored, _ in page], page[-1][1] if more else None, total)


def _always_there(resource_type: str, parameter: Parameter) -> bool:
    """Whether every resource has what it is ordered by: then nobody has to look for those that have not."""
    kind = kinds().get(resource_type)
    return not parameter.paths or (kind is not None and parameter.paths[0] in kind.required)


def _some(
    connection: DictConnection, tenant: UUID, search: Search, limit: int, with_first: bool
) -> Iterator[tuple[Stored, Place]]:
    body = search.elements is None or not WITHOUT_BODY.issuperset(search.elements)
    query, values = page_of(search, _tenants_of(tenant), limit=limit, body=body, with_first=with_first)
    for row in connection.execute(query, values, prepare=_prepared(search)).fetchall():
        keys = tuple(row.get(f"key_{at}") for at in range(len(search.sort)))
        yield _stored(row), Place(keys, row["id"])


def count(connection: DictConnection, tenant: UUID, search: Search, *, accurate: bool) -> int:
    """How many resources a search finds. Not accurate: counted up to some thousand, beyond that estimated."""
    query, values = count_of(search, _tenants_of(tenant), most=None if accurate else MOST_COUNTED)
    row = connection.execute(query, values, prepare=_prepared(search)).fetchone()
    assert row is not None
    number = int(row["number"])
    if accurate or number < MOST_COUNTED:
        return number
    query, values = plan_of(search, _tenants_of(tenant))
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return max(number, int(row["QUERY PLAN"][0]["Plan"]["Plan Rows"]))


def _prepared(search: Search) -> bool | None:
    """Whether the server may keep one plan for all values: never where rows of values are looked at.

    What one patient has and what nearly all resources have need opposite plans (migration 0005), and a plan that is
    made without the value cannot know which: it may read and sort all that there is.
    """
    return None if all(isinstance(condition, Ids | Updated) for condition in search.conditions) else False


def history(
    connection: DictConnection, tenant: UUID, resource_type: str, resource_id: str | None, asked: History
) -> list[Stored]:
    """Versions of one resource, or of all of a type, the newest first: one more than `asked.count`, if there are."""
    before = asked.before
    parameters = {"type": resource_type, "since": asked.since, "limit": asked.count + 1}
    if resource_id is not None:
        parameters |= {"id": resource_id, "before": before.version_id if before else None}
        query = QUERIES["history"]
    else:
        parameters |= (
            {"time": before.time, "id": before.id, "version_id": before.version_id}
            if before
            else {"time": None, "id": None, "version_id": None}
        )
        query = QUERIES["type_history"]
    found = [
        _stored(row)
        for each in _tenants(tenant, resource_type)
        for row in connection.execute(query, parameters | {"tenant_id": each}).fetchall()
    ]
    found.sort(key=lambda stored: (stored.last_updated, stored.id, stored.version_id), reverse=True)
    return found[: asked.count + 1]


def read_current(connection: DictConnection, tenant: UUID, resource_type: str, ids: Sequence[str]) -> list[Stored]:
    """The current versions of those of these resources that there are."""
    found = connection.execute(
        QUERIES["read_current"],
        {"tenants": _tenants(tenant, resource_type), "type": resource_type, "ids": list(ids)},
    ).fetchall()
    return [_stored(row) for row in found]


def references(
    connection: DictConnection, tenant: UUID, resource_type: str, row: str, ids: Sequence[str]
) -> list[tuple[str, str]]:
    """(target, version or '') of what these resources refer to by one search parameter, in a fixed order."""
    found = connection.execute(
        QUERIES["references"],
        {"tenants": _tenants(tenant, resource_type), "type": resource_type, "param": row, "ids": list(ids)},
    ).fetchall()
    return [(row["value"], row["system"]) for row in found]


def referring(
    connection: DictConnection, tenant: UUID, resource_type: str, row: str, references: Sequence[str], *, limit: int
) -> list[str]:
    """Ids of the resources of a type that refer, by one search parameter, to any of these."""
    parameters = {"tenants": _tenants(tenant, resource_type), "type": resource_type, "param": row}
    asked = parameters | {"values": list(references), "limit": limit}
    return [str(found["id"]) for found in connection.execute(QUERIES["referring"], asked).fetchall()]


def tenants_changed(connection: DictConnection, resource_type: str, since: datetime) -> list[UUID]:
    """The tenants that have a current resource of this type which changed at or after this time. Needs no tenant."""
    rows = connection.execute(QUERIES["tenants_changed"], {"type": resource_type, "since": since}).fetchall()
    return [row["tenant"] for row in rows]


def _tenants_of(tenant: UUID) -> Callable[[str], Sequence[UUID]]:
    return lambda resource_type: _tenants(tenant, resource_type)


def _tenants(tenant: UUID, resource_type: str) -> list[UUID]:
    return seen_by(tenant) if resource_type in PUBLISHED_TYPES else [tenant]


def _stored(row: dict[str, Any]) -> Stored:
    return Stored(
        type=row["type"],
        id=row["id"],
        version_id=row["version_id"],
        last_updated=row["last_updated"],
        body=unpacked(bytes(row["body"])),
        sha256=bytes(row["sha256"]),
        tag=row["tag"],
    )
