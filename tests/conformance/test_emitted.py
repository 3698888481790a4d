"""Everything that the system gives out is valid R4, in the eyes of our gate and of each independent validator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

import httpx
import pytest

from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from tests.conformance.emitted import Emitted, collect
from tests.conformance.validators import VALIDATORS, Validator
from tests.conformance.validators.known import known_differences
from tests.journeys.system import System

pytestmark = pytest.mark.timeout(900)

EXPECTED = {
    "Bundle", "CapabilityStatement", "Communication", "CommunicationRequest", "DetectedIssue", "Device", "Library",
    "OperationOutcome", "PlanDefinition", "Provenance", "Questionnaire", "QuestionnaireResponse", "RiskAssessment",
    "Task",
}  # fmt: skip


@pytest.fixture(scope="module")
def emitted(system: System) -> Iterator[Emitted]:
    assert [row.problem for row in system.demo() if row.problem] == []
    with httpx.Client(base_url=system.url, timeout=30, trust_env=False) as client:
        yield collect(client)


def test_every_kind_of_resource_was_given_out(emitted: Emitted) -> None:
    offered = {each["type"] for each in json.loads(emitted.texts["metadata"])["rest"][0]["resource"]}

    assert emitted.types() >= EXPECTED | offered


def test_our_own_gate_and_fhir_resources_find_nothing(emitted: Emitted) -> None:
    found = {}
    for name, text in emitted.texts.items():
        resource = json.loads(text, parse_float=Decimal)
        problems = check_structure(resource, resource_type=resource["resourceType"])
        problems += validate_with_fhir_resources(resource)
        if problems:
            found[name] = [(problem.code, problem.expression, problem.message) for problem in problems[:3]]

    assert found == {}


@pytest.mark.parametrize("validator", VALIDATORS, ids=lambda validator: validator.name)
def test_an_independent_validator_finds_nothing(validator: Validator, emitted: Emitted) -> None:
    reason = validator.why_not()
    if reason is not None:
        pytest.skip(f"{validator.name} did not run: {reason}")
    known = known_differences(validator.name).emitted

    messages = validator.judge(emitted.texts.items())

    assert len(messages) == len(emitted.texts)
    unknown = {
        name: [text for text in texts if not any(part in text for part in known)] for name, texts in messages.items()
    }
    assert {name: texts for name, texts in unknown.items() if texts} == {}
