"""The page of one alert in a real browser: a clinician's night, the keyboard, a phone, paper, and what must not run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from services.notify.app import create_app as create_notify
from tests.browser import OpenPage, Page, no_axe_violations, scrolls_sideways
from tests.builders import a_response
from tests.notify.detail.conftest import UNHURRIED_S, Clinic
from tests.notify.detail.test_detail import EMERGENCY
from tests.notify.detail.test_forms import on_call
from tests.serving import served

PHONE = {"width": 360, "height": 740}
SAFEGUARDING = {"age_years": 1, "trauma": "Y", "child_walks_alone": "N", "respondent": "parent_carer"}


@pytest.mark.requirement("REQ-14")
def test_a_clinician_sees_why_acknowledges_works_and_closes_a_false_alarm_with_a_reason(
    clinic: Clinic, page: Page
) -> None:
    clinic.fills_in(EMERGENCY)
    page.goto(clinic.address())

    expect(page.locator(".why")).to_contain_text("Chest pain, new breathlessness")
    page.get_by_label("Your name").first.fill("Dr Osei")
    page.get_by_role("button", name="Acknowledge: I know of it").click()
    expect(page.locator(".state")).to_contain_text("by Dr Osei")

    page.get_by_role("button", name="Start: I work on it").click()
    expect(page.locator(".state")).to_contain_text("In progress")

    page.get_by_text("Resolve: say what became of it").click()
    page.get_by_label("False alarm").check()
    page.locator("#resolve-note").fill("The pain was last year.")
    page.get_by_role("button", name="Resolve", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Give an override reason")
    expect(page.get_by_label("False alarm")).to_be_checked()

    page.get_by_label("Why less was done than the urgency asks for").select_option("answers-wrong")
    page.get_by_role("button", name="Resolve", exact=True).click()

    closed = "Closed: False alarm, because: Answers wrong"
    expect(page.locator("#acts")).to_contain_text(closed, use_inner_text=True)
    assert clinic.service.alert()["state"] == "rejected"
    assert clinic.service.alert()["override_reason"] == "answers-wrong"


@pytest.mark.requirement("REQ-14")
def test_a_clinician_hands_over_and_the_other_is_named(clinic: Clinic, page: Page) -> None:
    on_call(clinic)
    clinic.fills_in(EMERGENCY)
    clinic.presses("know")
    page.goto(clinic.address())

    page.get_by_text("Hand over to somebody else").click()
    page.get_by_label("To", exact=True).select_option(label="Dr Second")
    page.locator("#name-hand-over").fill("Dr Osei")
    no_axe_violations(page)
    page.get_by_role("button", name="Hand over").click()

    expect(page.locator(".state")).to_contain_text("with Dr Second")
    expect(page.get_by_role("button", name="Acknowledge: I know of it")).to_be_visible()


@pytest.mark.requirement("REQ-15")
def test_the_patients_words_are_shown_and_cannot_run(clinic: Clinic, page: Page) -> None:
    words = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    clinic.fills_in({**EMERGENCY, "other_concerns": words})
    clinic.presses("feedback", verdict="agree", comment=words, **shown_version(clinic))
    clinic.presses("note", note=words)

    for rest in ("", "/print"):
        page.goto(clinic.address(rest=rest))
        assert page.locator("blockquote", has_text="<script>").first.is_visible()
        assert "owned" not in page.title()
        assert page.locator("main script, main img").count() == 0


def shown_version(clinic: Clinic) -> dict[str, str]:
    [row] = clinic.service.rows("SELECT assessment_id, assessment_version FROM alert_assessment")
    return {"assessment": row["assessment_id"], "version": str(row["assessment_version"])}


def withdrawn(clinic: Clinic) -> None:
    response = a_response(EMERGENCY, patient="p-1", identifier="form-1")
    response_id = clinic.sends(response)
    clinic.works()
    clinic.changes(response_id, {**response, "status": "entered-in-error"})


def refused(clinic: Clinic) -> None:
    response = a_response(EMERGENCY)
    response["item"].append({"linkId": "nonsense", "answer": [{"valueString": "x"}]})
    clinic.is_refused(response)


def closed(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    clinic.presses("know")
    clinic.presses("resolve", outcome="seen-and-treated", note="Seen.")


VARIANTS = {
    "an emergency": lambda clinic: clinic.fills_in(EMERGENCY),
    "an incomplete form": lambda clinic: clinic.fills_in({}, leave_out={"breathless_new"}, status="stopped"),
    "a safeguarding concern": lambda clinic: clinic.fills_in(SAFEGUARDING),
    "a withdrawn one": withdrawn,
    "a refused one": refused,
    "a closed one": closed,
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_can_be_used_by_everybody_and_on_a_phone(
    clinic: Clinic, open_page: OpenPage, variant: str, scheme: str
) -> None:
    VARIANTS[variant](clinic)
    page = open_page(color_scheme=scheme, viewport=PHONE)
    for rest in ("", "/print"):
        page.goto(clinic.address(rest=rest))
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        no_axe_violations(page)
        assert not scrolls_sideways(page)
    key = clinic.service.alert()["subject_key"]
    page.goto(f"{clinic.site}/worklist/patient?key={key}")
    no_axe_violations(page)
    assert not scrolls_sideways(page)


def test_an_answer_with_an_error_can_be_used_by_everybody(clinic: Clinic, page: Page) -> None:
    clinic.fills_in(EMERGENCY)
    page.goto(clinic.address())
    page.get_by_text("Write a note").click()
    page.locator("#name-note").fill("Dr Osei")
    page.locator("#note").evaluate("field => field.removeAttribute('required')")
    page.get_by_role("button", name="Keep the note").click()

    expect(page.get_by_role("alert")).to_contain_text("Write the note first.")
    expect(page.locator("#name-note")).to_have_value("Dr Osei")
    no_axe_violations(page)


def test_while_triage_is_away_the_alert_can_still_be_acknowledged(clinic: Clinic, page: Page) -> None:
    clinic.fills_in(EMERGENCY)
    away = clinic.settings.model_copy(update={"triage_url": "http://127.0.0.1:9"})
    with served(create_notify(away, patience_s=UNHURRIED_S)) as site:
        page.goto(f"{site}/worklist/alert/{clinic.alert_id()}")
        expect(page.locator(".notice.bad").first).to_contain_text("Triage does not answer")
        no_axe_violations(page)
        page.get_by_label("Your name").first.fill("Dr Osei")
        page.get_by_role("button", name="Acknowledge: I know of it").click()
        expect(page.locator(".state")).to_contain_text("by Dr Osei")


def test_the_keyboard_reaches_the_first_act_before_anything_that_is_read(clinic: Clinic, page: Page) -> None:
    clinic.fills_in(EMERGENCY)
    page.goto(clinic.address())
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))

    assert "Open the patient's record" in reached
    assert reached.index("name") < reached.index("Acknowledge: I know of it")
    assert not any("Red flags" in one for one in reached)


def test_the_page_needs_no_script(clinic: Clinic, open_page: OpenPage) -> None:
    clinic.fills_in(EMERGENCY)
    page = open_page(java_script_enabled=False)
    page.goto(clinic.address())
    page.get_by_label("Your name").first.fill("Dr Osei")
    page.get_by_role("button", name="Acknowledge: I know of it").click()

    expect(page.locator(".state")).to_contain_text("by Dr Osei")


@pytest.mark.requirement("SR-17")
@pytest.mark.parametrize("variant", ["an emergency", "a safeguarding concern", "a closed one", "an incomplete form"])
def test_the_summary_is_at_most_two_pages_of_a4_and_says_for_whom(
    clinic: Clinic, page: Page, tmp_path: Path, variant: str
) -> None:
    VARIANTS[variant](clinic)
    page.goto(clinic.address(rest="/print"))
    file = tmp_path / "summary.pdf"
    page.pdf(path=file, prefer_css_page_size=True)
    pdf = file.read_bytes()

    sizes = {tuple(round(float(one)) for one in box.split()) for box in re.findall(rb"/MediaBox \[([\d. ]+)\]", pdf)}
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) <= 2
    assert sizes == {(0, 0, 595, 842)}
    page.emulate_media(media="print")
    text = page.locator("body").inner_text()
    assert text.index("For clinicians. Not for the patient") < text.index("Test patient")
    assert str(clinic.alert_id()) in text
    assert re.search(r"printed 2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d UTC", text)
    assert page.locator("nav, button").filter(visible=True).count() == 0
