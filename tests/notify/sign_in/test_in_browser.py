"""The pages of signing in as a browser shows them: on a telephone, without JavaScript, for screen readers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pydantic import SecretStr

from services.notify.app import create_app
from services.notify.settings import NotifySettings
from services.notify.sign_in.visitor import Role
from tests.browser import OpenPage, no_axe_violations
from tests.notify.sign_in.identity_provider import CLIENT, SECRET, a_provider
from tests.notify.sign_in.test_password_sign_in import NOT_RIGHT
from tests.notify.sign_in.visits import PASSWORD, Keeper, code_of
from tests.notify.signed_in import COOKIE, somebody
from tests.serving import served

Rows = Callable[..., list[dict[str, Any]]]
TELEPHONE = {"width": 360, "height": 740}


@pytest.fixture
def strict(asking: NotifySettings) -> Iterator[str]:
    """The address of a Sural that asks for a second factor, as in production."""
    given = {"mode": "production", "token_keys_url": "http://127.0.0.1:9/keys"}
    with served(create_app(asking.model_copy(update=given))) as url:
        yield url


@pytest.fixture
def site(asking: NotifySettings) -> Iterator[str]:
    """The address of a sandbox where people sign in."""
    with served(create_app(asking)) as url:
        yield url


def press(shown: Page, name: str) -> None:
    shown.get_by_role("button", name=name, exact=True).click()


def shows(shown: Page, heading: str) -> None:
    """Wait for the page of this heading: a press returns before what it leads to is read."""
    expect(shown.get_by_role("heading", name=heading, exact=True, level=1)).to_be_visible()


def fits_and_is_accessible(shown: Page) -> None:
    shown.wait_for_load_state()
    assert shown.evaluate("document.documentElement.scrollWidth") <= TELEPHONE["width"]
    no_axe_violations(shown)


def test_the_first_sign_in_works_without_javascript(open_page: OpenPage, strict: str, keeper: Keeper) -> None:
    first = keeper.adds("osei")
    shown = open_page(java_script_enabled=False, viewport=TELEPHONE)

    shown.goto(f"{strict}/worklist/account")
    shown.get_by_label("Login name").fill("osei")
    shown.get_by_label("Password").fill(first)
    press(shown, "Sign in")
    shown.get_by_label("New password", exact=True).fill(PASSWORD)
    shown.get_by_label("New password again").fill(PASSWORD)
    press(shown, "Go on")
    key = shown.locator("code").inner_text()
    shown.get_by_label("Code of the app").fill(code_of(key.replace(" ", "")))
    press(shown, "Go on")
    expect(shown.locator(".recovery-codes li")).to_have_count(10)
    shown.get_by_role("link", name="I have kept them").click()

    expect(shown).to_have_url(f"{strict}/worklist/account")
    shows(shown, "Account")
    [cookie] = [one for one in shown.context.cookies() if one["name"] == COOKIE]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")


def test_the_picture_of_the_key_is_shown(open_page: OpenPage, strict: str, keeper: Keeper) -> None:
    keeper.adds_with_password("osei")
    shown = open_page(viewport=TELEPHONE)
    shown.goto(f"{strict}/worklist/sign-in")
    shown.get_by_label("Login name").fill("osei")
    shown.get_by_label("Password").fill(PASSWORD)
    press(shown, "Sign in")

    shows(shown, "Set up a second factor")
    shown.wait_for_load_state()
    assert shown.evaluate("document.querySelector('img').naturalWidth") > 200
    fits_and_is_accessible(shown)
    shown.get_by_label("Code of the app").fill("000000")
    press(shown, "Go on")
    expect(shown.get_by_role("alert")).to_contain_text("This code is not right")
    fits_and_is_accessible(shown)


def test_every_step_fits_a_telephone_and_is_accessible(open_page: OpenPage, site: str, keeper: Keeper) -> None:
    telephone = keeper.adds_with_second_factor("osei")
    shown = open_page(viewport=TELEPHONE)

    shown.goto(f"{site}/worklist/sign-in?why=over")
    fits_and_is_accessible(shown)
    shown.get_by_label("Login name").fill("osei")
    shown.get_by_label("Password").fill("not the right one")
    press(shown, "Sign in")
    expect(shown.get_by_role("alert")).to_contain_text(NOT_RIGHT)
    fits_and_is_accessible(shown)
    shown.get_by_label("Password").fill(PASSWORD)
    press(shown, "Sign in")
    shows(shown, "Your code")
    fits_and_is_accessible(shown)
    shown.get_by_label("Code of your authenticator app").fill(code_of(telephone))
    press(shown, "Go on")
    shows(shown, "Worklist")
    shown.goto(f"{site}/worklist/account")
    fits_and_is_accessible(shown)
    shown.locator("#present-codes").fill(PASSWORD)
    press(shown, "Make new recovery codes")
    shows(shown, "Your recovery codes")
    fits_and_is_accessible(shown)
    shown.goto(f"{site}/worklist/accounts")
    shows(shown, "Not for your role")
    fits_and_is_accessible(shown)
    shown.goto(f"{site}/worklist/account")
    press(shown, "Sign out")
    shows(shown, "You are signed out")
    fits_and_is_accessible(shown)


def test_the_pages_of_administrators_and_auditors_are_accessible(open_page: OpenPage, site: str, rows: Rows) -> None:
    person = somebody(rows, Role.ADMINISTRATOR, Role.AUDITOR, name="Ada Keeper")
    shown = open_page(viewport=TELEPHONE)
    shown.context.add_cookies([{"name": COOKIE, "value": person.token, "url": site}])

    shown.goto(f"{site}/worklist/accounts")
    shown.locator("#new-login").fill("osei")
    shown.locator("#new-name").fill("Dr Osei")
    shown.get_by_role("group", name="Roles").last.get_by_label("clinician").check()
    press(shown, "Add")
    assert re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}", shown.locator(".notice code").last.inner_text())
    shown.get_by_text("Change Dr Osei").click()
    fits_and_is_accessible(shown)
    shown.goto(f"{site}/worklist/audit")
    expect(shown.get_by_text("account added")).to_be_visible()
    fits_and_is_accessible(shown)


def test_a_browser_goes_to_the_organisation_and_comes_back_signed_in(
    open_page: OpenPage, asking: NotifySettings
) -> None:
    with a_provider() as provider:
        given = {
            "oidc_issuer": provider.url,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": SecretStr(SECRET),
            "oidc_roles": '{"doctors": "clinician"}',
        }
        with served(create_app(asking.model_copy(update=given))) as url:
            provider.sends_back_to = url
            shown = open_page()
            shown.goto(f"{url}/worklist/account")
            shown.get_by_role("link", name="Sign in with your organisation").click()

            expect(shown).to_have_url(f"{url}/worklist/account")
            expect(shown.get_by_text("with your organisation")).to_be_visible()
