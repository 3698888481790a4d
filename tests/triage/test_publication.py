"""The pack as FHIR knowledge: what an integrator reads in the Library and the PlanDefinition."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.triage.basis import SHA256_SYSTEM
from services.triage.engine.conditions import Code, Condition
from services.triage.engine.criteria import Fact
from services.triage.engine.model import Urgency
from services.triage.engine.pack import Pack
from services.triage.knowledge.files import folder_files
from services.triage.knowledge.loader import every_pack, load_pack
from services.triage.plan_definition import plan_definition
from services.triage.plan_parts import CRITERION, EXT_CLINICIAN_ONLY, EXT_RAISES
from services.triage.publication import EXT_EVIDENCE_STATUS, library
from shared.fhir.codes import CS_RED_FLAG, EXT_DISPOSITION, REVIEW_TAG
from shared.fhir.definitions import same_content, stamped
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from tests.triage.packs import EXAMPLE, edited, example_pack
from tests.triage.test_criteria_text import criteria_in

AT = datetime(2026, 11, 22, 9, 41, 7, 250_000, tzinfo=UTC)
MIB = 1024 * 1024


@cache
def shipped() -> tuple[Path, Pack]:
    """The newest version of the pack that this programme ships."""
    return next(found for found in reversed(every_pack().items()) if found[1].head.name == "posterior-lower-limb")


def published(pack: Pack, folder: Path) -> list[dict[str, Any]]:
    """Both resources as a client reads them."""
    built = (library(pack, folder_files(folder)), plan_definition(pack))
    return [orjson.loads(orjson.dumps(stamped(resource, version_id=1, at=AT))) for resource in built]


def actions(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All actions, at any depth."""
    for action in resource.get("action", ()):
        yield action
        yield from actions(action)


def action(resource: dict[str, Any], action_id: str) -> dict[str, Any]:
    [found] = [one for one in actions(resource) if one["id"] == action_id]
    return found


def criteria(action: dict[str, Any], kind: str = "applicability") -> list[str]:
    return [one["expression"]["expression"] for one in action.get("condition", ()) if one["kind"] == kind]


def extension(holder: dict[str, Any], url: str) -> dict[str, Any] | None:
    return next((one for one in holder.get("extension", ()) if one["url"] == url), None)


def disposition(action: dict[str, Any]) -> str | None:
    found = extension(action, EXT_DISPOSITION)
    return None if found is None else found["valueCoding"]["code"]


@pytest.mark.requirement("REQ-25")
@pytest.mark.parametrize("which", ["shipped", "example"])
def test_both_resources_are_r4_by_two_independent_checks(which: str) -> None:
    folder, pack = shipped() if which == "shipped" else (EXAMPLE, example_pack())

    for resource in published(pack, folder):
        assert check_structure(resource, resource_type=resource["resourceType"]) == []
        assert validate_with_fhir_resources(resource) == []


def test_a_draft_is_published_as_draft_and_experimental_and_without_approval() -> None:
    folder, pack = shipped()
    for resource in published(replace(pack, content=replace(pack.content, head=draft(pack))), folder):
        assert (resource["status"], resource["experimental"]) == ("draft", True)
        assert resource["lastReviewDate"] == "2026-11-22"
        assert resource["effectivePeriod"] == {"start": "2026-11-23", "end": "2028-11-22"}
        assert "approvalDate" not in resource
        assert pack.head.note in resource["description"]
        assert pack.head.note in resource["text"]["div"]


def draft(pack: Pack) -> Any:
    return replace(
        pack.head,
        status="draft",
        approved_on=None,
        reviewed_on=date(2026, 11, 22),
        effective_from=date(2026, 11, 23),
        effective_to=date(2028, 11, 22),
    )


def test_an_approved_pack_says_when_it_was_approved(tmp_path: Path) -> None:
    folder = edited(tmp_path, "pack.toml", ('status = "draft"', 'status = "active"\napproved_on = 2026-12-01'))

    for resource in published(load_pack(folder), folder):
        assert (resource["status"], resource["experimental"]) == ("active", False)
        assert resource["approvalDate"] == "2026-12-01"


def test_what_is_not_known_about_a_pack_is_left_out() -> None:
    for resource in published(example_pack(), EXAMPLE):
        assert resource.keys().isdisjoint({"purpose", "usage", "copyright", "effectivePeriod", "jurisdiction"})


