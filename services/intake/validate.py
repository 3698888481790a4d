"""The use case of $validate: what would be said of a resource if it were sent, without storing it.

https://hl7.org/fhir/R4/resource-operation-validate.html. Whether or not the resource is valid, the answer is a list of
problems; only what cannot be read as a resource at all raises.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.intake.raw_parts import parameters, type_of
from shared.fhir.strict_json import read_json
from shared.problems import Category, Problem, ProblemError, Severity

MODES: Final = ("create", "update", "delete", "profile")
ABOUT_THE_RESOURCE: Final = frozenset({400, 409, 412, 422})
"""Refusals of a write that are the outcome of a validation; the others are of the request."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be validated: `body` None: what is stored. `profile`: a canonical that is not checked."""

    body: bytes | None
    mode: str = ""
    profile: str = ""


def asked_for(body: bytes, *, resource_type: str, query: dict[str, str]) -> Asked:
    """The resource itself, or Parameters with `resource`, `mode`, `profile`, which may stand in the query too.

    Raises ProblemError (400): not JSON, another type, an unknown mode.
    """
    given = dict(query)
    resource: bytes | None = None
    if body.strip():
        read_json(body)
        resource = body
        if type_of(body) == "Parameters":
            named = parameters(body)
            resource = named.get("resource", {}).get("resource")
            given |= {name: _text(parts) for name, parts in named.items() if name in ("mode", "profile")}
        if resource is not None and type_of(resource) != resource_type:
            raise _impossible(f"Found no {resource_type}. Send one, or Parameters with one as resource.")
    if given.get("mode", "create") not in MODES:
        raise _impossible(f"The mode is none of {', '.join(MODES)}. Leave it out, or send one of them.")
    return Asked(resource, given.get("mode", ""), given.get("profile", ""))


def outcome_of(judging: Callable[[], Sequence[Problem]], asked: Asked) -> list[Problem]:
    """What `judging` says or raises about the resource, and what was not checked. Raises what is not about it."""
    try:
        problems = list(judging())
    except ProblemError as found:
        if found.http_status not in ABOUT_THE_RESOURCE:
            raise
        problems = list(found.problems)
    if asked.profile:
        problems.append(_profile_not_checked())
    return problems


def _text(parts: dict[str, bytes]) -> str:
    value: Any = next((json.loads(text) for name, text in parts.items() if name.startswith("value")), "")
    return str(value)


def _impossible(message: str) -> ProblemError:
    return ProblemError(Problem(Category.INCORRECT, "validate", message, expression="Parameters"))


def _profile_not_checked() -> Problem:
    return Problem(
        Category.UNPROCESSABLE,
        "profile-not-checked",
        "The resource was checked against R4 and its Questionnaire, not against the profile that was named.",
        severity=Severity.INFORMATION,
        issue_code="not-supported",
    )
