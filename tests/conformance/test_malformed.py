"""More than three hundred hostile bodies over a real socket: each is refused with 4xx and says why in FHIR.

How long they take and how much memory is measured by `./sural bench`, not here.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from deploy.local.malformed import malformed_inputs
from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from shared.fhir.structure import check_structure
from tests.conftest import Database
from tests.serving import client_of

INPUTS = malformed_inputs()
FAMILIES = sorted({each.family for each in INPUTS})


@pytest.fixture
def ehr(database: Database) -> Iterator[httpx.Client]:
    settings = IntakeSettings(intake_database_url=database.intake_url)  # type: ignore[arg-type]
    with client_of(create_app(settings)) as client:
        yield client


def test_there_are_more_than_three_hundred_of_them() -> None:
    assert len({(each.family, each.name) for each in INPUTS}) == len(INPUTS) > 300


@pytest.mark.parametrize("family", FAMILIES)
def test_every_malformed_input_is_refused_with_an_outcome(ehr: httpx.Client, family: str) -> None:
    wrong = []
    for each in INPUTS:
        if each.family == family:
            answer = ehr.request(each.method, each.path, content=each.body, headers=each.headers)
            outcome = answer.json() if "json" in answer.headers.get("content-type", "") else {}
            told = outcome.get("resourceType") == "OperationOutcome" and not check_structure(
                outcome, resource_type="OperationOutcome"
            )
            if not (400 <= answer.status_code < 500 and told):
                wrong.append(f"{each.name}: {answer.status_code}")

    assert wrong == []
    assert ehr.get("/fhir/QuestionnaireResponse").json().get("total", 0) == 0
