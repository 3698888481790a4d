"""What every definition that we publish has in common, and when a stored one has to be replaced.

A definition (CodeSystem, StructureDefinition, ...) is made from arguments alone: same arguments, same content. What
changes with each stored version is put on by `stamped`. Its canonical is `CANONICAL/Type/id`, and it is served under
the same id, so that the canonical says where it is found under whatever base.
https://hl7.org/fhir/R4/resource.html#canonical
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from shared.fhir.codes import CANONICAL
from shared.fhir.identity import instant
from shared.version import VERSION

Resource: TypeAlias = dict[str, Any]

PUBLISHER: Final = "Sural"
_OF_A_VERSION: Final = frozenset({"meta", "date"})


def definition(
    resource_type: str, resource_id: str, *, description: str, title: str = "", version: str = VERSION, **content: Any
) -> Resource:
    """A definition with its head, and `content` after it. Experimental: nothing here is cleared for clinical use.

    `title` stays away from types that have none in R4 (SearchParameter).
    """
    return {
        "resourceType": resource_type,
        "id": resource_id,
        "url": canonical(resource_type, resource_id),
        "version": version,
        "name": computer_name(resource_id),
        **({"title": title} if title else {}),
        "status": "active",
        "experimental": True,
        "publisher": PUBLISHER,
        "description": description,
        **content,
    }


def canonical(resource_type: str, resource_id: str) -> str:
    """The canonical URL of a definition of ours, without version."""
    return f"{CANONICAL}/{resource_type}/{resource_id}"


def computer_name(resource_id: str) -> str:
    """The name as machines use it (invariant csd-0 and its like): `red-flag` becomes `RedFlag`."""
    return "".join(part[:1].upper() + part[1:] for part in resource_id.split("-"))


def stamped(resource: Resource, *, version_id: int, at: datetime) -> Resource:
    """The resource as it is stored: with its version, and the date on which this content was published."""
    moment = instant(at)
    new = {**resource, "meta": {"versionId": str(version_id), "lastUpdated": moment}, "date": moment}
    if "expansion" in resource:
        new["expansion"] = {"timestamp": moment, **resource["expansion"]}
    return new


def same_content(held: Mapping[str, Any], wanted: Resource) -> bool:
    """True when a stored resource says what is wanted, whenever it was stored."""
    content = {name: value for name, value in held.items() if name not in _OF_A_VERSION}
    if "expansion" in content:
        content["expansion"] = {name: part for name, part in content["expansion"].items() if name != "timestamp"}
    return content == wanted
