"""The page of a one-time link in a browser: on a phone, by keyboard, for everybody, without a sign-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.notify.app import create_app
from services.notify.settings import NotifySettings
from tests.browser import OpenPage, no_axe_violations, scrolls_sideways
from tests.notify.acts.test_links import link_in
from tests.notify.on_call.clinic import Clinic
from tests.serving import served

PHONE = {"width": 360, "height": 740}


@pytest.fixture
def site(settings: NotifySettings) -> Iterator[str]:
    with served(create_app(settings)) as url:
        yield url


@pytest.mark.requirement("REQ-14")
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_on_a_phone_one_press_acknowledges_and_the_page_says_so(
    site: str, open_page: OpenPage, clinic: Clinic, *, scripts: bool
) -> None:
    clinic.sees()
    page = open_page(viewport=PHONE, java_script_enabled=scripts)

    page.goto(site + link_in(clinic.mail))
    page.get_by_role("button", name="Acknowledge as Dr First").press("Enter")

    page.get_by_text("Dr First acknowledged this on").wait_for()
    assert clinic.service.alert()["acknowledged_by"] == "Dr First"
    page.reload()
    assert page.get_by_role("button", name="Acknowledge").count() == 0


def test_the_page_can_be_used_by_everybody_before_and_after(site: str, open_page: OpenPage, clinic: Clinic) -> None:
    clinic.sees()
    page = open_page(viewport=PHONE)
    link = site + link_in(clinic.mail)

    for path in (link, site + "/a/none"):
        page.goto(path)
        assert not scrolls_sideways(page)
        no_axe_violations(page)
    page.goto(link)
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_text("acknowledged this on").wait_for()
    no_axe_violations(page)
