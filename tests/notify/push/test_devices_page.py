"""Somebody presses a button, and from then on alerts show on that device; another press ends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page

from services.notify.app import create_app
from services.notify.settings import NotifySettings
from tests.browser import OpenPage, no_axe_violations, scrolls_sideways
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage, an_assessment
from tests.notify.push.conftest import PERSON
from tests.notify.push.push_service import Browser, PushService, unpadded
from tests.serving import client_of, served
from tests.waiting import eventually

PAGE = "/worklist/account/devices"
FROM_THE_PAGE = {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8123"}


@pytest.fixture
def client(settings: NotifySettings) -> Iterator[httpx.Client]:
    with client_of(create_app(settings)) as opened:
        yield opened


@pytest.fixture
def site(settings: NotifySettings) -> Iterator[str]:
    with served(create_app(settings)) as url:
        yield url


def register(client: httpx.Client, form: dict[str, str], **headers: str) -> httpx.Response:
    return client.post(PAGE, data={"person": PERSON, **form}, headers=headers or FROM_THE_PAGE)


def test_after_the_button_alerts_reach_the_device_and_after_stop_no_more(
    client: httpx.Client, pushing: Service, triage: Triage, push_service: PushService
) -> None:
    browser = push_service.browser("phone")

    answer = register(client, browser.form(name="My phone"))

    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?person={PERSON}")
    page = client.get(PAGE, params={"person": PERSON}).text
    assert "My phone" in page
    assert browser.endpoint not in page
    pushing.hears(triage.publish(an_assessment()))
    pushing.sends()
    assert len(push_service.shown(browser)) == 1

    (device,) = pushing.rows("SELECT id FROM push_subscription")
    stop = client.post(f"{PAGE}/{device['id']}/remove", data={"person": PERSON}, headers=FROM_THE_PAGE)
    assert stop.status_code == 303
    assert pushing.rows("SELECT 1 FROM push_subscription") == []


def test_the_account_page_leads_to_the_devices(client: httpx.Client) -> None:
    assert f'href="{PAGE}"' in client.get("/worklist/account").text


def test_nobody_stops_the_device_of_another_person(
    client: httpx.Client, pushing: Service, push_service: PushService
) -> None:
    register(client, push_service.browser("phone").form())
    (device,) = pushing.rows("SELECT id FROM push_subscription")

    answer = client.post(f"{PAGE}/{device['id']}/remove", data={"person": "p-other"}, headers=FROM_THE_PAGE)

    assert answer.status_code == 404
    assert len(pushing.rows("SELECT 1 FROM push_subscription")) == 1


def test_another_site_registers_nothing(client: httpx.Client, pushing: Service, push_service: PushService) -> None:
    answer = register(client, push_service.browser("phone").form(), Origin="https://elsewhere.example")

    assert answer.status_code == 403
    assert pushing.rows("SELECT 1 FROM push_subscription") == []


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": ""},
        {"endpoint": "ftp://push.example/x"},
        {"endpoint": "https://user:password@push.example/x"},
        {"endpoint": "https://push.example/" + "x" * 1000},
        {"p256dh": "AAAA"},
        {"p256dh": unpadded(b"\x04" + b"\xff" * 64)},
        {"auth": "AAAA"},
        {"auth": "!"},
    ],
    ids=lambda change: f"{next(iter(change))}={next(iter(change.values()))[:24]}",
)
def test_what_no_browser_would_send_is_refused_with_a_sentence(
    client: httpx.Client, pushing: Service, push_service: PushService, change: dict[str, str]
) -> None:
    answer = register(client, push_service.browser("phone").form() | change)

    assert answer.status_code == 422
    assert "browser" in answer.text
    assert pushing.rows("SELECT 1 FROM push_subscription") == []


def test_where_it_is_not_set_up_the_page_says_so(settings: NotifySettings) -> None:
    with client_of(create_app(settings.model_copy(update={"push_contact": ""}))) as client:
        page = client.get(PAGE, params={"person": PERSON})

        assert "not set up here" in page.text
        assert register(client, Browser("https://push.example/x").form()).status_code == 404


SUBSCRIBES = """([endpoint, p256dh, auth]) => {
  const plain = (text) => atob(text.replaceAll("-", "+").replaceAll("_", "/"))
  const bytes = (text) => Uint8Array.from(plain(text), (letter) => letter.charCodeAt(0)).buffer
  PushManager.prototype.getSubscription = async () => null
  PushManager.prototype.subscribe = async (options) => {
    if (!options.userVisibleOnly || options.applicationServerKey.length !== 65) throw new Error("wrong options")
    return { endpoint, getKey: (name) => bytes({ p256dh, auth }[name]) }
  }
  Notification.requestPermission = async () => "granted"
}"""
"""The edge of the world: a browser without its maker's push service cannot subscribe, so this one says what it got."""


