"""The worklist by keyboard alone, without a script, and on a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from shared.ids import DEFAULT_TENANT
from tests.browser import OpenPage, Page, no_axe_violations, scrolls_sideways
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage, an_assessment
from tests.notify.worklist.test_live import SOON, opens
from tests.waiting import eventually

PHONE = {"width": 360, "height": 740}
LONG = "Bartholomew-Maximilian Featherstonehaugh-Cholmondeley-of-the-Very-Long-Names"


def focused(page: Page) -> str:
    text: str = page.evaluate("document.activeElement.textContent.trim()")
    return text


def says_who(page: Page, name: str) -> None:
    """Give one's name for all alerts."""
    page.get_by_label("Your name").first.fill(name)
    page.get_by_role("button", name="Use it for all alerts").click()
    expect(page.get_by_text(f"You act as {name}.")).to_be_visible()
    page.wait_for_load_state()  # the keys work once the scripts of the new page have run


def first_one(page: Page, name: str) -> None:
    """Go to the first alert, once the keys work: the scripts of a page that was just loaded may not have run yet."""

    def there() -> bool:
        if focused(page) != name:
            page.keyboard.press("j")
        return focused(page) == name

    eventually(there)


def test_an_alert_is_found_and_acknowledged_by_keyboard(
    site: str, page: Page, service: Service, triage: Triage
) -> None:
    first, second = opens(service, triage, "Ada First"), opens(service, triage, "Ben Second")
    page.goto(f"{site}/worklist")
    says_who(page, "Dr Osei")

    first_one(page, "Ada First")
    page.keyboard.press("j")
    assert focused(page) == "Ben Second"
    page.keyboard.press("k")
    assert focused(page) == "Ada First"

    page.keyboard.press("a")
    dialog = page.get_by_role("dialog", name="Acknowledge this alert?")
    expect(dialog).to_contain_text("▲ Emergency: Ada First")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert focused(page) == "Ada First"
    assert service.events().count("acknowledged") == 0

    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.locator(f"#held #alert-{first}")).to_contain_text("known to Dr Osei")
    [row] = service.rows("SELECT acknowledged_at FROM alert WHERE id = %s", second)
    assert row["acknowledged_at"] is None


def test_a_question_that_is_put_again_at_once_is_answered(
    site: str, page: Page, service: Service, triage: Triage
) -> None:
    alert = opens(service, triage, "Ada First")
    page.goto(f"{site}/worklist")
    says_who(page, "Dr Osei")
    first_one(page, "Ada First")
    page.keyboard.press("a")
    expect(page.get_by_role("dialog", name="Acknowledge this alert?")).to_be_visible()

    page.evaluate("""() => {  // both before the browser tells of the first question's end
        document.getElementById("confirm").close()
        document.querySelector("#list h3 a").focus()
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "a", bubbles: true }))
    }""")
    page.locator("#confirm-yes").click()

    expect(page.locator(f"#held #alert-{alert}")).to_contain_text("known to Dr Osei")
    assert service.events().count("acknowledged") == 1


def test_enter_opens_the_alert_and_a_slash_searches(site: str, page: Page, service: Service, triage: Triage) -> None:
    alert = opens(service, triage, "Ada First")
    opens(service, triage, "Ben Second")
    page.goto(f"{site}/worklist")

    page.keyboard.press("/")
    page.keyboard.type("first")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Ben Second")).to_have_count(0)
    expect(page.get_by_role("link", name="Ada First")).to_be_visible()
    page.wait_for_load_state()

    first_one(page, "Ada First")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/worklist/alert/{alert}")


def test_the_keys_are_shown_and_can_be_turned_off(site: str, page: Page, service: Service, triage: Triage) -> None:
    opens(service, triage, "Ada First")
    page.goto(f"{site}/worklist")

    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_be_visible()
    no_axe_violations(page)
    page.get_by_label("Use these keys").uncheck()
    page.get_by_role("button", name="Close").click()
    page.reload()
    page.keyboard.press("?")
    page.keyboard.press("j")

    expect(keys).to_be_hidden()
    assert focused(page) != "Ada First"


def test_what_came_after_the_question_is_not_acknowledged_unseen(
    site: str, page: Page, service: Service, triage: Triage
) -> None:
    alert = opens(service, triage, "Ada First", urgency="same_day")
    page.goto(f"{site}/worklist")
    says_who(page, "Dr Osei")
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(page.get_by_role("dialog")).to_contain_text("Same day: Ada First")

    opens(service, triage, "Ada First", urgency="emergency")
    expect(page.locator(f"#alert-{alert}")).to_contain_text("Emergency", timeout=SOON)
    page.locator("#confirm-yes").click()

    expect(page.get_by_text("This alert changed since you looked; look again.")).to_be_visible()
    assert service.events().count("acknowledged") == 0


def test_without_a_script_the_list_is_filtered_and_an_alert_acknowledged(
    site: str, open_page: OpenPage, service: Service, triage: Triage
) -> None:
    page = open_page(java_script_enabled=False)
    alert = opens(service, triage, "Ada First")
    opens(service, triage, "Ben Second")
    page.goto(f"{site}/worklist")

    page.get_by_label("Patient or alert").fill("first")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("link", name="Ben Second")).to_have_count(0)
    page.locator(f"#name-{alert}").fill("Dr Osei")
    page.locator(f"#acknowledge-{alert}").click()

    expect(page.locator(f"#held #alert-{alert}")).to_contain_text("known to Dr Osei")
    assert "q=first" in page.url, "the filters stay"


@pytest.mark.parametrize("path", ["/worklist", "/worklist?urgency=emergency&q=bar", "/worklist/handover"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_with_alerts_can_be_used_by_everybody(
    site: str, open_page: OpenPage, service: Service, triage: Triage, path: str, scheme: str
) -> None:
    opens(service, triage, LONG)
    opens(service, triage, "Ben Second", urgency="same_day")
    held = opens(service, triage, "Cleo Held")
    acknowledge(service.notify.pool, DEFAULT_TENANT, held, by=Actor("Dr Osei", None, "page"))
    page = open_page(color_scheme=scheme)
    page.goto(site + path)
    no_axe_violations(page)

    page.set_viewport_size(PHONE)
    assert not scrolls_sideways(page)
    no_axe_violations(page)


def test_an_alert_that_stands_for_a_refused_submission_fits_a_phone(
    site: str, open_page: OpenPage, service: Service, triage: Triage
) -> None:
    service.hears(triage.publish(an_assessment()))
    service.rows("UPDATE alert SET refused_client = 'clinic-with-a-long-name', refused_at = now()")
    page = open_page(viewport=PHONE)
    page.goto(f"{site}/worklist")

    expect(page.get_by_text("A submission that was refused looks urgent.")).to_be_visible()
    assert not scrolls_sideways(page)
