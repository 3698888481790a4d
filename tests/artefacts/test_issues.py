"""The form of every OperationOutcome, whatever it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import shared.fhir
from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from shared.fhir.codes import SID_RESPONSE
from shared.fhir.outcome import operation_outcome
from shared.problems import Category, Problem, Severity
from tests.builders import a_response
from tests.conftest import Database
from tests.intake.ehr import post
from tests.issue_codes import issue_types
from tests.serving import client_of


@pytest.fixture
def ehr(database: Database) -> Iterator[httpx.Client]:
    settings = IntakeSettings(intake_database_url=database.intake_url)  # type: ignore[arg-type]
    with client_of(create_app(settings)) as client:
        yield client


def test_every_issue_type_of_the_source_is_one_of_r4() -> None:
    table = json.loads((Path(shared.fhir.__file__).parent / "r4_elements.json").read_bytes())
    [of_r4] = table["codes"]["issue-type"].values()

    found = issue_types()
    assert found.unread == []
    assert len(found.codes) > 10
    assert {code: places for code, places in found.codes.items() if code not in of_r4} == {}


def test_no_issue_has_a_location() -> None:
    problems = [
        Problem(Category.UNPROCESSABLE, "required", "Answer it.", "QuestionnaireResponse.item[0]", "2.1", severity)
        for severity in Severity
    ]

    for issue in operation_outcome(problems * 60)["issue"]:
        assert "location" not in issue


def test_a_success_tells_what_was_stored_first_and_the_assessment_second(ehr: httpx.Client) -> None:
    response = {name: value for name, value in a_response().items() if name != "identifier"}
    answer = post(ehr, response)

    issues = answer.json()["issue"]
    stored = httpx.URL(answer.headers["location"]).path.split("/")
    assert [issue["severity"] for issue in issues] == ["information", "information", "warning"]
    assert f"QuestionnaireResponse/{stored[-3]}, version 1" in issues[0]["details"]["text"]
    assert f"RiskAssessment?identifier={SID_RESPONSE}|{stored[-3]}" in issues[1]["details"]["text"]
    assert [issue["details"]["coding"][0]["code"] for issue in issues] == ["stored", "assessment", "identifier-missing"]
