"""A resource is found by what its elements say: the rows that are made of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import inf
from typing import Any

import psycopg
import pytest

from shared.fhir.elements import kinds, resource_types
from shared.fhir.reindex import reindex
from shared.fhir.search_dates import milliseconds, span
from shared.fhir.search_index import MOST_BYTES, elements_at, fitted, folded, rows
from shared.fhir.search_parameters import PARAMETERS, indexed
from shared.postgres import published_content
from tests.conftest import Database

CS = "https://x.example/cs"


def values(resource: dict[str, Any], name: str) -> set[tuple[str, str]]:
    return {(system, value) for parameter, system, value in rows(resource).values if parameter == name}


def ranges(resource: dict[str, Any], name: str) -> list[tuple[float, float]]:
    return [(low, high) for parameter, low, high in rows(resource).ranges if parameter == name]


def at(*moment: int) -> float:
    return milliseconds(datetime(*moment, tzinfo=UTC))  # type: ignore[arg-type]


def test_a_code_carries_the_system_that_its_value_set_has() -> None:
    task = {"resourceType": "Task", "status": "requested"}

    assert values(task, "status") == {("http://hl7.org/fhir/task-status", "requested")}


def test_every_coding_of_a_concept_is_found_and_a_text_alone_is_not_missing() -> None:
    coded = {"resourceType": "Task", "code": {"coding": [{"system": CS, "code": "a"}, {"code": "b"}], "text": "c"}}

    assert values(coded, "code") == {(CS, "a"), ("", "b")}
    assert values({"resourceType": "Task", "code": {"text": "c"}}, "code") == {("", "")}
    assert values({"resourceType": "Task"}, "code") == set()


def test_a_reference_is_found_by_its_target_whatever_version_it_names() -> None:
    issue = {
        "resourceType": "DetectedIssue",
        "implicated": [{"reference": "QuestionnaireResponse/q/_history/2"}, {"reference": "#inner"}],
        "patient": {"identifier": {"system": "https://nhs.example", "value": "7"}, "display": "A"},
    }

    assert values(issue, "implicated") == {("2", "QuestionnaireResponse/q")}
    assert values(issue, "patient:identifier") == {("https://nhs.example", "7")}
    assert values(issue, "patient") == set()


def test_a_canonical_is_found_with_and_without_its_version() -> None:
    response = {"resourceType": "QuestionnaireResponse", "questionnaire": "https://x.example/Q|1.0.0"}
    library = {"resourceType": "Library", "url": "https://x.example/L", "version": "2.0.0"}

    assert values(response, "questionnaire") == {("1.0.0", "https://x.example/Q")}
    assert values({**response, "questionnaire": "https://x.example/Q|1.0.0#page-1"}, "questionnaire") == {
        ("1.0.0", "https://x.example/Q")
    }
    assert values(library, "url") == {("2.0.0", "https://x.example/L")}
    assert values(library, "version") == {("", "2.0.0")}


def test_only_artifacts_of_the_wanted_kind_are_read() -> None:
    library = {
        "resourceType": "Library",
        "relatedArtifact": [
            {"type": "depends-on", "resource": "https://x.example/A|1"},
            {"type": "citation", "resource": "https://x.example/B"},
        ],
    }

    assert values(library, "depends-on") == {("1", "https://x.example/A")}


def test_texts_are_compared_without_case_and_accents() -> None:
    assert values({"resourceType": "Library", "title": "Éva Szabó"}, "title") == {("Éva Szabó", "eva szabo")}


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2026", at(2026, 1, 1), at(2027, 1, 1)),
        ("2026-12", at(2026, 12, 1), at(2027, 1, 1)),
        ("2026-11-22", at(2026, 11, 22), at(2026, 11, 23)),
        ("2026-11-22T08:00Z", at(2026, 11, 22, 8), at(2026, 11, 22, 8, 1)),
        ("2026-11-22T09:00:01+01:00", at(2026, 11, 22, 8, 0, 1), at(2026, 11, 22, 8, 0, 2)),
        ("2026-11-22T08:00:00.25Z", at(2026, 11, 22, 8) + 250, at(2026, 11, 22, 8) + 251),
        ("9999", at(9999, 1, 1), inf),
    ],
)
def test_a_date_is_the_span_it_stands_for(text: str, low: float, high: float) -> None:
    assert span(text) == (low, high)


def test_a_period_may_be_open_at_either_end() -> None:
    task = {"resourceType": "Task", "executionPeriod": {"start": "2026-11-22"}}

    assert ranges(task, "period") == [(at(2026, 11, 22), inf)]
    assert ranges({"resourceType": "Task", "executionPeriod": {"end": "2026"}}, "period") == [(-inf, at(2027, 1, 1))]


def test_what_is_too_long_for_an_index_is_found_by_its_hash() -> None:
    long = "x" * (MOST_BYTES + 1)
    task = {"resourceType": "Task", "identifier": [{"system": CS, "value": long}]}

    [(_, value)] = values(task, "identifier")
    assert value == fitted(long) != long
    assert len(folded("é" * 5000).encode()) <= MOST_BYTES


@pytest.mark.parametrize("broken", [None, 7, "text", [], {}, [None], [[]], {"coding": 1}, {"reference": 5}, True])
def test_nothing_that_an_element_may_hold_stops_a_resource_from_being_stored(broken: Any) -> None:
    for resource_type in PARAMETERS:
        for parameter in indexed(resource_type):
            for path in parameter.paths:
                first, *rest = [step.partition("[")[0] for step in path.split(".")]
                value = broken
                for step in reversed(rest):
                    value = {step: value}
                rows({"resourceType": resource_type, first: value, "url": broken, "version": broken})


def test_every_path_of_a_parameter_is_an_element_of_r4() -> None:
    for resource_type in PARAMETERS:
        assert resource_type in resource_types()
        if resource_type not in kinds():
            continue
        for parameter in indexed(resource_type):
            for path in parameter.paths:
                kind = kinds()[resource_type]
                for step in path.split("."):
                    element = kind.elements[step.partition("[")[0]]
                    kind = kinds().get(element.kind_name, kind)


def test_a_path_looks_into_every_repetition() -> None:
    resource = {"item": [{"code": [{"code": "a"}]}, {"code": [{"code": "b"}, {"code": "c"}]}, {}]}

    assert [found["code"] for found in elements_at(resource, "item.code")] == ["a", "b", "c"]


def test_rows_are_made_anew_when_the_parameters_of_a_type_change(database: Database) -> None:
    with published_content(database.owner_url, schema="intake") as owner:
        count = "SELECT count(*) AS number FROM search_value WHERE type = 'Questionnaire'"
        before = owner.execute(count).fetchone()
        owner.execute("DELETE FROM search_value WHERE type = 'Questionnaire' AND param = 'url'")
        assert reindex(database.owner_url, schema="intake") == []
        owner.execute("UPDATE search_edition SET edition = 'earlier' WHERE type = 'Questionnaire'")

        [done] = reindex(database.owner_url, schema="intake")

        assert done.endswith("Questionnaire indexed")
        assert owner.execute(count).fetchone() == before


def test_a_response_has_its_rows_from_the_moment_it_is_stored(database: Database) -> None:
    from services.intake.app import create_app
    from services.intake.settings import IntakeSettings
    from tests.builders import a_response
    from tests.serving import client_of

    settings = IntakeSettings(intake_database_url=database.intake_url)  # type: ignore[arg-type]
    with client_of(create_app(settings)) as ehr:
        body = json.dumps(a_response(identifier="form-1", patient="p-1"))
        ehr.post("/fhir/QuestionnaireResponse", content=body, headers={"Content-Type": "application/fhir+json"})

    with psycopg.connect(database.owner_url) as owner:
        found = owner.execute("SELECT param, value FROM intake.search_value WHERE type = 'QuestionnaireResponse'")
        held = dict(found.fetchall())
    assert held["identifier"] == "form-1"
    assert held["subject"] == "Patient/p-1"
    assert held["status"] == "completed"
    assert held["questionnaire"] == "https://sural.example/fhir/Questionnaire/posterior-lower-limb"
