"""What triage really writes, for tests that need no server: examples and small forms, assessed in this process."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from deploy.local.triage import triage_file
from services.intake.questionnaires import shipped
from services.notify.detail.answers import Form
from services.notify.detail.assessed import Assessed, read_assessed
from tests.builders import a_response

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
Resource = dict[str, Any]


@cache
def form() -> Form:
    """The shipped Questionnaire."""
    return Form.of(json.loads(shipped()[-1].read_bytes()))


def example(name: str) -> list[Resource]:
    """RiskAssessment, DetectedIssues and Provenance of a shipped example, as they are read over HTTP."""
    resources: list[Resource] = json.loads(_written(name))
    return resources


@cache
def _written(name: str) -> str:
    return json.dumps(triage_file(EXAMPLES / f"{name}.json", now=NOW).resources)


def triaged(tmp_path: Path, answers: dict[str, object], **more: Any) -> tuple[Resource, list[Resource]]:
    """A response with these answers, and what triage makes of it."""
    response = a_response(answers, **more)
    file = tmp_path / "response.json"
    file.write_text(json.dumps(response))
    return response, json.loads(json.dumps(triage_file(file, now=NOW).resources))


def read(resources: list[Resource]) -> Assessed:
    """The same for a page."""
    issues = [one for one in resources if one["resourceType"] == "DetectedIssue"]
    return read_assessed(resources[0], issues)
