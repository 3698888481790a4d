"""$lookup, $validate-code and $expand: what an EHR system asks a base about its codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.triage.app import create_app
from services.triage.settings import TriageSettings
from shared.fhir.codes import CANONICAL, CS_RED_FLAG, CS_URGENCY
from shared.fhir.structure import check_structure
from tests.conftest import Database
from tests.serving import client_of

URGENCY = f"{CANONICAL}/ValueSet/urgency"


@pytest.fixture
def client(database: Database) -> Iterator[httpx.Client]:
    settings = TriageSettings(triage_database_url=database.triage_url)  # type: ignore[arg-type]
    with client_of(create_app(settings)) as client:
        yield client


def answered(client: httpx.Client, path: str, **parameters: str) -> dict[str, Any]:
    answer = client.get(f"/fhir/{path}", params=parameters)
    content: dict[str, Any] = answer.json()
    assert answer.status_code == 200, content
    assert check_structure(content, resource_type=content["resourceType"]) == []
    return content


def values(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        one["name"]: value for one in parameters["parameter"] for name, value in one.items() if name.startswith("value")
    }


def refused(client: httpx.Client, path: str, **parameters: str) -> tuple[int, str]:
    answer = client.get(f"/fhir/{path}", params=parameters)
    content = answer.json()
    assert check_structure(content, resource_type="OperationOutcome") == []
    return answer.status_code, content["issue"][0]["details"]["coding"][0]["code"]


def test_a_code_is_looked_up_with_its_words_and_properties(client: httpx.Client) -> None:
    found = answered(client, "CodeSystem/$lookup", system=CS_RED_FLAG, code="RFX-02")

    assert values(found)["display"] == "acute limb ischaemia"
    properties = {
        part["part"][0]["valueCode"]: part["part"][1] for part in found["parameter"] if part["name"] == "property"
    }
    assert properties["urgency"]["valueCode"] == "emergency"
    assert properties["clinicianOnly"]["valueBoolean"] is False
    assert "definition" in properties


def test_a_code_is_in_a_value_set_only_with_its_system(client: httpx.Client) -> None:
    def result(system: str, code: str, **more: str) -> object:
        return values(answered(client, "ValueSet/$validate-code", url=URGENCY, system=system, code=code, **more))

    assert result(CS_URGENCY, "emergency") == {"result": True, "display": "Emergency"}
    assert result(CS_URGENCY, "emergency", display="Now")["result"] is False  # type: ignore[index]
    assert result(CS_URGENCY, "clinician_review")["result"] is False  # type: ignore[index]
    assert result("urn:other", "emergency")["result"] is False  # type: ignore[index]


def test_a_code_is_validated_against_its_code_system(client: httpx.Client) -> None:
    right = answered(client, "CodeSystem/$validate-code", url=CS_URGENCY, code="clinician_review")
    wrong = answered(client, "CodeSystem/$validate-code", url=CS_URGENCY, code="at_once")

    assert values(right)["result"] is True
    assert values(wrong)["result"] is False


def test_a_value_set_is_expanded_by_url_and_by_id(client: httpx.Client) -> None:
    by_url = answered(client, "ValueSet/$expand", url=URGENCY)
    by_id = answered(client, "ValueSet/urgency/$expand")

    assert by_url == by_id
    assert [one["code"] for one in by_url["expansion"]["contains"]] == [
        "emergency",
        "same_day",
        "within_2_weeks",
        "routine",
        "self_care",
    ]


def test_an_expansion_is_filtered_and_paged(client: httpx.Client) -> None:
    weeks = answered(client, "ValueSet/$expand", url=URGENCY, filter="WEEK")["expansion"]
    page = answered(client, "ValueSet/$expand", url=URGENCY, offset="1", count="2")["expansion"]
    none = answered(client, "ValueSet/$expand", url=URGENCY, filter="nothing like it")["expansion"]

    assert [one["code"] for one in weeks["contains"]] == ["within_2_weeks"]
    assert (page["total"], page["offset"]) == (5, 1)
    assert [one["code"] for one in page["contains"]] == ["same_day", "within_2_weeks"]
    assert none["total"] == 0


@pytest.mark.parametrize(
    ("path", "parameters", "expected"),
    [
        ("CodeSystem/$lookup", {"system": CS_URGENCY, "code": "at_once"}, (404, "code-unknown")),
        ("CodeSystem/$lookup", {"system": "http://loinc.org", "code": "1"}, (404, "not-found")),
        ("CodeSystem/$lookup", {"system": f"{CS_URGENCY}|9.9", "code": "routine"}, (404, "not-found")),
        ("CodeSystem/$lookup", {"system": CS_URGENCY}, (400, "parameters")),
        ("ValueSet/$expand", {"url": f"{CANONICAL}/ValueSet/none"}, (404, "not-found")),
        ("ValueSet/$expand", {"url": URGENCY, "count": "-1"}, (400, "parameters")),
        ("ValueSet/$expand", {"url": URGENCY, "activeOnly": "true"}, (400, "parameters")),
        ("ValueSet/none/$expand", {}, (404, "not-found")),
    ],
)
def test_what_cannot_be_answered_is_said(
    client: httpx.Client, path: str, parameters: dict[str, str], expected: tuple[int, str]
) -> None:
    assert refused(client, path, **parameters) == expected
