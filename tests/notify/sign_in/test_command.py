"""`account`: the command line with which the first administrator is made."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from services.notify.sign_in import command
from services.notify.sign_in.visitor import Role
from shared.postgres import connect
from tests.conftest import Database
from tests.notify.sign_in.visits import PASSWORD, Keeper, Visit

Rows = Callable[..., list[dict[str, Any]]]
Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(database: Database, capsys: pytest.CaptureFixture[str]) -> Say:
    """Exit status and output of one command."""

    def said(*words: str) -> tuple[int, str]:
        opened = lambda: connect(database.notify_url, schema="notify")  # noqa: E731
        status = command.main(words, program="account", connect=opened)
        return status, capsys.readouterr().out

    return said


def test_the_first_administrator_is_made_and_signs_in(say: Say, visit: Visit, rows: Rows) -> None:
    status, out = say("add", "Ada@Clinic.Example", "--name", "Ada Keeper", "--role", "administrator", "--role", "lead")

    assert status == 0
    [password] = re.findall(r"first password  (\S+)", out)
    visit.signs_in("ada@clinic.example", password)
    visit.sends("/worklist/sign-in/password", password=PASSWORD, again=PASSWORD)
    assert visit.opens("/worklist/accounts").status_code == 200
    assert visit.opens("/worklist").status_code == 200
    [event] = rows("SELECT agent, word FROM audit_event WHERE word = 'account-added'")
    assert event["agent"] == "command-line"


def test_accounts_are_listed_without_their_secrets(say: Say, keeper: Keeper, rows: Rows) -> None:
    assert say("list") == (0, "Nobody has an account.\n")
    keeper.adds_with_second_factor("osei", Role.CLINICIAN)

    _, out = say("list")

    assert "osei  active  Dr Osei" in out
    assert "clinician; second factor" in out
    [kept] = rows("SELECT password_hash, totp_secret FROM account")
    assert kept["password_hash"] not in out
    assert kept["totp_secret"] not in out


def test_an_account_is_disabled_enabled_and_reset(say: Say, visit: Visit, keeper: Keeper) -> None:
    keeper.adds_with_second_factor("osei")

    assert say("disable", "OSEI")[0] == 0
    assert visit.signs_in("osei", PASSWORD).status_code == 422
    assert say("enable", "osei")[0] == 0
    visit.signs_in("osei", PASSWORD)
    assert visit.at == "/worklist/sign-in/code"
    [password] = re.findall(r"first password  (\S+)", say("reset", "osei")[1])
    visit.signs_in("osei", password)
    assert visit.at == "/worklist/sign-in/password"


def test_an_account_of_another_tenant_is_found_by_its_login_name(say: Say, keeper: Keeper, rows: Rows) -> None:
    tenant = uuid4()
    keeper.adds("stranger", tenant=tenant)

    assert say("disable", "stranger")[0] == 0
    assert "stranger" not in say("list")[1]
    assert "stranger  disabled" in say("list", "--tenant", str(tenant))[1]


def test_what_cannot_be_done_is_said_and_nothing_is_kept(say: Say, rows: Rows) -> None:
    assert say("disable", "nobody") == (1, "sural: There is no account of that login name or id. See `account list`.\n")
    assert say("add", "a b", "--name", "A", "--role", "lead")[0] == 1
    assert rows("SELECT * FROM account") == rows("SELECT * FROM audit_event") == []
