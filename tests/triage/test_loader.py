"""Packs: what is refused, in words for their authors, and that a released pack never changes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from services.triage.knowledge.files import PackError, folder_sha256
from services.triage.knowledge.loader import (
    PACKS,
    edited_releases,
    load_not_assessable_texts,
    load_pack,
    load_packs,
)
from tests.triage.packs import EXAMPLE, added, edited, example_pack


def refused(folder: Path) -> str:
    with pytest.raises(PackError) as error:
        load_pack(folder)
    return str(error.value)


def test_a_pack_knows_what_it_is_and_what_it_is_for() -> None:
    head = example_pack().head
    assert (head.name, head.version, head.status) == ("example", "0.0.1", "draft")
    assert head.questionnaires == ("https://sural.example/fhir/Questionnaire/example|0.0.1",)
    assert re.fullmatch("[0-9a-f]{64}", head.sha256)


@pytest.mark.requirement("REQ-19")
@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "red_flags.toml",
            'when = "chest_pain"',
            'when = "chest_pian"',
            "RFX-01: column 1: unknown fact 'chest_pian'",
        ),
        (
            "red_flags.toml",
            "severity_0_10>=7",
            "severity_0_10>=seven",
            "RFX-02a: column 64: expected a number",
        ),
        (
            "red_flags.toml",
            "mechanism=high_energy",
            "mechanism=fell",
            "expected a code of mechanism, found 'fell'",
        ),
        ("red_flags.toml", 'id = "RFX-02b"', 'id = "RFX-02a"', "red_flags.toml: RFX-02a occurs twice"),
        ("red_flags.toml", 'text = "RFX-12"', 'text = "RFX-13"', "texts: 'RFX-13' is missing"),
        ("red_flags.toml", 'evidence = ["S30"]', 'evidence = ["S31"]', "RFX-02: no evidence 'S31'"),
        ("red_flags.toml", 'urgency = "emergency"', 'urgency = "urgent"', "Input should be 'emergency'"),
        ("red_flags.toml", "clinician_only = true", "clinicianonly = true", "Extra inputs are not permitted"),
        ("facts.toml", 'unit = "cm"', "", "calf_circumference_diff_cm: a quantity has a unit"),
        ("facts.toml", 'codes = ["fall", "high_energy", "none"]', "", "mechanism: a choice lists its codes"),
        (
            "facts.toml",
            'when = "onset=sudden"',
            'when = "!sudden"',
            "facts define each other: sudden -> sudden",
        ),
        ("facts.toml", 'fact = "other_concerns"', 'fact = "onset"', "onset is not a fact of kind text"),
        ("scores.toml", 'when = "leg_swollen_one_side"', 'when = "leg~~"', "unknown fact 'leg'"),
        ("scores.toml", "points = -2", 'points = "-2"', "points"),
        (
            "safety_rules.toml",
            '{ trauma = "yes" }',
            '{ sudden = "yes" }',
            "'sudden' is not a fact that is read",
        ),
        (
            "safety_rules.toml",
            '{ mechanism = "none" }',
            '{ mechanism = "fell" }',
            "mechanism cannot be 'fell'",
        ),
        ("evidence.toml", 'key = "S30"', 'key = "S1"', "no evidence 'S30'"),
        ("texts.en.toml", "{question}", "{patient}", "'answer' may not use {patient}"),
        ("texts.en.toml", "DVT less likely", "This is not DVT", "'score.wells_dvt.unlikely' says 'not DVT'"),
        ("texts.en.toml", '"urgency.none"', '"urgency.nothing"', "texts: 'urgency.none' is missing"),
        ("pack.toml", 'version = "0.0.1"', 'version = "one"', "String should match pattern"),
    ],
)
def test_a_faulty_pack_is_refused_and_the_author_is_told_where(
    tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    assert message in refused(edited(tmp_path, file, (old, new)))


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    edited(tmp_path, "red_flags.toml", ('when = "chest_pain"', 'when = "chest"'))
    folder = edited(tmp_path, "texts.en.toml", ('"RFX-28"', '"RFX-29"'))
    message = refused(folder)
    assert "unknown fact 'chest'" in message
    assert "'RFX-28' is missing" in message


def test_facts_that_define_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    circle = '[[derived]]\nname = "a"\nwhen = "b"\nmeaning = "a"\n'
    circle += '[[derived]]\nname = "b"\nwhen = "a"\nmeaning = "b"\n'
    assert "facts define each other" in refused(added(tmp_path, "facts.toml", circle))


def test_a_name_is_used_once(tmp_path: Path) -> None:
    again = '[[derived]]\nname = "trauma"\nwhen = "chest_pain"\nmeaning = "x"'
    assert "share the name trauma" in refused(added(tmp_path, "facts.toml", again))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = edited(tmp_path, "pack.toml")
    (folder / "scores.toml").unlink()
    assert "scores.toml: cannot be read" in refused(folder)


def test_the_order_in_which_derived_facts_are_written_does_not_matter(tmp_path: Path) -> None:
    later = '[[derived]]\nname = "first"\nwhen = "last_of_all"\nmeaning = "x"\n'
    last = '[[derived]]\nname = "last_of_all"\nwhen = "wells_known_points>=2"\nmeaning = "x"'
    pack = load_pack(added(tmp_path, "facts.toml", later + last))
    assert pack.base_facts["first"] >= {"active_cancer", "bedridden_3d"}


@pytest.mark.requirement("REQ-19", "SR-19")
def test_the_hash_changes_with_any_byte_and_with_nothing_else(tmp_path: Path) -> None:
    assert folder_sha256(edited(tmp_path, "pack.toml")) == folder_sha256(EXAMPLE)
    changed = edited(tmp_path, "cases/rfx-02.toml", ("severity_0_10 = 3", "severity_0_10 = 4"))
    assert folder_sha256(changed) != folder_sha256(EXAMPLE)


def release(packs: Path, folder: Path) -> None:
    (packs / "RELEASED.toml").write_text(f'[released]\n"example/0.0.1" = "{folder_sha256(folder)}"\n')


@pytest.mark.requirement("REQ-19")
def test_a_released_pack_loads_as_long_as_nobody_edits_it(tmp_path: Path) -> None:
    folder = edited(tmp_path, "pack.toml")
    release(tmp_path, folder)
    assert [pack.head.name for pack in load_packs(tmp_path).values()] == ["example"]

    edited(tmp_path, "texts.en.toml", ("A cold, pale or blue foot.", "A cold foot."))
    with pytest.raises(PackError, match=r"example/0\.0\.1: released packs never change"):
        load_packs(tmp_path)


@pytest.mark.requirement("REQ-19")
def test_the_released_packs_of_this_programme_are_those_that_were_released() -> None:
    assert edited_releases(PACKS) == []


def test_of_two_packs_for_one_questionnaire_the_newest_that_is_not_retired_is_used(tmp_path: Path) -> None:
    old = edited(tmp_path, "pack.toml")
    newer, retired = old.parent / "0.0.10", old.parent / "0.0.11"
    for folder, status in ((newer, "draft"), (retired, "retired")):
        shutil.copytree(old, folder)
        text = (folder / "pack.toml").read_text().replace("0.0.1", folder.name, 1)
        text = text.replace('version = "0.0.1"', f'version = "{folder.name}"').replace("draft", status)
        (folder / "pack.toml").write_text(text)
    assert [pack.head.version for pack in load_packs(tmp_path).values()] == ["0.0.10"]


def test_a_pack_in_a_folder_of_another_name_is_refused(tmp_path: Path) -> None:
    folder = edited(tmp_path, "pack.toml")
    folder.rename(folder.parent / "0.0.2")
    with pytest.raises(PackError, match=r"must be example/0\.0\.1"):
        load_packs(tmp_path)


def test_the_words_for_what_cannot_be_assessed_are_there() -> None:
    assert {"reason.no-pack", "reason.unreadable", "disposition", "every_output"} <= set(load_not_assessable_texts())
