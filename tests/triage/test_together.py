"""Responses that are claimed together: one transaction, and yet none of them can harm, hide or hold up another."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.triage import assess_response, store, together
from services.triage.basis import Basis
from services.triage.case import Case
from services.triage.catch_up import KIND
from services.triage.findings import FactReader, Reading
from services.triage.forms import Forms
from services.triage.together import chunk_of
from shared import jobs
from shared.events import Ref
from shared.fhir.client import NeighbourUnavailable
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.fhir.search_index import rows
from shared.ids import DEFAULT_TENANT
from shared.jobs import Claim
from shared.postgres import tenant_transaction
from tests.builders import a_response
from tests.triage.line import Line, OtherIntake, floors, urgency
from tests.waiting import eventually

EMERGENCY: dict[str, object] = {"chest_pain": "Y"}
MILD: dict[str, object] = {}
PACK = "posterior-lower-limb"
UNLIKE = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}|[0-9a-f]{16}|[0-9a-f]{12}|20[0-9-]+T[0-9:.]+Z"
)
"""Ids, digests and times."""
ASSESSED_ANEW = (
    "UPDATE assessment SET version_id = 2",
    "UPDATE resource SET version_id = 2 WHERE type IN ('RiskAssessment', 'DetectedIssue', 'Provenance')",
)
"""What another worker leaves that evaluated the same answers once more, with later knowledge."""


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine does not make the chunks of these tests smaller."""
    monkeypatch.setattr(together, "CHUNK_S", 60.0)
    monkeypatch.setattr(assess_response, "PREPARE_S", 60.0)


def claim(line: Line, *refs: Ref | str) -> list[Claim]:
    """A worker claims these, in this order."""
    with line.pool.connection() as connection:
        for ref in refs:
            jobs.add(connection, KIND, [ref if isinstance(ref, Ref) else Ref(ref, 1)])
        return jobs.claim(connection, KIND)


def states(line: Line) -> dict[tuple[str, int], tuple[str, str | None]]:
    """State and last error of each job."""
    with line.pool.connection() as connection:
        found = connection.execute("SELECT ref_id, ref_version, state, error FROM job").fetchall()
    return {(row["ref_id"], row["ref_version"]): (row["state"], row["error"]) for row in found}


def urgencies(line: Line, ids: Sequence[str]) -> list[str | None]:
    """Urgency of the one assessment of each response."""
    found = [line.found("RiskAssessment", response_id) for response_id in ids]
    assert [len(each) for each in found] == [1] * len(ids)
    return [urgency(assessment) for [assessment] in found]


def transactions(line: Line) -> set[str]:
    """The transactions that wrote the assessments there are."""
    with tenant_transaction(line.pool, DEFAULT_TENANT) as connection:
        return {row["xmin"] for row in connection.execute("SELECT xmin::text FROM assessment").fetchall()}


class WatchedReader(FactReader):
    """Calls `before` with the id of each response whose answers are read."""

    before: Callable[[str], None]

    def read(self, response: Mapping[str, Any]) -> Reading:
        self.before(response["id"])
        return super().read(response)


def watch(line: Line, before: Callable[[str], None]) -> None:
    """From here on, `before` is called with the id of each response that is evaluated."""
    [pack] = line.assessor.packs.values()
    form = line.assessor.forms.get(next(iter(line.assessor.packs)))
    assert form is not None
    reader = WatchedReader(form, pack.content.facts)
    reader.before = before
    line.assessor.readers[DEFAULT_TENANT, form.canonical, pack.head.sha256] = reader


@pytest.mark.requirement("REQ-05")
def test_responses_that_are_claimed_together_are_written_together(line: Line) -> None:
    ids = [line.post(a_response(EMERGENCY if number == 3 else MILD)) for number in range(6)]

    line.assessor.work(claim(line, *ids))

    assert urgencies(line, ids) == ["routine", "routine", "routine", "emergency", "routine", "routine"]
    assert len(transactions(line)) == 1
    assert line.outbox() == [("notify.urgent", 1)]


@pytest.mark.requirement("REQ-07")
def test_one_response_whose_evaluation_fails_takes_no_other_with_it(line: Line) -> None:
    ids = [line.post(a_response(EMERGENCY)) for _ in range(5)]

    def before(response_id: str) -> None:
        if response_id == ids[2]:
            raise KeyError("a rule that fails")

    watch(line, before)
    line.assessor.work(claim(line, *ids))

    assert states(line).pop((ids[2], 1)) == ("pending", "KeyError")
    assert urgencies(line, [one for one in ids if one != ids[2]]) == ["emergency"] * 4
    assert line.found("RiskAssessment", ids[2]) == []
    assert line.outbox() == [("notify.urgent", 1)] * 4


