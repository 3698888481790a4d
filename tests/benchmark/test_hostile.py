"""Hostile bodies go to an intake of their own, whatever system the shell that starts the benchmark is set up for."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import psycopg
import pytest

from deploy.local.benchmark.hostile import _intake
from tests.builders import a_response
from tests.conftest import Database


def test_hostile_bodies_never_reach_the_system_that_the_environment_names(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "database-url"
    real.write_text(database.intake_url)
    monkeypatch.setenv("SURAL_INTAKE_DATABASE_URL_FILE", str(real))

    with _intake() as port:
        answer = httpx.post(
            f"http://127.0.0.1:{port}/fhir/QuestionnaireResponse",
            content=json.dumps(a_response()),
            headers={"Content-Type": "application/fhir+json"},
            trust_env=False,
        )

    assert answer.status_code == 201
    with psycopg.connect(database.owner_url) as owner:
        assert owner.execute("SELECT id FROM intake.resource WHERE type = 'QuestionnaireResponse'").fetchall() == []
