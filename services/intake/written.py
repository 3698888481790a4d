"""What a sender is told of a write: status, Location, ETag, and the body that Prefer asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from services.intake.receive import Received
from services.intake.store import Outcome
from shared.access.scopes import READ
from shared.fhir import identity
from shared.fhir.codes import SID_RESPONSE
from shared.fhir.http import FhirResponse, outcome_response, version_headers
from shared.fhir.resources import Stored
from shared.principal import Principal
from shared.problems import Category, Problem, Severity

WRITTEN: Final = frozenset({Outcome.CREATED, Outcome.UPDATED})


def received_problems(received: Received, base: str) -> list[Problem]:
    """What is said of a response that is stored: where it is, where its assessment will be, and the warnings."""
    stored = received.stored
    assessment = f"Its assessment: {base}/RiskAssessment?identifier={SID_RESPONSE}|{stored.id}"
    return [_stored(stored, received.outcome), _told("assessment", assessment), *received.warnings]


def published_problems(stored: Stored, outcome: Outcome, warnings: Sequence[Problem]) -> list[Problem]:
    """What is said of a Questionnaire that is stored."""
    return [_stored(stored, outcome), *warnings]


def written_response(
    stored: Stored, outcome: Outcome, problems: Sequence[Problem], *, base: str, prefer: str
) -> Response:
    """201 for a new resource, else 200. Without Prefer the body is the OperationOutcome: it holds the warnings."""
    headers = version_headers(stored, location=location(stored, base))
    status = 201 if outcome is Outcome.CREATED else 200
    match returned(prefer):
        case "minimal":
            return Response(status_code=status, headers=headers)
        case "representation":
            return FhirResponse(identity.as_received(stored), status_code=status, headers=headers)
        case _:
            return outcome_response(problems, status, headers)


def location(stored: Stored, base: str) -> str:
    """The address of this version."""
    return f"{base}/{stored.type}/{stored.id}/_history/{stored.version_id}"


def returned(prefer: str) -> str:
    """The value of ``return=`` in a Prefer header (RFC 7240), '' when it has none that is known."""
    for part in prefer.replace(";", ",").split(","):
        name, _, value = part.strip().partition("=")
        if name.strip().lower() == "return" and value.strip(' "') in ("minimal", "representation", "OperationOutcome"):
            return value.strip(' "')
    return ""


def allowed_prefer(prefer: str, stored: Stored, sent: bytes | None, principal: Principal) -> str:
    """What Prefer asks for, without the resource where it is another than was sent and the sender may not read it.

    A conditional create that finds one would otherwise give out answers to whoever knows their identifier.
    """
    if stored.body == sent or principal.scopes.allows(stored.type, READ):
        return prefer
    return "return=OperationOutcome" if returned(prefer) == "representation" else prefer


def _stored(stored: Stored, outcome: Outcome) -> Problem:
    what = "Stored as" if outcome in WRITTEN else "Known as"
    return _told("stored", f"{what} {stored.type}/{stored.id}, version {stored.version_id}.")


def _told(code: str, message: str) -> Problem:
    return Problem(Category.INCORRECT, code, message, severity=Severity.INFORMATION, issue_code="informational")
