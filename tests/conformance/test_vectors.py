"""Our gate, our compiled Questionnaire and our rules keep to every vector."""

from __future__ import annotations

from typing import Any

import pytest

from services.intake.conformance import check_conformance
from shared.fhir.enable_when import Enablement, Node, Place, enablement
from shared.fhir.outcome import operation_outcome
from shared.fhir.parse import parse_resource
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.problems import ProblemError
from tests.conformance.vectors import KINDS, Vector, exact_json, read_vectors
from tests.conformance.verdict import differences

VECTORS = read_vectors()
AT_LEAST = {"structure": 60, "enable-when": 40, "validation": 80}


def judged(vector: Vector) -> list[dict[str, Any]]:
    """The issues that we would answer with."""
    try:
        response = parse_resource(vector.body, resource_type=vector.resource_type).resource
        if vector.questionnaire is None:
            return []
        return list(operation_outcome(check_conformance(built(vector), response))["issue"])
    except ProblemError as error:
        return list(operation_outcome(error.problems)["issue"])


def built(vector: Vector) -> QuestionnaireIndex:
    body = exact_json(vector.questionnaire).encode()
    return QuestionnaireIndex.build(parse_resource(body, resource_type="Questionnaire").resource)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.id)
def test_the_vector_is_judged_as_it_says(vector: Vector) -> None:
    assert differences(vector, judged(vector)) == [], vector.sentence


@pytest.mark.parametrize("vector", [each for each in VECTORS if each.enabled], ids=lambda vector: vector.id)
def test_each_item_is_enabled_as_the_vector_says(vector: Vector) -> None:
    view = enablement(built(vector), parse_resource(vector.body, resource_type=vector.resource_type).resource)
    found = {
        node.expression: view.state_at(node.item, node.place) is Enablement.ENABLED
        for node in nodes_below(view.root)
        if node.item is not None
    }

    assert {expression: found[expression] for expression in vector.enabled} == vector.enabled, vector.sentence


def nodes_below(place: Place) -> list[Node]:
    return [each for node in place.nodes for each in (node, *(n for p in node.places for n in nodes_below(p)))]


def test_there_are_enough_vectors_and_each_has_its_own_name() -> None:
    assert len({vector.id for vector in VECTORS}) == len(VECTORS)
    for kind in KINDS:
        assert sum(vector.kind == kind for vector in VECTORS) >= AT_LEAST[kind]
