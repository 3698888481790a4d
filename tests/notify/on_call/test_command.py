"""`policy check`, `apply`, `show` and `who`, as an operator types them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.local.policy import run_command
from services.notify.on_call import command
from services.notify.on_call.command import Base
from tests.conftest import Database
from tests.notify.on_call.clinic import Clinic
from tests.notify.on_call.test_document import EXAMPLE

Policy = Callable[..., tuple[int, str]]


@pytest.fixture
def policy(clinic: Clinic, capsys: Any) -> Policy:
    @contextmanager
    def opened() -> Iterator[Base]:
        yield Base(clinic.service.notify.pool, {"email"})

    def run(*words: str) -> tuple[int, str]:
        status = command.main(words, program="policy", opened=opened)
        return status, str(capsys.readouterr().out)

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "on-call.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    return path


def test_a_document_without_a_gap_is_checked_kept_and_shown(policy: Policy, file: Path) -> None:
    assert "nobody is left unheard in the next 30 days" in policy("check", str(file))[1]
    assert policy("apply", str(file), "--by", "Dr Lead") == (0, "Version 1 is kept.\n")
    assert policy("apply", str(file)) == (0, "Nothing changed: this is version 1.\n")

    status, shown = policy("show")
    assert status == 0
    assert "# version 1, saved" in shown
    assert "by Dr Lead" in shown
    assert EXAMPLE.rstrip() in shown


@pytest.mark.requirement("REQ-09")
def test_a_document_with_gaps_is_not_kept_and_every_gap_is_said(policy: Policy, file: Path) -> None:
    file.write_text(EXAMPLE.replace('to = "20:00"', 'to = "19:00"').replace("after_minutes = 5", "after_minutes = 9"))

    for words in (("check", str(file)), ("apply", str(file))):
        status, said = policy(*words)

        assert status == 1
        assert "rotas.first: found nobody on call" in said
        assert "policies.standard.emergency[2].after_minutes: found 9" in said
    assert policy("show")[0] == 1


def test_a_save_over_somebody_elses_newer_version_is_refused(policy: Policy, file: Path) -> None:
    policy("apply", str(file))
    file.write_text(EXAMPLE + "\n# changed\n")
    assert policy("apply", str(file), "--after", "1")[0] == 0

    file.write_text(EXAMPLE + "\n# changed by somebody else\n")
    status, said = policy("apply", str(file), "--after", "1")

    assert status == 1
    assert "Version 1 was edited, and version 2 is the newest by now." in said


def test_who_says_who_is_on_call_and_who_is_next(policy: Policy, file: Path) -> None:
    policy("apply", str(file))

    status, said = policy("who", "--at", "2026-11-30T19:00+00:00", "--days", "2")

    assert status == 0
    assert "now   Dr Ama Osei, until Mon 2026-11-30 20:00" in said
    assert "next  Dr Karin Lind, Mon 2026-11-30 20:00 to Tue 2026-12-01 08:00" in said


def test_a_kept_version_can_never_be_changed(policy: Policy, file: Path, clinic: Clinic) -> None:
    policy("apply", str(file))

    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        clinic.service.rows("UPDATE on_call_document SET text = ''")


def test_sural_policy_works_on_the_database_of_the_machine(database: Database, file: Path, capsys: Any) -> None:
    variables = {"SURAL_MODE": "sandbox", "SURAL_NOTIFY_DATABASE_URL": database.notify_url}
    variables |= {"SURAL_SMTP_URL": "smtp://127.0.0.1:1", "SURAL_ALERT_RECIPIENTS": "a@clinic.example"}

    @contextmanager
    def opened() -> Iterator[dict[str, str]]:
        yield variables

    assert run_command(["apply", str(file), "--by", "Dr Lead"], opened, migrate=False) == 0
    assert run_command(["who"], opened, migrate=False) == 0
    assert "First on call" in capsys.readouterr().out
