"""What our gate and the independent validators are asked: our vectors, and the samples of the gate's own tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shared.fhir.parse import parse_resource
from shared.problems import ProblemError
from tests.conformance.vectors import exact_json, read_vectors
from tests.shared.test_structure import SAMPLES, SOUND, build


@dataclass(frozen=True)
class Case:
    """One body with what our gate says: the reasons of a refusal, none when it accepts."""

    name: str
    body: str
    reasons: frozenset[str]


def read_cases() -> list[Case]:
    """Every case, each with a name of its own."""
    return [Case(name, body.decode(), _reasons(body, resource_type)) for name, resource_type, body in _bodies()]


def _bodies() -> Iterator[tuple[str, str, bytes]]:
    for vector in read_vectors():
        yield vector.id, vector.resource_type, vector.body
    for resource_type, elements in SOUND:
        yield f"sound {resource_type} {exact_json(elements)[:100]}", resource_type, _built(resource_type, elements)
    for code, place, resource_type, elements in SAMPLES["broken"]:
        name = f"broken {code} {resource_type} {place} {exact_json(elements)[:100]}"
        yield name, resource_type, _built(resource_type, elements)


def _built(resource_type: str, elements: dict[str, Any]) -> bytes:
    return exact_json(build(resource_type, elements)).encode()


def _reasons(body: bytes, resource_type: str) -> frozenset[str]:
    try:
        parse_resource(body, resource_type=resource_type)
    except ProblemError as error:
        return frozenset(problem.code for problem in error.problems)
    return frozenset()
