"""Problems as an OperationOutcome that a FHIR client can read."""

from __future__ import annotations

from shared.fhir.codes import CS_ISSUE, EXT_LINK_ID
from shared.fhir.outcome import MOST_ISSUES, operation_outcome
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from shared.problems import Category, Problem, Severity


def problem(number: int = 1, severity: Severity = Severity.ERROR) -> Problem:
    return Problem(
        Category.UNPROCESSABLE,
        "unknown-link-id",
        f"Question {number} is not part of the form.",
        expression=f"QuestionnaireResponse.item[{number}]",
        link_id=f"q{number}",
        severity=severity,
        issue_code="not-found",
    )


def test_an_issue_says_what_where_and_which_question() -> None:
    outcome = operation_outcome([problem(3)])

    assert outcome == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "extension": [{"url": EXT_LINK_ID, "valueString": "q3"}],
                "severity": "error",
                "code": "not-found",
                "details": {
                    "coding": [{"system": CS_ISSUE, "code": "unknown-link-id"}],
                    "text": "Question 3 is not part of the form.",
                },
                "expression": ["QuestionnaireResponse.item[3]"],
            }
        ],
    }


def test_a_problem_without_a_place_has_neither_expression_nor_link_id() -> None:
    (issue,) = operation_outcome([Problem(Category.INCORRECT, "not-json", "Not JSON.", issue_code="structure")])[
        "issue"
    ]

    assert issue.keys() == {"severity", "code", "details"}


def test_a_hundred_problems_are_listed_and_the_rest_counted() -> None:
    warnings = [problem(number, Severity.WARNING) for number in range(MOST_ISSUES)]

    issues = operation_outcome([*warnings, problem(severity=Severity.ERROR), *warnings[:11]])["issue"]

    assert len(issues) == MOST_ISSUES + 1
    assert issues[-1]["details"]["text"].startswith("12 more problems")
    assert issues[-1]["severity"] == "error"


def test_exactly_a_hundred_problems_need_no_count() -> None:
    assert len(operation_outcome([problem()] * MOST_ISSUES)["issue"]) == MOST_ISSUES


def test_no_problem_is_still_an_outcome_with_an_issue() -> None:
    (issue,) = operation_outcome([])["issue"]

    assert (issue["severity"], issue["code"]) == ("information", "informational")


def test_every_outcome_is_itself_sound_fhir() -> None:
    lists = [
        [],
        [problem(severity=severity) for severity in Severity],
        [problem()] * 250,
        [Problem(Category.FAULT, "fault", "Our mistake.", link_id=" ", issue_code="exception")],
        check_structure(
            {
                "resourceType": "QuestionnaireResponse",
                "status": "banana",
                "item": [{}, {"linkId": "x", "a": 1}],
            },
            resource_type="QuestionnaireResponse",
        ),
    ]

    for problems in lists:
        outcome = operation_outcome(problems)
        assert check_structure(outcome, resource_type="OperationOutcome") == []
        assert validate_with_fhir_resources(outcome) == []


def test_the_same_problems_give_the_same_outcome() -> None:
    assert operation_outcome([problem(1), problem(2)]) == operation_outcome((problem(1), problem(2)))
