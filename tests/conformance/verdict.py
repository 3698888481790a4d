"""Does an answer agree with what a vector expects? The same judgement for our functions and for any server."""

from __future__ import annotations

from typing import Any

from shared.fhir.codes import CS_ISSUE, EXT_LINK_ID
from tests.conformance.vectors import Vector

FAILS = ("fatal", "error")


def is_refused(issues: list[dict[str, Any]]) -> bool:
    """True when an OperationOutcome says that the resource is not valid."""
    return any(issue.get("severity") in FAILS for issue in issues)


def differences(vector: Vector, issues: list[dict[str, Any]]) -> list[str]:
    """Sentences about where these issues are not those that the vector expects; empty when they agree.

    Every expected issue must be there, with code, place, linkId and reason; no other error may be.
    """
    found = []
    if is_refused(issues) == vector.valid:
        found.append(f"is {'refused' if vector.valid else 'accepted'}: {[_shown(issue) for issue in issues]}")
    left = [issue for issue in issues if issue.get("severity") in FAILS]
    for expected in vector.issues:
        same = [issue for issue in issues if _is(issue, expected)]
        if not same:
            found.append(f"expected {expected}, found {[_shown(issue) for issue in issues]}")
        left = [issue for issue in left if issue not in same]
    return found + [f"not expected: {_shown(issue)}" for issue in left]


def _is(issue: dict[str, Any], expected: dict[str, str]) -> bool:
    shown = _shown(issue)
    fails = shown["severity"] in FAILS
    if fails != (expected.get("severity", "error") == "error"):
        return False
    return all(shown.get(name) == value for name, value in expected.items() if name != "severity")


def _shown(issue: dict[str, Any]) -> dict[str, str]:
    """The parts of an issue that a vector can name."""
    reasons = [c["code"] for c in issue.get("details", {}).get("coding", []) if c.get("system") == CS_ISSUE]
    link_ids = [e.get("valueString") for e in issue.get("extension", []) if e.get("url") == EXT_LINK_ID]
    parts = {
        "severity": issue.get("severity"),
        "code": issue.get("code"),
        "expression": next(iter(issue.get("expression", [])), None),
        "reason": next(iter(reasons), None),
        "linkId": next(iter(link_ids), None),
    }
    return {name: str(value) for name, value in parts.items() if value is not None}
