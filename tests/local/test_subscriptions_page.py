"""docs/subscriptions.md as it stands: every block is run, from nothing to notifications that a receiver took."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.folder import CHECKOUT, free_port
from tests.local.pages import PORT, SHELL_S, here, pattern, programs, run, steps

PAGE = (CHECKOUT / "docs" / "subscriptions.md").read_text(encoding="utf-8")
RECEIVER = "8090"


@pytest.mark.timeout(SHELL_S + 120)
def test_the_page_leads_from_nothing_to_a_notification_that_was_taken(place: Path) -> None:
    port, receiver = free_port(), str(free_port())
    for name, text in programs(PAGE).items():
        (place / name).write_text(text, encoding="utf-8")
    (place / "examples").symlink_to(CHECKOUT / "examples")
    scripts = [here(step.script.replace(RECEIVER, receiver), port, place) for step in steps(PAGE)]
    said = run(place, scripts)

    assert len(said) == len(steps(PAGE)) >= 6
    for step, printed in zip(steps(PAGE), said, strict=True):
        assert pattern(step.printed.replace(PORT, f":{port}")).fullmatch(printed), f"{step.script}\nprinted:\n{printed}"
