"""Every mutant can still be made, and its test is still there. Whether the test notices is tried by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ROOT, Change, Mutant

PAGE = (ROOT / "docs" / "mutants.md").read_text(encoding="utf-8")


@pytest.mark.requirement("REQ-44")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_made_and_its_test_is_there(mutant: Mutant) -> None:
    assert mutant.changes
    assert mutant.problems() == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_page_names_the_mutant_and_its_test(mutant: Mutant) -> None:
    assert f"| {mutant.name} | {mutant.harm} |" in PAGE
    assert f"`{mutant.test}`" in PAGE


def test_there_are_at_least_sixteen_and_each_has_a_name_of_its_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 16


def test_a_change_that_does_not_apply_any_more_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("a = 1\na = 1\n")

    assert Change("code.py", "b = 1", "b = 2").problem(tmp_path) == "the text to replace occurs 0 times in code.py"
    assert Change("code.py", "a = 1", "a = 2").problem(tmp_path) == "the text to replace occurs 2 times in code.py"
    assert Change("gone.py", "a", "b").problem(tmp_path) == "there is no file gone.py"


def test_a_change_of_a_function_that_a_later_migration_makes_anew_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text(
        "CREATE FUNCTION told() ...\nSELECT 1;\nCREATE FUNCTION other() ...\nSELECT 2;\n"
    )
    (tmp_path / "0002_b.sql").write_text("-- The same, faster.\nCREATE OR REPLACE FUNCTION told() ...\n")

    assert Change("0001_a.sql", "SELECT 1", "SELECT 9").problem(tmp_path) == (
        "what 0001_a.sql says there is written anew in 0002_b.sql"
    )
    assert Change("0001_a.sql", "SELECT 2", "SELECT 9").problem(tmp_path) is None


def test_a_test_that_is_gone_is_noticed() -> None:
    [change] = MUTANTS[0].changes
    file = "tests/mutants/test_mutants.py"

    assert Mutant("x", "y", f"{file}::test_that_nobody_wrote", (change,)).problems() == [
        f"there is no test {file}::test_that_nobody_wrote"
    ]
