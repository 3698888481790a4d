"""/openapi.json and /docs: what is described is what is there, for programs and for people."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.journeys.system import System

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def description(system: System) -> Any:
    return httpx.get(f"{system.url}/openapi.json", timeout=30, trust_env=False).raise_for_status().json()


@pytest.fixture(scope="module")
def described(description: Any, system: System) -> BaseSchema:
    schema = schemathesis.openapi.from_dict(description)
    schema.config.update(base_url=system.url)
    return schema


CHECKED = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
BOUNDED = settings(
    max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def test_what_is_described_is_what_is_answered(described: BaseSchema) -> None:
    """Each address is asked with what its description allows, and answers with what it promises."""
    broken = []
    operations = [result.ok() for result in described.get_all_operations()]
    for operation in operations:

        @BOUNDED
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            case.validate_response(case.call(), checks=CHECKED)

        try:
            ask()
        except (FailureGroup, AssertionError) as error:
            broken.append(f"{operation.label}: {error}")

    assert broken == []
    assert len(operations) > 20


def test_every_offer_of_the_capability_statement_is_described(description: Any, client: httpx.Client) -> None:
    rest = client.get("/fhir/metadata").json()["rest"][0]
    methods = {"read": "get", "search-type": "get", "create": "post", "update": "put"}

    for offered in rest["resource"]:
        for code in {each["code"] for each in offered["interaction"]} & set(methods):
            path = f"/fhir/{offered['type']}" + ("/{id}" if code in ("read", "update") else "")
            assert methods[code] in description["paths"][path], (path, code)
        names = {each["name"] for each in offered.get("searchParam", ())}
        told = description["paths"][f"/fhir/{offered['type']}"]["get"]["parameters"]
        assert names <= {each["name"] for each in told if each["in"] == "query"}
    assert all("requestBody" in m["post"] for m in description["paths"].values() if "post" in m)


def test_searches_are_described_with_what_they_take_and_nothing_else(description: Any) -> None:
    def taken(resource_type: str) -> set[str]:
        return {each["name"] for each in description["paths"][f"/fhir/{resource_type}"]["get"]["parameters"]}

    assert {"_count", "date", "patient"} <= taken("AuditEvent")
    assert not {"_sort", "_include", "_revinclude", "_elements"} & taken("AuditEvent")
    assert {"_sort", "_include", "basis"} <= taken("RiskAssessment")


def test_the_page_names_every_address_and_takes_nothing_from_elsewhere(description: Any, client: httpx.Client) -> None:
    page = client.get("/docs")

    assert page.status_code == 200
    for path, methods in description["paths"].items():
        for method in methods:
            assert f"<b>{method.upper()}</b> <code>{path}</code>" in page.text
    assert "<script" not in page.text
    assert not re.search(r"(src|href)=\"(https?:)?//", page.text)
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
