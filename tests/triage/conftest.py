"""Fixtures of triage's tests: the line from intake to triage, and the line behind another FHIR server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from services.intake.app import create_app as create_intake
from services.intake.settings import IntakeSettings
from services.triage.app import create_app as create_triage
from services.triage.assess_response import open_assessor
from services.triage.forms import Forms
from services.triage.settings import TriageSettings
from shared.fhir.client import FhirClient
from shared.postgres import open_pool
from tests.conftest import Database
from tests.serving import client_of, served
from tests.triage.line import Line, OtherIntake

PATIENCE_S = 20.0
"""Intake is in this process, beside other tests on the same processors: slow is not away."""


@pytest.fixture
def line(database: Database) -> Iterator[Line]:
    intake = create_intake(IntakeSettings(intake_database_url=database.intake_url))  # type: ignore[arg-type]
    with served(intake) as url, open_pool(database.triage_url, schema="triage") as pool:
        settings = TriageSettings(triage_database_url=database.triage_url, intake_url=url)  # type: ignore[arg-type]
        with (
            client_of(create_triage(settings)) as triage,
            httpx.Client(base_url=url, timeout=20, trust_env=False) as ehr,
        ):
            client = FhirClient(url, timeout_s=PATIENCE_S)
            assessor = replace(open_assessor(settings, pool), client=client, forms=Forms(client))
            with client:
                yield Line(ehr, triage, pool, assessor)


@pytest.fixture
def amended(line: Line) -> Iterator[tuple[Line, OtherIntake]]:
    other = OtherIntake()
    with served(other.app) as url, FhirClient(url) as client:
        yield replace(line, assessor=replace(line.assessor, client=client)), other
