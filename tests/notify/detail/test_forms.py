"""The forms of the alert's page: each does one thing, needs what was looked at, and loses nothing that was typed."""

from __future__ import annotations

import re

import psycopg
import pytest

from services.notify.app import create_app as create_notify
from services.notify.detail import store
from services.notify.on_call.store import save
from services.notify.sign_in.visitor import Role
from shared.fhir.codes import CANONICAL
from shared.ids import DEFAULT_TENANT, uuid7
from shared.postgres import tenant_transaction
from tests.builders import a_response
from tests.notify.detail.conftest import FROM_THE_PAGE, UNHURRIED_S, Clinic
from tests.notify.detail.test_detail import EMERGENCY, section, text_of
from tests.notify.on_call.clinic import STANDARD
from tests.notify.signed_in import somebody
from tests.serving import client_of


def state(clinic: Clinic) -> str:
    return str(clinic.service.alert()["state"])


def opened_form(page: str, act: str) -> bool:
    """Whether the form of this act stands open."""
    found = re.search(rf'<details( open)?>\s*<summary>[^<]*</summary>\s*<form method="post" action="[^"]*/{act}"', page)
    assert found, act
    return bool(found[1])


def test_a_clinician_acknowledges_starts_and_closes_with_an_outcome(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)

    for act, fields, after in (
        ("know", {}, "accepted"),
        ("start", {}, "in-progress"),
        ("resolve", {"outcome": "referred-emergency", "note": "Ambulance sent."}, "completed"),
    ):
        answer = clinic.presses(act, **fields)
        assert (answer.status_code, state(clinic)) == (303, after), text_of(answer.text)
        assert answer.headers["location"].startswith(f"/worklist/alert/{clinic.alert_id()}")

    page = clinic.page()
    story = section(page, "timeline")
    assert "Acknowledged. Dr Osei, on this page" in story
    assert "Work on it began. Dr Osei, on this page" in story
    assert "Ambulance sent." in story
    assert "Closed: Referred as an emergency" in text_of(page)
    assert "Acknowledge: I know of it" not in page


