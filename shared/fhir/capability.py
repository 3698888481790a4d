"""CapabilityStatement, made from what a service really registers, and merged over the services of one base."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.fhir.codes import CANONICAL
from shared.fhir.identity import instant

PARAMETER_TYPES = {
    "_id": "token",
    "_lastUpdated": "date",
    "identifier": "token",
    "subject": "reference",
    "patient": "reference",
    "_tag": "token",
    "status": "token",
    "url": "uri",
    "version": "token",
    "name": "string",
    "title": "string",
    "action": "token",
    "date": "date",
    "entity": "reference",
    "outcome": "token",
    "subtype": "token",
}


@dataclass(frozen=True, slots=True)
class ResourceCapability:
    """What one service offers for one resource type. Its routes are registered from the same object."""

    type: str
    interactions: tuple[str, ...]
    search: frozenset[str] = frozenset()
    conditional_create: bool = False
    conditional_update: bool = False
    update_create: bool = False
    versioning: str = "versioned"

    def as_fhir(self) -> dict[str, Any]:
        """The `rest.resource` entry."""
        resource: dict[str, Any] = {
            "type": self.type,
            "interaction": [{"code": code} for code in self.interactions],
            "versioning": self.versioning,
            "readHistory": "vread" in self.interactions,
            "updateCreate": self.update_create,
            "conditionalCreate": self.conditional_create,
            "conditionalUpdate": self.conditional_update,
        }
        if "search-type" in self.interactions:
            everywhere = {"_lastUpdated"} if self.type == "AuditEvent" else {"_id", "_lastUpdated", "identifier"}
            names = sorted(everywhere | self.search)
            resource["searchParam"] = [{"name": name, "type": PARAMETER_TYPES[name]} for name in names]
        return resource


def capability_statement(
    parts: Iterable[dict[str, Any]], *, url: str, version: str, published: datetime
) -> dict[str, Any]:
    """The CapabilityStatement of a base whose services offer these `rest.resource` parts."""
    return {
        "resourceType": "CapabilityStatement",
        "url": f"{CANONICAL}/CapabilityStatement/sural",
        "version": version,
        "name": "Sural",
        "title": "Sural: triage of pain behind the knee, in the calf and behind the ankle",
        "status": "active",
        "experimental": True,
        "date": instant(published),
        "publisher": "Sural",
        "description": "Decision support for clinicians. Not cleared for clinical use; see SAFETY.md.",
        "kind": "instance",
        "software": {"name": "Sural", "version": version},
        "implementation": {"description": "Sural", "url": url},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [{"mode": "server", "resource": sorted(parts, key=lambda part: str(part["type"]))}],
    }


def parts_of(capabilities: Sequence[ResourceCapability]) -> list[dict[str, Any]]:
    """The `rest.resource` entries of one service."""
    return [capability.as_fhir() for capability in capabilities]
