"""Publication in the database, and what an EHR system reads of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from services.triage.app import create_app
from services.triage.basis import SHA256_SYSTEM
from services.triage.publish import publish_packs
from services.triage.settings import TriageSettings
from shared.fhir import resources
from shared.fhir.capability import READ_ONLY
from shared.fhir.codes import CS_METHOD
from shared.fhir.search import searched
from shared.fhir.search_parameters import parameters_of
from shared.fhir.structure import check_structure
from shared.ids import PUBLISHED_TENANT
from shared.postgres import DictConnection, published_content
from shared.problems import ProblemError
from tests.conftest import Database
from tests.serving import client_of
from tests.triage.line import Line
from tests.triage.packs import PACKS, added, edited

TYPES = ("Library", "PlanDefinition")
ID = "posterior-lower-limb-1.0.0"


@pytest.fixture
def connection(database: Database) -> Iterator[DictConnection]:
    """A connection whose work is undone afterwards: what is published stays published."""
    with (
        published_content(database.owner_url, schema="triage") as connection,
        connection.transaction(force_rollback=True),
    ):
        yield connection


@pytest.fixture
def client(database: Database) -> Iterator[httpx.Client]:
    settings = TriageSettings(triage_database_url=database.triage_url)  # type: ignore[arg-type]
    with client_of(create_app(settings)) as client:
        yield client


def found(client: httpx.Client, resource_type: str, **parameters: str) -> list[dict[str, Any]]:
    bundle = client.get(f"/fhir/{resource_type}", params=parameters).raise_for_status().json()
    return [entry["resource"] for entry in bundle.get("entry", [])]


def current(connection: DictConnection, resource_type: str = "Library") -> dict[str, Any]:
    stored = resources.read(connection, PUBLISHED_TENANT, resource_type, "example-0.0.1")
    assert stored is not None
    content: dict[str, Any] = orjson.loads(stored.body)
    return content


def test_a_pack_that_did_not_change_is_published_once(connection: DictConnection) -> None:
    assert publish_packs(connection, PUBLISHED_TENANT, PACKS) == [
        "Library/example-0.0.1 version 1",
        "PlanDefinition/example-0.0.1 version 1",
    ]
    assert publish_packs(connection, PUBLISHED_TENANT, PACKS) == []


def test_the_shipped_packs_are_published_when_the_schema_is_brought_up_to_date(connection: DictConnection) -> None:
    assert publish_packs(connection, PUBLISHED_TENANT) == []


def test_a_changed_draft_is_a_new_version_and_the_earlier_one_stays(connection: DictConnection, tmp_path: Path) -> None:
    publish_packs(connection, PUBLISHED_TENANT, PACKS)
    before = current(connection)
    added(tmp_path, "texts.en.toml", "# A remark")

    done = publish_packs(connection, PUBLISHED_TENANT, tmp_path)

    assert done == ["Library/example-0.0.1 version 2", "PlanDefinition/example-0.0.1 version 2"]
    after = current(connection)
    assert (before["meta"]["versionId"], after["meta"]["versionId"]) == ("1", "2")
    assert before["identifier"] != after["identifier"]
    first = resources.vread(connection, PUBLISHED_TENANT, "Library", "example-0.0.1", 1)
    assert first is not None
    assert orjson.loads(first.body) == before
    by_hash = searched("Library", [("identifier", f"{SHA256_SYSTEM}|{after['identifier'][0]['value']}")])
    [stored] = resources.find(connection, PUBLISHED_TENANT, by_hash).found
    assert stored.version_id == 2


def test_two_versions_of_a_pack_stand_side_by_side(connection: DictConnection, tmp_path: Path) -> None:
    publish_packs(connection, PUBLISHED_TENANT, PACKS)
    newer = edited(tmp_path, "pack.toml", ('version = "0.0.1"', 'version = "0.1.0"'))
    newer.rename(newer.parent / "0.1.0")

    publish_packs(connection, PUBLISHED_TENANT, tmp_path)

    url = current(connection)["url"]
    found = resources.find(connection, PUBLISHED_TENANT, searched("Library", [("url", url)])).found
    assert {stored.id for stored in found} == {"example-0.0.1", "example-0.1.0"}


@pytest.mark.requirement("REQ-19")
def test_released_content_may_be_retired_but_not_changed(connection: DictConnection, tmp_path: Path) -> None:
    edited(tmp_path, "pack.toml", ('status = "draft"', 'status = "active"'))
    publish_packs(connection, PUBLISHED_TENANT, tmp_path)

    edited(tmp_path, "pack.toml", ('title = "Example"', 'title = "Other"'))
    with pytest.raises(ProblemError, match="Give the new content a new version"):
        publish_packs(connection, PUBLISHED_TENANT, tmp_path)
    assert current(connection)["title"] == "Example"

    edited(tmp_path, "pack.toml", ('title = "Other"', 'title = "Example"'), ('"active"', '"retired"'))
    publish_packs(connection, PUBLISHED_TENANT, tmp_path)
    assert [current(connection, name)["status"] for name in TYPES] == ["retired", "retired"]


URL = "https://sural.example/fhir/{type}/posterior-lower-limb"
NAMING: list[dict[str, str]] = [
    {"_id": ID},
    {"url": URL},
    {"url": URL + "|1.0.0"},
    {"url": URL, "version": "1.0.0"},
    {"version": "1.0.0", "status": "draft,active"},
    {"name": "posteriorlower"},
    {"name:exact": "PosteriorLowerLimb"},
    {"title": "pain behind"},
    {"title:contains": "CALF"},
    {"_lastUpdated": "ge2026-01-01", "version": "1.0.0"},
]


@pytest.mark.parametrize("resource_type", TYPES)
def test_knowledge_is_found_by_what_names_it(client: httpx.Client, resource_type: str) -> None:
    for naming in NAMING:
        parameters = {name: value.format(type=resource_type) for name, value in naming.items()}
        [resource] = found(client, resource_type, **parameters)
        assert (resource["resourceType"], resource["id"]) == (resource_type, ID), naming
    [by_hash] = found(client, resource_type, identifier=f"{SHA256_SYSTEM}|{resource['identifier'][0]['value']}")
    assert by_hash == resource


def test_what_nobody_published_is_not_found(client: httpx.Client) -> None:
    for parameters in ({"url": "https://sural.example/fhir/Library/none"}, {"version": "9.9.9"}, {"status": "unknown"}):
        assert found(client, "Library", **parameters) == [], parameters


def test_a_search_that_cannot_be_answered_is_refused(client: httpx.Client) -> None:
    assert client.get("/fhir/Library", params={"url": ""}).status_code == 400
    strict = {"Prefer": "handling=strict"}
    assert client.get("/fhir/Library", params={"url:above": "x"}).status_code == 400
    assert client.get("/fhir/Library", params={"colour": "x"}, headers=strict).status_code == 400


@pytest.mark.parametrize("resource_type", TYPES)
def test_knowledge_is_read_by_id_and_by_version(client: httpx.Client, resource_type: str) -> None:
    answer = client.get(f"/fhir/{resource_type}/{ID}")
    resource = answer.json()

    assert answer.status_code == 200
    assert answer.headers["etag"] == f'W/"{resource["meta"]["versionId"]}"'
    assert check_structure(resource, resource_type=resource_type) == []
    version = client.get(f"/fhir/{resource_type}/{ID}/_history/{resource['meta']['versionId']}")
    assert version.json() == resource
    assert client.get(f"/fhir/{resource_type}/{ID}/_history/999").status_code == 404
    assert client.put(f"/fhir/{resource_type}/{ID}", content=b"{}").status_code == 405


def test_every_canonical_of_the_knowledge_itself_resolves_under_our_own_base(client: httpx.Client) -> None:
    [plan] = found(client, "PlanDefinition", _id=ID)
    [library] = found(client, "Library", _id=ID)

    for canonical in (*plan["library"], *(one["resource"] for one in library["relatedArtifact"] if "resource" in one)):
        url, _, version = canonical.partition("|")
        resource_type = url.split("/")[-2]
        if resource_type in TYPES:
            [resource] = found(client, resource_type, url=url, version=version)
            assert (resource["url"], resource["version"]) == (url, version)


def test_the_capability_statement_says_how_knowledge_is_found(client: httpx.Client) -> None:
    statement = client.get("/fhir/metadata").json()

    assert check_structure(statement, resource_type="CapabilityStatement") == []
    offered = {one["type"]: one for one in statement["rest"][0]["resource"]}
    for resource_type in TYPES:
        assert {one["code"] for one in offered[resource_type]["interaction"]} == set(READ_ONLY)
        parameters = {one["name"]: one["type"] for one in offered[resource_type]["searchParam"]}
        assert parameters == {name: each.type for name, each in parameters_of(resource_type).items()}
        assert {"url", "version", "name", "title", "status", "identifier", "_id", "_lastUpdated"} <= set(parameters)


@pytest.mark.requirement("REQ-28", "SR-19")
def test_an_assessment_leads_to_the_knowledge_that_it_was_made_with(line: Line) -> None:
    assessment = line.assessed({"chest_pain": "Y"})

    [provenance] = [
        one for one in found(line.triage, "Provenance") if assessment["id"] in one["target"][0]["reference"]
    ]
    [knowledge] = [
        one["what"] for one in provenance["entity"] if one["what"].get("reference", "").startswith("Library/")
    ]
    answer = line.triage.get(f"/fhir/{knowledge['reference']}")

    assert answer.status_code == 200
    library = answer.json()
    assert library["identifier"] == [knowledge["identifier"]]
    assert knowledge["display"] == f"{library['url']}|{library['version']}"
    [method] = assessment["method"]["coding"]
    assert (method["system"], f"{method['code']}-{method['version']}") == (CS_METHOD, library["id"])
