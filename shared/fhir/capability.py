"""CapabilityStatement, made from what a service really registers, and merged over the services of one base."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared.fhir.codes import CANONICAL, PROFILES
from shared.fhir.identity import instant
from shared.fhir.search_parameters import HELD, PARAMETERS, Parameter, parameters_of

STATEMENT_ID: Final = "sural"
EXT_TOPIC: Final = (
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
)
READ_ONLY: Final = ("read", "vread", "history-instance", "history-type", "search-type")
"""The interactions of a type that only the service itself writes."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation: its name without the dollar sign, and the canonical of its OperationDefinition."""

    name: str
    definition: str

    def as_fhir(self) -> dict[str, Any]:
        """The `operation` entry."""
        return {"name": self.name, "definition": self.definition}


@dataclass(frozen=True, slots=True)
class ResourceCapability:
    """What one service offers for one resource type. Its routes are registered from the same object.

    What can be searched is `search_parameters.PARAMETERS`, or of these what `search` names. `operations`: of the type
    and of its instances. `profiles`: of others, beside ours. `topics`: canonicals that can be subscribed to
    (Subscriptions R5 Backport, capabilitystatement-subscriptiontopic-canonical).
    """

    type: str
    interactions: tuple[str, ...]
    conditional_create: bool = False
    conditional_update: bool = False
    update_create: bool = False
    versioning: str = "versioned"
    operations: tuple[Operation, ...] = ()
    search: frozenset[str] | None = None
    profiles: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()

    def as_fhir(self) -> dict[str, Any]:
        """The `rest.resource` entry."""
        profiles = [*([PROFILES[self.type]] if self.type in PROFILES else []), *self.profiles]
        topics = [{"url": EXT_TOPIC, "valueCanonical": topic} for topic in self.topics]
        resource: dict[str, Any] = {
            **({"extension": topics} if topics else {}),
            "type": self.type,
            **({"supportedProfile": profiles} if profiles else {}),
            "interaction": [{"code": code} for code in self.interactions],
            "versioning": self.versioning,
            "readHistory": "vread" in self.interactions,
            "updateCreate": self.update_create,
            "conditionalCreate": self.conditional_create,
            "conditionalUpdate": self.conditional_update,
        }
        if "vread" in self.interactions:
            resource["conditionalRead"] = "full-support"
        if "search-type" in self.interactions:
            resource |= _search_of(self.type, self.search)
        if self.operations:
            resource["operation"] = [operation.as_fhir() for operation in self.operations]
        return resource


@dataclass(frozen=True, slots=True)
class SystemCapability:
    """What a service offers for the base as a whole: interactions ("transaction", "batch") and operations."""

    interactions: tuple[str, ...] = ()
    operations: tuple[Operation, ...] = ()

    def as_fhir(self) -> dict[str, Any]:
        """The members of `rest` beside `resource`."""
        members: dict[str, Any] = {}
        if self.interactions:
            members["interaction"] = [{"code": code} for code in self.interactions]
        if self.operations:
            members["operation"] = [operation.as_fhir() for operation in self.operations]
        return members


def capability_statement(
    parts: Iterable[dict[str, Any]],
    *,
    url: str,
    version: str,
    published: datetime,
    system: SystemCapability,
) -> dict[str, Any]:
    """The CapabilityStatement of a base whose services offer these `rest.resource` parts."""
    rest = {"mode": "server", "resource": sorted(parts, key=lambda part: str(part["type"]))} | system.as_fhir()
    return {
        "resourceType": "CapabilityStatement",
        "id": STATEMENT_ID,
        "url": f"{CANONICAL}/CapabilityStatement/{STATEMENT_ID}",
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
        "rest": [rest],
    }


def parts_of(capabilities: Sequence[ResourceCapability]) -> list[dict[str, Any]]:
    """The `rest.resource` entries of one service."""
    return [capability.as_fhir() for capability in capabilities]


def _search_of(resource_type: str, names: frozenset[str] | None) -> dict[str, Any]:
    """What can be searched and included, straight from the registry that searches are answered from.

    `names`: the only parameters; such a type is not held in the way of the others and includes nothing.
    """
    parameters = sorted(parameters_of(resource_type).values(), key=lambda parameter: parameter.name)
    if names is not None:
        offered = [each for each in parameters if each.name in names]
        return {"searchParam": [_claimed(each, resource_type) for each in offered]}
    leading = [f"{resource_type}:{parameter.name}" for parameter in parameters if _leads_to(parameter, None)]
    referring = [
        f"{source}:{parameter.name}"
        for source in sorted(HELD)
        for parameter in PARAMETERS[source]
        if _leads_to(parameter, resource_type)
    ]
    members: dict[str, Any] = {
        "searchInclude": leading,
        "searchRevInclude": referring,
        "searchParam": [_claimed(each, resource_type) for each in parameters],
    }
    return {name: value for name, value in members.items() if value}


def _claimed(parameter: Parameter, resource_type: str) -> dict[str, str]:
    definition = parameter.definition_for(resource_type)
    return {"name": parameter.name, "definition": definition, "type": parameter.type}


def _leads_to(parameter: Parameter, resource_type: str | None) -> bool:
    """Whether a reference may name this type, or any type that one of the services holds."""
    if parameter.type != "reference" or parameter.name == "patient":
        return False
    meant = HELD if resource_type is None else {resource_type}
    return not parameter.targets or bool(meant.intersection(parameter.targets))
