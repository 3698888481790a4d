"""The order in which workers take the tests is about files that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.order import LONG, ONE_SYSTEM, place, taken_with

ROOT = Path(__file__).resolve().parents[1]
SHARING = [f"{folder}/test_{name}.py" for folder, names in ONE_SYSTEM.items() for name in names]


@pytest.mark.parametrize("path", [*LONG, *SHARING])
def test_what_is_taken_first_or_together_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_what_takes_long_is_taken_before_anything_else_and_in_its_order() -> None:
    assert [place(path) for path in LONG] == list(range(len(LONG)))
    assert place("tests/triage/test_scores.py") == len(LONG)


def test_files_that_share_a_system_are_taken_together_and_every_other_one_alone() -> None:
    assert {taken_with(path) for path in SHARING} == set(ONE_SYSTEM)
    assert taken_with("tests/journeys/test_kills.py") == "tests/journeys/test_kills.py"
    assert taken_with("tests/test_order.py") == "tests/test_order.py"
