"""A refused submission with an emergency in it becomes an emergency; any other leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest

from services.triage import refused as refused_module
from services.triage.assess_response import open_examiner
from services.triage.forms import Forms
from services.triage.refused import EXAMINE, Examiner, look_for_refused
from shared import jobs
from shared.fhir.client import NeighbourUnavailable
from shared.fhir.codes import EXT_REFUSED, SID_REFUSED, SID_SUBMISSION
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.salvage import MOST_ANSWERS, MOST_OF_A_QUESTION, Allowance, read_leniently
from shared.fhir.structure import check_structure
from tests.builders import a_response, answer_of, posterior_lower_limb
from tests.conftest import Database
from tests.triage.line import Line, urgency

Change = Callable[[dict[str, Any]], Any]
YES = {"system": "http://terminology.hl7.org/CodeSystem/v2-0532", "code": "Y"}


@dataclass
class Net:
    """Intake and triage, and what is left of refused submissions."""

    line: Line
    examiner: Examiner
    database: Database

    def refused(self, response: dict[str, Any], path: str = "/fhir/QuestionnaireResponse") -> None:
        answer = self.line.ehr.post(
            path,
            content=json.dumps(response),
            headers={"Content-Type": "application/fhir+json"},
        )
        assert 400 <= answer.status_code < 500, answer.text

    def examines(self) -> int:
        """What the background process does when no message came."""
        look_for_refused(self.line.pool, self.line.assessor.client)
        return jobs.drain(self.line.pool, EXAMINE, self.examiner.work)

    def everything_due(self) -> None:
        with self.line.pool.connection() as connection:
            connection.execute("UPDATE job SET due_at = now() - interval '1 second', lease_until = now()")

    def left(self) -> list[tuple[str, bool]]:
        """State of each refused submission, and whether its text is still there."""
        with psycopg.connect(self.database.owner_url, autocommit=True) as owner:
            return owner.execute(
                "SELECT state, body IS NOT NULL FROM intake.quarantine ORDER BY received_at"
            ).fetchall()

    def assessments(self) -> list[dict[str, Any]]:
        bundle = self.line.triage.get("/fhir/RiskAssessment").json()
        return [entry["resource"] for entry in bundle.get("entry", [])]


@pytest.fixture
def net(line: Line, database: Database) -> Net:
    return Net(line, open_examiner(line.assessor), database)


def wrong_link_id(response: dict[str, Any]) -> None:
    response["item"].append({"linkId": "nonsense", "answer": [{"valueString": "x"}]})


def other_option(response: dict[str, Any]) -> None:
    answer_of(response, "location")["answer"][0]["valueCoding"]["code"] = "elbow"


def page_1_in_the_wrong_place(response: dict[str, Any]) -> None:
    moved = answer_of(response, "chest_pain")
    [page] = [item for item in response["item"] if moved in item.get("item", [])]
    page["item"].remove(moved)
    response["item"].append({"linkId": "nonsense", "item": [{"linkId": "deeper", "item": [moved]}]})


REFUSALS: dict[str, Change] = {
    "a wrong linkId": wrong_link_id,
    'status "banana"': lambda r: r.update(status="banana"),
    "no status": lambda r: r.pop("status"),
    "no subject": lambda r: r.pop("subject"),
    "no questionnaire": lambda r: r.pop("questionnaire"),
    "an unknown version": lambda r: r.update(questionnaire="https://sural.example/fhir/Questionnaire/x|9.9"),
    "another resource type": lambda r: r.update(resourceType="Observation"),
    "an answer outside its options": other_option,
    "an item in the wrong place": page_1_in_the_wrong_place,
    "a boolean for a coded yes": lambda r: answer_of(r, "chest_pain").update(answer=[{"valueBoolean": True}]),
    "a text for a coded yes": lambda r: answer_of(r, "chest_pain").update(answer=[{"valueString": "Yes"}]),
    "a concept whose second coding is ours": lambda r: answer_of(r, "chest_pain").update(
        answer=[{"valueCodeableConcept": {"coding": [{"system": "http://other.example", "code": "A1"}, YES]}}]
    ),
    "another code system": lambda r: answer_of(r, "chest_pain").update(
        answer=[{"valueCoding": {"system": "http://other.example", "code": "Y"}}]
    ),
    "two answers that disagree": lambda r: answer_of(r, "chest_pain")["answer"].append(
        {"valueCoding": {**YES, "code": "N"}}
    ),
    "a linkId in capitals": lambda r: answer_of(r, "chest_pain").update(linkId=" CHEST_PAIN "),
    "an answer that is no list": lambda r: answer_of(r, "chest_pain").update(answer={"valueCoding": YES}),
}
SAYS_YES = {
    "a concept whose second coding is ours",
    "a boolean for a coded yes",
    "a text for a coded yes",
    "another code system",
    "an answer that is no list",
}
"""Changes that are themselves a yes to chest pain."""


@pytest.mark.requirement("REQ-30")
def test_chest_pain_in_a_refused_response_is_an_emergency_whatever_is_wrong_with_it(net: Net) -> None:
    for case, change in REFUSALS.items():
        response = a_response({"chest_pain": "Y"}, patient=f"p-{list(REFUSALS).index(case)}")
        change(response)
        net.refused(response)

    assert net.examines() == len(REFUSALS)

    found = net.assessments()
    named = {assessment["subject"].get("reference") for assessment in found}
    missed = [case for number, case in enumerate(REFUSALS) if f"Patient/p-{number}" not in named]
    assert missed == ["no subject"]
    assert [(urgency(one), one["status"]) for one in found] == [("emergency", "preliminary")] * len(REFUSALS)
    assert net.line.outbox() == [("notify.urgent", 1)] * len(REFUSALS)
    assert net.left() == [("urgent", True)] * len(REFUSALS)


@pytest.mark.requirement("REQ-30")
@pytest.mark.requirement("REQ-31")
def test_a_calf_strain_in_a_refused_response_raises_nothing_and_its_text_is_erased(net: Net) -> None:
    harmless = {case: change for case, change in REFUSALS.items() if case not in SAYS_YES}
    for change in harmless.values():
        response = a_response({})
        change(response)
        net.refused(response)

    assert net.examines() == len(harmless)

    assert net.assessments() == []
    assert net.line.outbox() == []
    assert net.left() == [("not_urgent", False)] * len(harmless)


@pytest.mark.requirement("REQ-30")
def test_a_page_1_sent_alone_and_refused_counts_too(net: Net) -> None:
    response = a_response({"chest_pain": "Y"}, status="in-progress", only={"chest_pain"})
    response.pop("subject")
    net.refused(response)
    net.examines()

    [assessment] = net.assessments()
    assert urgency(assessment) == "emergency"


@pytest.mark.requirement("REQ-30")
@pytest.mark.requirement("SR-03")
@pytest.mark.parametrize(
    "value", [{"valueString": "perhaps"}, {"valueCoding": {"code": "ASKU"}}, {"valueInteger": 1}, {}]
)
def test_an_answer_that_cannot_be_understood_is_neither_yes_nor_no(net: Net, value: dict[str, Any]) -> None:
    content = read_leniently(json.dumps({"item": [{"linkId": "chest_pain", "answer": [value]}]}).encode())
    assert content is not None

    assert net.examiner.emergency_in(content, Allowance()) is None


@pytest.mark.requirement("REQ-30")
@pytest.mark.parametrize("case", ["refused twice", "examined by ten at once", "told of and found"])
def test_the_same_refusal_is_an_emergency_once(net: Net, case: str) -> None:
    response = a_response({"chest_pain": "Y"}) | {"status": "banana"}
    net.refused(response)
    net.refused(response)
    with ThreadPoolExecutor(10) as workers:
        list(workers.map(lambda _: net.examines(), range(10 if case == "examined by ten at once" else 1)))
    net.refused(response)
    net.examines()

    assert len(net.assessments()) == 1
    assert net.line.outbox() == [("notify.urgent", 1)]


@pytest.mark.requirement("REQ-30")
@pytest.mark.parametrize("dies", ["before it stores", "before it tells intake", "before it ends the job"])
def test_a_worker_killed_in_between_loses_nothing_and_doubles_nothing(
    net: Net, dies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net.refused(a_response({"chest_pain": "Y"}) | {"status": "banana"})

    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as moment:
        match dies:
            case "before it stores":
                moment.setattr(Examiner, "_commit", kill)
            case "before it tells intake":
                moment.setattr(Examiner, "_tell", kill)
            case _:
                moment.setattr(refused_module.jobs, "finish", kill)
        with pytest.raises(Killed):
            net.examines()
    net.everything_due()
    net.examines()

    assert len(net.assessments()) == 1
    assert net.line.outbox() == [("notify.urgent", 1)]
    assert net.left() == [("urgent", True)]


@pytest.mark.requirement("REQ-30")
def test_intake_that_is_away_is_waited_for(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    net.refused(a_response({"chest_pain": "Y"}) | {"status": "banana"})

    def away(*_: object, **__: object) -> None:
        raise NeighbourUnavailable("away")

    look_for_refused(net.line.pool, net.line.assessor.client)
    with monkeypatch.context() as moment:
        moment.setattr(net.examiner.client, "find", away)
        jobs.drain(net.line.pool, EXAMINE, net.examiner.work)
    assert net.assessments() == []
    net.everything_due()
    net.examines()

    assert len(net.assessments()) == 1


@pytest.mark.requirement("REQ-30")
def test_a_text_that_kills_its_worker_is_brought_to_a_human_the_same_day(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    net.refused(a_response({"chest_pain": "Y"}) | {"status": "banana"})

    def fails(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(refused_module, "read_leniently", fails)
    for _ in range(5):
        net.examines()
        net.everything_due()

    [assessment] = net.assessments()
    assert urgency(assessment) == "same_day"
    assert "could not be checked" in assessment["text"]["div"]
    assert net.left() == [("urgent", True)]


def test_the_assessment_repeats_no_answer_names_sender_and_time_and_is_valid_r4(net: Net) -> None:
    response = a_response({"chest_pain": "Y"}, patient="p-5", identifier="form-5")
    wrong_link_id(response)
    response["item"].append({"linkId": "other_concerns", "answer": [{"valueString": "canary words"}]})
    net.refused(response)
    net.examines()

    [assessment] = net.assessments()
    told = json.dumps(assessment)
    assert "canary" not in told
    assert "chest_pain" not in told
    assert assessment["subject"]["reference"] == "Patient/p-5"
    [basis] = assessment["basis"]
    assert basis["identifier"]["system"] == SID_REFUSED
    assert "reach the patient now" in assessment["mitigation"]
    [sender] = [one["extension"] for one in assessment["extension"] if one["url"] == EXT_REFUSED]
    assert {part["url"] for part in sender} == {"client", "received"}
    for resource_type, parameter in (("RiskAssessment", "identifier"), ("Provenance", "entity:identifier")):
        found = net.line.triage.get(
            f"/fhir/{resource_type}", params={parameter: f"{SID_REFUSED}|{basis['identifier']['value']}"}
        ).json()
        [entry] = found["entry"]
        assert check_structure(entry["resource"], resource_type=resource_type) == []
        assert validate_with_fhir_resources(entry["resource"]) == []


@pytest.mark.parametrize("subject", [None, {"reference": "#p"}, {"display": "A name"}, "Patient/1", {"reference": 5}])
def test_a_patient_that_cannot_be_told_is_said_to_be_unknown(net: Net, subject: object) -> None:
    response = a_response({"chest_pain": "Y"}) | {"status": "banana", "subject": subject}
    net.refused(response)
    net.examines()

    [assessment] = net.assessments()
    assert assessment["subject"] == {"display": "Patient not known (refused submission)"}


def test_refused_and_corrected_carry_the_same_mark_of_the_senders_identifier(net: Net) -> None:
    response = a_response({"chest_pain": "Y"}, identifier="form-9")
    net.refused(response | {"status": "banana"})
    net.examines()
    net.line.deliver(net.line.post(response))

    marks = [
        [one["value"] for one in assessment["identifier"] if one["system"] == SID_SUBMISSION]
        for assessment in net.assessments()
    ]
    assert len(marks) == 2
    assert marks[0] == marks[1] != []


def test_an_examiner_finds_the_form_by_its_url_when_the_version_is_unknown(net: Net) -> None:
    index = posterior_lower_limb()
    response = a_response({"chest_pain": "Y"}) | {"questionnaire": f"{index.url}|77"}
    content = read_leniently(json.dumps(response).encode())
    assert content is not None

    head = net.examiner.emergency_in(content, Allowance())

    assert head is not None
    assert head.name == "posterior-lower-limb"


def test_an_examiner_begins_with_the_form_of_which_a_part_is_named(net: Net) -> None:
    [(canonical, newest)] = net.examiner.packs.items()
    url = canonical.partition("|")[0]
    head = replace(newest.head, questionnaires=(f"{url}|0.9",))
    older = replace(newest, content=replace(newest.content, head=head))
    examiner = replace(net.examiner, packs={f"{url}|0.9": older, canonical: newest})
    form = posterior_lower_limb()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Forms, "get", lambda *_: form)
        assert [pack for _, pack in examiner._forms(f"{url}|0.9#page-1")] == [older, newest]
        assert [pack for _, pack in examiner._forms(f"{url}#page-1")] == [newest, older]


def a_transaction(*responses: dict[str, Any]) -> dict[str, Any]:
    """A transaction that is refused, as one of its responses is not valid."""
    request = {"method": "POST", "url": "QuestionnaireResponse"}
    entries = [{"resource": response, "request": request} for response in responses]
    entries.append({"resource": a_response({}) | {"status": "banana"}, "request": request})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


@pytest.mark.requirement("REQ-30")
def test_of_a_refused_transaction_the_patient_with_the_emergency_is_named_and_no_other(net: Net) -> None:
    calm, urgent = a_response({}, patient="calm"), a_response({"chest_pain": "Y"}, patient="urgent")
    net.refused(a_transaction(calm, urgent), "/fhir")
    net.examines()

    [assessment] = net.assessments()
    assert assessment["subject"]["reference"] == "Patient/urgent"


@pytest.mark.requirement("REQ-30")
def test_where_two_patients_of_a_transaction_are_urgent_none_is_named_so_that_none_is_overlooked(net: Net) -> None:
    both = [a_response({"chest_pain": "Y"}, patient=patient) for patient in ("one", "two")]
    net.refused(a_transaction(*both), "/fhir")
    net.examines()

    [assessment] = net.assessments()
    assert assessment["subject"] == {"display": "Patient not known (refused submission)"}
    assert "reach the sender" in assessment["mitigation"]


def too_much(*before: dict[str, Any]) -> dict[str, Any]:
    """A refused transaction with more answers than are read, and an emergency behind them all."""
    many = [{"linkId": "temp_c", "answer": list(range(MOST_OF_A_QUESTION))}] * (MOST_ANSWERS // MOST_OF_A_QUESTION)
    last = a_response({"chest_pain": "Y"}, patient="behind-it")
    return a_transaction(*before, a_response({}) | {"item": many}, last)


@pytest.mark.requirement("REQ-30")
def test_a_text_with_more_answers_than_are_read_is_brought_to_a_human_the_same_day(net: Net) -> None:
    net.refused(too_much(), "/fhir")
    net.examines()

    [assessment] = net.assessments()
    assert urgency(assessment) == "same_day"
    assert "could not be checked" in assessment["text"]["div"]
    assert net.left() == [("urgent", True)]


@pytest.mark.requirement("REQ-30")
def test_an_emergency_before_what_is_not_read_is_told_and_nobody_is_named_as_there_may_be_others(net: Net) -> None:
    net.refused(too_much(a_response({"chest_pain": "Y"}, patient="urgent")), "/fhir")
    net.examines()

    [assessment] = net.assessments()
    assert urgency(assessment) == "emergency"
    assert assessment["subject"] == {"display": "Patient not known (refused submission)"}
