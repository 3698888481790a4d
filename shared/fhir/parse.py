"""Bytes from outside become a resource, or a list of everything that is wrong with them.

Four phases: size; JSON (strict_json.py); resource type; structure (structure.py). Each reports all its
problems, and only a clean one leads on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from shared.fhir.strict_json import read_json
from shared.fhir.structure import check_structure
from shared.problems import Category, Problem, ProblemError, Severity

BODY_BYTES = 1024 * 1024

_TYPE_NAME = re.compile(r"[A-Z][A-Za-z]{0,39}")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A sound resource: the bytes as received, which are the stored truth, and their content.

    Whole numbers are int, all others Decimal with the digits as sent (36.60 keeps its 0).
    """

    body: bytes
    resource: dict[str, Any]


def parse_resource(body: bytes, *, resource_type: str) -> Parsed:
    """Read one resource of the type; raises ProblemError with all problems of the first phase that fails."""
    if len(body) > BODY_BYTES:
        message = f"The body has {len(body)} bytes, at most {BODY_BYTES} are accepted; send less at once."
        raise ProblemError(
            Problem(Category.TOO_LARGE, "too-large", message, severity=Severity.FATAL, issue_code="too-long")
        )
    content = read_json(body)
    problems = _wrong_type(content, resource_type) or check_structure(content, resource_type=resource_type)
    if problems:
        raise ProblemError(problems)
    return Parsed(body, content)


def _wrong_type(content: Any, expected: str) -> list[Problem]:
    if not isinstance(content, dict):
        message = f"The body is JSON, but not an object; send one {expected}."
        return [
            Problem(
                Category.INCORRECT,
                "not-an-object",
                message,
                severity=Severity.FATAL,
                issue_code="structure",
            )
        ]
    name = content.get("resourceType")
    if name == expected:
        return []
    shown = f"'{name}'" if isinstance(name, str) and _TYPE_NAME.fullmatch(name) else "something else"
    message = (
        f"'resourceType' is {'missing' if name is None else shown}, expected '{expected}'; "
        "correct it, or send the resource to the address of its own type."
    )
    issue_code = "required" if name is None else "value"
    return [Problem(Category.INCORRECT, "wrong-resource-type", message, issue_code=issue_code)]
