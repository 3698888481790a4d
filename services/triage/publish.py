"""What triage publishes: the engine as a Device, every pack as a Library and a PlanDefinition, and the terminology."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from services.triage import store
from services.triage.basis import Resource, Run
from services.triage.knowledge.files import folder_files
from services.triage.knowledge.loader import PACKS, every_pack
from services.triage.plan_definition import plan_definition
from services.triage.publication import library
from services.triage.risk_assessment import device
from services.triage.terminology import terminology
from shared.fhir import resources
from shared.fhir.canonicals import Canonical
from shared.fhir.publishing import publish_definition
from shared.fhir.resources import NewVersion
from shared.postgres import DictConnection, database_now
from shared.problems import Category, Problem, ProblemError
from shared.version import VERSION


def publish_device(connection: DictConnection, tenant: UUID) -> list[str]:
    """Store the engine's Device, in a new version when what it says changed; returns what was stored."""
    with connection.transaction():
        store.lock_publication(connection)
        now = database_now(connection)
        wanted = device(version=VERSION, run=Run("", 1, now))
        held = resources.read(connection, tenant, "Device", wanted["id"])
        if held is not None and _without_version(orjson.loads(held.body)) == _without_version(wanted):
            return []
        version = held.version_id + 1 if held else 1
        resource = device(version=VERSION, run=Run("", version, now))
        new = NewVersion("Device", resource["id"], version, now, orjson.dumps(resource))
        resources.save(connection, tenant, [new])
        return [f"Device/{new.id} version {version}"]


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


def publish_terminology(connection: DictConnection, tenant: UUID, packs: Path = PACKS) -> list[str]:
    """Store what is new or changed of all CodeSystems and ValueSets of the base; returns what was stored."""
    wanted = terminology(every_pack(packs).values())
    with connection.transaction():
        store.lock_publication(connection)
        return [line for resource in wanted for line in _publish(connection, tenant, resource)]


def _publish(connection: DictConnection, tenant: UUID, wanted: Resource) -> list[str]:
    names = Canonical(wanted["id"], wanted["url"], wanted["version"], wanted["name"], wanted["title"])
    store.name_canonical(connection, tenant, wanted["resourceType"], names)
    return publish_definition(connection, tenant, wanted, may_change=_refuse_change)


def _refuse_change(held: Mapping[str, Any], wanted: Resource) -> None:
    """Of a pack, only a draft may get other content; what was released may still be retired."""
    changed = held.get("identifier") != wanted.get("identifier")
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


def _without_version(resource: Mapping[str, Any]) -> dict[str, Any]:
    """What a Device says, whenever it was stored."""
    meta = resource.get("meta", {})
    return {**resource, "meta": {name: part for name, part in meta.items() if name == "profile"}}
