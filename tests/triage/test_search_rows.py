"""What is built is found under the same search parameters as what was stored.

Parts of what is built are text that is written already, and no search looks into a text: where an element that
somebody may search by became one, its resource would silently be found no more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.triage.assess_response import evaluate_response
from services.triage.basis import Basis
from services.triage.engine.assess import evaluate
from services.triage.findings import FactReader
from services.triage.knowledge.loader import load_not_assessable_texts, load_refused_texts
from services.triage.refused_assessment import Refused, refused_resources
from services.triage.risk_assessment import Status, build_resources, device, not_assessable
from shared.fhir.search_index import rows
from tests.builders import posterior_lower_limb
from tests.triage.test_generate import PACK, anybody
from tests.triage.test_properties import BASIS, RUN

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.json"))
REFUSED = Refused("r-1", datetime(2026, 11, 22, tzinfo=UTC), "ehr", {"reference": "Patient/p-1"}, "form-1")


def found_as_stored(resources: Sequence[Any], *types: str) -> bool:
    """True when each has the rows of its stored body, and when they are of these types."""
    stored = orjson.loads(orjson.dumps(list(resources)))
    assert {one["resourceType"] for one in stored} >= set(types)
    assert all(rows(one).values for one in stored)
    return [rows(one) for one in resources] == [rows(one) for one in stored]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_assessment_of_every_example_is_found_as_it_is_stored(example: Path) -> None:
    response = {**json.loads(example.read_bytes()), "id": example.stem}
    reader = FactReader(posterior_lower_limb(), PACK.content.facts)
    basis = Basis.of(response, version=1, sha256="5e" * 32)
    resources = evaluate_response(response, reader, PACK, basis=basis, run=RUN).resources
    assert found_as_stored(resources, "RiskAssessment", "Provenance")


@pytest.mark.parametrize("status", [Status.FINAL, Status.PRELIMINARY, Status.AMENDED])
def test_assessments_of_answers_by_lot_are_found_as_they_are_stored(status: Status) -> None:
    """With red flags, scores, doubts and every kind of extension."""
    run = replace(RUN, status=status)
    for seed in range(20):
        resources = build_resources(evaluate(PACK, anybody(seed)), PACK, basis=BASIS, run=run)
        assert found_as_stored(resources, "RiskAssessment", "DetectedIssue", "Provenance")


@pytest.mark.parametrize("head", [PACK.head, None], ids=["urgent", "could not be checked"])
def test_what_is_told_of_a_refused_submission_is_found_as_it_is_stored(head: Any) -> None:
    resources = refused_resources(load_refused_texts(), REFUSED, head, run=RUN)
    assert found_as_stored(resources, "RiskAssessment", "Provenance")


@pytest.mark.parametrize("reason", ["no-pack", "unreadable"])
def test_what_is_told_of_a_response_without_rules_is_found_as_it_is_stored(reason: str) -> None:
    resources = not_assessable(load_not_assessable_texts(), basis=BASIS, run=RUN, reason=reason)
    assert found_as_stored([*resources, device(version="1", run=RUN)], "RiskAssessment", "Provenance", "Device")
