"""The form as LHC-Forms shows it, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser import OpenPage, browser, no_axe_violations, open_page, page, scrolls_sideways, watch
from tests.intake.form.conftest import FORM, Person
from tests.intake.form.test_plain_form import UNCHECKED, answer

__all__ = ["browser", "open_page", "page", "watch"]
LOADING_MS = 60_000
Stored = Callable[[], list[dict[str, Any]]]


def opened(page: Page, intake: httpx.Client) -> Page:
    page.goto(f"{intake.base_url}{FORM}")
    page.wait_for_selector("#form[data-ready]", timeout=LOADING_MS)
    return page


def choose(page: Page, link_id: str, choice: str) -> None:
    """Answer one question of LHC-Forms by the words of the answer."""
    box = page.locator(f'input[id*="{link_id}/"]').first
    box.fill("")
    box.press_sequentially(choice)
    box.press("Tab")


@pytest.mark.requirement("SR-16", "REQ-40")
def test_chest_pain_calls_for_help_while_the_form_is_still_open(
    page: Page, intake: httpx.Client, stored: Stored
) -> None:
    opened(page, intake)
    expect(page.locator("#advice")).to_be_empty()
    choose(page, "chest_pain", "Yes")

    expect(page.locator("#advice")).to_contain_text("Call 112 now")
    expect(page.locator("#advice")).to_contain_text("do not drive yourself")
    assert stored() == []

    choose(page, "chest_pain", "No")

    expect(page.locator("#advice")).to_be_empty()


@pytest.mark.requirement("REQ-40")
def test_answers_that_nobody_could_look_at_are_not_taken_for_harmless(page: Page, intake: httpx.Client) -> None:
    opened(page, intake)
    page.route("**/advice", lambda route: route.abort())
    choose(page, "chest_pain", "Yes")

    expect(page.locator("#advice")).to_contain_text(UNCHECKED)
    expect(page.locator("#advice")).to_contain_text("call 112 now")

    page.unroute("**/advice")  # asked again without anything being written

    expect(page.locator("#advice")).to_contain_text("Call 112 now")
    expect(page.locator("#advice")).not_to_contain_text(UNCHECKED)


def test_what_is_saved_comes_back_and_what_is_missing_is_said(page: Page, intake: httpx.Client, stored: Stored) -> None:
    opened(page, intake)
    choose(page, "chest_pain", "Yes")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#state")).to_have_text("Stored.")
    [only] = stored()
    assert only["status"] == "in-progress"
    assert answer(only, "chest_pain")["code"] == "Y"

    opened(page, intake)
    expect(page.locator("#advice")).to_contain_text("Call 112 now")
    page.get_by_role("button", name="Send").click()

    expect(page.locator("#wrong")).to_contain_text("Your answers could not be sent")
    expect(page.locator("#wrong")).to_contain_text("found no answer")


def test_the_form_comes_from_us_alone_and_fits_a_telephone(open_page: OpenPage, intake: httpx.Client) -> None:
    page = opened(open_page(viewport={"width": 360, "height": 740}), intake)

    expect(page.get_by_text("LHC-Forms")).to_be_visible()
    assert not scrolls_sideways(page)


def test_the_plain_form_can_be_used_by_everybody(open_page: OpenPage, intake: httpx.Client) -> None:
    """No script, 360 px wide, axe-core finds nothing: with errors, with an emergency, on every kind of page."""
    page = open_page(viewport={"width": 360, "height": 740})
    page.goto(f"{intake.base_url}{FORM}/plain")
    no_axe_violations(page)
    assert not scrolls_sideways(page)
    page.get_by_role("group", name="chest pain").get_by_label("Yes", exact=True).check()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="Call 112 now")).to_be_visible()
    expect(page.get_by_role("heading", name="are missing")).to_be_visible()
    no_axe_violations(page)
    assert not scrolls_sideways(page)
    page.goto(f"{intake.base_url}{FORM}/check")
    no_axe_violations(page)


def test_the_plain_form_works_with_scripts_off(open_page: OpenPage, intake: httpx.Client) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{intake.base_url}{FORM}")
    page.get_by_role("link", name="Use the form that needs none.").click()
    page.get_by_role("group", name="chest pain").get_by_label("Yes", exact=True).check()
    page.get_by_role("button", name="Next").click()

    expect(page.get_by_role("heading", name="Call 112 now")).to_be_visible()


def test_the_last_page_can_be_used_by_everybody(open_page: OpenPage, intake: httpx.Client, person: Person) -> None:
    person.opens()
    person.finishes()
    page = open_page(viewport={"width": 360, "height": 740})
    for name, value in person.client.cookies.items():
        page.context.add_cookies([{"name": name, "value": value, "url": f"{intake.base_url}{FORM}"}])
    page.goto(f"{intake.base_url}{FORM}/done")

    expect(page.get_by_role("heading", name="When to get help")).to_be_visible()
    no_axe_violations(page)
    page.get_by_role("button", name="I have read this").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    no_axe_violations(page)


@pytest.mark.requirement("SR-16", "REQ-40")
def test_an_impossible_age_does_not_hide_that_chest_pain_needs_help(page: Page, intake: httpx.Client) -> None:
    opened(page, intake)
    page.locator('input[id*="age_years/"]').first.fill("400")
    choose(page, "chest_pain", "Yes")

    expect(page.locator("#advice")).to_contain_text("Call 112 now")


def test_what_we_put_around_lhc_forms_can_be_used_by_everybody(page: Page, intake: httpx.Client) -> None:
    opened(page, intake)
    choose(page, "chest_pain", "Yes")
    expect(page.locator("#advice")).to_contain_text("Call 112 now")

    no_axe_violations(page, but=["#form", "#completionOptionsScroller"])
