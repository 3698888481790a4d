"""CodeSystems and ValueSets: complete, R4, and equal to what the code and the packs can write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

import shared.fhir
from services.notify.acts.outcomes import Outcome, OverrideReason
from services.notify.communication import CS_DELIVERY, REASONS
from services.notify.task import CS_ALERT
from services.triage.app import create_app
from services.triage.engine.advice import AdviceKind, Audience
from services.triage.engine.model import AnsweredBy, Withholds
from services.triage.engine.results import DataQuality, FloorKind, Support, Verdict
from services.triage.knowledge.loader import PACKS, every_pack
from services.triage.knowledge.schema import EvidenceTable
from services.triage.predictions import Role
from services.triage.publish import publish_terminology
from services.triage.settings import TriageSettings
from services.triage.terminology import ANSWERS, terminology
from shared.audit.act import Word
from shared.fhir.codes import CANONICAL, CS_METHOD, CS_RED_FLAG, CS_URGENCY, REVIEW_TAG, Urgency
from shared.fhir.definitions import stamped
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from shared.fhir.terminology import issue_concepts, listed_concepts
from shared.ids import PUBLISHED_TENANT
from shared.postgres import published_content
from tests.answer_codes import COMMAND, tables
from tests.conftest import Database
from tests.issue_codes import issue_codes
from tests.serving import client_of
from tests.triage.packs import example_pack

PUBLISHED = terminology(every_pack(PACKS).values())
AT = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)


@pytest.fixture
def client(database: Database) -> Iterator[httpx.Client]:
    settings = TriageSettings(triage_database_url=database.triage_url)  # type: ignore[arg-type]
    with client_of(create_app(settings)) as client:
        yield client


def r4_codes(system: str) -> set[str]:
    """The codes of a CodeSystem of R4, as far as elements that we know are bound to it."""
    table = json.loads((Path(shared.fhir.__file__).parent / "r4_elements.json").read_bytes())
    return {code for bound in table["codes"].values() for code in bound.get(system, ())}


def codes(system: str) -> list[str]:
    [found] = [one for one in PUBLISHED if one["url"] == system]
    return [concept["code"] for concept in found["concept"]]


def test_every_issue_code_of_the_source_is_published_and_no_other() -> None:
    found = issue_codes()
    published = {concept.code for concept in issue_concepts()}

    assert found.unread == [], "calls whose code cannot be read: see tests/issue_codes.py"
    missing = {code: places for code, places in found.codes.items() if code not in published}
    assert missing == {}, "add display and definition to shared/fhir/issue_codes.toml"
    assert published - found.codes.keys() == set(), "no longer given: take them out of shared/fhir/issue_codes.toml"


def test_every_issue_code_says_in_words_what_it_means() -> None:
    for concept in issue_concepts():
        assert concept.display, concept.code
        assert concept.definition.endswith("."), concept.code


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("triage-disposition", [*Urgency, REVIEW_TAG]),
        ("rule-verdict", Verdict),
        ("prediction-role", Role),
        ("relative-support", Support),
        ("floor-kind", FloorKind),
        ("data-quality", [*DataQuality, "complete"]),
        ("advice-kind", AdviceKind),
        ("advice-audience", Audience),
        ("score-answered-by", AnsweredBy),
        ("score-withholds", Withholds),
        ("evidence-status", get_args(EvidenceTable.model_fields["status"].annotation)),
        ("delivery-outcome", REASONS),
        ("evidence-polarity", ["for", "against", "unknown"]),
        ("alert", ["acknowledge", "withdrawn", "outcome"]),
        ("alert-outcome", Outcome),
        ("override-reason", OverrideReason),
        ("assessment", ["triage"]),
        ("audit-act", Word),
    ],
)
def test_a_code_system_has_the_codes_that_the_code_can_write(name: str, words: list[str] | type[StrEnum]) -> None:
    assert {concept.code for concept in listed_concepts()[name][2]} == set(words)


def test_every_listed_code_system_is_compared_with_the_code() -> None:
    [parameters] = [
        mark.args[1]
        for mark in test_a_code_system_has_the_codes_that_the_code_can_write.pytestmark  # type: ignore[attr-defined]
    ]

    assert {name for name, _ in parameters} == listed_concepts().keys()


def test_the_systems_that_services_write_are_published() -> None:
    published = {one["url"] for one in PUBLISHED}

    assert {CS_ALERT, CS_DELIVERY, CS_METHOD, CS_RED_FLAG, CS_URGENCY} <= published


def test_flags_conditions_and_methods_are_those_of_the_packs() -> None:
    packs = every_pack(PACKS).values()

    assert set(codes(CS_RED_FLAG)) == {flag.id for pack in packs for flag in pack.content.flags}
    assert set(codes(CS_METHOD)) == {"not-assessable", *(pack.head.name for pack in packs)}
    assert set(codes(f"{CANONICAL}/CodeSystem/condition")) == {
        one.id for pack in packs for one in pack.content.conditions
    }


def test_a_flag_that_patients_must_not_read_of_is_marked() -> None:
    [flags] = [one for one in PUBLISHED if one["url"] == CS_RED_FLAG]
    marked = {
        concept["code"]
        for concept in flags["concept"]
        if {"code": "clinicianOnly", "valueBoolean": True} in concept["property"]
    }

    assert marked == {
        flag.id for pack in every_pack(PACKS).values() for flag in pack.content.flags if flag.confidential
    }
    assert marked


def test_codes_of_two_packs_stand_in_one_code_system_each_once() -> None:
    [shipped] = every_pack(PACKS).values()
    both = {one["id"]: one for one in terminology([example_pack(), shipped]) if one["resourceType"] == "CodeSystem"}

    listed = [concept["code"] for concept in both["red-flag"]["concept"]]
    assert len(listed) == len(set(listed))
    assert both["triage-method"]["version"] == shipped.head.version
    assert [concept["code"] for concept in both["triage-method"]["concept"]] == [
        "posterior-lower-limb",
        "example",
        "not-assessable",
    ]


def test_answer_options_are_those_of_the_questionnaires() -> None:
    assert ANSWERS.read_text(encoding="utf-8") == tables(), f"run: {COMMAND}"


@pytest.mark.parametrize("wanted", PUBLISHED, ids=lambda one: f"{one['resourceType']}/{one['id']}")
def test_each_is_r4_by_two_independent_checks(wanted: dict[str, Any]) -> None:
    resource = stamped(wanted, version_id=1, at=AT)

    assert check_structure(resource, resource_type=wanted["resourceType"]) == []
    assert validate_with_fhir_resources(resource) == []


def test_every_value_set_lists_codes_of_a_code_system_that_is_published_with_the_same_words() -> None:
    displays = {
        (one["url"], concept["code"]): concept["display"]
        for one in PUBLISHED
        if one["resourceType"] == "CodeSystem"
        for concept in one["concept"]
    }
    for one in PUBLISHED:
        if one["resourceType"] == "ValueSet":
            contains = one["expansion"]["contains"]
            assert len(contains) == one["expansion"]["total"] > 0
            for entry in contains:
                if entry["system"].startswith(CANONICAL):
                    assert displays[entry["system"], entry["code"]] == entry["display"], one["id"]
                else:
                    assert entry["code"] in r4_codes(entry["system"]), one["id"]


def test_a_code_system_is_found_by_its_canonical_and_read_under_the_id_in_it(client: httpx.Client) -> None:
    bundle = client.get("/fhir/CodeSystem", params={"url": CS_RED_FLAG}).json()
    [entry] = bundle["entry"]
    read = client.get(CS_RED_FLAG.removeprefix("https://sural.example")).json()

    assert read == entry["resource"]
    assert read["url"] == CS_RED_FLAG


@pytest.mark.parametrize("one", PUBLISHED, ids=lambda one: f"{one['resourceType']}/{one['id']}")
def test_each_is_published_at_migration_under_its_own_canonical(one: dict[str, Any], client: httpx.Client) -> None:
    answer = client.get(one["url"].removeprefix("https://sural.example"))

    assert answer.status_code == 200
    assert answer.json()["version"] == one["version"]


def test_what_did_not_change_is_published_once(database: Database) -> None:
    with published_content(database.owner_url, schema="triage") as connection:
        assert publish_terminology(connection, PUBLISHED_TENANT) == []
