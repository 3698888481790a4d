"""The one door to the fhir.resources package: a second opinion on authored and emitted resources.

Its R4B classes have the element lists of R4 for the types we use. They accept much that R4 forbids and turn
decimals into floats, so `shared.fhir.structure` stays the gate, and nothing that comes out of here is stored
or sent. Importing the package takes most of a second; that is why it happens inside the function.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from shared.problems import Category, Problem


def validate_with_fhir_resources(resource: dict[str, Any]) -> list[Problem]:
    """What fhir.resources (R4B) finds wrong with a resource, without repeating its values; empty if nothing.

    Slow (milliseconds per resource): for content that we author and for tests, not for requests.
    """
    from fhir.resources.R4B import get_fhir_model_class
    from pydantic import ValidationError

    name = resource.get("resourceType")
    if not isinstance(name, str):
        return [_problem("missing-element", "'resourceType' is missing; add it.", "Resource", "required")]
    try:
        model = get_fhir_model_class(name)
    except ValueError:
        return [_unknown_type("Resource")]
    try:
        model.model_validate_json(json.dumps(resource, default=_plain))
    except KeyError:  # what the package does when it meets an unknown contained type
        return [_unknown_type(f"{name}.contained")]
    except ValidationError as error:
        return [
            _problem("fhir-resources", each["msg"], _path(name, each["loc"]), "invalid")
            for each in error.errors(include_input=False, include_context=False, include_url=False)
        ]
    return []


def _plain(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _path(name: str, location: tuple[int | str, ...]) -> str:
    return name + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)


def _unknown_type(expression: str) -> Problem:
    return _problem(
        "unknown-resource-type", "'resourceType' is not known to FHIR R4B; correct it.", expression, "value"
    )


def _problem(code: str, message: str, expression: str, issue_code: str) -> Problem:
    return Problem(Category.INCORRECT, code, message, expression=expression, issue_code=issue_code)
