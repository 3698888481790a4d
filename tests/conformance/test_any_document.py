"""No document whatever makes the system fail: what is wrong is told, and what is accepted comes back as it was sent."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.fhir.structure import check_structure
from tests.conformance.documents import ANY_JSON, BASES, damaged, kept_content
from tests.conformance.vectors import exact_json

FHIR = {"Content-Type": "application/fhir+json"}
BOUNDED = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
ALWAYS = ("POST /fhir", "PUT /fhir/Task/none", "POST /fhir/QuestionnaireResponse/_search")


@pytest.fixture(scope="module")
def routes(system: Any) -> list[tuple[str, str]]:
    """Every write and operation that the CapabilityStatement offers, and a few that it does not."""
    with httpx.Client(base_url=system.url, timeout=30, trust_env=False) as client:
        statement = client.get("/fhir/metadata").json()
    found = [tuple(each.split(" ")) for each in ALWAYS]
    for offered in statement["rest"][0]["resource"]:
        name = offered["type"]
        found += [("POST", f"/fhir/{name}"), ("PUT", f"/fhir/{name}/none"), ("PATCH", f"/fhir/{name}/none")]
        for operation in offered.get("operation", ()):
            found += [("POST", f"/fhir/{name}/${operation['name']}"), ("POST", f"/fhir/{name}/x/${operation['name']}")]
    for operation in statement["rest"][0].get("operation", ()):
        found.append(("POST", f"/fhir/${operation['name']}"))
    return [(method, path) for method, path in dict.fromkeys(found)]


def is_proper(answer: httpx.Response) -> None:
    """Fail unless the answer is no fault of ours, and an OperationOutcome where it refuses."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
        outcome = answer.json()
        assert outcome["resourceType"] == "OperationOutcome"
        assert check_structure(outcome, resource_type="OperationOutcome") == []
        assert any(issue["severity"] in ("error", "fatal") for issue in outcome["issue"])


def send(client: httpx.Client, route: tuple[str, str], body: bytes) -> httpx.Response:
    method, path = route
    headers = FHIR | ({"If-Match": 'W/"1"'} if method == "PUT" else {})
    return client.request(method, path, content=body, headers=headers)


@given(st.data())
@settings(BOUNDED, max_examples=200)
def test_any_json_is_answered(client: httpx.Client, routes: list[tuple[str, str]], data: st.DataObject) -> None:
    route = data.draw(st.sampled_from(routes))

    is_proper(send(client, route, exact_json(data.draw(ANY_JSON)).encode()))


@given(st.data())
@settings(BOUNDED, max_examples=100)
def test_any_bytes_are_answered(client: httpx.Client, routes: list[tuple[str, str]], data: st.DataObject) -> None:
    route = data.draw(st.sampled_from(routes))

    is_proper(send(client, route, data.draw(st.binary(max_size=200))))


@given(st.data())
@settings(BOUNDED, max_examples=400)
def test_any_damaged_resource_is_answered(
    client: httpx.Client, routes: list[tuple[str, str]], data: st.DataObject
) -> None:
    resource = data.draw(damaged())
    name = resource.get("resourceType")
    fitting = [route for route in routes if f"/{name}" in route[1]] or routes
    route = data.draw(st.sampled_from(fitting))

    is_proper(send(client, route, exact_json(resource).encode()))


@pytest.mark.parametrize("number", range(len(BASES)))
def test_a_sound_resource_is_answered_on_every_route(
    client: httpx.Client, routes: list[tuple[str, str]], number: int
) -> None:
    for route in routes:
        is_proper(send(client, route, exact_json(BASES[number]).encode()))


PARAMETERS = (
    "_id", "_lastUpdated", "_count", "_sort", "_total", "_summary", "_elements", "_include", "_page", "_revinclude",
    "identifier", "status", "patient", "subject", "authored", "date", "url", "_format", "subject:Patient.name",
    "status:not", "patient:missing", "zaphod",
)  # fmt: skip
VALUES = (
    "", "1", "-1", "999999999999", "a|b|c", "|", "ge2026", "ap2026-02-30", "eq0000", "true", "\\", "Patient/1",
    "Patient/", "*", "-_lastUpdated", "QuestionnaireResponse:subject", "a,b,,c",
)  # fmt: skip
QUERY = st.lists(
    st.tuples(
        st.sampled_from(PARAMETERS),
        st.sampled_from(VALUES) | st.text(st.characters(exclude_categories=("Cs",)), max_size=15),
    ),
    max_size=4,
)


@given(st.data())
@settings(BOUNDED, max_examples=200)
def test_any_search_is_answered(client: httpx.Client, routes: list[tuple[str, str]], data: st.DataObject) -> None:
    places = sorted({path for method, path in routes if method == "POST" and re.fullmatch(r"/fhir/[A-Za-z]+", path)})
    place = data.draw(st.sampled_from(places))
    strict = data.draw(st.sampled_from(({}, {"Prefer": "handling=strict"})))

    is_proper(client.get(place, params=data.draw(QUERY), headers=strict))


@given(kept_content())
@settings(BOUNDED, max_examples=60)
def test_what_was_sent_comes_back_byte_for_byte_but_for_id_and_meta(client: httpx.Client, sent: str) -> None:
    answer = client.post("/fhir/QuestionnaireResponse", content=sent.encode(), headers=FHIR)
    assert answer.status_code == 201, answer.text

    read = client.get(httpx.URL(answer.headers["location"]).raw_path.decode()).content.decode()

    head = re.match(r'\{\s*"id":"[^"]+","meta":', read)
    assert head
    _, end = json.JSONDecoder().raw_decode(read, head.end())
    assert read[end] == ","
    assert read[end + 1 :].lstrip() == sent[1:].lstrip()
    assert json.loads(read, parse_float=Decimal).keys() == json.loads(sent).keys() | {"id", "meta"}
