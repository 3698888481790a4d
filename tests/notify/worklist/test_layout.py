"""What all pages share: the way through them, the style, files that a browser may keep, and nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from services.notify.assets_of_pages import ASSETS, load
from tests.browser import OpenPage, Page, Watch, no_axe_violations, scrolls_sideways

PHONE = {"width": 360, "height": 740}


def test_every_page_leads_to_the_others_and_says_where_one_is(site: str, page: Page) -> None:
    page.goto(f"{site}/worklist")

    ways = page.get_by_role("navigation", name="Pages").get_by_role("link").all_text_contents()
    assert ways[:4] == ["Worklist", "Handover", "On call", "Measures"]
    assert "Account" in ways
    assert page.locator("[aria-current=page]").all_text_contents() == ["Worklist"]


def test_the_keyboard_skips_the_navigation(site: str, page: Page) -> None:
    page.goto(f"{site}/worklist")

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("path", ["/worklist", "/worklist/there/is/none"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_used_by_everybody_by_day_and_by_night(
    site: str, open_page: OpenPage, path: str, scheme: str
) -> None:
    page = open_page(color_scheme=scheme)
    page.goto(site + path)

    no_axe_violations(page)


@pytest.mark.parametrize("path", ["/worklist", "/worklist/there/is/none"])
def test_nothing_is_wider_than_a_phone(site: str, open_page: OpenPage, path: str) -> None:
    page = open_page(viewport=PHONE)
    page.goto(site + path)

    assert not scrolls_sideways(page)


def test_a_page_with_a_mistake_is_found_by_axe(page: Page) -> None:
    page.set_content("<html lang=en><title>x</title><main><h1>x</h1><input></main>")

    with pytest.raises(AssertionError, match="label"):
        no_axe_violations(page)


def test_a_script_in_the_page_does_not_run_and_is_noticed(site: str, page: Page, watch: Watch) -> None:
    page.goto(f"{site}/worklist")

    page.evaluate("""() => {
        const script = document.createElement("script")
        script.textContent = "document.title = 'owned'"
        document.body.append(script)
    }""")

    assert "owned" not in page.title()
    assert any("Content Security Policy" in complaint for complaint in watch.complaints)
    watch.complaints.clear()


def test_a_request_to_elsewhere_is_noticed(page: Page, watch: Watch) -> None:
    page.route("https://elsewhere.example/*", lambda route: route.abort())
    page.set_content("<img src='https://elsewhere.example/pixel.png'>")

    assert watch.strangers() == {"elsewhere.example"}
    watch.requests.clear()


def test_a_browser_keeps_a_file_until_it_changes(site: str) -> None:
    address = re.search(r'href="(/worklist/assets/style\.css\?v=\w+)"', httpx.get(f"{site}/worklist").text)
    assert address is not None

    kept = httpx.get(site + address[1])
    assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert kept.headers["content-type"].startswith("text/css")

    asked_again = httpx.get(f"{site}/worklist/assets/style.css", headers={"If-None-Match": kept.headers["ETag"]})
    assert (asked_again.status_code, asked_again.content) == (304, b"")
    assert asked_again.headers["Cache-Control"] == "no-cache"

    old = httpx.get(f"{site}/worklist/assets/style.css?v=000000000000")
    assert (old.status_code, old.headers["Cache-Control"]) == (200, "no-cache")


def test_an_address_changes_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "style.css").write_text("a { color: red }")
    before = load(tmp_path)["style.css"].version
    (tmp_path / "style.css").write_text("a { color: blue }")

    assert load(tmp_path)["style.css"].version != before


@pytest.mark.parametrize("name", ["none.css", "../page.py", "..%2fpage.py", "%2e%2e/page.py", ""])
def test_files_that_pages_do_not_load_are_not_given_out(site: str, name: str) -> None:
    assert httpx.get(f"{site}/worklist/assets/{name}").status_code == 404


def test_nothing_is_loaded_from_elsewhere() -> None:
    for name, asset in ASSETS.items():
        addresses = set(re.findall(rb"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", asset.content))
        assert addresses <= {b"http://www.w3.org/2000/svg"}, name