def test_library_plan_and_questionnaire_name_each_other_by_version() -> None:
    folder, pack = shipped()
    [knowledge, plan] = published(pack, folder)

    version = pack.head.version
    assert knowledge["id"] == plan["id"] == f"posterior-lower-limb-{version}"
    assert plan["library"] == [f"{knowledge['url']}|{version}"]
    named = {one["resource"] for one in knowledge["relatedArtifact"] if "resource" in one}
    assert named == {f"{plan['url']}|{version}", *pack.head.questionnaires}
    assert {one["resource"] for one in plan["relatedArtifact"]} == {*plan["library"], *pack.head.questionnaires}


@pytest.mark.requirement("REQ-28", "REQ-19")
def test_every_source_is_cited_with_its_key_and_whether_anybody_opened_it() -> None:
    folder, pack = shipped()
    [knowledge, _] = published(pack, folder)

    cited = [one for one in knowledge["relatedArtifact"] if one["type"] == "citation"]
    assert [one["label"] for one in cited] == list(pack.content.evidence)
    for one in cited:
        source = pack.content.evidence[one["label"]]
        status, *checked = (extension(one, EXT_EVIDENCE_STATUS) or {})["extension"]
        assert (one["citation"], one.get("url")) == (source.citation, source.url)
        assert status["valueCode"] == source.status
        assert [part["valueDate"] for part in checked] == ([source.checked.isoformat()] if source.checked else [])


def test_the_library_holds_the_pack_s_files_and_names_its_cases_by_hash() -> None:
    folder, pack = shipped()
    [knowledge, _] = published(pack, folder)

    files = folder_files(folder)
    assert [one["title"] for one in knowledge["content"]] == list(files)
    for one in knowledge["content"]:
        content = files[one["title"]]
        assert one["size"] == len(content)
        assert b64decode(one["hash"]) == hashlib.sha1(content).digest()
        assert ("data" in one) != one["title"].startswith("cases/")
        assert "data" not in one or b64decode(one["data"]) == content
    assert knowledge["identifier"] == [{"system": SHA256_SYSTEM, "value": pack.head.sha256}]


def test_neither_resource_is_larger_than_one_mebibyte() -> None:
    folder, pack = shipped()
    for resource in published(pack, folder):
        assert len(orjson.dumps(resource)) < MIB, resource["resourceType"]


@pytest.mark.requirement("REQ-28")
def test_every_line_of_every_red_flag_is_an_action_with_its_criterion_and_text() -> None:
    folder, pack = shipped()
    [_, plan] = published(pack, folder)

    for flag in pack.content.flags:
        whole = action(plan, f"flag.{flag.id}")
        assert whole["title"] == flag.guards
        assert whole["code"][0]["coding"] == [{"system": CS_RED_FLAG, "version": pack.head.version, "code": flag.id}]
        assert [one["label"] for one in whole.get("documentation", ())] == list(flag.evidence)
        assert [one["prefix"] for one in whole["action"]] == [line.id for line in flag.lines]
        for line in flag.lines:
            part = action(plan, f"line.{line.id}")
            assert part["description"] == pack.text(line.text)
            assert part["condition"][0]["expression"]["language"] == CRITERION
            assert disposition(part) == (line.urgency.value if line.urgency else REVIEW_TAG)


def test_no_criterion_of_flags_floors_and_contradictions_is_left_out() -> None:
    folder, pack = shipped()
    [_, plan] = published(pack, folder)

    written = sum(len(one.get("condition", ())) for one in actions(plan))
    content = pack.content
    lines = sum(len(flag.lines) for flag in content.flags)
    assert written >= lines + len(list(criteria_in(content.safety))) + len(list(criteria_in(content.scores)))


@pytest.mark.parametrize(
    ("urgency", "priority"),
    [("emergency", "stat"), ("same_day", "urgent"), ("within_2_weeks", "routine"), (REVIEW_TAG, "urgent")],
)
def test_the_priority_of_a_rule_is_the_priority_that_its_task_would_have(urgency: str, priority: str) -> None:
    folder, pack = shipped()
    [_, plan] = published(pack, folder)

    found = {one["priority"] for one in actions(plan) if disposition(one) == urgency}
    assert found == {priority}


def test_a_flag_is_as_urgent_as_its_most_urgent_line() -> None:
    [_, plan] = published(example_pack(), EXAMPLE)
    rank = [urgency.value for urgency in Urgency] + [REVIEW_TAG]

    for flag in action(plan, "red-flags")["action"]:
        assert disposition(flag) == min(map(disposition, flag["action"]), key=rank.index)


