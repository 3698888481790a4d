"""Questionnaires of clients: checked in full, changed while they are drafts, and fixed for ever once active."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.intake.app import create_app
from services.intake.publication import MOST_CONDITIONS
from services.intake.settings import IntakeSettings
from tests.builders import posterior_lower_limb
from tests.conftest import Database
from tests.forms import answered, group, question, yes_no
from tests.intake.ehr import codes, errors, id_of, post, send
from tests.serving import client_of
from tests.waiting import eventually

FORMS = "/fhir/Questionnaire"
URL = "https://clinic.example/Questionnaire/knee"


def a_questionnaire(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A publishable Questionnaire of a clinic."""
    return {
        "resourceType": "Questionnaire",
        "id": "knee-1",
        "url": URL,
        "version": "1",
        "status": "active",
        "item": list(items) or [yes_no("swollen", required=True)],
        **more,
    }


def answers_to(canonical: str, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "QuestionnaireResponse",
        "identifier": {"system": "https://clinic.example/form", "value": canonical},
        "questionnaire": canonical,
        "status": "completed",
        "subject": {"reference": "Patient/p"},
        "authored": "2026-11-22T08:00:00+00:00",
        "item": list(items) or [answered("swollen", "Y")],
        **more,
    }


def publish(ehr: httpx.Client, questionnaire: dict[str, Any], **headers: str) -> httpx.Response:
    return send(ehr, "POST", FORMS, questionnaire, **headers)


def put(ehr: httpx.Client, questionnaire: dict[str, Any], **headers: str) -> httpx.Response:
    return send(ehr, "PUT", f"{FORMS}/{questionnaire['id']}", questionnaire, **headers)


def test_a_published_questionnaire_is_read_found_and_answered(ehr: httpx.Client) -> None:
    answer = publish(ehr, a_questionnaire())

    assert answer.status_code == 201
    assert codes(answer) == ["stored"]
    assert ehr.get(f"{FORMS}/{id_of(answer)}").json()["url"] == URL
    [entry] = ehr.get(FORMS, params={"url": f"{URL}|1"}).json()["entry"]
    assert entry["resource"]["id"] == id_of(answer)
    assert post(ehr, answers_to(f"{URL}|1")).status_code == 201
    wrong = post(ehr, answers_to(f"{URL}|1", answered("swollen", True)))
    assert (wrong.status_code, errors(wrong)) == (422, ["answer-type"])


def test_the_author_may_choose_the_id(ehr: httpx.Client) -> None:
    first, again = put(ehr, a_questionnaire()), put(ehr, a_questionnaire())

    assert (first.status_code, id_of(first), again.status_code) == (201, "knee-1", 200)
    assert errors(send(ehr, "PUT", f"{FORMS}/other", a_questionnaire())) == ["id"]
    assert errors(put(ehr, a_questionnaire(), If_None_Match="*")) == ["already-exists"]


def asked_for_in(number: int, first: dict[str, Any], *, alike: bool = False) -> dict[str, Any]:
    """A Questionnaire in which so many items depend on its first question."""
    asks = [
        question(
            f"q{at}", "string", enableWhen=[{"question": "first", "operator": ">", "answerInteger": 1 if alike else at}]
        )
        for at in range(number)
    ]
    return a_questionnaire(first, *asks)


def test_a_question_with_many_answers_is_asked_for_in_no_more_ways_than_can_be_judged_quickly(
    ehr: httpx.Client,
) -> None:
    many = question("first", "integer", repeats=True)
    refused = publish(ehr, asked_for_in(MOST_CONDITIONS + 1, many))

    assert (refused.status_code, errors(refused)) == (422, ["too-many-conditions"])
    text = refused.json()["issue"][0]["details"]["text"]
    assert text.startswith(f"first: {MOST_CONDITIONS + 1} different conditions")
    for at, fine in enumerate(
        (
            asked_for_in(MOST_CONDITIONS, many),
            asked_for_in(MOST_CONDITIONS + 1, many, alike=True),
            asked_for_in(MOST_CONDITIONS + 1, question("first", "integer")),
        )
    ):
        answer = publish(ehr, {**fine, "id": f"fine-{at}", "version": f"fine-{at}"})
        assert (answer.status_code, errors(answer)) == (201, []), at


