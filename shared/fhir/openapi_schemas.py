"""JSON schemas of resources for the OpenAPI description, from the same table that the gate checks by.

They say the top-level elements of a type with their JSON types and closed lists. What is below is left to the gate,
which tells much more of it than a schema can: https://hl7.org/fhir/R4/json.html#schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from shared.fhir.elements import Element, kinds

FHIR_JSON: Final = "application/fhir+json"
BODY_TYPES: Final = (FHIR_JSON, "application/json")

_JSON_TYPES: Final[dict[str, dict[str, Any]]] = {
    "boolean": {"type": "boolean"},
    "decimal": {"type": "number"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
}


def component_schemas(types: Iterable[str]) -> dict[str, Any]:
    """A schema for each of these resource types."""
    return {name: _resource(name) for name in dict.fromkeys(types)}


def _resource(name: str) -> dict[str, Any]:
    kind = kinds().get(name)
    members: dict[str, Any] = {"resourceType": {"const": name}}
    required = ["resourceType"]
    if kind is not None:
        elements = [element for element in kind.elements.values() if element.json_name != "resourceType"]
        members |= {element.json_name: _element(element) for element in elements}
        required += [element for element in kind.required if element != "resourceType"]
    return {"type": "object", "title": name, "required": required, "properties": members}


def _element(element: Element) -> dict[str, Any]:
    one: dict[str, Any]
    if element.primitive:
        one = dict(_JSON_TYPES.get(element.kind_name, {"type": "string", "minLength": 1}))
        if element.bound and element.kind_name == "code":
            one = {"enum": [code for codes in element.bound.values() for code in codes]}
    else:
        one = {"type": "object", "minProperties": 1}
    return {"type": "array", "items": one, "minItems": 1} if element.many else one
