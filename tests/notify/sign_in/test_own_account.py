"""What somebody changes of their own account, and what that ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from services.notify.settings import NotifySettings
from tests.notify.sign_in.visits import OURS, PASSWORD, Keeper, Visit, code_of
from tests.serving import client_of

Rows = Callable[..., list[dict[str, Any]]]
OTHER = "nine blue kettles singing"


@pytest.fixture
def elsewhere(visit: Visit) -> Iterator[Visit]:
    """Another browser."""
    with httpx.Client(base_url=visit.client.base_url, timeout=20, trust_env=False) as client:
        yield Visit(client)


def test_the_page_says_who_one_is_and_where_one_is_signed_in(visit: Visit, elsewhere: Visit, keeper: Keeper) -> None:
    keeper.adds_with_password("osei")
    elsewhere.signs_in("osei", PASSWORD)
    visit.signs_in("osei", PASSWORD)

    text = visit.opens("/worklist/account").text

    assert "Dr Osei" in text
    assert "clinician" in text
    assert text.count("Another browser") == 1
    assert text.count("This browser") == 1


def test_another_password_ends_the_sessions_elsewhere_and_gives_this_one_another_id(
    visit: Visit, elsewhere: Visit, keeper: Keeper
) -> None:
    keeper.adds_with_password("osei")
    elsewhere.signs_in("osei", PASSWORD)
    visit.signs_in("osei", PASSWORD)
    before = visit.client.cookies["sural-session"]
    visit.opens("/worklist/account")

    visit.sends("/worklist/account/password", present=PASSWORD, password=OTHER, again=OTHER)

    assert "Your password is changed" in visit.page.text
    assert visit.client.cookies["sural-session"] != before
    assert elsewhere.opens("/worklist").request.url.path == "/worklist/sign-in"
    visit.client.cookies.set("sural-session", before, domain="127.0.0.1", path="/")
    assert visit.opens("/worklist").request.url.path == "/worklist/sign-in"
    assert visit.signs_in("osei", OTHER).status_code == 200


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"present": "wrong", "password": OTHER, "again": OTHER}, "The present password is not right."),
        ({"present": PASSWORD, "password": OTHER, "again": PASSWORD}, "The two passwords are not the same."),
        ({"present": PASSWORD, "password": PASSWORD, "again": PASSWORD}, "that is not the old one"),
        ({"present": PASSWORD, "password": "short", "again": "short"}, "at least 12 characters"),
        ({"present": PASSWORD, "password": "passwordpassword", "again": "passwordpassword"}, "tried first"),
    ],
)
def test_a_password_is_changed_only_by_who_knows_it_and_to_a_good_one(
    visit: Visit, keeper: Keeper, rows: Rows, fields: dict[str, str], sentence: str
) -> None:
    keeper.adds_with_password("osei")
    visit.signs_in("osei", PASSWORD)
    visit.opens("/worklist/account")
    before = rows("SELECT password_hash FROM account")

    answer = visit.sends("/worklist/account/password", **fields)

    assert answer.status_code == 422
    assert sentence in answer.text
    assert rows("SELECT password_hash FROM account") == before


def test_a_second_factor_is_set_up_with_the_password_and_a_code(
    visit: Visit, elsewhere: Visit, keeper: Keeper, rows: Rows
) -> None:
    keeper.adds_with_password("osei")
    elsewhere.signs_in("osei", PASSWORD)
    visit.signs_in("osei", PASSWORD)
    assert visit.client.get("/worklist/account/qr.svg", headers=OURS).status_code == 404
    visit.opens("/worklist/account")
    assert visit.sends("/worklist/account/second-factor", present="wrong").status_code == 422
    visit.sends("/worklist/account/second-factor", present=PASSWORD)
    [secret] = re.findall(r"<code>([A-Z2-7 ]+)</code>", visit.page.text)
    assert visit.client.get("/worklist/account/qr.svg", headers=OURS).status_code == 200

    assert visit.sends("/worklist/account/second-factor/confirm", code="123456").status_code == 422
    [account] = rows("SELECT totp_since FROM account")
    assert account["totp_since"] is None
    visit.sends("/worklist/account/second-factor/confirm", code=code_of(secret.replace(" ", "")))

    codes = re.findall(r"<code>([A-Z2-9]{4}(?:-[A-Z2-9]{4}){3})</code>", visit.page.text)
    assert len(codes) == 10
    assert "10 recovery codes are left" in visit.opens("/worklist/account").text
    assert codes[0] not in visit.page.text
    assert elsewhere.opens("/worklist").request.url.path == "/worklist/sign-in"
    elsewhere.signs_in("osei", PASSWORD)
    assert elsewhere.at == "/worklist/sign-in/code"
    assert not any(code in str(rows("SELECT * FROM account_recovery_code")) for code in codes)


def test_new_recovery_codes_end_the_old_ones(visit: Visit, keeper: Keeper) -> None:
    telephone = keeper.adds_with_second_factor("osei")
    visit.signs_in("osei", PASSWORD)
    visit.types_code(code_of(telephone))

    def made() -> list[str]:
        visit.opens("/worklist/account")
        visit.sends("/worklist/account/recovery-codes", present=PASSWORD)
        return re.findall(r"<code>([A-Z2-9]{4}(?:-[A-Z2-9]{4}){3})</code>", visit.page.text)

    old, new = made(), made()
    visit.client.cookies.clear()
    visit.signs_in("osei", PASSWORD)
    assert visit.types_code(old[0]).status_code == 422
    visit.types_code(new[0])
    assert visit.at == "/worklist"


def test_all_others_are_signed_out_with_one_button(visit: Visit, elsewhere: Visit, keeper: Keeper) -> None:
    keeper.adds_with_password("osei")
    elsewhere.signs_in("osei", PASSWORD)
    visit.signs_in("osei", PASSWORD)
    visit.opens("/worklist/account")

    visit.sends("/worklist/account/sessions")

    assert "All other browsers were signed out" in visit.page.text
    assert elsewhere.opens("/worklist").request.url.path == "/worklist/sign-in"


def test_where_nobody_signs_in_there_is_no_account(settings: NotifySettings) -> None:
    from services.notify.app import create_app

    with client_of(create_app(settings)) as client:
        assert "Nobody signs in to this sandbox" in client.get("/worklist/account").text
        assert client.get("/worklist/sign-in").headers["Location"] == "/worklist"