@pytest.mark.requirement("SR-17")
def test_safeguarding_rules_are_marked_for_clinicians_only_and_no_others_are() -> None:
    folder, pack = shipped()
    [_, plan] = published(pack, folder)

    marked = {one["id"] for one in actions(plan) if extension(one, EXT_CLINICIAN_ONLY)}
    flags = [flag for flag in pack.content.flags if flag.confidential]
    expected = {f"flag.{flag.id}" for flag in flags}
    expected |= {f"line.{line.id}" for flag in flags for line in flag.lines if line.clinician_only}
    expected |= {f"condition.{one.id}" for one in pack.content.conditions if one.confidential}
    assert flags
    assert marked == expected


def test_floors_contradictions_and_the_incomplete_screen_are_actions_of_their_own() -> None:
    folder, pack = shipped()
    [_, plan] = published(pack, folder)

    safety = pack.content.safety
    found = {one["id"]: one for one in action(plan, "safety-rules")["action"]}
    assert {"screen-page-1", "screen-required", "screen-raised", "two-answers", "default"} <= found.keys()
    assert disposition(found["screen-page-1"]) == safety.screen.page_1_floor.value
    for floor in safety.floors:
        assert disposition(found[floor.id]) == floor.urgency.value
    for one in safety.contradictions:
        assert disposition(found[one.id]) == (safety.contradiction_floor.value if one.guards_emergency else None)


def test_a_score_has_its_items_with_points_and_its_classes_with_bounds() -> None:
    folder, pack = shipped()
    [_, plan] = published(pack, folder)

    for score in pack.content.scores:
        whole = action(plan, f"score.{score.id}")
        points = [parts(one).get("points") for one in whole["action"] if ".item." in one["id"]]
        bounds = [
            (parts(one)["class"], parts(one).get("atLeast"), parts(one).get("atMost"))
            for one in whole["action"]
            if ".class." in one["id"]
        ]
        assert points == [item.points for item in score.items]
        assert bounds == [(one.code, one.at_least, one.at_most) for one in score.classes]


def parts(holder: dict[str, Any]) -> dict[str, Any]:
    [whole] = holder["extension"]
    return {part["url"]: next(value for key, value in part.items() if key != "url") for part in whole["extension"]}


CLOT = Condition(
    id="deep_vein_thrombosis",
    title="deep vein thrombosis of the leg",
    urgency=Urgency.SAME_DAY,
    next_step="Local thrombosis pathway today.",
    findings=(),
    prior={},
    prior_elsewhere=0,
    prior_unknown=0,
    codes=(Code("http://hl7.org/fhir/sid/icd-10", "I80.2"),),
    raises=("suspected_dvt",),
    guarded_by=("RFX-02",),
    never_excluded_by="a calf that is not swollen",
    only_when=Fact("active_cancer"),
)


def test_a_condition_says_what_to_do_what_must_not_reassure_and_which_flag_guards_it() -> None:
    pack = example_pack()
    ranked = replace(pack, content=replace(pack.content, conditions=(CLOT, replace(CLOT, id="other", codes=()))))
    [_, plan] = published(ranked, EXAMPLE)

    found = action(plan, "condition.deep_vein_thrombosis")

    assert check_structure(plan, resource_type="PlanDefinition") == []
    assert (disposition(found), found["priority"]) == ("same_day", "urgent")
    assert found["textEquivalent"] == "Local thrombosis pathway today."
    assert "a calf that is not swollen" in found["description"]
    assert found["code"][0]["coding"] == [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "I80.2"}]
    assert found["reason"][0]["coding"][0]["code"] == "RFX-02"
    assert criteria(found) == ["active_cancer"]
    assert extension(found, EXT_RAISES) == {"url": EXT_RAISES, "valueCode": "suspected_dvt"}


def test_no_two_actions_have_one_id() -> None:
    folder, pack = shipped()
    [_, plan] = published(pack, folder)

    ids = [one["id"] for one in actions(plan)]
    assert len(ids) == len(set(ids))


def test_the_same_pack_says_the_same_whenever_it_is_published() -> None:
    built = plan_definition(example_pack())
    later = stamped(built, version_id=2, at=AT.replace(year=2027))

    assert same_content(orjson.loads(orjson.dumps(later)), plan_definition(example_pack()))
    assert not same_content({**later, "title": "Other"}, built)
