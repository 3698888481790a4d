"""SR-18 and SR-21: a form that is filled again, amended or withdrawn, and what becomes of the urgency it had."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.triage import store
from services.triage.earlier import kept_floor
from services.triage.engine.assess import evaluate
from services.triage.engine.model import Respondent, Urgency
from shared.events import Ref
from shared.fhir.patient import patient_key
from shared.ids import DEFAULT_TENANT
from shared.postgres import Pool, tenant_transaction
from tests.builders import a_response
from tests.triage.line import Line, OtherIntake, floors, urgency
from tests.triage.packs import YES, example_pack, patient
from tests.waiting import eventually

EMERGENCY = {"chest_pain": "Y"}
MILD: dict[str, object] = {}
URGENT = ("notify.urgent", 1)
REASON = "An assessment within the last 24 hours was more urgent."


def hours_pass(line: Line, hours: int) -> None:
    """Everything that was assessed so far was assessed so many hours earlier."""
    with tenant_transaction(line.pool, DEFAULT_TENANT) as connection:
        moved = connection.execute("UPDATE assessment_run SET ran_at = ran_at - make_interval(hours => %s)", (hours,))
        assert moved.rowcount >= 1


def somebody_waits_for_a_patient(pool: Pool) -> bool:
    """A transaction in this database stands before an advisory lock that another one holds."""
    with pool.connection() as connection:
        waiting = connection.execute(
            "SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
            " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
        ).fetchone()
    return waiting is not None


def notes(assessment: dict[str, Any]) -> str:
    return "\n".join(note["text"] for note in assessment["note"])


@pytest.mark.requirement("SR-18")
def test_SR_18_milder_answers_of_the_same_patient_within_24_hours_stay_an_emergency(line: Line) -> None:
    line.assessed(EMERGENCY, patient="p-7")
    hours_pass(line, 23)

    again = line.assessed(MILD, patient="p-7")

    assert urgency(again) == "emergency"
    assert floors(again) == ["SR-18"]
    assert REASON in notes(again)
    assert REASON in again["text"]["div"]
    assert line.outbox() == [URGENT, URGENT]


@pytest.mark.requirement("SR-18")
def test_SR_18_an_emergency_that_another_worker_writes_at_the_same_time_is_kept_up(line: Line) -> None:
    line.assessed(EMERGENCY, patient="p-7")
    hours_pass(line, 25)
    mild = a_response(MILD, patient="p-7")
    response_id = line.post(mild)
    pack = "posterior-lower-limb"
    same = store.SamePatient(Ref(response_id, 1), patient_key(mild["subject"]), pack)

    with ThreadPoolExecutor(1) as worker:
        with tenant_transaction(line.pool, DEFAULT_TENANT) as other:
            store.lock_patient(other, same)
            delivered = worker.submit(line.deliver, response_id)
            eventually(lambda: somebody_waits_for_a_patient(line.pool))
            moved = other.execute("UPDATE assessment_run SET ran_at = ran_at + interval '25 hours'")
            assert moved.rowcount == 1
        delivered.result()

    [assessment] = line.found("RiskAssessment", response_id)
    assert (urgency(assessment), floors(assessment)) == ("emergency", ["SR-18"])


@pytest.mark.requirement("SR-18")
def test_SR_18_after_24_hours_the_answers_count_by_themselves(line: Line) -> None:
    line.assessed(EMERGENCY, patient="p-7")
    hours_pass(line, 24)

    assert urgency(line.assessed(MILD, patient="p-7")) == "routine"


@pytest.mark.requirement("SR-18")
def test_SR_18_an_urgency_that_was_kept_up_is_not_kept_up_for_longer_by_filling_the_form_again(line: Line) -> None:
    line.assessed(EMERGENCY, patient="p-7")
    hours_pass(line, 20)
    assert urgency(line.assessed(MILD, patient="p-7")) == "emergency"
    hours_pass(line, 5)

    assert urgency(line.assessed(MILD, patient="p-7")) == "routine"


@pytest.mark.requirement("SR-18")
def test_SR_18_a_clinicians_own_answers_lower_it_and_so_they_do_for_what_follows(line: Line) -> None:
    line.assessed(EMERGENCY, patient="p-7")

    examined = line.assessed({"respondent": "clinician"}, patient="p-7")

    assert urgency(examined) == "routine"
    assert floors(examined) == []
    assert urgency(line.assessed(MILD, patient="p-7")) == "routine"


@pytest.mark.requirement("SR-18", "SR-21")
def test_SR_18_a_clinicians_answers_that_were_entered_in_error_end_nothing(line: Line) -> None:
    line.assessed(EMERGENCY, patient="p-7")
    line.assessed({"respondent": "clinician"}, patient="p-7")
    with tenant_transaction(line.pool, DEFAULT_TENANT) as connection:
        noted = connection.execute(
            "INSERT INTO assessment_run"
            " (tenant_id, response_id, response_version, pack, pack_version, subject, withdrawn, by_clinician)"
            " SELECT tenant_id, response_id, 2, pack, pack_version, subject, true, true FROM assessment_run"
            " WHERE by_clinician"
        )
        assert noted.rowcount == 1

    assert urgency(line.assessed(MILD, patient="p-7")) == "emergency"


@pytest.mark.requirement("SR-18")
def test_SR_18_what_becomes_more_urgent_needs_no_floor(line: Line) -> None:
    line.assessed({"calf_swelling": "Y", "leg_swollen_one_side": "Y"}, patient="p-7")

    worse = line.assessed(EMERGENCY, patient="p-7")

    assert urgency(worse) == "emergency"
    assert floors(worse) == []


@pytest.mark.requirement("SR-18")
def test_SR_18_one_patient_is_never_held_up_by_another(line: Line) -> None:
    line.assessed(EMERGENCY, patient="p-7")

    assert urgency(line.assessed(MILD, patient="p-8")) == "routine"


@pytest.mark.requirement("SR-18")
def test_SR_18_chest_pain_on_page_1_that_the_finished_form_denies_stays_an_emergency(line: Line) -> None:
    line.assessed(EMERGENCY, patient="p-7", status="in-progress", only={"chest_pain"})

    assert urgency(line.assessed({"chest_pain": "N"}, patient="p-7")) == "emergency"


@pytest.mark.requirement("SR-18", "SR-21")
def test_SR_18_and_SR_21_a_milder_amendment_replaces_the_assessment_and_keeps_its_urgency(
    amended: tuple[Line, OtherIntake],
) -> None:
    line, other = amended
    other.keep(1, EMERGENCY, "completed")
    other.keep(2, {"chest_pain": "N"}, "amended")

    line.deliver("r-1", version=1)
    line.deliver("r-1", version=2)

    [assessment] = line.found("RiskAssessment", "r-1")
    assert (assessment["status"], assessment["meta"]["versionId"]) == ("amended", "2")
    assert (urgency(assessment), floors(assessment)) == ("emergency", ["SR-18"])
    earlier = line.triage.get(f"/fhir/RiskAssessment/{assessment['id']}/_history/1").json()
    assert urgency(earlier) == "emergency"
    assert {issue["status"] for issue in line.found("DetectedIssue", "r-1")} == {"cancelled"}
    assert line.outbox() == [URGENT, ("notify.urgent", 2)]


@pytest.mark.requirement("SR-21")
def test_SR_21_a_response_that_was_entered_in_error_is_withdrawn_and_holds_nothing_up(
    amended: tuple[Line, OtherIntake],
) -> None:
    line, other = amended
    other.keep(1, EMERGENCY, "completed")
    other.keep(2, EMERGENCY, "entered-in-error")
    other.keep(3, MILD, "amended")

    line.deliver("r-1", version=1)
    line.deliver("r-1", version=2)

    [withdrawn] = line.found("RiskAssessment", "r-1")
    assert (withdrawn["status"], withdrawn["meta"]["versionId"]) == ("entered-in-error", "2")
    assert line.outbox() == [URGENT, ("notify.routine", 2)]  # whoever was told of version 1 hears of it
    line.deliver("r-1", version=3)
    [assessment] = line.found("RiskAssessment", "r-1")
    assert urgency(assessment) == "routine"


@pytest.mark.requirement("SR-21")
def test_SR_21_a_withdrawal_that_names_a_part_of_the_form_withdraws_the_assessment_of_its_answers(line: Line) -> None:
    response = a_response(EMERGENCY)
    response_id = line.post(response)
    line.deliver(response_id)

    withdrawn = {**response, "status": "entered-in-error", "questionnaire": f"{response['questionnaire']}#page-1"}
    line.amend(response_id, withdrawn, version=1)
    line.deliver(response_id, version=2)

    [assessment] = line.found("RiskAssessment", response_id)
    assert (assessment["status"], assessment["meta"]["versionId"]) == ("entered-in-error", "2")
    assert line.outbox() == [URGENT, ("notify.routine", 2)]


@pytest.mark.requirement("SR-18")
@pytest.mark.parametrize(
    ("earlier", "facts", "kept"),
    [
        (None, {}, None),
        (Urgency.EMERGENCY, {}, Urgency.EMERGENCY),
        (Urgency.SAME_DAY, {"chest_pain": YES}, None),
        (Urgency.EMERGENCY, {"chest_pain": YES}, None),
        (Urgency.EMERGENCY, {"respondent": Respondent.CLINICIAN}, None),
    ],
)
def test_only_a_more_urgent_earlier_assessment_is_kept_up(
    earlier: Urgency | None, facts: dict[str, Any], kept: Urgency | None
) -> None:
    pack = example_pack()
    floor = kept_floor(evaluate(pack, patient(**facts)), earlier)

    assert (None if floor is None else floor.urgency) == kept
    raised = evaluate(pack, patient(**facts), floors=() if floor is None else (floor,))
    assert raised.urgency is (evaluate(pack, patient(**facts)).urgency if kept is None else kept)


@pytest.mark.requirement("SR-18")
def test_page_1_alone_without_a_danger_keeps_an_earlier_urgency() -> None:
    pack = example_pack()
    floor = kept_floor(evaluate(pack, patient(), scope="page_1"), Urgency.SAME_DAY)

    assert floor is not None
    assert evaluate(pack, patient(), scope="page_1", floors=(floor,)).urgency is Urgency.SAME_DAY


@pytest.mark.requirement("REQ-12")
@pytest.mark.parametrize(
    ("subject", "key"),
    [
        ({"reference": "Patient/7", "identifier": {"system": "s", "value": "1"}}, "Patient/7"),
        ({"reference": "#p", "identifier": {"system": "s", "value": "1"}}, "s|1"),
        ({"reference": "#p"}, None),
        ({"identifier": {"value": "1"}}, None),
        ({"display": "not stated"}, None),
    ],
)
def test_only_what_names_one_patient_joins_two_assessments(subject: dict[str, Any], key: str | None) -> None:
    assert patient_key(subject) == key


@pytest.mark.requirement("REQ-12")
def test_responses_without_a_patient_that_can_be_told_apart_are_not_joined(line: Line) -> None:
    nobody = {"subject": {"identifier": {"value": "1"}}}
    line.deliver(line.post(a_response(EMERGENCY) | nobody))
    response_id = line.post(a_response(MILD) | nobody)
    line.deliver(response_id)

    [assessment] = line.found("RiskAssessment", response_id)
    assert urgency(assessment) == "routine"
