"""From an accepted response to its one current RiskAssessment, whatever is repeated, reordered or broken."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from services.triage import assess_response
from services.triage.catch_up import KIND, SOURCE, catch_up
from services.triage.findings import FactReader, Reading
from shared import jobs
from shared.events import Ref
from shared.fhir.client import FhirClient, NeighbourUnavailable
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from shared.ids import DEFAULT_TENANT
from shared.postgres import open_pool
from tests.builders import a_response
from tests.conftest import Database
from tests.serving import served
from tests.triage.line import Line, OtherIntake, urgency


@pytest.mark.requirement("SR-16")
def test_chest_pain_with_leg_pain_is_an_emergency_that_notify_hears_of(line: Line) -> None:
    assessment = line.assessed({"chest_pain": "Y"})

    assert urgency(assessment) == "emergency"
    assert assessment["status"] == "final"
    assert line.outbox() == [("notify.urgent", 1)]


@pytest.mark.requirement("SR-10", "REQ-03", "REQ-05")
@pytest.mark.parametrize("part", ["{}#page-1", "{}#", "{url}#page-1", "{url}#page-1|{version}"])
def test_answers_to_a_part_of_a_form_are_assessed_by_the_rules_of_that_form(line: Line, part: str) -> None:
    response = a_response({"chest_pain": "Y"})
    canonical = response["questionnaire"]
    url, _, version = canonical.partition("|")
    response["questionnaire"] = part.format(canonical, url=url, version=version)
    response_id = line.post(response)

    line.deliver(response_id)

    [assessment] = line.found("RiskAssessment", response_id)
    assert urgency(assessment) == "emergency"
    assert line.outbox() == [("notify.urgent", 1)]


def test_a_form_is_read_once_whatever_parts_of_it_are_named(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    forms, canonical = line.assessor.forms, a_response()["questionnaire"]
    whole = forms.get(canonical)
    monkeypatch.setattr(FhirClient, "find", unavailable)

    assert whole is not None
    assert all(forms.get(f"{canonical}#page-{number}") is whole for number in range(100))
    assert len(forms._known) == 1


def unavailable(*_: object, **__: object) -> None:
    raise NeighbourUnavailable("asked again")


def test_a_mild_calf_ache_is_routine_and_nobody_is_alerted(line: Line) -> None:
    assert urgency(line.assessed({})) == "routine"
    assert line.outbox() == []


@pytest.mark.requirement("SR-19")
def test_the_assessment_stands_on_the_exact_version_and_names_pack_and_device(line: Line) -> None:
    response_id = line.post(a_response({"chest_pain": "Y"}))
    line.deliver(response_id)
    [assessment] = line.found("RiskAssessment", response_id)

    assert assessment["basis"] == [{"reference": f"QuestionnaireResponse/{response_id}/_history/1"}]
    [method] = assessment["method"]["coding"]
    assert (method["code"], method["version"]) == ("posterior-lower-limb", "1.0.0")
    device = line.triage.get(f"/fhir/{assessment['performer']['reference']}").json()
    assert device["resourceType"] == "Device"


@pytest.mark.requirement("SR-19")
def test_each_red_flag_is_a_detected_issue_and_the_provenance_names_the_bytes_received(line: Line) -> None:
    response = a_response({"chest_pain": "Y", "foot_cold_pale_blue": "Y"})
    response_id = line.post(response)
    line.deliver(response_id)

    issues = line.found("DetectedIssue", response_id)
    [provenance] = line.found("Provenance", response_id)

    assert {"RFX-01", "RFX-02"} <= {issue["code"]["coding"][0]["code"] for issue in issues}
    received = line.ehr.get(f"/fhir/QuestionnaireResponse/{response_id}").json()["meta"]["extension"][0]
    assert received["valueString"] in json.dumps(provenance)


@pytest.mark.requirement("REQ-25")
def test_all_resources_that_triage_emits_are_valid_r4(line: Line) -> None:
    response_id = line.post(a_response({"chest_pain": "Y", "saddle_numbness": "ASKU"}))
    line.deliver(response_id)

    for resource_type in ("RiskAssessment", "DetectedIssue", "Provenance"):
        for resource in line.found(resource_type, response_id):
            assert check_structure(resource, resource_type=resource_type) == []
            assert validate_with_fhir_resources(resource) == []


def test_resources_are_found_by_patient_too(line: Line) -> None:
    line.deliver(line.post(a_response({"chest_pain": "Y"}, patient="p-77")))

    for resource_type, parameter in (("RiskAssessment", "subject"), ("DetectedIssue", "patient")):
        by, strict = {parameter: "Patient/p-77"}, {"Prefer": "handling=strict"}
        bundle = line.triage.get(f"/fhir/{resource_type}", params=by, headers=strict).json()
        assert len(bundle["entry"]) >= 1, resource_type


@pytest.mark.requirement("REQ-05")
def test_a_message_that_comes_five_times_changes_nothing(line: Line) -> None:
    response_id = line.post(a_response({"chest_pain": "Y"}))
    for _ in range(5):
        line.deliver(response_id)

    [assessment] = line.found("RiskAssessment", response_id)
    assert assessment["meta"]["versionId"] == "1"
    assert line.outbox() == [("notify.urgent", 1)]


@pytest.mark.requirement("REQ-05")
def test_ten_workers_at_once_make_one_assessment_of_each_response(line: Line) -> None:
    ids = [line.post(a_response({"chest_pain": "Y"})) for _ in range(12)]

    with ThreadPoolExecutor(10) as workers:
        list(workers.map(lambda _: line.deliver(*ids), range(10)))

    for response_id in ids:
        assert len(line.found("RiskAssessment", response_id)) == 1
    assert len(line.outbox()) == 12


@pytest.mark.requirement("REQ-05")
def test_a_response_whose_message_was_lost_is_found_by_asking_intake(line: Line) -> None:
    response_id = line.post(a_response({"chest_pain": "Y"}))
    client = line.assessor.client

    assert catch_up(line.pool, client) == 1
    assert catch_up(line.pool, client) == 0
    jobs.drain(line.pool, KIND, line.assessor.work)

    assert len(line.found("RiskAssessment", response_id)) == 1


@pytest.mark.requirement("REQ-05", "REQ-06")
def test_a_worker_that_died_before_its_commit_leaves_the_work_to_the_next(line: Line) -> None:
    response_id = line.post(a_response({"chest_pain": "Y"}))
    with line.pool.connection() as connection:
        jobs.add(connection, KIND, [Ref(response_id, 1)])
        [lost] = jobs.claim(connection, KIND)
        connection.execute("UPDATE job SET lease_until = now() - interval '1 second'")

    line.deliver()
    line.assessor.work([lost])

    [assessment] = line.found("RiskAssessment", response_id)
    assert assessment["meta"]["versionId"] == "1"
    assert line.outbox() == [("notify.urgent", 1)]


@pytest.mark.requirement("REQ-07")
def test_a_response_that_kills_its_worker_again_and_again_is_given_to_a_human(line: Line) -> None:
    response_id = line.post(a_response({}))
    with line.pool.connection() as connection:
        jobs.add(connection, KIND, [Ref(response_id, 1)])
        for _ in range(jobs.MAX_ATTEMPTS):
            jobs.claim(connection, KIND)
            connection.execute("UPDATE job SET lease_until = now() - interval '1 second'")
        connection.execute("UPDATE job SET created_at = now() - interval '5 minutes'")

    line.deliver()

    [assessment] = line.found("RiskAssessment", response_id)
    assert urgency(assessment) == "same_day"
    assert "a clinician must read the answers today" in assessment["mitigation"]
    assert line.outbox() == [("notify.routine", 1)]


@pytest.mark.requirement("REQ-07")
def test_a_rule_that_fails_postpones_the_job_and_is_never_silent(line: Line) -> None:
    response_id = line.post(a_response({"chest_pain": "Y"}))
    broken = replace(line.assessor, texts={}, packs={"broken": None})  # type: ignore[dict-item]
    with line.pool.connection() as connection:
        jobs.add(connection, KIND, [Ref(response_id, 1)])
        broken.work(jobs.claim(connection, KIND))
        row = connection.execute("SELECT state, error FROM job").fetchone()

    assert row == {"state": "pending", "error": "KeyError"}


@pytest.mark.requirement("REQ-07")
def test_a_questionnaire_without_a_pack_is_not_assessable_and_needs_a_human_today(line: Line) -> None:
    response_id = line.post(a_response({}))
    without_packs = replace(line.assessor, packs={})
    with line.pool.connection() as connection:
        jobs.add(connection, KIND, [Ref(response_id, 1)])
    jobs.drain(line.pool, KIND, without_packs.work)

    [assessment] = line.found("RiskAssessment", response_id)
    assert urgency(assessment) == "same_day"
    assert check_structure(assessment, resource_type="RiskAssessment") == []
    assert line.outbox() == [("notify.routine", 1)]


@pytest.mark.requirement("SR-10", "SR-21")
def test_the_emergency_questions_alone_give_a_preliminary_emergency(line: Line) -> None:
    assessment = line.assessed({"chest_pain": "Y"}, status="in-progress", only={"chest_pain"})

    assert (assessment["status"], urgency(assessment)) == ("preliminary", "emergency")
    assert line.outbox() == [("notify.urgent", 1)]


def test_the_emergency_questions_alone_without_an_emergency_alert_nobody(line: Line) -> None:
    assessment = line.assessed({"chest_pain": "N"}, status="in-progress", only={"chest_pain"})

    assert (assessment["status"], urgency(assessment)) == ("preliminary", None)
    assert line.outbox() == []


def test_a_response_stopped_half_way_is_judged_in_full_and_a_human_calls(line: Line) -> None:
    assessment = line.assessed({"chest_pain": "N"}, status="stopped", only={"chest_pain"})

    assert (assessment["status"], urgency(assessment)) == ("final", "same_day")
    assert line.outbox() == [("notify.routine", 1)]


@pytest.mark.requirement("REQ-24")
def test_a_call_for_help_in_the_free_text_is_brought_to_a_clinician_whatever_the_urgency(line: Line) -> None:
    assessment = line.assessed({"other_concerns": "I feel suicidal because of the pain"})

    assert urgency(assessment) == "routine"
    assert "clinician_review" in {tag["code"] for tag in assessment["meta"]["tag"]}
    assert line.outbox() == [("notify.routine", 1)]


@pytest.mark.requirement("SR-21")
def test_a_response_that_was_entered_in_error_alerts_nobody(line: Line) -> None:
    assessment = line.assessed({"chest_pain": "Y"}, status="entered-in-error")

    assert assessment["status"] == "entered-in-error"
    assert line.outbox() == []


def test_while_intake_is_away_the_work_waits_and_is_not_counted_as_a_failure(line: Line) -> None:
    response_id = line.post(a_response({}))
    with FhirClient("http://127.0.0.1:9") as nobody, line.pool.connection() as connection:
        jobs.add(connection, KIND, [Ref(response_id, 1)])
        replace(line.assessor, client=nobody).work(jobs.claim(connection, KIND))
        row = connection.execute("SELECT state, attempts FROM job").fetchone()
        with pytest.raises(NeighbourUnavailable):
            catch_up(line.pool, nobody)

    assert row == {"state": "pending", "attempts": 0}


@pytest.mark.requirement("REQ-06")
def test_a_late_run_for_an_older_version_writes_nothing_and_alerts_nobody_again(
    amended: tuple[Line, OtherIntake],
) -> None:
    line, other = amended
    other.keep(1, {"foot_cold_pale_blue": "Y"}, "completed")
    other.keep(2, {"chest_pain": "Y"}, "amended")

    line.deliver("r-1", version=2)
    line.deliver("r-1", version=1)

    [assessment] = line.found("RiskAssessment", "r-1")
    assert assessment["basis"] == [{"reference": "QuestionnaireResponse/r-1/_history/2"}]
    assert line.outbox() == [("notify.urgent", 1)]


SCORE = [{"url": "http://ehr.example.org/match-score", "valueDecimal": 0.97}]
COUNT = [{"url": "http://ehr.example.org/count", "valueDecimal": 123456789012345678901234}]


@pytest.mark.requirement("REQ-10")
@pytest.mark.parametrize(
    "odd",
    [
        {"subject": {"reference": "Patient/p-1", "extension": SCORE}},
        {"subject": {"reference": "Patient/p-1", "extension": COUNT}},
        {"subject": {"reference": "Patient/p-1", "identifier": {"value": "7", "period": {"extension": SCORE}}}},
        {"encounter": {"reference": "Encounter/1", "extension": SCORE}},
        {"basedOn": [{"reference": "ServiceRequest/1", "extension": SCORE}]},
    ],
    ids=["fraction", "large-number", "within-identifier", "encounter", "order"],
)
def test_numbers_in_the_senders_extensions_do_not_stop_an_emergency(line: Line, odd: dict[str, Any]) -> None:
    response_id = line.post(a_response({"chest_pain": "Y"}, patient="p-1") | odd)
    line.deliver(response_id)

    [assessment] = line.found("RiskAssessment", response_id)
    assert urgency(assessment) == "emergency"
    assert assessment["subject"]["reference"] == "Patient/p-1"
    assert "extension" not in json.dumps([assessment.get(name) for name in ("subject", "encounter", "basedOn")])


def test_the_assessment_stands_on_intakes_id_whatever_id_the_sender_wrote(line: Line) -> None:
    body = '{"\\u0069d":"someone-elses",' + json.dumps(a_response({"chest_pain": "Y"}))[1:]
    answer = line.ehr.post(
        "/fhir/QuestionnaireResponse", content=body, headers={"Content-Type": "application/fhir+json"}
    )
    response_id = answer.headers["location"].split("/QuestionnaireResponse/")[1].split("/")[0]
    line.deliver(response_id)

    [assessment] = line.found("RiskAssessment", response_id)
    assert assessment["basis"] == [{"reference": f"QuestionnaireResponse/{response_id}/_history/1"}]


def fail_by_itself(line: Line, response_id: str, times: int) -> None:
    """The job of this response failed before, by a fault of its own."""
    with line.pool.connection() as connection:
        jobs.add(connection, KIND, [Ref(response_id, 1)])
        for _ in range(times):
            [claim] = jobs.claim(connection, KIND)
            jobs.retry(connection, claim, error="KeyError", delay_s=0)


def waits(line: Line) -> list[tuple[str, int, int]]:
    """State, counted attempts, and seconds until they are due (rounded up to ten), of all jobs."""
    with line.pool.connection() as connection:
        rows = connection.execute(
            "SELECT state, attempts, ceil(extract(epoch FROM due_at - now()) / 10)::int * 10 AS due FROM job"
        ).fetchall()
    return [(row["state"], row["attempts"], row["due"]) for row in rows]


def test_what_cannot_even_be_called_unreadable_is_logged_as_critical_and_waits(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    fail_by_itself(line, line.post(a_response({})), jobs.MAX_ATTEMPTS)
    with line.pool.connection() as connection:
        claims = jobs.claim(connection, KIND)

    replace(line.assessor, texts={}).work(claims)

    assert waits(line) == [("pending", 4, 60)]
    assert [record.levelno for record in caplog.records if record.message == "assessment failed"] == [logging.CRITICAL]


def test_a_response_that_intake_does_not_know_is_asked_for_over_a_minute_and_then_set_aside(line: Line) -> None:
    seen = []
    with line.pool.connection() as connection:
        jobs.add(connection, KIND, [Ref("lost-in-a-restore", 1)])
    for _ in range(4):
        with line.pool.connection() as connection:
            connection.execute("UPDATE job SET due_at = now()")
            claims = jobs.claim(connection, KIND)
        line.assessor.work(claims)
        [(state, _, due)] = waits(line)
        seen.append((state, due))

    assert seen[:3] == [("pending", 10), ("pending", 10), ("pending", 60)]
    assert seen[3][0] == "dead"


@pytest.mark.requirement("REQ-05")
def test_a_database_that_goes_away_in_the_middle_loses_no_job_and_raises_nothing(
    line: Line, database: Database
) -> None:
    ids = [line.post(a_response({"chest_pain": "Y"})) for _ in range(3)]
    with line.pool.connection() as connection:
        jobs.add(connection, KIND, [Ref(response_id, 1) for response_id in ids])
        claims = jobs.claim(connection, KIND)
    gone = open_pool(database.triage_url, schema="triage", size=1)
    gone.close()

    replace(line.assessor, pool=gone).work(claims)

    with line.pool.connection() as connection:
        connection.execute("UPDATE job SET lease_until = now() - interval '1 second'")
    line.deliver()
    assert [urgency(line.found("RiskAssessment", response_id)[0]) for response_id in ids] == ["emergency"] * 3


class NarrowIntake:
    """A neighbour before the real one that gives one response at a time, and some never."""

    def __init__(self, intake: httpx.Client, never: frozenset[str] = frozenset()) -> None:
        self._intake, self._never = intake, never
        self.app = FastAPI()
        self.app.add_api_route("/fhir/{path:path}", self.passed_on)

    def passed_on(self, path: str, request: Request) -> Response:
        ids = request.query_params.get("_id", "").split(",")
        if len(ids) > 1 or self._never.intersection(ids):
            return Response(status_code=504)
        answer = self._intake.get(f"/fhir/{path}", params=dict(request.query_params))
        return Response(answer.content, answer.status_code, media_type="application/fhir+json")


@pytest.mark.requirement("REQ-10")
def test_responses_that_are_too_large_to_be_read_together_are_read_one_by_one(line: Line) -> None:
    ids = [line.post(a_response({"chest_pain": "Y"})) for _ in range(4)]
    with served(NarrowIntake(line.ehr).app) as url, FhirClient(url) as client:
        replace(line, assessor=replace(line.assessor, client=client)).deliver(*ids)

    assert [len(line.found("RiskAssessment", response_id)) for response_id in ids] == [1, 1, 1, 1]


@pytest.mark.requirement("REQ-10")
def test_a_response_that_intake_never_gives_is_counted_and_blocks_no_other(line: Line) -> None:
    ids = [line.post(a_response({"chest_pain": "Y"})) for _ in range(4)]
    with served(NarrowIntake(line.ehr, frozenset({ids[0]})).app) as url, FhirClient(url) as client:
        replace(line, assessor=replace(line.assessor, client=client)).deliver(*ids)

    assert [len(line.found("RiskAssessment", response_id)) for response_id in ids] == [0, 1, 1, 1]
    assert [wait for wait in waits(line) if wait[0] != "done"] == [("pending", 1, 10)]


def test_when_intake_gives_nothing_at_all_nobody_is_blamed(line: Line) -> None:
    ids = [line.post(a_response({"chest_pain": "Y"})) for _ in range(4)]
    with served(NarrowIntake(line.ehr, frozenset({*ids, ""})).app) as url, FhirClient(url) as client:
        replace(line, assessor=replace(line.assessor, client=client)).deliver(*ids)

    assert waits(line) == [("pending", 0, 10)] * 4


@pytest.mark.requirement("REQ-07")
def test_a_response_that_intake_never_gives_is_read_by_a_human_in_the_end(line: Line) -> None:
    response_id = line.post(a_response({"chest_pain": "Y"}))
    with served(NarrowIntake(line.ehr, frozenset({response_id})).app) as url, FhirClient(url) as client:
        narrow = replace(line, assessor=replace(line.assessor, client=client))
        narrow.deliver(response_id)
        for _ in range(5):
            with line.pool.connection() as connection:
                connection.execute("UPDATE job SET due_at = now(), created_at = now() - interval '5 minutes'")
            narrow.deliver()

    [assessment] = line.found("RiskAssessment", response_id)
    assert urgency(assessment) == "same_day"
    assert line.outbox() == [("notify.routine", 1)]


def test_a_batch_that_takes_too_long_is_given_back_and_done_later(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [line.post(a_response({"chest_pain": "Y"})) for _ in range(3)]
    monkeypatch.setattr(assess_response, "BATCH_S", -1.0)
    with line.pool.connection() as connection:
        jobs.add(connection, KIND, [Ref(response_id, 1) for response_id in ids])
        line.assessor.work(jobs.claim(connection, KIND))

    assert sorted(state for state, _, _ in waits(line)) == ["done", "pending", "pending"]
    line.deliver()
    assert [len(line.found("RiskAssessment", response_id)) for response_id in ids] == [1, 1, 1]


@pytest.mark.requirement("REQ-23")
def test_a_response_from_the_future_hides_no_later_one_from_the_catch_up(line: Line, database: Database) -> None:
    early = line.post(a_response({}))
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE intake.resource SET last_updated = now() + interval '1 hour' WHERE id = %s", (early,))
    assert catch_up(line.pool, line.assessor.client) == 1

    line.post(a_response({"chest_pain": "Y"}))

    assert catch_up(line.pool, line.assessor.client) == 1


@pytest.mark.requirement("REQ-23")
def test_the_catch_up_looks_back_a_day_every_minute_whatever_it_has_seen(line: Line, database: Database) -> None:
    catch_up(line.pool, line.assessor.client)
    line.post(a_response({}))
    catch_up(line.pool, line.assessor.client)
    late = line.post(a_response({"chest_pain": "Y"}))
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE intake.resource SET last_updated = now() - interval '24 hours' WHERE id = %s", (late,))
    assert catch_up(line.pool, line.assessor.client) == 0

    with line.pool.connection() as connection:
        connection.execute(
            "UPDATE catch_up_cursor SET last_updated = now() - interval '61 seconds' WHERE source = %s",
            (SOURCE.looked_back,),
        )

    assert catch_up(line.pool, line.assessor.client) == 1


class TimedReader(FactReader):
    """Notes when the evaluation had read the answers."""

    read_at: datetime

    def read(self, response: Mapping[str, Any]) -> Reading:
        reading = super().read(response)
        self.read_at = datetime.now(UTC)
        return reading


def test_an_assessment_is_dated_after_its_evaluation_and_not_before(line: Line) -> None:
    response_id = line.post(a_response({}))
    [pack] = line.assessor.packs.values()
    form = line.assessor.forms.get(next(iter(line.assessor.packs)))
    assert form is not None
    reader = TimedReader(form, pack.content.facts)
    line.assessor.readers[DEFAULT_TENANT, form.canonical, pack.head.sha256] = reader

    line.deliver(response_id)

    [assessment] = line.found("RiskAssessment", response_id)
    dated = datetime.fromisoformat(assessment["meta"]["lastUpdated"])
    assert dated >= reader.read_at.replace(microsecond=reader.read_at.microsecond // 1000 * 1000)
