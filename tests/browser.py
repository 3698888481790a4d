"""A real browser for the tests of pages: the Chromium of this machine, driven by Playwright.

Every page that a test opens is watched: whatever it ran into (an error of a script, something that its
Content-Security-Policy kept from it, a request that left our origin) fails the test at its end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "No Chromium here: install one (on Debian and Ubuntu: apt install chromium) to try the pages in a browser."
PATIENCE_MS = 20_000
"""How long Playwright waits for what it is asked to wait for."""


def chromium() -> str:
    """Where the browser is. Skips the test when there is none, and fails it when SURAL_BROWSER=required."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    if os.environ.get("SURAL_BROWSER") == "required":
        pytest.fail(MISSING)
    pytest.skip(MISSING)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the tests of a module.

    Not for the whole run: while Playwright runs, its event loop is that of this thread, and a test of another module
    that starts one of its own would fail.
    """
    path = chromium()
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@dataclass
class Watch:
    """What opened pages complained of, and whom they asked."""

    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        """Watch this page from now on."""
        page.on("pageerror", lambda error: self.complaints.append(f"error of a script: {error}"))
        page.on("console", self._heard)
        page.on("request", lambda request: self.requests.append(request.url))

    def _heard(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or "Content-Security-Policy" in message.text:
            self.complaints.append(message.text)

    def strangers(self) -> set[str]:
        """Hosts that were asked and are not of this machine: the pages of tests are served by it."""
        hosts = {urlsplit(url).hostname or "" for url in self.requests if url.startswith(("http", "ws"))}
        return hosts - {"127.0.0.1", "localhost"}


class OpenPage(Protocol):
    """Opens a page in a context (cookies, storage) of its own; `options` are those of Browser.new_context."""

    def __call__(self, **options: Any) -> Page: ...


@pytest.fixture
def watch() -> Watch:
    """What the pages of this test ran into; a test that provokes something takes it out of `complaints`."""
    return Watch()


@pytest.fixture
def open_page(browser: Browser, watch: Watch) -> Iterator[OpenPage]:
    """Opens watched pages: British English, UTC, 1280 by 800 unless the test says otherwise."""
    contexts = []

    def opened(**options: Any) -> Page:
        given = {"locale": "en-GB", "timezone_id": "UTC", "viewport": {"width": 1280, "height": 800}, **options}
        context = browser.new_context(**given)
        context.set_default_timeout(PATIENCE_MS)
        context.on("page", watch.over)
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()
    assert watch.complaints == []
    assert watch.strangers() == set()


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """One watched page, for tests that need no more."""
    return open_page()


def no_axe_violations(page: Page, *, but: Sequence[str] = ()) -> None:
    """Assert that axe-core finds nothing on the page as it is, once it is loaded, that keeps anybody from using it.

    `but`: CSS selectors of what is not ours to mend, and not looked at.
    """
    page.wait_for_load_state()
    found = Axe().run(page, {"exclude": [[selector] for selector in but]} if but else None).response["violations"]
    sentences = [
        f"{each['id']} ({each['impact']}): {each['help']}: " + "; ".join(str(node["html"]) for node in each["nodes"])
        for each in found
    ]
    assert sentences == []


def scrolls_sideways(page: Page) -> bool:
    """Whether the page is wider than the window, so that a line can only be read by scrolling."""
    wider: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wider
