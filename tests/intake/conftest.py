"""An EHR system that speaks to intake over a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from tests.conftest import Database
from tests.serving import client_of


@pytest.fixture
def ehr(database: Database) -> Iterator[httpx.Client]:
    """An EHR system's HTTP client."""
    settings = IntakeSettings(intake_database_url=database.intake_url)  # type: ignore[arg-type]
    with client_of(create_app(settings)) as client:
        yield client
