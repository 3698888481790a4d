"""The form that needs no script: what a person sees and what is stored of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.intake.app import create_app as create_intake
from services.intake.form.tablet import COOKIE
from services.intake.settings import IntakeSettings
from tests.conftest import Database
from tests.intake.form.conftest import FORM, Person
from tests.serving import client_of

Stored = Callable[[], list[dict[str, Any]]]
UNCHECKED = "It could not be checked now whether you need help at once"


def answer(response: dict[str, Any], link_id: str) -> Any:
    """The value of an answer, wherever it stands; None where it is not."""
    found: list[Any] = []

    def walk(items: list[dict[str, Any]]) -> None:
        for item in items:
            if item["linkId"] == link_id and item.get("answer"):
                found.extend(next(iter(one.values())) for one in item["answer"])
            walk(item.get("item", []))

    walk(response.get("item", []))
    return found[0] if found else None


@pytest.mark.requirement("SR-16")
def test_a_person_answers_page_by_page_and_the_finished_form_is_stored_completed(
    person: Person, stored: Stored
) -> None:
    person.opens()
    assert "Emergency check" in person.words
    person.finishes()

    assert person.page.url.path == f"{FORM}/done"
    assert "Your answers were sent" in person.words
    versions = stored()
    assert [one["status"] for one in versions[:-1]] == ["in-progress"] * (len(versions) - 1)
    assert versions[-1]["status"] == "completed"
    assert answer(versions[-1], "location")["code"] == "calf"
    assert answer(versions[-1], "duration_days") == 5
    assert len({one["id"] for one in versions}) == 1


@pytest.mark.requirement("SR-15", "SR-16", "REQ-40")
def test_chest_pain_on_the_first_page_is_answered_with_the_emergency_number_at_once(
    person: Person, stored: Stored
) -> None:
    person.answers = {"chest_pain": "Y"}
    person.opens()
    person.goes_on()

    assert "Call 112 now" in person.words
    assert "do not drive yourself" in person.words
    assert 'role="alert"' in person.page.text
    [only] = stored()
    assert only["status"] == "in-progress"
    assert answer(only, "chest_pain")["code"] == "Y"


def test_an_emergency_stays_on_every_page_that_follows_and_on_the_last_one(person: Person) -> None:
    person.answers = {"chest_pain": "Y"}
    person.opens()
    person.goes_on()
    person.opens(f"{FORM}/plain?step=pain")
    assert "Call 112 now" in person.words
    person.finishes()

    assert "Call 112 now" in person.words
    assert "do not drive yourself" in person.words


def test_without_an_emergency_nobody_is_told_to_call_but_when_help_is_needed_stands_at_the_end(person: Person) -> None:
    person.opens()
    person.goes_on()
    assert "Call 112 now" not in person.words
    person.finishes()

    assert "Call 112 now" not in person.words
    assert "When to get help" in person.words
    assert "Call the local emergency number at once if one of these begins" in person.words


def test_what_is_missing_is_named_and_what_was_answered_is_kept(person: Person, stored: Stored) -> None:
    person.opens()
    person.goes_on(**{"q.chest_pain": [], "q.age_years": ["forty"]})

    assert person.page.status_code == 422
    assert "2 answers are missing or cannot be read" in person.words
    assert "Write a whole number, for example 3." in person.words
    assert 'value="forty"' in person.page.text
    [only] = stored()
    assert answer(only, "chest_pain") is None
    assert answer(only, "age_years") is None
    assert answer(only, "sex_at_birth")["code"] == "male"


@pytest.mark.requirement("REQ-40")
def test_an_emergency_among_answers_that_are_not_complete_is_stored_and_shown(person: Person, stored: Stored) -> None:
    person.answers = {"chest_pain": "Y"}
    person.opens()
    person.goes_on(**{"q.age_years": []})

    assert person.page.status_code == 422
    assert "Call 112 now" in person.words
    assert answer(stored()[0], "chest_pain")["code"] == "Y"


def test_a_number_out_of_range_says_which_numbers_are_possible(person: Person) -> None:
    person.opens()
    person.goes_on(**{"q.age_years": ["400"]})

    assert "Write a number from 0 to 120." in person.words


def test_an_answer_opens_the_questions_that_belong_to_it_and_hides_them_again(person: Person, stored: Stored) -> None:
    person.answers = {"sex_at_birth": "female", "age_years": 30}
    person.opens()
    person.goes_on()
    while "pregnancy" not in " ".join(person.asked):
        assert person.goes_on().status_code == 200
    pregnancy = [link_id for link_id in person.asked if "pregnan" in link_id]
    person.goes_on()
    assert any(answer(stored()[-1], link_id) is not None for link_id in pregnancy)

    person.answers = {"sex_at_birth": "male", "age_years": 30}
    person.opens(f"{FORM}/plain?step=page-1")
    person.goes_on()

    assert all(answer(stored()[-1], link_id) is None for link_id in pregnancy)


def test_nothing_can_be_sent_before_all_required_questions_are_answered(person: Person, stored: Stored) -> None:
    person.opens()
    person.goes_on()
    person.page = person.client.get(f"{FORM}/check")
    assert "questions are still open" in person.words
    assert 'action="send"' not in person.page.text

    person.page = person.client.post(f"{FORM}/send")

    assert person.page.status_code == 422
    assert {one["status"] for one in stored()} == {"in-progress"}


def test_a_form_that_was_sent_is_not_opened_again(person: Person) -> None:
    person.opens()
    person.finishes()

    for address in (FORM, f"{FORM}/plain", f"{FORM}/check"):
        assert person.client.get(address).url.path == f"{FORM}/done"


def test_after_leaving_the_device_shows_nothing_of_the_answers(person: Person) -> None:
    person.opens()
    person.goes_on()
    person.page = person.client.post(f"{FORM}/leave")
    assert "This device shows nothing of your answers any more" in person.words

    person.opens()

    assert "checked" not in person.page.text


def test_words_of_the_patient_cannot_run(person: Person) -> None:
    person.answers = {"other_concerns": "<script>alert(1)</script>"}
    person.opens()
    person.finishes()
    person.client.cookies.clear()
    person.opens()
    for _ in range(60):
        if "other_concerns" in person.asked:
            break
        person.goes_on()
    person.goes_on()
    person.opens(f"{FORM}/plain?step=closing")

    assert "<script" not in person.page.text
    assert "&lt;script&gt;" in person.page.text


def test_another_site_cannot_make_a_browser_answer(person: Person, stored: Stored) -> None:
    person.opens()
    refused = person.client.post(f"{FORM}/plain?step=page-1", data={}, headers={"Sec-Fetch-Site": "cross-site"})

    assert refused.status_code == 403
    assert stored() == []


def test_the_same_answers_again_make_no_new_version(person: Person, stored: Stored) -> None:
    person.opens()
    person.goes_on()
    person.opens(f"{FORM}/plain?step=page-1")  # the first answers have opened further questions
    person.goes_on()
    before = len(stored())
    person.opens(f"{FORM}/plain?step=page-1")
    person.goes_on()

    assert len(stored()) == before


@pytest.mark.requirement("REQ-40")
def test_triage_away_keeps_the_answers_and_the_page_says_that_it_could_not_look_at_them(
    database: Database, stored: Stored
) -> None:
    settings = IntakeSettings(
        intake_database_url=database.intake_url,  # type: ignore[arg-type]
        mode="sandbox",
        triage_url="http://127.0.0.1:9",
    )
    with client_of(create_intake(settings)) as client:
        client.headers["Sec-Fetch-Site"], client.follow_redirects = "same-origin", True
        person = Person(client, {"chest_pain": "Y"})
        person.opens()
        assert UNCHECKED not in person.words, "nothing was answered yet"
        person.goes_on()

        assert person.page.status_code == 200
        assert UNCHECKED in person.words
        assert "call your local emergency number now. Do not wait for an answer of this page." in person.words
        assert answer(stored()[0], "chest_pain")["code"] == "Y"

        person.goes_on(**{"q.chest_pain": []})
        assert UNCHECKED in person.words
        person.opens(f"{FORM}/check")
        assert UNCHECKED in person.words
        person.opens(f"{FORM}/plain")
        person.finishes()
        assert "Your answers were sent" in person.words
        assert UNCHECKED in person.words


def test_a_changed_ticket_opens_nothing(person: Person) -> None:
    person.opens()
    ticket = person.client.cookies[COOKIE]
    person.client.cookies.clear()

    for forged in (ticket[:-1] + ("0" if ticket[-1] != "0" else "1"), "x." + ticket.partition(".")[2], "", "a.b"):
        refused = person.client.get(f"{FORM}/done", headers={"Cookie": f"{COOKIE}={forged}"})
        assert refused.status_code == 403
