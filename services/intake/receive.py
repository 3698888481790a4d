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
from shared.fhir.search_index import rows
from shared.postgres import Pool
from shared.problems import Category, Problem, ProblemError, Severity

MAX_KEY_BYTES = 1000


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
    problems = [*check_keys(response), *check_subject(response), *check_conformance(index, response)]
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
            rows=rows(response),
        )
        stored = store.read_response(connection, tenant, response_id)
    if not created:
        same = same_content(stored.body, response)
        if only_if_new is None and not same:
            raise _refused(
                Category.CONFLICT,
                "identifier-reused",
                f"This identifier belongs to QuestionnaireResponse/{response_id}, which has other answers. "
                "Give every filled form an identifier of its own.",
                "QuestionnaireResponse.identifier",
                issue_code="duplicate",
            )
        warnings.append(_already_here(response_id))
        if not same:
            warnings.append(_not_stored(response_id))
    return Received(stored, created, (*warnings, *problems))


def business_identifier(response: Mapping[str, Any]) -> tuple[str, str] | None:
    """(system, value) of QuestionnaireResponse.identifier; '' for no system; None when there is no value."""
    identifier = response.get("identifier")
    if not isinstance(identifier, dict) or "value" not in identifier:
        return None
    return str(identifier.get("system", "")), str(identifier["value"])


def check_subject(response: Mapping[str, Any]) -> list[Problem]:
    """A RiskAssessment must have a patient, so a response without a usable subject cannot be assessed."""
    subject = response.get("subject")
    if isinstance(subject, dict) and str(subject.get("reference", "")).startswith("#"):
        return [
            Problem(
                Category.UNPROCESSABLE,
                "subject-contained",
                "QuestionnaireResponse.subject names a contained resource, and a contained patient cannot be told from "
                "another. Name the patient by a reference to a server or by an identifier with a system.",
                expression="QuestionnaireResponse.subject.reference",
                issue_code="business-rule",
            )
        ]
    if key := subject_key(response):
        return [_subject_without_system()] if key.startswith("|") else []
    return [
        Problem(
            Category.UNPROCESSABLE,
            "subject-missing",
            "QuestionnaireResponse.subject is missing. Name the patient by reference or by identifier.",
            expression="QuestionnaireResponse.subject",
            issue_code="required",
        )
    ]


def check_keys(response: Mapping[str, Any]) -> list[Problem]:
    """What is looked up later, identifiers and the patient, must fit into an index: at most 1,000 bytes each."""
    subject = response.get("subject")
    subject = subject if isinstance(subject, dict) else {}
    places = [
        (f"QuestionnaireResponse.{place}.{name}", holder.get(name))
        for place, holder, names in (
            ("identifier", response.get("identifier"), ("system", "value")),
            ("subject", subject, ("reference",)),
            ("subject.identifier", subject.get("identifier"), ("system", "value")),
        )
        if isinstance(holder, dict)
        for name in names
    ]
    return [
        Problem(
            Category.UNPROCESSABLE,
            "key-too-long",
            f"{len(text.encode())} bytes found, at most {MAX_KEY_BYTES} expected. Send a shorter one.",
            expression=place,
            issue_code="too-long",
        )
        for place, text in places
        if isinstance(text, str) and len(text.encode()) > MAX_KEY_BYTES
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


def _not_stored(response_id: str) -> Problem:
    return Problem(
        Category.CONFLICT,
        "identifier-reused",
        f"QuestionnaireResponse/{response_id} has other answers than this one. These other answers were not stored: "
        "send them under an identifier of their own.",
        expression="QuestionnaireResponse.identifier",
        severity=Severity.WARNING,
        issue_code="duplicate",
    )


def _subject_without_system() -> Problem:
    return Problem(
        Category.UNPROCESSABLE,
        "subject-without-system",
        "The patient's identifier has no system, so it may be that of somebody else elsewhere: each urgent assessment "
        "then makes an alert of its own. Name the system.",
        expression="QuestionnaireResponse.subject.identifier",
        severity=Severity.WARNING,
        issue_code="incomplete",
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