@pytest.mark.requirement("REQ-07")
def test_one_response_that_the_database_refuses_takes_no_other_with_it(line: Line) -> None:
    ids = [line.post(a_response(EMERGENCY)) for _ in range(4)]
    poison = Poisoned(line.assessor.client, ids[1])
    behind = replace(line, assessor=replace(line.assessor, client=poison))  # type: ignore[arg-type]

    behind.assessor.work(claim(line, *ids))

    assert states(line).pop((ids[1], 1))[0] == "pending"
    assert urgencies(line, [ids[0], *ids[2:]]) == ["emergency"] * 3
    assert line.found("RiskAssessment", ids[1]) == []


class Poisoned:
    """A neighbour of which one response names an encounter that no database can store."""

    def __init__(self, client: Any, poison: str) -> None:
        self._client, self._poison = client, poison

    def read_many(self, resource_type: str, refs: Sequence[Ref]) -> dict[Ref, dict[str, Any]]:
        found: dict[Ref, dict[str, Any]] = self._client.read_many(resource_type, refs)
        for ref, response in found.items():
            if ref.id == self._poison:
                response["subject"] = {"reference": "Patient/1", "identifier": {"system": "s", "value": "\x00"}}
        return found


@pytest.mark.requirement("REQ-06")
def test_one_response_whose_lease_was_lost_is_left_to_whoever_has_it_now(line: Line) -> None:
    ids = [line.post(a_response(EMERGENCY)) for _ in range(4)]
    claims = claim(line, *ids)
    with line.pool.connection() as connection:
        connection.execute("UPDATE job SET lease_token = gen_random_uuid() WHERE ref_id = %s", (ids[0],))

    line.assessor.work(claims)

    assert line.found("RiskAssessment", ids[0]) == []
    assert states(line).pop((ids[0], 1)) == ("running", None)
    assert urgencies(line, ids[1:]) == ["emergency"] * 3
    assert line.outbox() == [("notify.urgent", 1)] * 3


@pytest.mark.requirement("REQ-05", "REQ-06")
def test_an_amended_response_that_another_worker_overtook_is_evaluated_again(line: Line) -> None:
    response = a_response(MILD, patient="p-1")
    amended, other = line.post(response), line.post(a_response(MILD))
    line.deliver(amended)
    again = a_response(EMERGENCY, patient="p-1", status="amended") | {"identifier": response["identifier"]}
    line.amend(amended, again, version=1)
    first = iter([amended])

    def before(response_id: str) -> None:
        if next(first, None):
            with tenant_transaction(line.pool, DEFAULT_TENANT) as connection:
                for statement in ASSESSED_ANEW:
                    connection.execute(statement)

    watch(line, before)
    line.assessor.work(claim(line, Ref(amended, 2), other))

    assert urgencies(line, [other]) == ["routine"]
    assert states(line).pop((amended, 2)) == ("done", None)
    [assessment] = line.found("RiskAssessment", amended)
    assert (assessment["meta"]["versionId"], urgency(assessment)) == ("3", "emergency")
    assert line.outbox() == [("notify.urgent", 3)]


@pytest.mark.requirement("SR-18")
def test_two_responses_of_one_patient_that_are_claimed_together_see_each_other(line: Line) -> None:
    others = [line.post(a_response(MILD, patient=f"p-{number}")) for number in range(2)]
    first = line.post(a_response(EMERGENCY, patient="p-7"))
    second = line.post(a_response(MILD, patient="p-7"))

    line.assessor.work(claim(line, others[0], first, second, others[1]))

    assert urgencies(line, [first, second, *others]) == ["emergency", "emergency", "routine", "routine"]
    [assessment] = line.found("RiskAssessment", second)
    assert floors(assessment) == ["SR-18"]


@pytest.mark.requirement("SR-21", "REQ-32")
def test_versions_of_one_response_that_are_claimed_together_end_with_its_withdrawal(
    amended: tuple[Line, OtherIntake],
) -> None:
    line, other = amended
    other.keep(1, EMERGENCY, "completed")
    other.keep(2, EMERGENCY, "entered-in-error")

    line.assessor.work(claim(line, Ref("r-1", 1), Ref("r-1", 2)))

    [assessment] = line.found("RiskAssessment", "r-1")
    assert (assessment["status"], assessment["meta"]["versionId"]) == ("entered-in-error", "2")
    assert {issue["status"] for issue in line.found("DetectedIssue", "r-1")} == {"entered-in-error"}
    assert line.outbox() == [("notify.urgent", 1), ("notify.routine", 2)]


