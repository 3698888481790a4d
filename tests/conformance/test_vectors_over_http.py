"""The running system keeps to every vector as well, asked as any other server would be: by $validate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from tests.conformance.run import FHIR_JSON, ask, judge, main, publish
from tests.conformance.vectors import Vector, read_vectors
from tests.conformance.verdict import differences, is_refused
from tests.journeys.system import System

NO_RESOURCE = frozenset({"json-empty", "json-array", "json-no-resource-type", "json-other-resource-type"})
"""What is not the resource in question cannot be its validation's argument: the refusal is the operation's own."""
VALIDATED = ("QuestionnaireResponse", "Questionnaire")
VECTORS = [vector for vector in read_vectors() if vector.resource_type in VALIDATED]


@pytest.fixture(scope="module")
def server(system: System) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{system.url}/fhir", headers=FHIR_JSON, timeout=30, trust_env=False) as client:
        publish(client, VECTORS)
        yield client


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.id)
def test_the_server_judges_the_vector_as_it_says(vector: Vector, server: httpx.Client) -> None:
    status, issues = ask(server, vector)

    assert status < 500
    if vector.id in NO_RESOURCE:
        assert is_refused(issues)
    else:
        assert differences(vector, issues) == [], vector.sentence


def test_the_runner_for_other_servers_finds_no_difference(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--base", f"{system.url}/fhir", "--kind", "enable-when"]) == 0

    told = capsys.readouterr().out
    assert "differs  " in told
    assert not [line for line in told.splitlines() if line.startswith("enable-when") and "refused:" in line]


def test_the_runner_tells_a_difference(server: httpx.Client) -> None:
    vector = next(each for each in VECTORS if each.id == "required-missing")

    assert judge(server, vector) == ("agrees", "")
    assert judge(server, replace(vector, valid=True)) == ("differs", f"refused: {vector.sentence}")
