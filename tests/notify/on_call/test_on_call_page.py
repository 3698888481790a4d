"""The page "On call": everybody sees who is on call; a lead changes it, and nothing with a gap is saved."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from services.notify.app import create_app
from services.notify.on_call.check import find_flaws
from services.notify.on_call.pages import START
from services.notify.on_call.read import read_document
from services.notify.settings import NotifySettings
from services.notify.sign_in.visitor import Role
from tests.browser import OpenPage, no_axe_violations, scrolls_sideways
from tests.notify.on_call.clinic import ALWAYS_FIRST, PEOPLE, POLICY, TEAM, Clinic
from tests.notify.on_call.test_check import NOW
from tests.notify.signed_in import Rows, somebody
from tests.serving import client_of, served

OURS = {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8123"}
HOME = "/worklist/on-call"
HIDDEN = re.compile(r'type="hidden" name="(\w+)" value="([^"]*)"')
ALWAYS = (
    PEOPLE
    + ALWAYS_FIRST
    + TEAM
    + POLICY.replace("person:first", "rota:doctors").replace(
        "repeat = 1", "repeat = 1\nsame_day_again_after_minutes = 60"
    )
)
GAP = ALWAYS.replace('to = "24:00"', 'to = "23:00"')


@pytest.fixture
def client(settings: NotifySettings) -> Iterator[httpx.Client]:
    with client_of(create_app(settings)) as opened:
        yield opened


def save(client: httpx.Client, text: str, *, do: str = "save", edited: int = 0, **fields: str) -> httpx.Response:
    form = {"text": text, "edited": str(edited), "do": do, "name": "Dr Lead", **fields}
    return client.post(HOME, data=form, headers=OURS)


def versions(clinic: Clinic) -> list[int]:
    return [row["version"] for row in clinic.service.rows("SELECT version FROM on_call_document ORDER BY version")]


def test_the_text_that_the_page_begins_with_has_no_gap() -> None:
    assert find_flaws(read_document(START), NOW) == []


def test_before_anything_was_saved_the_page_says_who_is_told(client: httpx.Client) -> None:
    page = client.get(HOME)

    assert page.status_code == 200
    assert "No on-call document was saved yet" in page.text
    assert "[people.first]" in page.text


def test_a_saved_document_shows_who_is_on_call_and_what_happens_in_words(client: httpx.Client, clinic: Clinic) -> None:
    answer = save(client, ALWAYS.replace("\n", "\r\n"))
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"{HOME}?saved=1"

    page = client.get(answer.headers["Location"]).text

    assert "Version 1 is kept." in page
    assert "<strong>Dr First</strong>" in page
    assert "emergencies and same-day alerts of every pathway" in page
    assert "At once: whoever is on call in Doctors." in page
    assert "After 5 minutes: Dr Second." in page
    assert "Head of the clinic, then the addresses of the settings too" in page
    (row,) = clinic.service.rows("SELECT text, saved_by FROM on_call_document")
    assert row == {"text": ALWAYS, "saved_by": "Dr Lead"}


@pytest.mark.requirement("REQ-09")
def test_a_document_with_a_gap_is_not_saved_and_the_typed_text_stays(client: httpx.Client, clinic: Clinic) -> None:
    answer = save(client, GAP + "# typed for an hour\n")

    assert answer.status_code == 422
    assert "Nothing was saved." in answer.text
    assert "rotas.doctors" in answer.text
    assert "23:00 to" in answer.text
    assert "# typed for an hour" in answer.text
    assert versions(clinic) == []


def test_checking_saves_nothing(client: httpx.Client, clinic: Clinic) -> None:
    assert "No gap in the next 30 days. Nothing was saved yet." in save(client, ALWAYS, do="check").text
    assert save(client, GAP, do="check").status_code == 422
    assert versions(clinic) == []


def test_who_saves_over_somebody_elses_version_is_told_and_keeps_what_was_typed(
    client: httpx.Client, clinic: Clinic
) -> None:
    save(client, ALWAYS)
    save(client, ALWAYS + "# mine\n", edited=1)

    answer = save(client, ALWAYS + "# theirs\n", edited=1)

    assert answer.status_code == 409
    assert "Version 1 was edited, and version 2 is the newest by now." in answer.text
    assert "# theirs" in answer.text
    assert versions(clinic) == [1, 2]


TAKES_OVER = {
    "rota": "doctors",
    "person": "nurse",
    "instead_of": "first",
    "from": "2020-01-01T20:00",
    "to": "2099-01-01T08:00",
    "reason": 'Leave, "long"',
    "name": "Dr Lead",
}


def test_somebody_who_takes_over_is_on_call_from_then_on(client: httpx.Client, clinic: Clinic) -> None:
    save(client, ALWAYS)

    answer = client.post(f"{HOME}/override", data=TAKES_OVER | {"edited": "1"}, headers=OURS)

    assert answer.headers["Location"] == f"{HOME}?saved=2"
    assert "<strong>Nurse Night</strong>" in client.get(HOME).text
    clinic.sees()
    assert clinic.told() == ["nurse"]
    (row,) = clinic.service.rows("SELECT text FROM on_call_document WHERE version = 2")
    assert row["text"].startswith(ALWAYS.rstrip())
    assert "from = 2020-01-01T20:00:00+00:00" in row["text"]


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("to", "2019-01-01T08:00", "two times, the second one later"),
        ("from", "yesterday", "two times, the second one later"),
        ("person", "stranger", "somebody of the document"),
        ("rota", "no-rota", "one of the rotas"),
        ("name", "", "who saves this"),
    ],
)
def test_a_take_over_that_says_too_little_changes_nothing(
    client: httpx.Client, clinic: Clinic, field: str, typed: str, said: str
) -> None:
    save(client, ALWAYS)

    answer = client.post(f"{HOME}/override", data=TAKES_OVER | {"edited": "1", field: typed}, headers=OURS)

    assert answer.status_code == 422
    assert said in answer.text
    assert versions(clinic) == [1]


def test_a_take_over_of_a_page_that_is_out_of_date_is_refused(client: httpx.Client, clinic: Clinic) -> None:
    save(client, ALWAYS)
    save(client, ALWAYS + "# newer\n", edited=1)

    answer = client.post(f"{HOME}/override", data=TAKES_OVER | {"edited": "1"}, headers=OURS)

    assert answer.status_code == 409
    assert versions(clinic) == [1, 2]


def test_another_site_cannot_save(client: httpx.Client, clinic: Clinic) -> None:
    form = {"text": ALWAYS, "edited": "0", "do": "save", "name": "Dr Evil"}

    assert client.post(HOME, data=form, headers={"Origin": "https://evil.example"}).status_code == 403
    assert versions(clinic) == []


@pytest.fixture
def asking(settings: NotifySettings) -> Iterator[httpx.Client]:
    """Notify where people sign in."""
    with client_of(create_app(settings.model_copy(update={"sandbox_sign_in": True}))) as opened:
        yield opened


def test_nobody_without_a_session_sees_who_is_on_call(asking: httpx.Client) -> None:
    answer = asking.get(HOME)

    assert answer.status_code == 303
    assert "/worklist/sign-in" in answer.headers["Location"]


@pytest.mark.parametrize("role", [Role.CLINICIAN, Role.ADMINISTRATOR, Role.AUDITOR])
def test_everybody_sees_who_is_on_call_and_only_a_lead_changes_it(
    asking: httpx.Client, clinic: Clinic, rows: Rows, role: Role
) -> None:
    clinic.agrees_on(ALWAYS)
    visitor = somebody(rows, role)
    visitor.uses(asking)

    page = asking.get(HOME)
    assert "<strong>Dr First</strong>" in page.text
    assert "first@clinic.example" not in page.text
    assert "<textarea" not in page.text
    for path in (HOME, f"{HOME}/override"):
        form = {"text": ALWAYS, "edited": "1", "csrf": visitor.csrf, **TAKES_OVER}
        assert asking.post(path, data=form, headers=OURS).status_code == 403
    assert versions(clinic) == [1]


def test_a_lead_who_is_signed_in_saves_under_the_own_name(asking: httpx.Client, clinic: Clinic, rows: Rows) -> None:
    lead = somebody(rows, Role.LEAD, name="Dr Signed In")
    lead.uses(asking)
    form = dict(HIDDEN.findall(asking.get(HOME).text)) | {"text": ALWAYS, "do": "save", "name": "Somebody else"}

    assert asking.post(HOME, data=form, headers=OURS).status_code == 303
    (row,) = clinic.service.rows("SELECT saved_by FROM on_call_document")
    assert row["saved_by"] == "Dr Signed In"
    (act,) = clinic.service.rows("SELECT agent, ref_version FROM audit_event WHERE word = 'on_call_saved'")
    assert str(lead.account) in act["agent"]
    assert act["ref_version"] == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_used_by_everybody_on_a_telephone_too(
    settings: NotifySettings, clinic: Clinic, open_page: OpenPage, scheme: str
) -> None:
    clinic.agrees_on(GAP)
    with served(create_app(settings)) as site:
        page = open_page(color_scheme=scheme, viewport={"width": 360, "height": 740})
        page.goto(site + HOME)

        no_axe_violations(page)
        assert not scrolls_sideways(page)
        assert page.get_by_text("Gap: nobody").first.is_visible()


def test_a_lead_takes_over_and_is_refused_a_gap_without_javascript(
    settings: NotifySettings, clinic: Clinic, open_page: OpenPage
) -> None:
    clinic.agrees_on(ALWAYS)
    with served(create_app(settings)) as site:
        page = open_page(java_script_enabled=False)
        page.goto(site + HOME)
        page.get_by_label("Who takes over").select_option("Nurse Night")
        page.get_by_label("From whom").select_option("Dr First")
        page.get_by_label("From", exact=True).fill("2020-01-01T20:00")
        page.get_by_label("To", exact=True).fill("2099-01-01T08:00")
        page.get_by_label("Your name").first.fill("Dr Lead")
        page.get_by_role("button", name="Take over").click()
        expect(page.get_by_role("status")).to_have_text("Version 2 is kept.")
        expect(page.get_by_text("Nurse Night").first).to_be_visible()

        page.wait_for_load_state()
        text = page.get_by_label("On-call document (TOML)").input_value()
        page.get_by_label("On-call document (TOML)").fill(text.replace('to = "24:00"', 'to = "22:00"'))
        page.get_by_role("button", name="Check").click()
        expect(page.get_by_role("alert")).to_contain_text("Nothing was saved.")
    assert versions(clinic) == [1, 2]