@pytest.mark.requirement("SR-21")
def test_a_withdrawn_response_among_others_alerts_nobody(line: Line) -> None:
    kept = line.post(a_response(EMERGENCY))
    taken_back = line.post(a_response(EMERGENCY, status="entered-in-error"))

    line.assessor.work(claim(line, taken_back, kept))

    [assessment] = line.found("RiskAssessment", taken_back)
    assert assessment["status"] == "entered-in-error"
    assert urgencies(line, [kept]) == ["emergency"]
    assert line.outbox() == [("notify.urgent", 1)]


@pytest.mark.requirement("SR-18", "REQ-05")
def test_a_later_version_among_others_waits_for_the_one_whose_message_was_lost(line: Line) -> None:
    response = a_response(EMERGENCY, patient="p-1")
    amended = line.post(response)
    again = a_response(MILD, patient="p-1", status="amended") | {"identifier": response["identifier"]}
    line.amend(amended, again, version=1)
    other = line.post(a_response(MILD))

    line.assessor.work(claim(line, Ref(amended, 2), other))

    assert urgencies(line, [other]) == ["routine"]
    assert states(line).pop((amended, 2)) == ("pending", "EarlierVersion")
    line.time_passes()
    line.time_passes()
    [assessment] = line.found("RiskAssessment", amended)
    assert (assessment["meta"]["versionId"], urgency(assessment)) == ("2", "emergency")


@pytest.mark.requirement("SR-18", "REQ-10")
def test_a_patient_that_another_worker_writes_of_holds_up_no_other_patient(line: Line) -> None:
    held = line.post(a_response(MILD, patient="p-7"))
    others = [line.post(a_response(EMERGENCY)) for _ in range(3)]
    claims = claim(line, held, *others)
    same = store.SamePatient(Ref(held, 1), "Patient/p-7", PACK)

    with ThreadPoolExecutor(1) as worker:
        with tenant_transaction(line.pool, DEFAULT_TENANT) as connection:
            store.lock_patient(connection, same)
            working = worker.submit(line.assessor.work, claims)
            eventually(lambda: len(line.outbox()) == 3)
            assert line.found("RiskAssessment", held) == []
        working.result()
    line.time_passes()  # where this machine was so slow that it did not wait so long

    assert urgencies(line, [held, *others]) == ["routine", "emergency", "emergency", "emergency"]