def test_a_question_of_a_repeating_group_takes_many_answers_too(ehr: httpx.Client) -> None:
    inside = group("episodes", question("first", "integer"), repeats=True)

    assert errors(publish(ehr, asked_for_in(MOST_CONDITIONS + 1, inside))) == ["too-many-conditions"]


def test_a_draft_may_change_and_an_active_one_may_only_retire(ehr: httpx.Client) -> None:
    put(ehr, a_questionnaire(status="draft"))
    changed = a_questionnaire(yes_no("red"), status="draft")
    assert errors(put(ehr, changed)) == ["if-match"]
    assert errors(put(ehr, changed, If_Match='W/"9"')) == ["version"]
    assert put(ehr, changed, If_Match='W/"1"').status_code == 200
    active = a_questionnaire(yes_no("red"))
    assert put(ehr, active, If_Match='W/"2"').status_code == 200

    for other in (a_questionnaire(yes_no("hot")), {**active, "title": "Knee"}, {**active, "status": "draft"}):
        answer = put(ehr, other, If_Match='W/"3"')
        assert (answer.status_code, errors(answer)) == (409, ["questionnaire-immutable"])
    retired = put(ehr, {**active, "status": "retired"}, If_Match='W/"3"')
    assert (retired.status_code, retired.headers["etag"]) == (200, 'W/"4"')
    assert errors(put(ehr, active, If_Match='W/"4"')) == ["questionnaire-immutable"]


def test_responses_to_a_changed_draft_are_judged_by_its_present_text(ehr: httpx.Client) -> None:
    put(ehr, a_questionnaire(status="draft"))
    first = post(ehr, answers_to(f"{URL}|1"))
    put(ehr, a_questionnaire(yes_no("red"), status="draft"), If_Match='W/"1"')
    second = post(ehr, answers_to(f"{URL}|1", identifier={"value": "2"}))

    assert (first.status_code, "questionnaire-not-active" in codes(first)) == (201, True)
    assert (second.status_code, errors(second)) == (422, ["unknown-link-id"])


def test_a_url_and_version_name_one_questionnaire(ehr: httpx.Client) -> None:
    publish(ehr, a_questionnaire())

    same = publish(ehr, a_questionnaire())
    other = publish(ehr, a_questionnaire(yes_no("red")))
    elsewhere = put(ehr, a_questionnaire(id="knee-2"))

    assert (same.status_code, other.status_code, elsewhere.status_code) == (200, 409, 409)
    assert errors(other) == errors(elsewhere) == ["questionnaire-exists"]


def test_what_sural_ships_cannot_be_overwritten(ehr: httpx.Client) -> None:
    shipped = posterior_lower_limb()
    for taken in (
        a_questionnaire(url=shipped.url, version=shipped.version),
        a_questionnaire(url=shipped.url, version="99"),
        a_questionnaire(id="posterior-lower-limb"),
    ):
        answer = put(ehr, taken)
        assert (answer.status_code, errors(answer)) == (409, ["questionnaire-shipped"])


def test_without_a_version_the_latest_active_one_is_taken_and_named(ehr: httpx.Client) -> None:
    publish(ehr, a_questionnaire())
    publish(ehr, a_questionnaire(yes_no("red", required=True), version="2"))
    publish(ehr, a_questionnaire(version="3", status="draft"))

    answer = post(ehr, answers_to(URL, answered("red", "Y")))

    assert answer.status_code == 201
    assert "questionnaire-version-chosen" in codes(answer)
    assert f"{URL}|2" in answer.text


