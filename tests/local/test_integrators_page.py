"""docs/integrators.md as it stands: every block is run, against a real system in production mode with fresh keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.folder import CHECKOUT, free_port
from tests.local.pages import PORT, SHELL_S, here, pattern, programs, run, steps

PAGE = (CHECKOUT / "docs" / "integrators.md").read_text(encoding="utf-8")


@pytest.mark.timeout(SHELL_S + 120)
def test_the_page_leads_from_nothing_to_a_read_assessment(place: Path) -> None:
    port = free_port()
    for name, text in programs(PAGE).items():
        (place / name).write_text(text, encoding="utf-8")
    (place / "examples").symlink_to(CHECKOUT / "examples")
    said = run(place, [here(step.script, port, place) for step in steps(PAGE)])

    for step, printed in zip(steps(PAGE), said, strict=True):
        assert pattern(step.printed.replace(PORT, f":{port}")).fullmatch(printed), f"{step.script}\nprinted:\n{printed}"


def test_a_block_that_prints_something_else_would_be_noticed() -> None:
    assert pattern("201\n…").fullmatch("201\nanything")
    assert not pattern("201").fullmatch("200")
    assert len(steps(PAGE)) >= 8
    assert {"assertion.py", "ehr.py"} == set(programs(PAGE))
