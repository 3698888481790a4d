"""Problems told to the sender as one FHIR R4 OperationOutcome.

https://hl7.org/fhir/R4/operationoutcome.html. Each issue says what is wrong in words, with our own stable
code, the FHIRPath of the place and the linkId of the item. Same problems, same outcome, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.fhir.codes import CS_ISSUE, EXT_LINK_ID
from shared.problems import Problem, Severity

MOST_ISSUES = 100


def operation_outcome(problems: Sequence[Problem]) -> dict[str, Any]:
    """All problems in the order given, at most MOST_ISSUES of them, and then how many more there are.

    Without problems: one information that all is well, because an OperationOutcome needs an issue.
    """
    issues = [_issue(problem) for problem in problems[:MOST_ISSUES]]
    left = problems[MOST_ISSUES:]
    if left:
        worst = min((problem.severity for problem in left), key=list(Severity).index)
        issues.append(_more(len(left), worst))
    if not issues:
        issues.append(_plain(Severity.INFORMATION, "informational", "ok", "No problems were found."))
    return {"resourceType": "OperationOutcome", "issue": issues}


def _issue(problem: Problem) -> dict[str, Any]:
    issue = _plain(problem.severity, problem.issue_code, problem.code, problem.message)
    if problem.expression:
        issue["expression"] = [problem.expression]
    if problem.link_id and not problem.link_id.isspace():
        issue = {"extension": [{"url": EXT_LINK_ID, "valueString": problem.link_id}], **issue}
    return issue


def _more(count: int, worst: Severity) -> dict[str, Any]:
    text = f"{count} more problems are not listed; correct the ones above and send the resource again."
    return _plain(worst, "informational" if worst is Severity.INFORMATION else "processing", "more-problems", text)


def _plain(severity: Severity, issue_code: str, code: str, text: str) -> dict[str, Any]:
    return {
        "severity": severity.value,
        "code": issue_code,
        "details": {"coding": [{"system": CS_ISSUE, "code": code}], "text": text},
    }
