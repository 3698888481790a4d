"""What triage publishes: the engine as a Device, and every pack as a Library and a PlanDefinition."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from services.triage import store
from services.triage.basis import Resource, Run
from services.triage.knowledge.files import folder_files
from services.triage.knowledge.loader import PACKS, every_pack
from services.triage.plan_definition import plan_definition
from services.triage.publication import library, same_content, stamped
from services.triage.risk_assessment import device
from shared.fhir import resources
from shared.fhir.canonicals import Canonical
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.resources import NewVersion
from shared.fhir.structure import check_structure
from shared.postgres import DictConnection, database_now
from shared.problems import Category, Problem, ProblemError
from shared.version import VERSION


def publish_device(connection: DictConnection, tenant: UUID) -> list[str]:
    """Store the engine's Device, in a new version when the software changed; returns what was stored."""
    with connection.transaction():
        store.lock_publication(connection)
        now = database_now(connection)
        wanted = device(version=VERSION, run=Run("", 1, now))
        held = resources.read(connection, tenant, "Device", wanted["id"])
        if held is not None and orjson.loads(held.body)["version"] == wanted["version"]:
            return []
        version = held.version_id + 1 if held else 1
        return [_save(connection, tenant, device(version=VERSION, run=Run("", version, now)), at=now)]


def publish_packs(connection: DictConnection, tenant: UUID, packs: Path = PACKS) -> list[str]:
    """Store what is new or changed of every pack's Library and PlanDefinition; returns what was stored.

    Versions of a pack stay side by side, and so do versions of a draft. Raises PackError for a pack that cannot be
    loaded, and ProblemError for a resource that is not R4 or for changed content of a pack that is no draft any more.
    """
    done: list[str] = []
    for folder, pack in every_pack(packs).items():
        with connection.transaction():
            store.lock_publication(connection)
            for wanted in (library(pack, folder_files(folder)), plan_definition(pack)):
                done += _publish(connection, tenant, wanted)
    return done


def _publish(connection: DictConnection, tenant: UUID, wanted: Resource) -> list[str]:
    resource_type, now = wanted["resourceType"], database_now(connection)
    names = Canonical(wanted["id"], wanted["url"], wanted["version"], wanted["name"], wanted["title"])
    store.name_canonical(connection, tenant, resource_type, names)
    held = resources.read(connection, tenant, resource_type, wanted["id"])
    content = None if held is None else orjson.loads(held.body)
    if content is not None:
        if same_content(content, wanted):
            return []
        _refuse_change(content, wanted)
    resource = stamped(wanted, version_id=held.version_id + 1 if held else 1, at=now)
    problems = check_structure(resource, resource_type=resource_type) or validate_with_fhir_resources(resource)
    if problems:
        raise ProblemError(problems)
    return [_save(connection, tenant, resource, at=now)]


def _refuse_change(held: Mapping[str, Any], wanted: Resource) -> None:
    """Only a draft may get other content; what was released may still be retired."""
    changed = held["identifier"] != wanted["identifier"]
    if changed and held["status"] != "draft" and wanted["status"] != "retired":
        raise ProblemError(
            Problem(
                Category.CONFLICT,
                "pack-changed",
                f"{wanted['url']}|{wanted['version']} was published as {held['status']} with other content. "
                "Give the new content a new version.",
                issue_code="conflict",
            )
        )


def _save(connection: DictConnection, tenant: UUID, resource: Resource, *, at: datetime) -> str:
    """Store a resource that carries its version and this time; returns which."""
    version = int(resource["meta"]["versionId"])
    new = NewVersion(
        type=resource["resourceType"],
        id=resource["id"],
        version_id=version,
        last_updated=at,
        body=orjson.dumps(resource),
        status=resource["status"],
        identifiers=[(identifier["system"], identifier["value"]) for identifier in resource["identifier"]],
    )
    resources.save(connection, tenant, [new])
    return f"{new.type}/{new.id} version {version}"
