"""What is promised in words is there: variables, commands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from typer.main import get_group

from deploy.local.cli import app
from services.intake.settings import IntakeSettings
from services.notify.settings import NotifySettings
from services.triage.settings import TriageSettings
from shared.settings import ServiceSettings

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
DOCUMENTED = dict(re.findall(r"^# ([A-Z][A-Z0-9_]+)=(.*)$", EXAMPLE, flags=re.MULTILINE))
CLASSES = (ServiceSettings, IntakeSettings, TriageSettings, NotifySettings)
READ_ELSEWHERE = {"SURAL_DATABASE_URL"}
"""The owner's URL: read by `migrate`, never by a running service."""
ONLY_FOR_CHECKS = {"SURAL_DOCKER_ENGINE", "SURAL_CHECK_PROJECT", "SURAL_BROWSER", "SURAL_PICTURES", "SURAL_SMOKE"}
IN_COMPOSE = set(re.findall(r"\$\{([A-Z0-9_]+)", COMPOSE))
PROSE = sorted([ROOT / "docker-compose.yml", ROOT / ".env.example", *ROOT.glob("*.md"), *ROOT.glob("d*/**/*.md")])


def shown(default: Any) -> str:
    """A default as it is written in a .env file."""
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    return "" if default is None or default is PydanticUndefined else str(default)


def fields() -> dict[str, set[str]]:
    """Variable to its defaults, of which neighbours may have different ones."""
    found: dict[str, set[str]] = {}
    for settings in CLASSES:
        for name, field in settings.model_fields.items():
            found.setdefault(f"SURAL_{name.upper()}", set()).add(shown(field.default))
    return found


def test_every_setting_is_in_the_example_and_nothing_else_is() -> None:
    assert set(DOCUMENTED) == set(fields()) | READ_ELSEWHERE | IN_COMPOSE


def test_every_variable_is_explained_once() -> None:
    names = re.findall(r"^# ([A-Z][A-Z0-9_]+)=", EXAMPLE, flags=re.MULTILINE)

    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(("name", "defaults"), sorted(fields().items()))
def test_the_example_shows_the_default_of_a_setting(name: str, defaults: set[str]) -> None:
    assert DOCUMENTED[name] in defaults


@pytest.mark.parametrize("name", sorted(IN_COMPOSE - set(fields())))
def test_the_example_shows_the_default_that_compose_takes(name: str) -> None:
    assert set(re.findall(rf"\$\{{{name}:-([^}}]*)}}", COMPOSE)) == {DOCUMENTED[name]}


@pytest.mark.parametrize("name", sorted(fields()))
def test_compose_sets_a_setting_or_hands_it_on(name: str) -> None:
    assert re.search(rf"^ +{name}(_FILE)?:", COMPOSE, flags=re.MULTILINE) or name in IN_COMPOSE


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_names_a_variable_that_does_not_exist(path: Path) -> None:
    named = set(re.findall(r"\bSURAL_[A-Z0-9_]*[A-Z]\b", path.read_text(encoding="utf-8")))

    assert {name.removesuffix("_FILE") for name in named} <= set(DOCUMENTED) | ONLY_FOR_CHECKS


@pytest.mark.parametrize("command", sorted(get_group(app).commands))
def test_the_readme_names_every_command(command: str) -> None:
    assert f"./sural {command}" in (ROOT / "README.md").read_text(encoding="utf-8")
