"""An open worklist keeps itself up to date, says loudly when it cannot, and takes nothing out of anybody's hands."""

from __future__ import annotations

import re
from contextlib import ExitStack
from functools import partial

import httpx
import pytest
from playwright.sync_api import expect

from deploy.local.folder import free_port
from services.notify.app import create_app
from services.notify.settings import NotifySettings
from services.notify.sign_in.visitor import Role
from services.notify.worklist import pages
from services.notify.worklist.live import Live
from tests.browser import OpenPage, Page, Watch
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage, an_assessment
from tests.notify.signed_in import Rows, somebody
from tests.serving import served

SECONDS = 1000
SOON = 12 * SECONDS
"""What a page is told of, and not what it finds when it asks by itself, which it does every 15 s."""


def asking(settings: NotifySettings) -> NotifySettings:
    """Settings of a sandbox where people sign in."""
    return settings.model_copy(update={"sandbox_sign_in": True})


def opens(service: Service, triage: Triage, name: str, *, urgency: str = "emergency") -> str:
    """An alert for a patient of this name; gives its id."""
    service.hears(triage.publish(an_assessment(urgency, patient=f"Patient/{name.replace(' ', '-')}", name=name)))
    [row] = service.rows("SELECT id FROM alert WHERE subject ->> 'display' = %s", name)
    return str(row["id"])


def top_of(page: Page, alert_id: str) -> float:
    """Where the alert's row begins on the screen."""
    box = page.locator(f"#alert-{alert_id}").bounding_box()
    assert box is not None
    return box["y"]


def test_a_new_alert_appears_by_itself_and_is_announced(
    site: str, page: Page, service: Service, triage: Triage
) -> None:
    page.goto(f"{site}/worklist")
    expect(page.get_by_text("No alert is waiting.")).to_be_visible()
    page.evaluate("window.same = true")

    opens(service, triage, "Ada Sudden")

    expect(page.get_by_role("link", name="Ada Sudden")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("status")).to_have_text("New: ▲ Emergency: Ada Sudden.")
    expect(page).to_have_title("(1) Worklist · Sural")
    assert page.evaluate("window.same"), "the page was not loaded again"


def test_what_somebody_else_acknowledges_leaves_what_waits(
    site: str, open_page: OpenPage, service: Service, triage: Triage
) -> None:
    alert = opens(service, triage, "Ada Sudden")
    mine, theirs = open_page(), open_page()
    mine.goto(f"{site}/worklist")
    theirs.goto(f"{site}/worklist")

    theirs.locator(f"#name-{alert}").fill("Dr Osei")
    theirs.locator(f"#acknowledge-{alert}").click()

    expect(mine.locator(f"#held #alert-{alert}")).to_contain_text("known to Dr Osei", timeout=SOON)
    expect(mine.locator("#waiting")).to_contain_text("No alert is waiting.")
    expect(mine).to_have_title("Worklist · Sural")


@pytest.mark.requirement("REQ-37")
def test_when_the_connection_is_lost_the_page_says_since_when_and_when_it_is_back(
    settings: NotifySettings, page: Page, service: Service, triage: Triage
) -> None:
    banner, port = page.get_by_role("alert"), free_port()
    with served(create_app(settings), port=port) as site:
        page.goto(f"{site}/worklist")
        expect(page.locator("#updated")).to_have_text(re.compile(r"\d\d:\d\d:\d\d UTC"))
        expect(banner).to_be_hidden()

    expect(banner).to_have_text(
        re.compile(r"Connection lost: this list may be old since \d\d:\d\d:\d\d UTC\. New alerts are not shown\."),
        timeout=SOON,
    )
    expect(banner).to_be_visible()

    opens(service, triage, "Ada Sudden")
    with served(create_app(settings), port=port):
        expect(banner).to_be_hidden()
        expect(page.get_by_role("link", name="Ada Sudden")).to_be_visible()
        page.goto("about:blank")


