"""Profiles, extensions, search parameters, operations, identifier systems: R4, complete, found by their canonicals."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.intake.app import create_app
from services.intake.definitions.publish import definitions, publish_definitions
from services.intake.questionnaires import shipped
from services.intake.settings import IntakeSettings
from services.triage.knowledge.loader import PACKS, every_pack
from services.triage.terminology import terminology
from shared.fhir.codes import CANONICAL, PROFILES
from shared.fhir.definitions import stamped
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.search_parameters import PARAMETERS
from shared.fhir.structure import check_structure
from shared.ids import PUBLISHED_TENANT
from shared.postgres import published_content
from tests.conftest import Database
from tests.serving import client_of

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = definitions()
TERMINOLOGY = terminology(every_pack(PACKS).values())
PUBLISHED = {one["url"] for one in (*DEFINITIONS, *TERMINOLOGY) if "url" in one}
AT = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)
OF_OURS = re.compile(rf"{re.escape(CANONICAL)}/(StructureDefinition|CodeSystem|ValueSet|sid)/[a-z0-9-]+")


@pytest.fixture
def client(database: Database) -> Iterator[httpx.Client]:
    settings = IntakeSettings(intake_database_url=database.intake_url)  # type: ignore[arg-type]
    with client_of(create_app(settings)) as client:
        yield client


def named(one: dict[str, Any]) -> str:
    return f"{one['resourceType']}/{one['id']}"


def of_type(resource_type: str) -> list[dict[str, Any]]:
    return [one for one in DEFINITIONS if one["resourceType"] == resource_type]


def canonicals_in_the_source() -> dict[str, str]:
    """Every canonical of ours that the source or a Questionnaire names, and where."""
    found: dict[str, str] = {}
    for folder in ("shared", "services"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                for text in _texts(node):
                    for match in OF_OURS.finditer(text):
                        found[match[0]] = str(path.relative_to(ROOT))
    for path in shipped():
        for match in OF_OURS.finditer(path.read_text(encoding="utf-8")):
            found[match[0]] = path.name
    return found


def _texts(node: ast.AST) -> Iterator[str]:
    """A string, or an f-string that begins with CANONICAL."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr) and "{CANONICAL}" in (source := ast.unparse(node)):
        yield source.replace("{CANONICAL}", CANONICAL)


def test_every_canonical_of_ours_in_the_source_is_published() -> None:
    systems = {entry["value"] for one in of_type("NamingSystem") for entry in one["uniqueId"]}

    found = canonicals_in_the_source()
    assert len(found) > 30
    assert {url: where for url, where in found.items() if url not in PUBLISHED | systems} == {}


def test_no_extension_or_identifier_system_is_published_that_nothing_uses() -> None:
    extensions = {one["url"] for one in of_type("StructureDefinition") if one["type"] == "Extension"}
    systems = {entry["value"] for one in of_type("NamingSystem") for entry in one["uniqueId"]}

    assert extensions | systems <= canonicals_in_the_source().keys()


@pytest.mark.parametrize("wanted", DEFINITIONS, ids=named)
def test_each_is_r4_by_two_independent_checks(wanted: dict[str, Any]) -> None:
    resource = stamped(wanted, version_id=1, at=AT)

    assert check_structure(resource, resource_type=wanted["resourceType"]) == []
    assert validate_with_fhir_resources(resource) == []


def test_names_are_such_as_machines_take_and_each_is_given_once() -> None:
    names = [(one["resourceType"], one["name"]) for one in (*DEFINITIONS, *TERMINOLOGY)]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9_]{0,254}", name) for _, name in names)


@pytest.mark.parametrize("one", of_type("StructureDefinition"), ids=named)
def test_what_a_structure_refers_to_is_published(one: dict[str, Any]) -> None:
    for element in one["differential"]["element"]:
        if "binding" in element:
            assert element["binding"]["valueSet"] in PUBLISHED, element["id"]
        for kind in element.get("type", []):
            for url in (*kind.get("profile", []), *kind.get("targetProfile", [])):
                assert url in PUBLISHED, element["id"]


@pytest.mark.parametrize("one", of_type("StructureDefinition"), ids=named)
def test_elements_stand_after_their_parents_and_are_given_once(one: dict[str, Any]) -> None:
    ids = [element["id"] for element in one["differential"]["element"]]

    assert ids[0] == one["type"]
    assert len(ids) == len(set(ids))
    for element_id in ids:
        if ":" in element_id.rpartition(".")[2] and one["type"] != "Extension":
            assert element_id.rpartition(":")[0] in ids, "a slice needs its slicing"


def test_there_is_a_profile_of_every_type_that_names_one() -> None:
    profiled = {one["type"]: one["url"] for one in of_type("StructureDefinition") if one["type"] != "Extension"}

    assert profiled == PROFILES


def test_the_order_of_predictions_is_part_of_the_profile() -> None:
    [profile] = [one for one in of_type("StructureDefinition") if one["id"] == "risk-assessment"]
    [prediction] = [one for one in profile["differential"]["element"] if one["id"] == "RiskAssessment.prediction"]

    assert prediction["orderMeaning"].startswith("Dangers that must not be missed first")


def test_every_search_parameter_of_our_own_is_defined_and_no_other() -> None:
    own = {
        parameter.definition_for(resource_type): (resource_type, parameter.name, parameter.type)
        for resource_type, parameters in PARAMETERS.items()
        for parameter in parameters
        if parameter.definition == "own"
    }

    assert {one["url"]: (one["base"][0], one["code"], one["type"]) for one in of_type("SearchParameter")} == own


def test_the_expression_of_a_search_parameter_is_fhirpath_from_its_type() -> None:
    expressions = {one["id"]: one["expression"] for one in of_type("SearchParameter")}

    assert expressions["RiskAssessment-basis"] == "RiskAssessment.basis"
    assert all(text.startswith(f"{name.partition('-')[0]}.") for name, text in expressions.items())


@pytest.mark.parametrize("one", DEFINITIONS, ids=named)
def test_each_is_published_at_migration_under_its_own_id(one: dict[str, Any], client: httpx.Client) -> None:
    answer = client.get(f"/fhir/{named(one)}")

    assert answer.status_code == 200
    assert answer.json()["name"] == one["name"]
    assert answer.headers["etag"] == 'W/"1"'


@pytest.mark.parametrize("resource_type", ["StructureDefinition", "SearchParameter", "OperationDefinition"])
def test_each_is_found_by_its_canonical(resource_type: str, client: httpx.Client) -> None:
    for one in of_type(resource_type):
        bundle = client.get(f"/fhir/{resource_type}", params={"url": one["url"]}).json()
        assert [entry["resource"]["id"] for entry in bundle["entry"]] == [one["id"]]


def test_a_canonical_leads_to_its_definition_under_any_base(client: httpx.Client) -> None:
    for one in of_type("StructureDefinition"):
        read = client.get(one["url"].removeprefix("https://sural.example")).json()
        assert read["url"] == one["url"]


def test_what_did_not_change_is_published_once(database: Database) -> None:
    with published_content(database.owner_url, schema="intake") as connection:
        assert publish_definitions(connection, PUBLISHED_TENANT) == []


def test_nothing_of_this_programme_is_named_by_a_path_of_a_machine() -> None:
    assert str(ROOT) not in json.dumps([*DEFINITIONS, *TERMINOLOGY])
