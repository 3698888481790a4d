"""Everything that is wrong with a response, found in the order of the phases: R4, its keys, its Questionnaire.

Most responses have nothing wrong, and the acceptor of their Questionnaire sees that at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from services.intake.catalogue import Catalogue, Resolved
from services.intake.conformance import check_conformance
from services.intake.keys import check_keys, check_subject
from shared.fhir.answer_values import comparable_dates
from shared.fhir.parse import parse_resource
from shared.fhir.plain_json import read_plain_json
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.problems import Category, Problem, ProblemError, Severity

SHORT: Final = 64 * 1024
"""Bytes of a body that is looked at without a thread."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A response that may be stored, the Questionnaire that it answers, and what is worth saying about it."""

    body: bytes
    response: dict[str, Any]
    index: QuestionnaireIndex
    warnings: Sequence[Problem]


def recognise(body: bytes, *, catalogue: Catalogue, tenant: UUID) -> Judged | None:
    """A response that is sound at first sight; None for one that needs a closer look (`judge`). Asks nobody.

    It takes a few tenths of a millisecond, so an event loop may do it; long bodies, and forms whose conditions may take
    long, are left to threads.
    """
    plain = read_plain_json(body) if len(body) <= SHORT else None
    if plain is None:
        return None
    canonical = plain.content.get("questionnaire")
    acceptor, known = catalogue.acceptor(tenant, canonical), catalogue.at_hand(tenant, canonical)
    if acceptor is None or known is None or acceptor.index is not known[0] or not acceptor.is_short:
        return None
    if not acceptor.accepts(plain):
        return None
    problems = [*check_keys(plain.content), *check_subject(plain.content)]
    return None if stops(problems) else _judged(body, plain.content, known, problems)


def judge(body: bytes, *, catalogue: Catalogue, tenant: UUID) -> Judged:
    """Check a QuestionnaireResponse in full.

    Raises ProblemError with all problems of the first phase that fails: 400 for what is not R4, 413 for too much, 422
    for what does not answer its Questionnaire (warnings included).
    """
    plain = read_plain_json(body)
    acceptor = catalogue.acceptor(tenant, plain.content.get("questionnaire")) if plain is not None else None
    if plain is not None and acceptor is not None and acceptor.accepts(plain):
        response = plain.content
    else:
        acceptor, response = None, parse_resource(body, resource_type="QuestionnaireResponse").resource
    resolved = catalogue.resolve(tenant, response.get("questionnaire"))
    problems = [*check_keys(response), *check_subject(response)]
    if acceptor is None or acceptor.index is not resolved[0]:
        problems += check_conformance(resolved[0], response)
    if stops(problems):
        raise ProblemError(problems)
    return _judged(body, response, resolved, problems)


def _judged(body: bytes, response: dict[str, Any], resolved: Resolved, problems: Sequence[Problem]) -> Judged:
    index, warnings = resolved
    return Judged(body, response, index, [*warnings, *_check_period(index, response), *problems])


def _check_period(index: QuestionnaireIndex, response: dict[str, Any]) -> list[Problem]:
    """A warning when the form was filled in outside the time in which it is meant to be used."""
    authored, (start, end) = str(response.get("authored", "")), index.effective
    early, late = comparable_dates(authored, start), comparable_dates(authored, end)
    if not (early and early[0] < early[1]) and not (late and late[0] > late[1]):
        return []
    return [
        Problem(
            Category.UNPROCESSABLE,
            "questionnaire-not-effective",
            f"The time of authored is outside the effective period of {index.canonical}. Check the clock and the form.",
            expression="QuestionnaireResponse.authored",
            severity=Severity.WARNING,
            issue_code="business-rule",
        )
    ]


def stops(problems: Sequence[Problem]) -> bool:
    """True when one of them is more than a warning."""
    return any(problem.severity in (Severity.ERROR, Severity.FATAL) for problem in problems)
