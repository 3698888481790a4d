"""NamingSystems of the identifiers that we give, made of identifiers.toml.

A NamingSystem has no url of its own in R4; it names the system as its unique id.
https://hl7.org/fhir/R4/namingsystem.html
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from shared.fhir.codes import CANONICAL
from shared.fhir.definitions import PUBLISHER, Resource, computer_name


def naming_systems() -> list[Resource]:
    """Every identifier system of ours."""
    tables = tomllib.loads((Path(__file__).parent / "identifiers.toml").read_text(encoding="utf-8"))
    return [_naming_system(name, **table) for name, table in tables.items()]


def _naming_system(name: str, *, title: str, description: str) -> Resource:
    return {
        "resourceType": "NamingSystem",
        "id": f"sid-{name}",
        "name": computer_name(f"sid-{name}"),
        "status": "active",
        "kind": "identifier",
        "publisher": PUBLISHER,
        "description": f"{title}. {description}",
        "uniqueId": [{"type": "uri", "value": f"{CANONICAL}/sid/{name}", "preferred": True}],
    }
