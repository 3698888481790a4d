"""Storing what we publish: checked in full, in a new version when its content changed, else not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import orjson

from shared.fhir import resources
from shared.fhir.definitions import Resource, same_content, stamped
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.resources import NewVersion
from shared.fhir.structure import check_structure
from shared.postgres import DictConnection, database_now
from shared.problems import ProblemError


def publish_definition(
    connection: DictConnection,
    tenant: UUID,
    wanted: Resource,
    *,
    may_change: Callable[[Mapping[str, Any], Resource], None] = lambda held, wanted: None,
) -> list[str]:
    """Store one definition (see `definitions.py`); returns what was stored, in words.

    The caller's transaction keeps others from publishing meanwhile. `may_change(held, wanted)` raises where the content
    that is held must stay. Raises ProblemError for a resource that is not R4.
    """
    held = resources.read(connection, tenant, wanted["resourceType"], wanted["id"])
    if held is not None:
        content = orjson.loads(held.body)
        if same_content(content, wanted):
            return []
        may_change(content, wanted)
    now = database_now(connection)
    resource = stamped(wanted, version_id=held.version_id + 1 if held else 1, at=now)
    problems = check_structure(resource, resource_type=wanted["resourceType"]) or validate_with_fhir_resources(resource)
    if problems:
        raise ProblemError(problems)
    new = NewVersion(
        type=resource["resourceType"],
        id=resource["id"],
        version_id=int(resource["meta"]["versionId"]),
        last_updated=now,
        body=orjson.dumps(resource),
    )
    resources.save(connection, tenant, [new])
    return [f"{new.type}/{new.id} version {new.version_id}"]
