"""What triage publishes about itself: the engine as a Device, which every assessment names as its performer."""

from __future__ import annotations

from uuid import UUID

import orjson

from services.triage.basis import Run
from services.triage.risk_assessment import device
from shared.fhir import resources
from shared.fhir.resources import NewVersion
from shared.postgres import DictConnection, database_now
from shared.version import VERSION


def publish_device(connection: DictConnection, tenant: UUID) -> list[str]:
    """Store the engine's Device, in a new version when the software changed; returns what was stored."""
    now = database_now(connection)
    wanted = device(version=VERSION, run=Run("", 1, now))
    held = resources.read(connection, tenant, "Device", wanted["id"])
    if held is not None and orjson.loads(held.body)["version"] == wanted["version"]:
        return []
    version = held.version_id + 1 if held else 1
    body = device(version=VERSION, run=Run("", version, now))
    new = NewVersion(
        type="Device",
        id=body["id"],
        version_id=version,
        last_updated=now,
        body=orjson.dumps(body),
        status=body["status"],
        identifiers=[(identifier["system"], identifier["value"]) for identifier in body["identifier"]],
    )
    with connection.transaction():
        resources.save(connection, tenant, [new])
    return [f"Device/{body['id']} version {version}"]
