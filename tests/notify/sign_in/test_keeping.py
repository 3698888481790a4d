"""Administrators keep accounts, auditors read the record, and neither sees a patient."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.notify.sign_in.visitor import Role
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage, an_assessment
from tests.notify.sign_in.visits import PASSWORD, Keeper, Visit, code_of
from tests.notify.signed_in import somebody

Rows = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def admin(visit: Visit, rows: Rows) -> Visit:
    """An administrator at the page of accounts."""
    somebody(rows, Role.ADMINISTRATOR, name="Ada Keeper").uses(visit.client)
    visit.opens("/worklist/accounts")
    return visit


@pytest.fixture
def theirs(visit: Visit) -> Iterator[Visit]:
    """The browser of the person whose account it is."""
    with httpx.Client(base_url=visit.client.base_url, timeout=20, trust_env=False) as client:
        yield Visit(client)


def account(rows: Rows, login: str) -> dict[str, Any]:
    [found] = rows("SELECT * FROM account WHERE login = %s", login)
    return found


def recorded(rows: Rows, word: str) -> dict[str, Any]:
    [event] = rows("SELECT * FROM audit_event WHERE word = %s", word)
    return event


def first_password(page: httpx.Response) -> str:
    [found] = re.findall(r"<code>([a-z2-9]{5}(?:-[a-z2-9]{5}){3})</code>", page.text)
    return str(found)


def test_an_account_is_added_and_its_first_password_shown_once(admin: Visit, theirs: Visit, rows: Rows) -> None:
    fields = {"login": "Osei@Clinic.Example", "name": "Dr  Osei", "person": "osei", "role": ["clinician", "lead"]}
    admin.sends("/worklist/accounts/add", **fields)
    password = first_password(admin.page)

    theirs.signs_in("osei@clinic.example", password)
    assert theirs.at == "/worklist/sign-in/password"
    made = account(rows, "osei@clinic.example")
    assert (made["name"], made["person"], made["roles"]) == ("Dr Osei", "osei", ["clinician", "lead"])
    assert password not in str(made)
    assert password not in admin.opens("/worklist/accounts").text
    event = recorded(rows, "account-added")
    assert event["ref_id"] == str(made["id"])
    assert event["agent"].startswith("account/")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"login": "", "name": "A", "role": "clinician"}, "Give a login name"),
        ({"login": "a b", "name": "A", "role": "clinician"}, "without spaces"),
        ({"login": "a", "name": " ", "role": "clinician"}, "Give the name"),
        ({"login": "a", "name": "A"}, "Choose at least one role"),
        ({"login": "a", "name": "A", "role": "root"}, "A role is one of"),
        ({"login": "a", "name": "A", "role": "lead", "person": "x y"}, "on-call document"),
        ({"login": "TAKEN", "name": "A", "role": "lead"}, "This login name is taken"),
    ],
)
def test_what_cannot_be_an_account_is_refused_with_a_sentence(
    admin: Visit, keeper: Keeper, rows: Rows, fields: dict[str, str], sentence: str
) -> None:
    keeper.adds("taken", tenant=uuid4())
    number = len(rows("SELECT * FROM account"))

    answer = admin.sends("/worklist/accounts/add", **fields)

    assert answer.status_code == 422
    assert sentence in answer.text
    assert len(rows("SELECT * FROM account")) == number


def test_other_roles_end_all_sessions_and_are_recorded(admin: Visit, theirs: Visit, keeper: Keeper, rows: Rows) -> None:
    keeper.adds_with_password("osei")
    theirs.signs_in("osei", PASSWORD)
    path = f"/worklist/accounts/{account(rows, 'osei')['id']}/change"

    admin.opens("/worklist/accounts")
    admin.sends(path, name="Dr A Osei", person="osei", role=["auditor"])

    assert account(rows, "osei")["roles"] == ["auditor"]
    assert theirs.opens("/worklist").request.url.path == "/worklist/sign-in"
    assert recorded(rows, "roles-changed")["outcome"] == "0"
    assert theirs.signs_in("osei", PASSWORD).status_code == 403


def test_another_name_or_person_of_an_account_is_recorded(
    admin: Visit, keeper: Keeper, theirs: Visit, rows: Rows
) -> None:
    """Whoever acts under that account acts in that name from now on."""
    keeper.adds_with_password("osei")
    path = f"/worklist/accounts/{account(rows, 'osei')['id']}/change"

    admin.opens("/worklist/accounts")
    admin.sends(path, name="Dr Somebody Else", person="boss", role=["clinician"])

    assert account(rows, "osei")["person"] == "boss"
    assert recorded(rows, "account-changed")["outcome"] == "0"


def test_a_disabled_account_is_out_at_once_and_can_come_back(
    admin: Visit, theirs: Visit, keeper: Keeper, rows: Rows
) -> None:
    keeper.adds_with_password("osei")
    theirs.signs_in("osei", PASSWORD)
    before = theirs.client.cookies["sural-session"]
    path = f"/worklist/accounts/{account(rows, 'osei')['id']}"

    admin.opens("/worklist/accounts")
    admin.sends(f"{path}/disable")
    assert theirs.opens("/worklist").request.url.path == "/worklist/sign-in"
    assert theirs.signs_in("osei", PASSWORD).status_code == 422
    assert recorded(rows, "account-disabled")

    admin.sends(f"{path}/enable")
    theirs.client.cookies.set("sural-session", before, domain="127.0.0.1", path="/")
    assert theirs.opens("/worklist").request.url.path == "/worklist/sign-in", "a session of before does not come back"
    theirs.signs_in("osei", PASSWORD)
    assert theirs.at == "/worklist"


def test_a_reset_takes_password_second_factor_and_sessions(
    admin: Visit, theirs: Visit, keeper: Keeper, rows: Rows
) -> None:
    telephone = keeper.adds_with_second_factor("osei")
    theirs.signs_in("osei", PASSWORD)
    theirs.types_code(code_of(telephone))

    admin.opens("/worklist/accounts")
    admin.sends(f"/worklist/accounts/{account(rows, 'osei')['id']}/reset")

    assert theirs.opens("/worklist").request.url.path == "/worklist/sign-in"
    theirs.signs_in("osei", first_password(admin.page))
    assert theirs.at == "/worklist/sign-in/password"
    assert account(rows, "osei")["totp_secret"] is None


def test_an_administrator_cannot_lock_themself_out(admin: Visit, rows: Rows) -> None:
    [own] = rows("SELECT * FROM account WHERE name = 'Ada Keeper'")
    path = f"/worklist/accounts/{own['id']}"

    assert admin.sends(f"{path}/disable").status_code == 422
    assert admin.sends(f"{path}/reset").status_code == 422
    assert admin.sends(f"{path}/change", name="Ada", role=["auditor"]).status_code == 422
    assert rows("SELECT * FROM account WHERE name = 'Ada Keeper'") == [own]


def test_accounts_of_another_tenant_are_neither_shown_nor_changed(admin: Visit, keeper: Keeper, rows: Rows) -> None:
    tenant = uuid4()
    keeper.adds("stranger", name="Somebody Else", tenant=tenant)
    rows("SELECT set_config('sural.tenant', %s, false)", str(tenant))
    stranger = account(rows, "stranger")

    assert "Somebody Else" not in admin.opens("/worklist/accounts").text
    for act in ("disable", "reset", "change"):
        fields = {"name": "X", "role": "auditor"} if act == "change" else {}
        assert admin.sends(f"/worklist/accounts/{stranger['id']}/{act}", **fields).status_code == 404
        admin.opens("/worklist/accounts")
    assert account(rows, "stranger") == stranger


def test_an_administrator_sees_no_patient(admin: Visit, service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment(name="Severe Case")))
    alert = service.alert()["id"]

    for path in (
        "/worklist",
        f"/worklist/alert/{alert}",
        "/worklist/handover",
        "/worklist/audit",
        "/worklist/accounts",
    ):
        assert "Severe Case" not in admin.opens(path).text, path


def test_an_auditor_reads_who_did_what_page_by_page_and_that_is_recorded_too(
    visit: Visit, keeper: Keeper, rows: Rows
) -> None:
    keeper.adds_with_password("osei")
    visit.signs_in("osei", PASSWORD)
    visit.signs_in("osei", "wrong password here")
    rows(
        "SELECT record_audit(%s, 'read', NULL, '0', 'some-client', NULL, 'Task', i::text, 1, NULL, NULL, NULL) "
        "FROM generate_series(1, 120) AS i",
        rows("SELECT tenant_id FROM account")[0]["tenant_id"],
    )
    somebody(rows, Role.AUDITOR, name="Ann Auditor").uses(visit.client)

    newest = visit.opens("/worklist/audit").text
    older = visit.opens(re.findall(r"/worklist/audit\?before=[0-9-]+", newest)[0]).text

    assert newest.count("some-client") + older.count("some-client") == 120
    assert "signed in" in older
    assert "Dr Osei" in older
    assert "sign in failed" in older
    assert "refused" in older
    assert "Ann Auditor" in visit.opens("/worklist/audit").text
    assert visit.client.get("/worklist/audit?before=nonsense").status_code == 200
