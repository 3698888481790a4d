"""The use case of intake: bytes in, a durable response or every reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.intake import store
from services.intake.catalogue import Catalogue
from services.intake.conformance import check_conformance
from shared.fhir.parse import parse_resource
from shared.fhir.resources import Stored
from shared.postgres import Pool
from shared.problems import Category, Problem, ProblemError, Severity


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a post. `created` is False when the same response was there already."""

    stored: Stored
    created: bool
    warnings: tuple[Problem, ...]


def receive(
    body: bytes, *, pool: Pool, catalogue: Catalogue, tenant: UUID, only_if_new: tuple[str, str] | None = None
) -> Received:
    """Check a QuestionnaireResponse in full and store it with its outbox row.

    `only_if_new` is the identifier of an If-None-Exist header. Raises ProblemError: 400 for what is not R4, 413 for too
    much, 422 for what does not answer its Questionnaire, 409 for an identifier that was used for other answers. Then
    nothing is stored.
    """
    parsed = parse_resource(body, resource_type="QuestionnaireResponse")
    response = parsed.resource
    identifier = business_identifier(response)
    if only_if_new is not None and only_if_new != identifier:
        raise _refused(
            Category.INCORRECT,
            "if-none-exist",
            "If-None-Exist must name the identifier that the response itself carries. Send both, equal.",
            "QuestionnaireResponse.identifier",
        )
    index, warnings = catalogue.resolve(response.get("questionnaire"))
    problems = [*check_subject(response), *check_conformance(index, response)]
    if any(problem.severity in (Severity.ERROR, Severity.FATAL) for problem in problems):
        raise ProblemError(problems)
    if identifier is None:
        warnings.append(_no_identifier())
    with pool.connection() as connection:
        created, response_id = store.accept(
            connection,
            tenant,
            body=parsed.body,
            status=str(response["status"]),
            subject=subject_key(response),
            identifier=identifier,
        )
        stored = store.read_response(connection, tenant, response_id)
    if not created:
        if only_if_new is None and not same_content(stored.body, response):
            raise _refused(
                Category.CONFLICT,
                "identifier-reused",
                f"This identifier belongs to QuestionnaireResponse/{response_id}, which has other answers. "
                "Give every filled form an identifier of its own.",
                "QuestionnaireResponse.identifier",
                issue_code="duplicate",
            )
        warnings.append(_already_here(response_id))
    return Received(stored, created, (*warnings, *problems))


def business_identifier(response: Mapping[str, Any]) -> tuple[str, str] | None:
    """(system, value) of QuestionnaireResponse.identifier; '' for no system; None when there is no value."""
    identifier = response.get("identifier")
    if not isinstance(identifier, dict) or "value" not in identifier:
        return None
    return str(identifier.get("system", "")), str(identifier["value"])


def check_subject(response: Mapping[str, Any]) -> list[Problem]:
    """A RiskAssessment must have a patient, so a response without a usable subject cannot be assessed."""
    if subject_key(response):
        return []
    return [
        Problem(
            Category.UNPROCESSABLE,
            "subject-missing",
            "QuestionnaireResponse.subject is missing. Name the patient by reference or by identifier.",
            expression="QuestionnaireResponse.subject",
            issue_code="required",
        )
    ]


def subject_key(response: Mapping[str, Any]) -> str:
    """What stands for the patient in searches and alerts: the reference, else `system|value`, else ''."""
    subject = response.get("subject")
    if not isinstance(subject, dict):
        return ""
    if "reference" in subject:
        return str(subject["reference"])
    identifier = subject.get("identifier")
    if isinstance(identifier, dict) and "value" in identifier:
        return f"{identifier.get('system', '')}|{identifier['value']}"
    return ""


def same_content(stored: bytes, response: Mapping[str, Any]) -> bool:
    """True when both say the same, whatever the order of members, id, meta and narrative."""
    earlier = parse_resource(stored, resource_type="QuestionnaireResponse").resource
    ignored = ("id", "meta", "text")
    return {k: v for k, v in earlier.items() if k not in ignored} == {
        k: v for k, v in response.items() if k not in ignored
    }


def _refused(
    category: Category, code: str, message: str, expression: str, *, issue_code: str = "invalid"
) -> ProblemError:
    return ProblemError(Problem(category, code, message, expression=expression, issue_code=issue_code))


def _already_here(response_id: str) -> Problem:
    return Problem(
        Category.CONFLICT,
        "duplicate",
        f"This response was stored before as QuestionnaireResponse/{response_id}; nothing new was stored.",
        severity=Severity.INFORMATION,
        issue_code="duplicate",
    )


def _no_identifier() -> Problem:
    return Problem(
        Category.UNPROCESSABLE,
        "identifier-missing",
        "The response has no identifier: if it is sent again it is stored again. Give each filled form one.",
        expression="QuestionnaireResponse.identifier",
        severity=Severity.WARNING,
        issue_code="informational",
    )
