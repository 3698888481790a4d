"""Every resource that we emit keeps the profile that it names, and every extension of ours its definition."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from deploy.local.triage import triage_file
from services.triage.basis import Basis, Run, Status
from services.triage.knowledge.files import folder_files
from services.triage.knowledge.loader import PACKS, every_pack, load_not_assessable_texts
from services.triage.plan_definition import plan_definition
from services.triage.publication import library
from services.triage.risk_assessment import device, not_assessable, withdrawn
from shared.fhir.codes import EXT_DISPOSITION, EXT_RED_FLAG, PROFILES
from shared.fhir.outcome import operation_outcome
from shared.problems import Category, Problem
from tests.builders import a_response
from tests.profiles import departures, extension_faults

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)
EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.json")) if path.stem != "invalid"]
RUN = Run("0b6f0f60-4e5a-5a4e-9c5d-1f5f1f2a3b4c", 2, AT, Status.AMENDED)


@cache
def triaged(path: Path) -> Sequence[dict[str, Any]]:
    return triage_file(path, now=AT).resources


def assessed() -> list[dict[str, Any]]:
    """What an emergency leads to, for each who asks to spoil as they like."""
    return deepcopy(list(triaged(ROOT / "examples" / "dvt-after-surgery.json")))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_all_that_an_assessment_consists_of_keeps_its_profile(path: Path) -> None:
    for resource in triaged(path):
        assert resource["meta"]["profile"] == [PROFILES[resource["resourceType"]]]
        assert departures(resource) == []


def test_an_assessment_that_could_not_be_made_keeps_it_too() -> None:
    basis = Basis.of({**a_response(), "id": "qr-1"}, version=1, sha256="")

    for resource in not_assessable(load_not_assessable_texts(), basis=basis, run=RUN, reason="no-pack"):
        assert departures(resource) == []


@pytest.mark.parametrize("status", [Status.ENTERED_IN_ERROR, Status.CANCELLED])
def test_what_was_withdrawn_keeps_it(status: Status) -> None:
    for resource in assessed():
        if resource["resourceType"] in ("RiskAssessment", "DetectedIssue"):
            assert departures(withdrawn(resource, run=replace(RUN, status=status))) == []


def test_the_engine_as_a_device_keeps_its_profile() -> None:
    assert departures(device(version="0.0.7", run=RUN)) == []


@pytest.mark.parametrize("pack", every_pack(PACKS).items(), ids=lambda item: item[1].head.name)
def test_extensions_of_a_published_pack_keep_their_definitions(pack: Any) -> None:
    folder, content = pack

    assert extension_faults(library(content, folder_files(folder))) == []
    assert extension_faults(plan_definition(content)) == []


def test_the_extension_of_an_issue_keeps_its_definition() -> None:
    problem = Problem(Category.UNPROCESSABLE, "required", "Answer it.", "QuestionnaireResponse.item[0]", "2.1")

    assert extension_faults(operation_outcome([problem])) == []


def test_a_response_as_we_ask_for_it_keeps_the_profile_of_responses() -> None:
    profile = PROFILES["QuestionnaireResponse"]

    assert departures(a_response(), profile=profile) == []
    without = {name: value for name, value in a_response().items() if name != "subject"}
    assert departures(without, profile=profile) != []


def spoilt(change: str) -> dict[str, Any]:
    """An assessment with one thing wrong in it."""
    resource = assessed()[0]
    match change:
        case "status":
            resource["status"] = "registered"
        case "urgency":
            [one] = [one for one in resource["extension"] if one["url"] == EXT_DISPOSITION]
            one["valueCoding"]["code"] = "at_once"
        case "two urgencies":
            resource["extension"].append(resource["extension"][0])
        case "no run":
            resource["identifier"] = [*resource["identifier"][1:], {"system": "urn:x", "value": "1"}]
        case "kind of assessment":
            resource["code"]["coding"][0]["code"] = "other"
        case "flag without result":
            [one, *_] = [one for one in resource["extension"] if one["url"] == EXT_RED_FLAG]
            one["extension"] = [part for part in one["extension"] if part["url"] != "result"]
        case "type of a part":
            [one, *_] = [one for one in resource["extension"] if one["url"] == EXT_RED_FLAG]
            [flag] = [part for part in one["extension"] if part["url"] == "flag"]
            flag["valueString"] = flag.pop("valueCode")
        case "part that nobody knows":
            [one, *_] = [one for one in resource["extension"] if one["url"] == EXT_RED_FLAG]
            one["extension"].append({"url": "colour", "valueString": "red"})
        case "likelihood":
            resource["prediction"][0]["qualitativeRisk"] = {"text": "high"}
        case "unknown extension":
            resource["extension"].append({"url": f"{EXT_DISPOSITION}-2", "valueString": "x"})
        case "extension elsewhere":
            resource["prediction"][0]["extension"].append(resource["extension"][0])
        case "no profile":
            del resource["meta"]["profile"]
    return resource


@pytest.mark.parametrize(
    "change",
    [
        "status",
        "urgency",
        "two urgencies",
        "no run",
        "kind of assessment",
        "flag without result",
        "type of a part",
        "part that nobody knows",
        "likelihood",
        "unknown extension",
        "extension elsewhere",
        "no profile",
    ],
)
def test_what_departs_from_the_profile_is_found(change: str) -> None:
    assert departures(assessed()[0]) == []
    assert departures(spoilt(change)) != []
