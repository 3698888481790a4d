"""A response that is amended before anybody looked at it: no version is passed over, whichever comes first."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

import pytest

from services.triage import store
from services.triage.basis import assessment_id
from services.triage.catch_up import KIND, catch_up
from shared import jobs
from shared.events import Ref
from shared.ids import DEFAULT_TENANT
from shared.postgres import Pool, tenant_transaction
from tests.builders import a_response
from tests.triage.line import Line, OtherIntake, floors, urgency
from tests.waiting import eventually

PACK = "posterior-lower-limb"
EMERGENCY: dict[str, object] = {"chest_pain": "Y"}
MILD: dict[str, object] = {}
FIRST_TOLD, THEN_TOLD = ("notify.urgent", 1), ("notify.urgent", 2)


def keep(other: OtherIntake, *answers: dict[str, object], last: str = "amended") -> None:
    """Intake has these versions of one response, the last one with this status."""
    for version, given in enumerate(answers, start=1):
        status = "completed" if version == 1 else last if version == len(answers) else "amended"
        other.keep(version, given, status)


def history(line: Line) -> list[tuple[str, str | None]]:
    """Of each version of the RiskAssessment: the version of the response it stands on, and its urgency."""
    found = []
    while True:
        version = len(found) + 1
        answer = line.triage.get(
            f"/fhir/RiskAssessment/{assessment_id(DEFAULT_TENANT, 'r-1', PACK)}/_history/{version}"
        )
        if answer.status_code == 404:
            return found
        [basis] = answer.json()["basis"]
        found.append((basis["reference"].rpartition("/")[2], urgency(answer.json())))


def states(line: Line) -> dict[int, str]:
    """State of the job of each version."""
    with line.pool.connection() as connection:
        rows = connection.execute("SELECT ref_version, state FROM job ORDER BY ref_version").fetchall()
    return {row["ref_version"]: row["state"] for row in rows}


def make(line: Line, version: int, **columns: object) -> None:
    """The job of this version stands so."""
    with line.pool.connection() as connection:
        jobs.add(connection, KIND, [Ref("r-1", version)])
        for name, value in columns.items():
            connection.execute(f"UPDATE job SET {name} = %s WHERE ref_version = %s", (value, version))


def minutes_ago(line: Line, minutes: float) -> object:
    with line.pool.connection() as connection:
        row = connection.execute("SELECT now() - make_interval(secs => %s) AS then", (minutes * 60,)).fetchone()
    assert row is not None
    return row["then"]


def waiting(pool: Pool) -> int:
    """How many transactions in this database stand before the lock of a patient."""
    with pool.connection() as connection:
        row = connection.execute(
            "SELECT count(*) AS number FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
            " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row["number"])


@contextmanager
def nobody_can_write(line: Line) -> Iterator[None]:
    """Evaluations of this patient are made, but wait before they are written."""
    with tenant_transaction(line.pool, DEFAULT_TENANT) as connection:
        store.lock_patient(connection, store.SamePatient(Ref("r-1", 1), "Patient/p-1", PACK))
        yield


@pytest.mark.requirement("SR-18", "REQ-05")
@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_an_emergency_that_stands_in_the_first_version_alone_is_told_whichever_comes_first(
    amended: tuple[Line, OtherIntake], order: tuple[int, int]
) -> None:
    line, other = amended
    keep(other, EMERGENCY, MILD)

    for version in order:
        line.deliver("r-1", version=version)
    line.time_passes()

    assert history(line) == [("1", "emergency"), ("2", "emergency")]
    [assessment] = line.found("RiskAssessment", "r-1")
    assert floors(assessment) == ["SR-18"]
    assert line.outbox() == [FIRST_TOLD, THEN_TOLD]


@pytest.mark.requirement("SR-18", "REQ-05")
def test_an_emergency_in_a_version_whose_message_was_lost_is_told(amended: tuple[Line, OtherIntake]) -> None:
    line, other = amended
    keep(other, EMERGENCY, MILD)

    line.deliver("r-1", version=2)

    assert history(line) == [("1", "emergency")]
    assert line.outbox() == [FIRST_TOLD]
    line.time_passes()
    assert history(line) == [("1", "emergency"), ("2", "emergency")]


@pytest.mark.requirement("REQ-05")
def test_catch_up_after_an_outage_leads_to_the_versions_that_were_replaced_during_it(line: Line) -> None:
    response = a_response(EMERGENCY, patient="p-1")
    response_id = line.post(response)
    amended = a_response(MILD, patient="p-1", status="amended") | {"identifier": response["identifier"]}
    line.amend(response_id, amended, version=1)

    assert catch_up(line.pool, line.assessor.client) == 1
    line.deliver()
    line.time_passes()

    [assessment] = line.found("RiskAssessment", response_id)
    assert (urgency(assessment), floors(assessment)) == ("emergency", ["SR-18"])
    assert line.outbox() == [FIRST_TOLD, THEN_TOLD]


@pytest.mark.requirement("SR-10", "REQ-05")
def test_an_emergency_on_page_1_is_told_although_the_finished_form_came_first(
    amended: tuple[Line, OtherIntake],
) -> None:
    line, other = amended
    other.versions[1] = a_response(EMERGENCY, patient="p-1", status="in-progress", only={"chest_pain"}) | {"id": "r-1"}
    other.keep(2, {"chest_pain": "N"}, "completed")

    line.deliver("r-1", version=2)
    line.time_passes()

    assert history(line) == [("1", "emergency"), ("2", "emergency")]
    [assessment] = line.found("RiskAssessment", "r-1")
    assert assessment["status"] == "final"


@pytest.mark.requirement("SR-18", "REQ-05")
def test_what_a_clinician_corrects_was_told_before(amended: tuple[Line, OtherIntake]) -> None:
    line, other = amended
    keep(other, EMERGENCY, {"respondent": "clinician"})

    line.deliver("r-1", version=2)
    line.time_passes()

    assert history(line) == [("1", "emergency"), ("2", "routine")]
    assert line.outbox() == [FIRST_TOLD, ("notify.routine", 2)]


@pytest.mark.requirement("REQ-05")
def test_versions_that_are_claimed_together_are_assessed_in_their_order_at_once(
    amended: tuple[Line, OtherIntake],
) -> None:
    line, other = amended
    keep(other, EMERGENCY, MILD, MILD)
    with line.pool.connection() as connection:
        jobs.add(connection, KIND, [Ref("r-1", version) for version in (3, 2, 1)])
        claims = jobs.claim(connection, KIND)

    line.assessor.work(sorted(claims, key=lambda claimed: -claimed.ref.version))

    assert history(line) == [("1", "emergency"), ("2", "emergency"), ("3", "emergency")]
    assert states(line) == {1: "done", 2: "done", 3: "done"}


@pytest.mark.requirement("SR-18", "REQ-05")
def test_of_three_versions_the_one_in_the_middle_is_not_passed_over(amended: tuple[Line, OtherIntake]) -> None:
    line, other = amended
    keep(other, MILD, EMERGENCY, MILD)

    line.deliver("r-1", version=3)
    line.time_passes()

    assert history(line) == [("1", "routine"), ("2", "emergency"), ("3", "emergency")]
    assert line.outbox() == [THEN_TOLD, ("notify.urgent", 3)]


@pytest.mark.requirement("SR-18", "REQ-05")
def test_while_another_worker_has_the_first_version_the_second_waits_for_it(
    amended: tuple[Line, OtherIntake],
) -> None:
    line, other = amended
    keep(other, EMERGENCY, MILD)

    with ThreadPoolExecutor(1) as worker:
        with nobody_can_write(line):
            first = worker.submit(line.deliver, "r-1", version=1)
            eventually(lambda: waiting(line.pool) == 1)
            line.deliver("r-1", version=2)
            assert states(line)[2] == "pending"
        first.result()
    line.time_passes()
    line.time_passes()

    assert history(line) == [("1", "emergency"), ("2", "emergency")]
    assert line.outbox() == [FIRST_TOLD, THEN_TOLD]


@pytest.mark.requirement("REQ-05", "REQ-06")
@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_two_emergencies_that_are_written_at_once_the_newer_stays(
    amended: tuple[Line, OtherIntake], order: tuple[int, int]
) -> None:
    line, other = amended
    keep(other, EMERGENCY, EMERGENCY | {"foot_cold_pale_blue": "Y"})

    with ThreadPoolExecutor(2) as workers:
        with nobody_can_write(line):
            begun = []
            for version in order:
                begun.append(workers.submit(line.deliver, "r-1", version=version))
                eventually(lambda: waiting(line.pool) == len(begun))
        for one in begun:
            one.result()
    line.time_passes()

    assert history(line)[-1] == ("2", "emergency")
    assert states(line) == {1: "done", 2: "done"}
    assert line.outbox()[0] == FIRST_TOLD


@pytest.mark.requirement("REQ-05")
def test_workers_that_take_versions_in_any_order_assess_every_one_of_them(line: Line) -> None:
    ids = []
    for number in range(4):
        patient = f"p-{number}"
        response = a_response(EMERGENCY, patient=patient)
        ids.append(line.post(response))
        for version in (1, 2, 3):
            again = a_response({"severity_0_10": version}, patient=patient, status="amended")
            line.amend(ids[-1], again | {"identifier": response["identifier"]}, version=version)

    def all_are_done() -> bool:
        with ThreadPoolExecutor(4) as workers:
            list(workers.map(lambda _: line.time_passes(), range(4)))
        with line.pool.connection() as connection:
            row = connection.execute("SELECT count(*) AS number FROM job WHERE state = 'done'").fetchone()
        return row == {"number": 16}

    line.deliver(*ids, version=4)
    line.deliver(*ids, version=2)
    eventually(all_are_done, within_s=60)

    for response_id in ids:
        [assessment] = line.found("RiskAssessment", response_id)
        assert assessment["basis"] == [{"reference": f"QuestionnaireResponse/{response_id}/_history/4"}]
        assert (assessment["meta"]["versionId"], urgency(assessment)) == ("4", "emergency")


@pytest.mark.requirement("SR-10", "REQ-10")
def test_an_emergency_waits_for_no_earlier_version(amended: tuple[Line, OtherIntake]) -> None:
    line, other = amended
    other.keep(2, EMERGENCY, "amended")

    line.deliver("r-1", version=2)

    assert history(line) == [("2", "emergency")]
    assert line.outbox() == [FIRST_TOLD]


@pytest.mark.requirement("SR-18", "REQ-05")
def test_an_emergency_of_another_form_does_not_hide_that_an_earlier_version_must_be_looked_at(
    line: Line, amended: tuple[Line, OtherIntake]
) -> None:
    line.assessed(EMERGENCY, patient="p-1")
    behind, other = amended
    keep(other, EMERGENCY, MILD)

    behind.deliver("r-1", version=2)
    behind.time_passes()

    assert history(behind) == [("1", "emergency"), ("2", "emergency")]


@pytest.mark.requirement("SR-21", "REQ-32")
def test_a_response_that_was_withdrawn_before_anybody_looked_alerts_nobody_however_late_its_answers_come(
    amended: tuple[Line, OtherIntake],
) -> None:
    line, other = amended
    keep(other, EMERGENCY, EMERGENCY, last="entered-in-error")

    line.deliver("r-1", version=2)
    line.deliver("r-1", version=1)
    line.time_passes()

    [assessment] = line.found("RiskAssessment", "r-1")
    assert (assessment["status"], assessment["meta"]["versionId"]) == ("entered-in-error", "1")
    assert assessment["basis"] == [{"reference": "QuestionnaireResponse/r-1/_history/2"}]
    assert line.outbox() == []


@pytest.mark.requirement("REQ-07", "REQ-10")
def test_a_version_that_intake_does_not_know_holds_up_the_next_for_a_minute_and_no_longer(
    amended: tuple[Line, OtherIntake],
) -> None:
    line, other = amended
    other.keep(2, MILD, "amended")

    line.deliver("r-1", version=2)
    for _ in range(3):
        assert history(line) == []
        line.time_passes()
    line.time_passes()

    assert states(line) == {1: "dead", 2: "done"}
    assert history(line) == [("2", "routine")]


@pytest.mark.requirement("REQ-07")
def test_a_version_that_kills_its_worker_is_given_to_a_human_and_then_the_next_is_assessed(
    amended: tuple[Line, OtherIntake],
) -> None:
    line, other = amended
    keep(other, EMERGENCY, MILD)
    make(line, 1, state="running", attempts=jobs.MAX_ATTEMPTS, lease_until=minutes_ago(line, -1))
    line.deliver("r-1", version=2)
    assert states(line) == {1: "running", 2: "pending"}
    assert line.outbox() == []

    make(line, 1, lease_until=minutes_ago(line, 1), created_at=minutes_ago(line, 3))
    line.time_passes()
    line.time_passes()

    unreadable = assessment_id(DEFAULT_TENANT, "r-1", "none")
    assert urgency(line.triage.get(f"/fhir/RiskAssessment/{unreadable}").json()) == "same_day"
    assert line.outbox() == [("notify.routine", 1)]
    assert history(line) == [("2", "routine")]


@pytest.mark.requirement("REQ-07", "REQ-10")
@pytest.mark.parametrize(("minutes", "then"), [(4, []), (6, [("2", "routine")])])
def test_a_version_that_cannot_even_be_called_unreadable_holds_up_the_next_for_five_minutes(
    amended: tuple[Line, OtherIntake], minutes: float, then: list[tuple[str, str]]
) -> None:
    line, other = amended
    keep(other, EMERGENCY, MILD)
    later, failed = minutes_ago(line, -1), jobs.MAX_ATTEMPTS + 2
    make(line, 1, attempts=failed, error="KeyError", due_at=later, created_at=minutes_ago(line, minutes))

    line.deliver("r-1", version=2)

    assert history(line) == then


@pytest.mark.requirement("REQ-05")
def test_a_version_that_waited_long_because_intake_was_away_is_still_waited_for(
    amended: tuple[Line, OtherIntake],
) -> None:
    line, other = amended
    keep(other, EMERGENCY, MILD)
    make(line, 1, error="NeighbourUnavailable", due_at=minutes_ago(line, -1), created_at=minutes_ago(line, 600))

    line.deliver("r-1", version=2)

    assert history(line) == []
    line.time_passes()
    line.time_passes()
    assert history(line) == [("1", "emergency"), ("2", "emergency")]


@pytest.mark.requirement("REQ-05")
def test_the_work_of_another_tenant_on_the_same_id_says_nothing_about_a_version(
    amended: tuple[Line, OtherIntake],
) -> None:
    line, other = amended
    keep(other, EMERGENCY, MILD)
    make(line, 1, state="done", tenant_id=UUID(int=7))

    line.deliver("r-1", version=2)

    assert history(line) == [("1", "emergency")]


@pytest.mark.requirement("REQ-06")
def test_waiting_for_an_earlier_version_is_no_failure(amended: tuple[Line, OtherIntake]) -> None:
    line, other = amended
    other.keep(2, MILD, "amended")

    line.deliver("r-1", version=2)

    with line.pool.connection() as connection:
        row = connection.execute("SELECT attempts, error FROM job WHERE ref_version = 2").fetchone()
    assert row == {"attempts": 0, "error": "EarlierVersion"}