def test_less_than_the_urgency_asks_for_needs_a_reason_and_keeps_what_was_typed(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    clinic.presses("know")

    refused = clinic.presses("resolve", outcome="false-alarm", note="He meant last year.")

    assert refused.status_code == 422
    assert "Give an override reason" in text_of(refused.text)
    assert opened_form(refused.text, "resolve")
    assert re.search(r'value="false-alarm" required checked', refused.text)
    assert "He meant last year.</textarea>" in refused.text
    assert state(clinic) == "accepted"

    assert clinic.presses("resolve", outcome="false-alarm", override_reason="answers-wrong").status_code == 303
    assert "Closed: False alarm, because: Answers wrong" in text_of(clinic.page())


def test_a_snooze_offers_no_more_than_its_limit(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    page = clinic.page()
    assert re.findall(r'<option value="(\d+)"', page) == ["5", "10"]

    assert clinic.presses("snooze", minutes="30").status_code == 422
    assert clinic.presses("snooze", minutes="soon").status_code == 422
    assert clinic.presses("snooze", minutes="5").status_code == 303

    assert state(clinic) == "on-hold"
    assert re.search(r"Snoozed until 2\d{3}-", section(clinic.page(), "timeline"))


def test_a_note_is_kept_with_the_alert_and_shown(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)

    assert clinic.presses("note", note="  ").status_code == 422
    assert clinic.presses("note", note="Called twice,\nno answer <b>yet</b>.").status_code == 303

    assert "Called twice, no answer <b>yet</b>." in section(clinic.page(), "timeline")
    assert state(clinic) == "received"


@pytest.mark.requirement("REQ-14")
@pytest.mark.parametrize(
    ("act", "fields"), [("know", {}), ("snooze", {"minutes": "5"}), ("resolve", {"outcome": "seen-and-treated"})]
)
def test_what_came_since_somebody_looked_is_shown_before_anything_is_done(
    clinic: Clinic, act: str, fields: dict[str, str]
) -> None:
    clinic.fills_in(EMERGENCY, patient="7391")
    before = state(clinic)

    answer = clinic.presses(act, **{"assessments": "0", **fields})

    assert answer.status_code == 409
    assert "This alert changed since you looked; look again." in text_of(answer.text)
    assert "Red flags that fired: 2" in text_of(answer.text)
    assert state(clinic) == before


def test_an_act_that_the_state_does_not_allow_says_what_can_be_done(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)

    answer = clinic.presses("start")

    assert answer.status_code == 409
    assert "nobody has acknowledged it" in text_of(answer.text)
    assert state(clinic) == "received"


@pytest.mark.requirement("REQ-14")
@pytest.mark.parametrize("act", ["know", "start", "snooze", "resolve", "note", "feedback"])
def test_no_form_works_from_another_site_or_without_a_name_and_looking_does_nothing(clinic: Clinic, act: str) -> None:
    clinic.fills_in(EMERGENCY)
    seen = {"urgency": "emergency", "assessments": "1", "name": "Dr X"}
    everything = {"minutes": "5", "outcome": "duplicate", "note": "x", "verdict": "agree", **chosen(clinic)}

    foreign = clinic.http.post(
        clinic.address(rest=f"/{act}"), data={"name": "Dr X", **everything}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert foreign.status_code == 403
    assert clinic.presses(act, **{**everything, "name": " "}).status_code == 422
    assert clinic.http.get(clinic.address(rest=f"/{act}")).status_code == 404
    nobodys = clinic.http.post(clinic.address(uuid7(), f"/{act}"), data=seen | everything, headers=FROM_THE_PAGE)
    assert nobodys.status_code == 404

    assert state(clinic) == "received"
    assert clinic.service.rows("SELECT * FROM feedback") == []


def chosen(clinic: Clinic) -> dict[str, str]:
    """Which version the page of the only alert shows."""
    [row] = clinic.service.rows("SELECT assessment_id, assessment_version FROM alert_assessment")
    return {"assessment": row["assessment_id"], "version": str(row["assessment_version"])}


def test_who_is_signed_in_acts_under_their_own_name_and_only_with_their_own_form(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    alert_id = clinic.alert_id()
    settings = clinic.settings.model_copy(update={"sandbox_sign_in": True})
    with client_of(create_notify(settings, patience_s=UNHURRIED_S)) as client:
        osei = somebody(clinic.service.rows, Role.CLINICIAN, name="Dr Osei")
        osei.uses(client)
        page = client.get(f"/worklist/alert/{alert_id}").text
        assert "Your name" not in page
        assert f'name="csrf" value="{osei.csrf}"' in page

        form = {"urgency": "emergency", "assessments": "1", "name": "Dr Somebody Else"}
        where = f"/worklist/alert/{alert_id}/know"
        assert client.post(where, data=form, headers=FROM_THE_PAGE).status_code == 403
        assert client.post(where, data={**form, "csrf": osei.csrf}, headers=FROM_THE_PAGE).status_code == 303

    assert clinic.service.alert()["acknowledged_by"] == "Dr Osei"


def test_feedback_stands_on_the_page_with_who_gave_it(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)

    answer = clinic.presses("feedback", verdict="too-urgent", comment="He has had it for years.", **chosen(clinic))

    assert answer.status_code == 303
    said = section(clinic.page(), "feedback")
    assert "Too urgent · Dr Osei" in said
    assert "He has had it for years." in said


@pytest.mark.parametrize(
    ("verdict", "comment", "words"),
    [
        ("", "x", "Choose whether you agree"),
        ("maybe", "x", "Choose whether you agree"),
        ("too-urgent", "  ", "Say in a few words why you disagree"),
        ("agree", "x" * 2001, "at most 2000 are kept"),
    ],
)
def test_feedback_that_cannot_be_kept_says_why_and_keeps_what_was_typed(
    clinic: Clinic, verdict: str, comment: str, words: str
) -> None:
    clinic.fills_in(EMERGENCY)

    answer = clinic.presses("feedback", verdict=verdict, comment=comment, **chosen(clinic))

    assert answer.status_code == 422
    assert words in text_of(answer.text)
    assert comment.strip() in answer.text
    assert clinic.service.rows("SELECT * FROM feedback") == []


def test_feedback_is_of_a_version_that_the_alert_stands_for(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    stranger = {**chosen(clinic), "version": "9"}

    assert clinic.presses("feedback", verdict="agree", **stranger).status_code == 404


def test_feedback_is_never_changed(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    clinic.presses("feedback", verdict="agree", **chosen(clinic))

    for statement in ("UPDATE feedback SET verdict = 'too-urgent'", "DELETE FROM feedback"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            clinic.service.rows(statement)


def test_feedback_is_counted_by_flag_with_everybodys_last_word(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    flags = re.search(r'name="flags" value="([^"]+)"', clinic.page())
    assert flags is not None
    said = {"flags": flags[1], **chosen(clinic)}
    clinic.presses("feedback", verdict="too-urgent", comment="x", **said)
    clinic.presses("feedback", verdict="agree", **said)
    clinic.presses("feedback", verdict="too-urgent", comment="y", **{**said, "name": "Dr Two"})
    clinic.presses("feedback", verdict="agree", **{**chosen(clinic), "name": "Dr Three"})
    began = clinic.service.alert()["opened_at"]

    with tenant_transaction(clinic.service.notify.pool, DEFAULT_TENANT) as connection:
        found = store.feedback_by_flag(connection, DEFAULT_TENANT, began)
    assert {(one.flag, one.verdict, one.number) for one in found} == {
        ("RFX-01", "agree", 1), ("RFX-01", "too-urgent", 1), ("RFX-12", "agree", 1), ("RFX-12", "too-urgent", 1),
    }  # fmt: skip

    clinic.service.rows("UPDATE alert SET synthetic = true")
    with tenant_transaction(clinic.service.notify.pool, DEFAULT_TENANT) as connection:
        assert store.feedback_by_flag(connection, DEFAULT_TENANT, began) == []


@pytest.mark.requirement("REQ-15")
def test_what_was_said_of_an_assessment_is_in_no_audit_and_in_no_log(
    clinic: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    clinic.fills_in(EMERGENCY)
    clinic.presses("feedback", verdict="too-urgent", comment="ZZCANARYCOMMENT", **chosen(clinic))
    clinic.presses("note", note="ZZCANARYNOTE")

    audit = str(clinic.service.rows("SELECT * FROM audit_event"))
    assert "feedback" in audit
    assert "ZZCANARY" not in audit
    assert "ZZCANARY" not in caplog.text + str([record.__dict__ for record in caplog.records])
    tasks = str(clinic.service.resources("Task"))
    assert "ZZCANARYCOMMENT" not in tasks


def test_the_history_has_all_assessments_of_the_patient_newest_first(clinic: Clinic) -> None:
    clinic.fills_in({}, patient="7391")
    clinic.fills_in(EMERGENCY, patient="7391")
    clinic.fills_in(EMERGENCY, patient="9999")
    [alert] = clinic.service.rows("SELECT id FROM alert WHERE subject_key = 'Patient/7391'")

    page = clinic.http.get(f"{clinic.site}/worklist/patient", params={"key": "Patient/7391"})
    listed = section(page.text, "assessments")

    assert page.status_code == 200
    assert "Assessments, newest first: 2" in listed
    assert listed.index("Emergency") < listed.index("none", listed.index("Emergency"))
    assert f"/worklist/alert/{alert['id']}" in page.text
    assert "9999" not in page.text


def test_a_patient_who_is_known_by_an_identifier_has_a_history_too(clinic: Clinic) -> None:
    response = a_response(EMERGENCY)
    response["subject"] = {"identifier": {"system": "https://ehr.example/mrn", "value": "81-7"}, "display": "A B"}
    clinic.sends(response)
    clinic.works()

    page = clinic.http.get(f"{clinic.site}/worklist/patient", params={"key": "https://ehr.example/mrn|81-7"})

    assert "Assessments, newest first: 1" in section(page.text, "assessments")
    assert 'href="https://ehr.example/patient/81-7"' in page.text


def test_without_triage_the_history_shows_the_alerts_and_says_what_is_missing(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY, patient="7391")
    settings = clinic.settings.model_copy(update={"triage_url": "http://127.0.0.1:9"})
    with client_of(create_notify(settings, patience_s=UNHURRIED_S)) as client:
        page = client.get("/worklist/patient", params={"key": "Patient/7391"})

    assert page.status_code == 200
    assert "Assessments that did not alert are missing here." in text_of(page.text)
    assert "Alerts, newest first: 1" in section(page.text, "alerts")


def test_a_patient_without_anything_is_not_found(clinic: Clinic) -> None:
    assert clinic.http.get(f"{clinic.site}/worklist/patient", params={"key": "Patient/none"}).status_code == 404
    assert clinic.http.get(f"{clinic.site}/worklist/patient").status_code == 404


def test_an_outcome_is_on_the_task_as_a_code(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)
    clinic.presses("know")
    clinic.presses("resolve", outcome="seen-and-treated")

    [task] = clinic.service.resources("Task")
    [coding] = task["output"][0]["valueCodeableConcept"]["coding"]
    assert (coding["system"], coding["code"]) == (f"{CANONICAL}/CodeSystem/alert-outcome", "seen-and-treated")


def on_call(clinic: Clinic) -> None:
    """An on-call document with people and a team."""
    with tenant_transaction(clinic.service.notify.pool, DEFAULT_TENANT) as connection:
        assert save(connection, DEFAULT_TENANT, STANDARD, edited=0, by="test") == 1


@pytest.mark.requirement("REQ-09")
def test_an_alert_is_handed_to_somebody_of_the_on_call_document(clinic: Clinic) -> None:
    on_call(clinic)
    clinic.fills_in(EMERGENCY)
    clinic.presses("know")
    offered = dict(re.findall(r'<option value="([\w-]+)">([^<]+)</option>', clinic.page()))
    name = offered["second"]

    assert clinic.presses("hand-over", to="second").status_code == 303

    page = clinic.page()
    assert f"Handed over to {name}. The chain began anew. Dr Osei, on this page" in section(page, "timeline")
    assert f"with {name}" in text_of(page)
    assert clinic.service.alert()["owner"] == "second"
    assert clinic.service.alert()["acknowledged_at"] is None


def test_nobody_of_that_id_is_said_and_without_a_document_nobody_is_offered(clinic: Clinic) -> None:
    clinic.fills_in(EMERGENCY)

    assert "Hand over to somebody else" not in clinic.page()
    refused = clinic.presses("hand-over", to="nobody")
    assert refused.status_code == 422
    assert "nobody to hand over to is found" in text_of(refused.text)
