"""What can go wrong, in one vocabulary: nine categories decide HTTP status, FHIR issue code and retry.

A message says what was found, what was expected and what to do. It never repeats patient data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Category(StrEnum):
    """Who has to act, and whether trying again can help."""

    INCORRECT = "incorrect"  # cannot be read as FHIR R4: 400
    UNPROCESSABLE = "unprocessable"  # understood, but breaks the Questionnaire or a business rule: 422
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too-large"
    UNAVAILABLE = "unavailable"  # try again later
    FAULT = "fault"  # our own mistake


HTTP_STATUS = {
    Category.INCORRECT: 400,
    Category.UNPROCESSABLE: 422,
    Category.FORBIDDEN: 403,
    Category.NOT_FOUND: 404,
    Category.CONFLICT: 409,
    Category.UNSUPPORTED: 415,
    Category.TOO_LARGE: 413,
    Category.UNAVAILABLE: 503,
    Category.FAULT: 500,
}


class Severity(StrEnum):
    """FHIR R4 issue-severity."""

    FATAL = "fatal"
    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong (or worth saying), with the place where it is.

    `code` is our own stable reason ("unknown-link-id"); `issue_code` is FHIR's issue-type
    ("structure", "value", "required", "invalid", "code-invalid", "not-found", ...).
    `expression` is a FHIRPath with indexes, for example ``QuestionnaireResponse.item[2].answer[0].value``.
    `status` overrides the HTTP status of the category where HTTP has a finer word (405, 406, 410, 412).
    """

    category: Category
    code: str
    message: str
    expression: str | None = None
    link_id: str | None = None
    severity: Severity = Severity.ERROR
    issue_code: str = "invalid"
    status: int | None = None

    @property
    def http_status(self) -> int:
        """The HTTP status that this problem alone would be answered with."""
        return self.status if self.status is not None else HTTP_STATUS[self.category]


class ProblemError(Exception):
    """One or more problems that stop the work. The first error decides the HTTP status."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("; ".join(f"{problem.code}: {problem.message}" for problem in self.problems[:5]))

    @property
    def http_status(self) -> int:
        """HTTP status for the answer: that of the first problem that is fatal or an error."""
        for problem in self.problems:
            if problem.severity in (Severity.FATAL, Severity.ERROR):
                return problem.http_status
        return 500