def test_without_event_streams_the_page_asks_again_by_itself(
    site: str, page: Page, service: Service, triage: Triage
) -> None:
    page.clock.install()
    page.route("**/worklist/events**", lambda route: route.fulfill(status=503))
    page.goto(f"{site}/worklist")
    expect(page.get_by_text("No alert is waiting.")).to_be_visible()
    page.clock.run_for(2 * SECONDS)  # what it asks at once, as the stream failed, is over
    page.wait_for_load_state("networkidle")

    opens(service, triage, "Ada Sudden")
    page.clock.run_for(16 * SECONDS)

    expect(page.get_by_role("link", name="Ada Sudden")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_stream_that_falls_silent_counts_as_lost(
    settings: NotifySettings, page: Page, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "Live", partial(Live, beat_s=600.0))
    with served(create_app(settings)) as site:
        page.clock.install()
        with page.expect_response("**/worklist/events**"):
            page.goto(f"{site}/worklist")
        expect(page.locator("#updated")).to_have_text(re.compile("UTC"))
        page.route("**/worklist?part=list", lambda route: route.abort())

        page.clock.run_for(13 * SECONDS)

        expect(page.get_by_role("alert")).to_contain_text("Connection lost")
        page.goto("about:blank")


def test_focus_and_what_was_typed_stay_when_the_list_changes(
    site: str, page: Page, service: Service, triage: Triage
) -> None:
    alert = opens(service, triage, "Ben Typed", urgency="same_day")
    page.goto(f"{site}/worklist")
    name = page.locator(f"#name-{alert}")
    name.fill("Dr Ose")
    before = top_of(page, alert)

    opens(service, triage, "Ada Sudden")
    expect(page.get_by_role("link", name="Ada Sudden")).to_be_attached(timeout=SOON)
    page.keyboard.type("i")

    expect(name).to_have_value("Dr Osei")
    assert abs(before - top_of(page, alert)) < 2, "the row stayed where it was on the screen"


def test_what_was_typed_stays_when_the_row_itself_changes(
    site: str, page: Page, service: Service, triage: Triage
) -> None:
    alert = opens(service, triage, "Ben Typed", urgency="same_day")
    page.goto(f"{site}/worklist")
    name = page.locator(f"#name-{alert}")
    name.fill("Dr Ose")

    opens(service, triage, "Ben Typed", urgency="emergency")
    expect(page.locator(f"#alert-{alert}")).to_contain_text("Emergency", timeout=SOON)
    page.keyboard.type("i")

    expect(name).to_have_value("Dr Osei")


@pytest.mark.requirement("REQ-37", "REQ-14")
def test_a_press_that_was_meant_for_what_stood_there_before_acknowledges_nothing(
    site: str, page: Page, service: Service, triage: Triage
) -> None:
    alert = opens(service, triage, "Ben Typed", urgency="same_day")
    page.goto(f"{site}/worklist")
    page.locator(f"#name-{alert}").fill("Dr Osei")
    page.evaluate(f"""() => new MutationObserver((_, watcher) => {{
        const row = document.getElementById("alert-{alert}")
        if (!row.textContent.includes("Emergency")) return
        watcher.disconnect()
        document.getElementById("acknowledge-{alert}").click()
    }}).observe(document.getElementById("list"), {{ childList: true, subtree: true }})""")

    opens(service, triage, "Ben Typed", urgency="emergency")

    expect(page.get_by_role("status")).to_contain_text("appeared or changed just now", timeout=SOON)
    assert service.alert()["acknowledged_at"] is None


def test_ages_and_times_left_count_on(site: str, page: Page, service: Service, triage: Triage) -> None:
    alert = opens(service, triage, "Ada Sudden")
    service.rows("UPDATE alert SET opened_at = now() - interval '119 minutes', due_at = now() + interval '200 seconds'")
    page.clock.install()
    page.goto(f"{site}/worklist")
    age, left = (page.locator(f"#alert-{alert} [data-tick={kind}]") for kind in ("age", "left"))
    expect(age).to_have_text("1 h 59 min")
    expect(left).to_have_text(re.compile(r"in [23] min \d+ s"))
    # A clock that leaps makes the page ask for the list anew, and with it for the server's time: here nobody answers.
    page.route(re.compile(r"[?&]part="), lambda route: route.abort())

    page.clock.run_for(90 * SECONDS)

    expect(age).to_have_text("2 h 0 min")
    expect(left).to_have_text(re.compile(r"in 1 min \d+ s"))


def test_stopping_the_server_does_not_wait_for_open_streams(settings: NotifySettings, service: Service) -> None:
    with ExitStack() as running, httpx.Client(timeout=20) as client:
        site = running.enter_context(served(create_app(settings)))
        with client.stream("GET", f"{site}/worklist/events?since=0") as stream:
            lines = stream.iter_lines()  # held, as httpx closes a stream that nobody reads any more
            assert next(lines).startswith("retry:")
            running.close()

            assert {line for line in lines if line} <= {"event: beat", "data: "}, "it came to an end, whole"
        with pytest.raises(httpx.ConnectError):
            client.get(f"{site}/worklist")


def test_events_say_that_something_changed_and_not_what(site: str, service: Service, triage: Triage) -> None:
    with httpx.stream("GET", f"{site}/worklist/events?since=0", timeout=10) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["X-Accel-Buffering"] == "no"
        lines = stream.iter_lines()
        assert next(lines) == "retry: 2000"
        opens(service, triage, "Ada Sudden")
        told = next(line for line in lines if line == "event: change")
        assert told
        assert next(lines) == "data: "


def test_a_page_that_comes_back_is_told_what_it_missed(site: str, service: Service, triage: Triage) -> None:
    opens(service, triage, "Ada Sudden")
    newest = max(line["id"] for line in service.rows("SELECT id FROM alert_event"))

    def first_event(known: int) -> str:
        with httpx.stream(
            "GET", f"{site}/worklist/events", headers={"Last-Event-ID": str(known)}, timeout=10
        ) as stream:
            return next(line for line in stream.iter_lines() if line.startswith("event:"))

    assert first_event(newest - 1) == "event: change"
    assert first_event(newest) == "event: beat"


def test_a_stream_ends_with_the_session(settings: NotifySettings, service: Service, rows: Rows) -> None:
    with served(create_app(asking(settings))) as site, httpx.Client(base_url=site, timeout=20) as client:
        somebody(rows, Role.CLINICIAN).uses(client)
        with client.stream("GET", "/worklist/events") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "retry: 2000"
            rows("UPDATE session SET used_at = used_at - interval '1 hour'")
            assert list(lines) == [""]

        assert client.get("/worklist/events", headers={"Accept": "text/event-stream"}).status_code == 401


def test_an_administrator_hears_nothing_of_alerts(settings: NotifySettings, service: Service, rows: Rows) -> None:
    with served(create_app(asking(settings))) as site, httpx.Client(base_url=site, timeout=20) as client:
        somebody(rows, Role.ADMINISTRATOR).uses(client)

        assert client.get("/worklist/events").status_code == 403


def test_a_page_that_nobody_sees_holds_no_stream_and_asks_all_the_same(
    site: str, page: Page, watch: Watch, service: Service, triage: Triage
) -> None:
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => true })")
    page.clock.install()
    page.goto(f"{site}/worklist")
    expect(page.get_by_text("No alert is waiting.")).to_be_visible()

    opens(service, triage, "Ada Sudden")
    page.clock.run_for(17 * SECONDS)

    expect(page).to_have_title("(1) Worklist · Sural")
    assert not [url for url in watch.requests if "/worklist/events" in url]