def test_answers_to_a_retired_form_or_outside_its_period_are_accepted_with_a_warning(ehr: httpx.Client) -> None:
    put(ehr, a_questionnaire(effectivePeriod={"start": "2027-01-01"}))
    early = post(ehr, answers_to(f"{URL}|1"))
    put(ehr, a_questionnaire(effectivePeriod={"start": "2027-01-01"}, status="retired"), If_Match='W/"1"')
    late = post(ehr, answers_to(f"{URL}|1", identifier={"value": "2"}, authored="2027-02-01"))

    assert (early.status_code, late.status_code) == (201, 201)
    assert "questionnaire-not-effective" in codes(early)
    assert "questionnaire-not-effective" not in codes(late)
    assert "questionnaire-not-active" in codes(late)


@pytest.fixture
def elsewhere(database: Database) -> Iterator[httpx.Client]:
    """The same intake in another process."""
    settings = IntakeSettings(intake_database_url=database.intake_url)  # type: ignore[arg-type]
    with client_of(create_app(settings)) as client:
        yield client


def test_what_another_process_publishes_or_retires_is_soon_known_here(
    ehr: httpx.Client, elsewhere: httpx.Client
) -> None:
    put(elsewhere, a_questionnaire())
    assert post(ehr, answers_to(f"{URL}|1")).status_code == 201
    put(elsewhere, a_questionnaire(yes_no("red"), id="knee-2", version="2"))
    assert post(ehr, answers_to(f"{URL}|2", answered("red", "Y"))).status_code == 201
    put(elsewhere, a_questionnaire(status="retired"), If_Match='W/"1"')

    number = iter(range(1000))

    def warned() -> bool:
        answer = post(ehr, answers_to(f"{URL}|1", identifier={"value": str(next(number))}))
        return "questionnaire-not-active" in codes(answer)

    eventually(warned, within_s=20)


NO_FORM = {
    "not R4": (a_questionnaire(status="banana"), 400, "unknown-code"),
    "no url": ({k: v for k, v in a_questionnaire().items() if k != "url"}, 422, "url-missing"),
    "no version": ({k: v for k, v in a_questionnaire().items() if k != "version"}, 422, "version-missing"),
    "a status that says nothing": (a_questionnaire(status="unknown"), 422, "questionnaire-status"),
    "a value set that nobody knows": (
        a_questionnaire(question("q", "choice", answerValueSet="http://x.example/vs")),
        422,
        "value-set-not-expanded",
    ),
    "an expression that decides what is asked": (
        a_questionnaire(
            yes_no(
                "q",
                extension=[
                    {
                        "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-enableWhenExpression",
                        "valueExpression": {"language": "text/fhirpath", "expression": "true"},
                    }
                ],
            )
        ),
        422,
        "enable-when-expression",
    ),
}


@pytest.mark.parametrize("case", NO_FORM, ids=str)
def test_what_could_not_be_judged_later_is_refused_now(ehr: httpx.Client, case: str) -> None:
    form, status, code = NO_FORM[case]

    answer = publish(ehr, form)

    assert (answer.status_code, errors(answer)) == (status, [code])
    assert "entry" not in ehr.get(FORMS, params={"url": URL}).json()


def test_all_reasons_are_told_at_once(ehr: httpx.Client) -> None:
    gate = {"question": "nowhere", "operator": "exists", "answerBoolean": True}
    form = a_questionnaire(question("q", "choice"), yes_no("r", enableWhen=[gate]), status="unknown")
    del form["version"]

    answer = publish(ehr, form)

    found = ["version-missing", "choice-without-options", "enable-when-unknown-question", "questionnaire-status"]
    assert (answer.status_code, errors(answer)) == (422, found)


def test_expressions_that_are_not_evaluated_are_named_when_it_is_published(ehr: httpx.Client) -> None:
    calculated = {
        "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression",
        "valueExpression": {"language": "text/fhirpath", "expression": "1 + 1"},
    }
    form = a_questionnaire(group("g", question("score", "integer", extension=[calculated])))

    answer = publish(ehr, form)

    assert answer.status_code == 201
    [warning] = [issue for issue in answer.json()["issue"] if issue["severity"] == "warning"]
    assert warning["expression"] == ["Questionnaire.item[0].item[0].extension[0]"]
    assert "calculatedExpression is not computed here" in warning["details"]["text"]
