"""docs/fhir-contract.md: every line of the contract names tests that exist, or says why it is not offered."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "fhir-contract.md"
NAMED = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")
CELLS = re.compile(r"(?<!\\)\|")
REASON = "not offered, because "


def lines() -> list[tuple[int, str]]:
    """Number and text of every line of a table, heads left out."""
    numbered = enumerate(PAGE.read_text(encoding="utf-8").splitlines(), start=1)
    heads = ("|---", "| line |")
    return [(number, text) for number, text in numbered if text.startswith("|") and not text.startswith(heads)]


@cache
def functions_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("number", "text"), lines(), ids=lambda value: str(value)[:40])
def test_a_line_names_tests_that_exist_or_says_why_it_is_not_offered(number: int, text: str) -> None:
    where = f"{PAGE.name}:{number}"
    assert len(CELLS.findall(text)) == 4, f"{where} has not three cells"
    named = NAMED.findall(text)
    assert named or REASON in text, f"{where} shows nothing"
    assert text.count("::") == len(named), f"{where} names something that is no test"
    for file, name in named:
        path = ROOT / "tests" / file
        assert path.is_file(), f"{where} names {file}, which does not exist"
        assert name in functions_in(path), f"{where} names {name}, which is not in {file}"


def test_every_part_of_the_contract_has_its_table() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert re.findall(r"^## (E\d)\.", text, flags=re.MULTILINE) == [f"E{number}" for number in range(1, 10)]
    assert len(lines()) > 120
