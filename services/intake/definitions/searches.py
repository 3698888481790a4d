"""SearchParameters that R4 does not have and we do, made of the table that searches are run by.

https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

import re
from typing import Final

from shared.fhir.definitions import Resource, definition
from shared.fhir.search_parameters import PARAMETERS, Parameter

_OWN: Final = "own"
_KEPT: Final = re.compile(r"\[([A-Za-z]+)=([^\]]+)\]")
"""A condition in a path of the table: `relatedArtifact[type=depends-on]`."""


def search_definitions() -> list[Resource]:
    """Every search parameter of our own, by type and name."""
    return [
        _definition(resource_type, parameter)
        for resource_type, parameters in PARAMETERS.items()
        for parameter in parameters
        if parameter.definition == _OWN
    ]


def _definition(resource_type: str, parameter: Parameter) -> Resource:
    name = parameter.name
    described = f"{resource_type} by its {' and '.join(parameter.paths)}. R4 has no such parameter."
    resource = definition(
        "SearchParameter",
        f"{resource_type}-{name}",
        description=described,
        code=name,
        base=[resource_type],
        type=parameter.type,
        expression=" | ".join(_expression(resource_type, path) for path in parameter.paths),
    )
    return resource | ({"target": sorted(parameter.targets)} if parameter.targets else {})


def _expression(resource_type: str, path: str) -> str:
    """The path as FHIRPath."""
    return f"{resource_type}.{_KEPT.sub(lambda kept: f'.where({kept[1]}={kept[2]!r})', path)}"
