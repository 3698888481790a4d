"""The page of one alert over HTTP: what stands on it in every case, who may see it, and that looking is recorded."""

from __future__ import annotations

import re
import time
from html import unescape

import pytest
from starlette.requests import Request
from starlette.responses import Response

from services.notify.app import create_app as create_notify
from services.notify.detail.neighbours import PATIENCE_S
from services.notify.sign_in.visitor import Role
from shared.ids import uuid7
from tests.audit.test_recording import codes, events, references
from tests.builders import a_response
from tests.notify.detail.conftest import UNHURRIED_S, Clinic
from tests.notify.signed_in import somebody
from tests.serving import client_of, served

EMERGENCY = {"chest_pain": "Y", "leg_swollen_one_side": "Y"}
DRIPS_S = 9.0
"""How long a neighbour that hangs goes on."""


def text_of(page: str) -> str:
    """What somebody reads: without tags, with single spaces."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def section(page: str, name: str) -> str:
    """What somebody reads in one part of the page."""
    found = re.search(rf'aria-labelledby="{name}">(.*?)</section>', page, flags=re.DOTALL)
    assert found, name
    return text_of(found[1])


def test_the_page_says_how_urgent_why_whose_and_what_to_do_before_anything_else(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY, patient="7391")
    page = text_of(clinic.page())

    order = [
        "Emergency",
        "Test patient",
        "Patient/7391",
        "Nobody has acknowledged it",
        "Chest pain, new breathlessness, coughing up blood or collapse is reported",
        "assessment in an emergency department now",
        "Red flags that fired: 2",
        "What the patient answered",
        "Conditions by relative support",
        "Must not be missed",
        "Not assessed, and why",
        "What would change the urgency",
        "Alert opened",
        "Limits",
    ]
    assert [page.index(words) for words in order] == sorted(page.index(words) for words in order)


def test_flags_stand_with_their_reason_answers_severity_and_sources(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    flags = section(clinic.page(), "flags")

    assert "pulmonary embolism or an acute cardiac cause RFX-01 high severity" in flags
    assert "Do you have chest pain now, or have you had it in the last few days? Yes" in flags
    assert "Wells score for pulmonary embolism. Artefact text" in flags
    assert "https://cds.ahrq.gov/" in flags


def test_answers_stand_in_the_patients_form_with_what_fired_and_what_was_not_answered(clinic: Clinic) -> None:
    clinic.fills_in(
        {**EMERGENCY, "other_concerns": "Afraid of <a clot>"}, leave_out={"breathless_new"}, status="stopped"
    )
    answers = section(clinic.page(), "answers")

    assert "Do you have chest pain now, or have you had it in the last few days? Yes fired RFX-01" in answers
    assert "Not answered in Emergency check: Are you short of breath" in answers
    assert "Afraid of <a clot> in the patient's own words" in answers


def test_answers_to_a_part_of_a_form_stand_under_the_questions_of_the_form(clinic: Clinic) -> None:
    response = a_response(EMERGENCY)
    clinic.sends({**response, "questionnaire": f"{response['questionnaire']}#page-1"})
    clinic.works()

    assert "Do you have chest pain now, or have you had it" in section(clinic.page(), "answers")


@pytest.mark.requirement("REQ-15")
def test_what_a_patient_writes_cannot_become_markup(clinic: Clinic) -> None:
    response = a_response({**EMERGENCY, "other_concerns": "<script>x()</script><img src=x onerror=x()>"})
    response["subject"]["display"] = '"><script>y()</script>'
    clinic.sends(response)
    clinic.works()

    for rest in ("", "/print"):
        page = clinic.page(rest=rest)
        assert "<script>" not in page
        assert "<img" not in page
        assert "&lt;script&gt;x()&lt;/script&gt;" in page


def test_conditions_scores_and_the_panel_are_in_words(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    page = clinic.page()

    assert "deep vein thrombosis with pulmonary embolism" in section(page, "conditions")
    assert "For Do you have chest pain now" in section(page, "conditions")
    assert "not a probability" in section(page, "conditions")
    assert "Wells score for deep vein thrombosis, two levels (2003): open" in section(page, "scores")
    assert "acute limb ischaemia" in section(page, "panel")
    assert "acute_limb_ischaemia" not in section(page, "panel")


def test_what_nobody_knows_is_said_with_its_questions(clinic: Clinic) -> None:
    clinic.fills_in({"calf_swelling": "Y"}, leave_out={"breathless_new"}, status="stopped")
    page = clinic.page()

    assert "Emergency questions without an answer Are you short of breath" in section(page, "not-assessed")
    assert "That excludes nothing" in section(page, "not-assessed")
    assert "Emergency or required questions are not answered" in section(page, "quality")
    assert "it would be" in section(page, "changes") or "Yes" in section(page, "changes")


@pytest.mark.requirement("SR-17")
def test_a_safeguarding_flag_is_for_clinicians_only_on_the_page_and_on_paper(clinic: Clinic) -> None:
    clinic.fills_in({"age_years": 1, "trauma": "Y", "child_walks_alone": "N", "respondent": "parent_carer"})

    for rest in ("", "/print"):
        page = text_of(clinic.page(rest=rest))
        assert "a safeguarding concern" in page
        assert "Never say it to the patient or to whoever brings the patient" in page
    assert "For clinicians. Not for the patient or whoever comes with the patient." in page


def test_the_story_tells_whom_by_which_channel_and_how_that_went(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    story = section(clinic.page(), "timeline")

    lines = [
        "The answers that were assessed were received.",
        "Assessed: Emergency (version 1).",
        "Alert opened: Emergency.",
        "E-mail to on-call@example.org: sent.",
    ]
    assert [story.index(line) for line in lines] == sorted(story.index(line) for line in lines)


def test_a_message_that_is_still_being_tried_is_in_the_story(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    clinic.service.rows("UPDATE delivery SET state = 'pending', attempts = 2, answer = 'smtp-451'")

    assert "now E-mail to on-call@example.org: being tried, 2 attempts so far (smtp-451)." in section(
        clinic.page(), "timeline"
    )


def test_the_way_to_the_record_is_that_of_the_settings(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY, patient="7391")

    assert 'href="https://ehr.example/patient/7391"' in clinic.page()


@pytest.mark.requirement("REQ-30")
def test_a_refused_submission_has_its_own_page(clinic: Clinic) -> None:
    response = a_response(EMERGENCY)
    response["item"].append({"linkId": "nonsense", "answer": [{"valueString": "x"}]})
    del response["subject"]
    clinic.is_refused(response)
    page = text_of(clinic.page())

    assert "A submission that was refused looks urgent." in page
    assert "Reach the patient, or else the sender, now." in page
    assert "an emergency question was answered in a way that cannot wait" in page
    assert "The answers are not shown here. They could not be read reliably." in page
    assert "does not answer" not in page
    assert "All assessments of this patient" not in page


def test_a_withdrawn_assessment_says_so_before_anything_else(clinic: Clinic) -> None:
    response = a_response(EMERGENCY, patient="p-1", identifier="form-1")
    response_id = clinic.sends(response)
    clinic.works()
    clinic.changes(response_id, {**response, "status": "entered-in-error"})
    page = text_of(clinic.page())

    assert "Withdrawn, entered in error" in page
    assert page.index("whoever sent the answers took them back") < page.index("Why")
    assert "An assessment was withdrawn: entered in error." in page


def test_every_version_is_there_and_an_older_one_names_the_newer(clinic: Clinic) -> None:
    response = a_response(EMERGENCY, patient="p-1", identifier="form-1")
    response_id = clinic.sends(response)
    clinic.works()
    calm = a_response({}, patient="p-1", identifier="form-1")
    clinic.changes(response_id, {**calm, "status": "amended"})
    page = clinic.page()

    assert "Assessments behind this alert: 2" in section(page, "versions")
    older = re.search(r"\?assessment=[\w-]+&amp;version=\d", page)
    assert older is not None
    both = [page, clinic.http.get(clinic.address() + unescape(older[0])).text]
    [first] = [one for one in both if "There is a newer version of this assessment" in one]
    [second] = [one for one in both if one is not first]
    assert "Chest pain" in section(first, "why")
    assert "chest pain now, or have you had it in the last few days? Yes fired RFX-01" in section(first, "answers")
    assert "chest pain now, or have you had it in the last few days? No" in section(second, "answers")


def test_an_assessment_that_alerting_could_not_read_is_said(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    clinic.service.rows("UPDATE alert SET subject = NULL, subject_key = 'RiskAssessment/x'")
    page = text_of(clinic.page())

    assert "Patient not known" in page
    assert "could not be read by alerting" in page


def test_an_alert_that_nobody_took_says_so(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    assert "nobody acknowledged. Since" not in text_of(clinic.page())
    clinic.service.rows("UPDATE alert SET exhausted_at = now(), team = 'night'")
    page = text_of(clinic.page())

    assert "Everybody in the chain was told, and nobody acknowledged." in page
    assert "team night" in page


def test_a_synthetic_alert_says_that_nobody_is_ill(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    clinic.service.rows("UPDATE alert SET synthetic = true")

    assert "Nobody is ill. The watchdog made this alert" in text_of(clinic.page())


@pytest.mark.parametrize("rest", ["", "/print"])
@pytest.mark.parametrize("away", ["triage", "intake", "both"])
def test_while_a_neighbour_is_away_the_alert_and_its_story_are_shown(clinic: Clinic, away: str, rest: str) -> None:
    clinic.fills_in(EMERGENCY)
    nowhere = {f"{name}_url": "http://127.0.0.1:9" for name in ("triage", "intake") if away in (name, "both")}
    with client_of(create_notify(clinic.settings.model_copy(update=nowhere), patience_s=UNHURRIED_S)) as client:
        page = client.get(f"/worklist/alert/{clinic.alert_id()}{rest}")
    text = text_of(page.text)

    assert page.status_code == 200
    assert ("Triage does not answer." in text) is (away != "intake")
    assert ("Intake does not answer" in text) is (away != "triage")
    assert "Test patient" in text
    if not rest:
        assert "Alert opened: Emergency." in text
        assert ("chest pain now, or have you had it in the last few days? Yes" in text) is (away != "both")
    if away != "intake":
        assert "Reach the patient now." in text


@pytest.mark.parametrize("slow", ["triage", "intake"])
def test_a_neighbour_that_hangs_does_not_hang_the_page(clinic: Clinic, slow: str) -> None:
    clinic.fills_in(EMERGENCY)
    with served(hanging) as url:
        settings = clinic.settings.model_copy(update={f"{slow}_url": url})
        with client_of(create_notify(settings, patience_s=0.5)) as client:
            began = time.monotonic()
            page = client.get(f"/worklist/alert/{clinic.alert_id()}")
            took = time.monotonic() - began

    assert page.status_code == 200
    assert took < DRIPS_S
    assert PATIENCE_S <= 2
    assert f"{slow.capitalize()} does not answer" in text_of(page.text)
    assert "Alert opened: Emergency." in text_of(page.text)


@pytest.mark.parametrize("slow", ["triage", "intake"])
def test_what_the_other_neighbour_knows_is_shown_beside_one_that_hangs(clinic: Clinic, slow: str) -> None:
    clinic.fills_in(EMERGENCY)
    with served(hanging) as url:
        settings = clinic.settings.model_copy(update={f"{slow}_url": url})
        with client_of(create_notify(settings, patience_s=6.0)) as client:
            page = client.get(f"/worklist/alert/{clinic.alert_id()}")

    known = "Red flags that fired: 2" if slow == "intake" else "have you had it in the last few days? Yes"
    assert known in text_of(page.text)


async def hanging(scope: dict[str, object], receive: object, send: object) -> None:
    """A service that takes a request, begins to answer, and drips for longer than anybody waits."""
    import asyncio

    if scope["type"] != "http":
        return
    request, response = Request(scope), Response(b"")
    del request, response
    await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
    for _ in range(round(DRIPS_S / 0.1)):
        await send({"type": "http.response.body", "body": b" ", "more_body": True})  # type: ignore[operator]
        await asyncio.sleep(0.1)


def test_a_neighbour_that_answers_nonsense_is_named_and_hides_nothing_else(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)

    async def nonsense(scope: dict[str, object], receive: object, send: object) -> None:
        if scope["type"] == "http":
            body = b'{"entry": [{"resource": {"resourceType": "RiskAssessment", "id": 3, "meta": []}}]}'
            await Response(body, media_type="application/fhir+json")(scope, receive, send)  # type: ignore[arg-type]

    with served(nonsense) as url:  # type: ignore[arg-type]
        settings = clinic.settings.model_copy(update={"triage_url": url})
        with client_of(create_notify(settings, patience_s=UNHURRIED_S)) as client:
            page = client.get(f"/worklist/alert/{clinic.alert_id()}")

    assert page.status_code == 200
    assert "Triage does not know this version of the assessment." in text_of(page.text)
    assert "Alert opened" in text_of(page.text)
    assert "have you had it in the last few days? Yes" in text_of(page.text)


def test_an_alert_that_there_is_not_and_a_version_that_it_does_not_stand_for_are_not_found(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)

    assert clinic.http.get(clinic.address(uuid7())).status_code == 404
    assert clinic.http.get(clinic.address("not-an-id")).status_code == 404
    stranger = clinic.http.get(clinic.address(), params={"assessment": str(uuid7()), "version": "1"})
    assert stranger.status_code == 404


@pytest.mark.requirement("REQ-15")
def test_who_looked_at_whose_alert_is_recorded(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY, patient="7391")
    with client_of(create_notify(clinic.settings, patience_s=UNHURRIED_S)) as client:
        client.get(f"/worklist/alert/{clinic.alert_id()}").raise_for_status()
        client.get("/worklist/patient", params={"key": "Patient/7391"}).raise_for_status()
        found = [event for event in events(client) if codes(event)[0] in ("read", "vread", "search-type")]

    looked = {codes(event)[0]: references(event) for event in found if "Patient/7391" in references(event)}
    assert set(looked) == {"read", "vread", "search-type"}
    assert any(reference.startswith("Task/") for reference in looked["read"])
    assert any(reference.startswith("RiskAssessment/") for reference in looked["vread"])
    profiles = {event["meta"]["profile"][0].rpartition(".")[2] for event in found}
    assert profiles >= {"PatientRead", "PatientQuery"}


def test_only_clinicians_and_leads_of_the_tenant_see_an_alert(clinic: Clinic, database: object) -> None:
    clinic.fills_in(EMERGENCY)
    alert_id = clinic.alert_id()
    settings = clinic.settings.model_copy(update={"sandbox_sign_in": True})
    with client_of(create_notify(settings, patience_s=UNHURRIED_S)) as client:
        for rest in (f"alert/{alert_id}", f"alert/{alert_id}/print", "patient?key=x"):
            assert client.get(f"/worklist/{rest}").status_code == 303
        for role, status in (
            (Role.CLINICIAN, 200), (Role.LEAD, 200), (Role.ADMINISTRATOR, 403), (Role.AUDITOR, 403),
        ):  # fmt: skip
            somebody(clinic.service.rows, role).uses(client)
            assert client.get(f"/worklist/alert/{alert_id}").status_code == status, role
        elsewhere = uuid7()
        somebody(clinic.service.rows, Role.CLINICIAN, tenant=elsewhere).uses(client)
        assert client.get(f"/worklist/alert/{alert_id}").status_code == 404
        assert client.get("/worklist/patient", params={"key": "Patient/7391"}).status_code == 404