@pytest.mark.requirement("REQ-10")
def test_an_emergency_is_told_before_the_rest_of_a_long_batch_is_looked_at(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [line.post(a_response(EMERGENCY)) for _ in range(3)]
    told: list[int] = []
    monkeypatch.setattr(together, "CHUNK_S", -1.0)
    watch(line, lambda _id: told.append(len(line.outbox())))

    line.assessor.work(claim(line, *ids))

    assert told == [0, 1, 2]


class Withholding(Forms):
    """Forms of an intake that does not give the Questionnaires named `odd`, each time only after a while."""

    asked: list[str]
    meanwhile: Callable[[], None]

    def get(self, canonical: str, tenant: UUID = DEFAULT_TENANT) -> QuestionnaireIndex | None:
        if "odd" in canonical:
            self.asked.append(canonical)
            self.meanwhile()
            raise NeighbourUnavailable("timeout")
        return Forms.get(self, canonical, tenant)


@pytest.mark.requirement("REQ-10")
def test_responses_whose_form_cannot_be_had_hold_up_an_emergency_behind_them_only_once(line: Line) -> None:
    odd = [line.post(a_response(MILD)) for _ in range(3)]
    ready = line.post(a_response(EMERGENCY))
    told: list[int] = []
    forms = Withholding(line.assessor.client)
    forms.asked, forms.meanwhile = [], lambda: told.append(len(line.outbox()))
    renamed = Renamed(line.assessor.client, odd)
    assessor = replace(line.assessor, forms=forms, client=renamed)  # type: ignore[arg-type]

    assessor.work(claim(line, *odd, ready))

    assert told == [0, 1, 1, 1], "asked once before the emergency was told, then once for each"
    assert urgencies(line, [ready]) == ["emergency"]
    assert {states(line)[response_id, 1] for response_id in odd} == {("pending", "NeighbourUnavailable")}


@pytest.mark.requirement("REQ-10")
def test_what_is_ready_is_told_before_a_slow_form_after_it_is_asked_for(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready, odd = [line.post(a_response(EMERGENCY)) for _ in range(2)], line.post(a_response(MILD))
    monkeypatch.setattr(assess_response, "PREPARE_S", -1.0)
    told: list[int] = []
    forms = Withholding(line.assessor.client)
    forms.asked, forms.meanwhile = [], lambda: told.append(len(line.outbox()))
    renamed = Renamed(line.assessor.client, [odd])

    replace(line.assessor, forms=forms, client=renamed).work(claim(line, *ready, odd))  # type: ignore[arg-type]

    assert told == [2, 2]


class Renamed:
    """A neighbour of which some responses name the Questionnaire `odd`."""

    def __init__(self, client: Any, some: Sequence[str]) -> None:
        self._client, self._some = client, some

    def read_many(self, resource_type: str, refs: Sequence[Ref]) -> dict[Ref, dict[str, Any]]:
        found: dict[Ref, dict[str, Any]] = self._client.read_many(resource_type, refs)
        for ref, response in found.items():
            if ref.id in self._some:
                response["questionnaire"] = "urn:odd|1"
        return found


@pytest.mark.requirement("REQ-07")
def test_what_failed_before_is_not_tried_together_with_others(line: Line) -> None:
    ids = [line.post(a_response(MILD)) for _ in range(3)]
    claims = claim(line, *ids)

    line.assessor.work([replace(claims[0], attempts=2), *claims[1:]])

    assert urgencies(line, ids) == ["routine"] * 3
    assert len(transactions(line)) == 2


@pytest.mark.requirement("REQ-25")
def test_together_and_alone_a_response_is_judged_alike(line: Line) -> None:
    answers = EMERGENCY | {"foot_cold_pale_blue": "Y", "saddle_numbness": "ASKU"}
    ids = [line.post(a_response(answers)) for _ in range(3)]
    claims = claim(line, *ids)

    line.assessor.work([replace(claims[0], attempts=2), *claims[1:]])

    said = [resources_of(line, response_id) for response_id in ids]
    assert said[0] == said[1] == said[2]
    assert len(said[0]) >= 4


def resources_of(line: Line, response_id: str) -> list[bytes]:
    """All that was stored of a response, without ids, times and digests."""
    found = []
    for resource_type in ("RiskAssessment", "DetectedIssue", "Provenance"):
        for resource in line.found(resource_type, response_id):
            text = orjson.dumps(resource).decode()
            found.append(UNLIKE.sub("…", text.replace(response_id, "…")).encode())
    return sorted(found)


def test_a_resource_is_found_by_what_it_says_whether_it_was_just_made_or_read_again(line: Line) -> None:
    assessed = [line.post(a_response(EMERGENCY | {"saddle_numbness": "ASKU"})) for _ in range(2)]
    made: list[tuple[Any, bytes]] = []
    plain = store._new_version

    def noted(resource: Mapping[str, Any], outcome: store.Outcome) -> Any:
        made.append((resource, orjson.dumps(resource)))
        return plain(resource, outcome)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_new_version", noted)
        line.deliver(*assessed)

    assert len(made) >= 6
    for content, body in made:
        assert rows(content) == rows(orjson.loads(body))


def a_case(response: str, *, version: int = 1, patient: str | None = None, tenant: UUID = DEFAULT_TENANT) -> Case:
    ref = Ref(response, version, tenant)
    same = store.SamePatient(ref, patient, PACK)
    basis = Basis(response, version, "", {})
    return Case(Claim(KIND, ref, UUID(int=1), 1), {}, basis, response, same, lambda *, earlier: _never(earlier))


def _never(_earlier: object) -> Any:
    raise AssertionError


def test_a_chunk_holds_one_version_of_a_response_and_one_response_of_a_patient() -> None:
    first, again = a_case("r-1", patient="p-1"), a_case("r-1", version=2, patient="p-1")
    same_patient, other = a_case("r-2", patient="p-1"), a_case("r-3", patient="p-3")
    of_another_tenant = a_case("r-4", patient="p-4", tenant=UUID(int=9))

    chunk, others = chunk_of([first, again, same_patient, other, of_another_tenant])

    assert chunk == [first, other]
    assert others == [again, same_patient, of_another_tenant]


def test_what_must_follow_another_stays_behind_it_although_there_is_room() -> None:
    first, second = a_case("r-1", patient="p-1"), a_case("r-1", version=2, patient="p-2")
    third = a_case("r-3", patient="p-2")

    chunk, others = chunk_of([first, second, third])

    assert chunk == [first]
    assert others == [second, third]


def test_a_chunk_has_an_end() -> None:
    cases = [a_case(f"r-{number}", patient=f"p-{number}") for number in range(60)]

    chunk, others = chunk_of(cases)

    assert (len(chunk), len(others)) == (together.CHUNK, 60 - together.CHUNK)
    assert chunk + others == cases