def test_the_button_hands_the_subscription_of_the_browser_to_the_form(
    open_page: OpenPage, site: str, push_service: PushService
) -> None:
    page, browser = open_page(), push_service.browser("phone")
    page.route(f"**{PAGE}", lambda route: route.fulfill(status=200, body="taken"))
    page.goto(f"{site}{PAGE}?person={PERSON}")
    page.evaluate(SUBSCRIBES, [browser.endpoint, unpadded(browser.point), unpadded(browser.auth)])

    page.get_by_label("What you call it").fill("Ward tablet")
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.get_by_role("button", name="Tell me on this device").click()

    fields = {name: values[0] for name, values in parse_qs(sent.value.post_data or "").items()}
    assert fields == browser.form(name="Ward tablet", person=PERSON)


def test_the_page_can_be_used_by_everybody_on_a_narrow_phone_too(
    open_page: OpenPage, site: str, client: httpx.Client, push_service: PushService
) -> None:
    register(client, push_service.browser("phone").form(name="My phone"))
    page = open_page(viewport={"width": 360, "height": 740})

    page.goto(f"{site}{PAGE}?person={PERSON}")

    no_axe_violations(page)
    assert not scrolls_sideways(page)
    assert page.get_by_role("button", name="Stop telling me on My phone").is_visible()


def test_a_browser_without_javascript_is_told_that_this_needs_it(open_page: OpenPage, site: str) -> None:
    page = open_page(java_script_enabled=False)

    page.goto(f"{site}{PAGE}?person={PERSON}")

    assert page.get_by_text("This needs JavaScript.").is_visible()
    assert page.get_by_role("button", name="Tell me on this device").is_disabled()


def worker_of(page: Page, site: str) -> str:
    """Register the service worker as the page does; gives the id of its registration."""
    session = page.context.new_cdp_session(page)
    seen: list[dict[str, Any]] = []
    session.on("ServiceWorker.workerRegistrationUpdated", lambda event: seen.extend(event["registrations"]))
    session.send("ServiceWorker.enable")
    page.evaluate(
        """async () => {
          const registration = await navigator.serviceWorker.register(
            document.getElementById("this-device").dataset.worker)
          while (registration.active?.state !== "activated") await new Promise((done) => setTimeout(done, 20))
        }"""
    )
    eventually(lambda: page.evaluate("1") and seen)  # asking the page lets the events come in
    return str(seen[-1]["registrationId"])


def shown_notifications(page: Page) -> list[dict[str, str]]:
    found: list[dict[str, str]] = page.evaluate(
        """async () => {
          const [registration] = await navigator.serviceWorker.getRegistrations()
          const shown = await registration.getNotifications()
          return shown.map(({ title, body, tag, data }) => ({ title, body, tag, data }))
        }"""
    )
    return found


@pytest.mark.parametrize("text", ['{"title": "Sural: emergency alert", "link": "https://x/", "tag": "a"}', "", "{"])
def test_the_service_worker_shows_what_the_push_service_brings_and_something_in_any_case(
    open_page: OpenPage, site: str, text: str
) -> None:
    page = open_page()
    context: BrowserContext = page.context
    context.grant_permissions(["notifications"], origin=site)
    page.goto(f"{site}{PAGE}?person={PERSON}")
    registration = worker_of(page, site)
    session = context.new_cdp_session(page)
    session.send("ServiceWorker.enable")

    def brought() -> list[dict[str, str]]:
        session.send("ServiceWorker.deliverPushMessage", {"origin": site, "registrationId": registration, "data": text})
        return eventually(lambda: shown_notifications(page), within_s=5)

    (shown,) = eventually(brought, within_s=60)  # a busy browser now and then drops one; a second replaces the first
    assert shown["title"].startswith("Sural: ")
    assert "acknowledge" in shown["body"]
