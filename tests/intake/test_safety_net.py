"""What is refused is kept until somebody has looked whether it is urgent, and the sender is told so."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from starlette.requests import Request

from services.intake.app import create_app
from services.intake.retention import look_after_refused
from services.intake.settings import IntakeSettings
from shared.events import TRIAGE_REFUSED
from shared.fhir.client import FhirClient
from shared.ids import DEFAULT_TENANT
from shared.postgres import open_pool
from tests.builders import SENDER, a_response, answer_of
from tests.conftest import Database
from tests.intake.ehr import all_codes as codes
from tests.intake.ehr import post, send, stored
from tests.serving import client_of, served

QUARANTINE = "/fhir/QuestionnaireResponse/$quarantine"
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def ehr(database: Database) -> Iterator[httpx.Client]:
    settings = IntakeSettings(intake_database_url=database.intake_url)  # type: ignore[arg-type]
    with client_of(create_app(settings)) as client:
        yield client


def rows(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        return owner.execute(statement.encode()).fetchall()


def kept(database: Database) -> list[tuple[Any, ...]]:
    return rows(database, "SELECT state, times, problems, status, body FROM intake.quarantine ORDER BY received_at")


REFUSED: list[tuple[str, Change]] = [
    ("with a wrong linkId", lambda r: r["item"].append({"linkId": "nonsense", "answer": [{"valueString": "x"}]})),
    ('with status "banana"', lambda r: r.update(status="banana")),
    ("without subject", lambda r: r.pop("subject")),
    ("without questionnaire", lambda r: r.pop("questionnaire")),
    ("with an unknown questionnaire", lambda r: r.update(questionnaire="https://other.example/form|9")),
    (
        "with an answer outside its options",
        lambda r: answer_of(r, "chest_pain")["answer"][0]["valueCoding"].update(code="MAYBE"),
    ),
    ("with too deep a structure", lambda r: r.update(extension=json.loads('{"url":' * 120 + "1" + "}" * 120))),
]


@pytest.mark.requirement("REQ-30")
@pytest.mark.parametrize(("change"), [c for _, c in REFUSED], ids=[name for name, _ in REFUSED])
def test_a_refused_response_is_kept_with_its_outbox_row_before_the_refusal_is_answered(
    ehr: httpx.Client, database: Database, change: Change
) -> None:
    response = a_response({"chest_pain": "Y"})
    change(response)
    sent = json.dumps(response).encode()

    answer = post(ehr, sent)

    assert answer.status_code in (400, 413, 422)
    assert codes(answer)[-1] == "safety-net"
    [(state, times, problems, status, body)] = kept(database)
    assert (state, times, bytes(body), status) == ("waiting", 1, sent, answer.status_code)
    assert problems == codes(answer)[:-1]
    [(queue,)] = rows(database, "SELECT queue FROM intake.outbox")
    assert queue == TRIAGE_REFUSED
    assert ehr.get("/fhir/QuestionnaireResponse").json().get("entry", []) == []


@pytest.mark.requirement("REQ-30")
def test_other_answers_under_a_used_identifier_are_kept(ehr: httpx.Client, database: Database) -> None:
    post(ehr, a_response({}, identifier="form-1"))

    answer = post(ehr, a_response({"chest_pain": "Y"}, identifier="form-1"))

    assert answer.status_code == 409
    assert codes(answer) == ["identifier-reused", "safety-net"]
    assert len(kept(database)) == 1


@pytest.mark.requirement("REQ-30")
def test_other_answers_that_a_conditional_create_passes_over_are_kept(ehr: httpx.Client, database: Database) -> None:
    header = f"identifier={SENDER}|form-1"
    post(ehr, a_response({}, identifier="form-1", patient="p"))

    same = post(ehr, a_response({}, identifier="form-1", patient="p"), If_None_Exist=header)
    other = post(ehr, a_response({"chest_pain": "Y"}, identifier="form-1", patient="p"), If_None_Exist=header)

    assert (same.status_code, other.status_code) == (200, 200)
    assert "safety-net" not in codes(same)
    assert codes(other)[-1] == "safety-net"
    [(state, _, problems, status, _)] = kept(database)
    assert (state, problems, status) == ("waiting", ["identifier-reused"], 409)


@pytest.mark.requirement("REQ-30")
def test_what_a_conditional_create_passes_over_and_cannot_keep_is_answered_try_again(
    ehr: httpx.Client, database: Database
) -> None:
    post(ehr, a_response({}, identifier="form-1"))
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE intake.quarantine RENAME TO elsewhere")
        try:
            other = a_response({"chest_pain": "Y"}, identifier="form-1")
            answer = post(ehr, other, If_None_Exist=f"identifier={SENDER}|form-1")
        finally:
            owner.execute("ALTER TABLE intake.elsewhere RENAME TO quarantine")

    assert (answer.status_code, codes(answer)[0]) == (503, "safety-net-away")


@pytest.mark.requirement("REQ-30")
@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_other_answers_that_a_bundle_passes_over_are_kept(ehr: httpx.Client, database: Database, kind: str) -> None:
    post(ehr, a_response({}, identifier="form-1"))
    request = {"method": "POST", "url": "QuestionnaireResponse", "ifNoneExist": f"identifier={SENDER}|form-1"}
    entry = {"resource": a_response({"chest_pain": "Y"}, identifier="form-1"), "request": request}

    answer = send(ehr, "POST", "/fhir", {"resourceType": "Bundle", "type": kind, "entry": [entry]})

    assert answer.json()["entry"][0]["response"]["status"] == "200 OK"
    assert [state for state, *_ in kept(database)] == ["waiting"]


def a_transaction_that_passes_over_answers() -> dict[str, Any]:
    """A form without identifier, and other answers under the identifier of form-1."""
    fresh, other = a_response({}), a_response({"chest_pain": "Y"}, identifier="form-1")
    del fresh["identifier"]
    request = {"method": "POST", "url": "QuestionnaireResponse"}
    entries = [
        {"resource": fresh, "request": request},
        {"resource": other, "request": {**request, "ifNoneExist": f"identifier={SENDER}|form-1"}},
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


@pytest.mark.requirement("REQ-04", "REQ-30")
def test_a_transaction_whose_passed_over_answers_are_too_many_to_be_kept_stores_nothing_and_may_come_again(
    database: Database,
) -> None:
    settings = IntakeSettings(intake_database_url=database.intake_url, quarantine_per_minute=1)  # type: ignore[arg-type]
    with client_of(create_app(settings)) as ehr:
        post(ehr, a_response({}, identifier="form-1"))
        post(ehr, a_response({}) | {"status": "banana"})
        sent = a_transaction_that_passes_over_answers()
        refused = [send(ehr, "POST", "/fhir", sent) for _ in range(2)]
        assert stored(ehr) == 1
        metrics = ehr.get("/metrics").text
        rows(database, "DELETE FROM intake.quarantine RETURNING 1")
        taken = send(ehr, "POST", "/fhir", sent)

        assert [(answer.status_code, codes(answer)[0]) for answer in refused] == [(429, "safety-net-full")] * 2
        assert refused[0].headers["retry-after"]
        assert "sural_quarantine_turned_away 2.0" in metrics
        assert [each["response"]["status"] for each in taken.json()["entry"]] == ["201 Created", "200 OK"]
        assert stored(ehr) == 2
    assert [state for state, *_ in kept(database)] == ["waiting"]
    told = "SELECT 1 FROM intake.outbox JOIN intake.quarantine AS q ON q.id = ref_id WHERE queue = 'triage.refused'"
    assert rows(database, told) == [(1,)]


@pytest.mark.requirement("REQ-04", "REQ-30")
def test_a_transaction_whose_passed_over_answers_cannot_be_kept_stores_nothing_and_is_answered_try_again(
    ehr: httpx.Client, database: Database
) -> None:
    post(ehr, a_response({}, identifier="form-1"))
    sent = a_transaction_that_passes_over_answers()
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE intake.quarantine RENAME TO elsewhere")
        try:
            refused = send(ehr, "POST", "/fhir", sent)
        finally:
            owner.execute("ALTER TABLE intake.elsewhere RENAME TO quarantine")

    assert (refused.status_code, codes(refused)[0]) == (503, "safety-net-away")
    assert stored(ehr) == 1
    assert send(ehr, "POST", "/fhir", sent).status_code == 200
    assert stored(ehr) == 2


@pytest.mark.requirement("REQ-30")
def test_what_a_transaction_passes_over_is_kept_only_if_the_transaction_is(
    ehr: httpx.Client, database: Database
) -> None:
    post(ehr, a_response({}, identifier="form-1"))
    sent = a_transaction_that_passes_over_answers()
    taken = {
        "resource": a_response({}, identifier="form-1"),
        "request": {"method": "POST", "url": "QuestionnaireResponse"},
    }
    sent["entry"].append(taken)

    refused = send(ehr, "POST", "/fhir", sent)

    assert (refused.status_code, codes(refused)) == (409, ["identifier-reused", "safety-net"])
    [(_, _, _, _, body)] = kept(database)
    assert json.loads(body)["resourceType"] == "Bundle"


@pytest.mark.requirement("REQ-30")
@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", "Observation"),
        ("POST", "QuestionnaireResponse/1"),
        ("POST", "QuestionnaireResponse/_search"),
        ("PATCH", "QuestionnaireResponse/1"),
        ("PUT", "QuestionnaireResponse/1/_history/1"),
    ],
)
def test_answers_in_an_entry_of_a_batch_that_leads_nowhere_are_kept(
    ehr: httpx.Client, database: Database, method: str, url: str
) -> None:
    entry = {"resource": a_response({"chest_pain": "Y"}), "request": {"method": method, "url": url}}

    answer = send(ehr, "POST", "/fhir", {"resourceType": "Bundle", "type": "batch", "entry": [entry]})

    response = answer.json()["entry"][0]["response"]
    assert response["status"].startswith("4")
    assert response["outcome"]["issue"][-1]["details"]["coding"][0]["code"] == "safety-net"
    assert len(kept(database)) == 1


@pytest.mark.requirement("REQ-30")
def test_answers_to_be_processed_against_an_unknown_form_are_kept(ehr: httpx.Client, database: Database) -> None:
    response = a_response({"chest_pain": "Y"})

    answer = send(ehr, "POST", "/fhir/Questionnaire/unknown/$process-response", response)

    assert (answer.status_code, codes(answer)) == (404, ["not-found", "safety-net"])
    assert len(kept(database)) == 1


WRAPPED: dict[str, Callable[[bytes], bytes]] = {
    "in an array": lambda text: b"[" + text + b"]",
    "encoded as a string": lambda text: json.dumps(text.decode()).encode(),
    "beside a number of 5000 digits": lambda text: text[:-1] + b', "x": ' + b"1" * 5000 + b"}",
}


@pytest.mark.requirement("REQ-30")
@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED.keys())
def test_answers_are_kept_however_a_machine_wrapped_them(
    ehr: httpx.Client, database: Database, wrapped: Callable[[bytes], bytes]
) -> None:
    answer = post(ehr, wrapped(json.dumps(a_response({"chest_pain": "Y"})).encode()))

    assert answer.status_code == 400
    assert len(kept(database)) == 1


@pytest.mark.parametrize(
    "parameter",
    [[], [{"name": "submission", "valueId": "a"}], "waiting", "banana"],
    ids=["nothing", "no state", "a state that is no verdict", "a state that is none"],
)
def test_a_verdict_that_is_none_is_refused(ehr: httpx.Client, database: Database, parameter: Any) -> None:
    post(ehr, a_response({"chest_pain": "Y"}) | {"status": "banana"})
    [(identifier,)] = rows(database, "SELECT id FROM intake.quarantine")
    if isinstance(parameter, str):
        parameter = [{"name": "submission", "valueId": identifier}, {"name": "state", "valueCode": parameter}]
    given = {"parameter": parameter} if parameter else {}

    answer = send(ehr, "POST", QUARANTINE, {"resourceType": "Parameters", **given})

    assert (answer.status_code, codes(answer)) == (400, ["parameters"])
    assert [state for state, *_ in kept(database)] == ["waiting"]
    assert ehr.get(QUARANTINE, params={"_id": "a\0"}).status_code == 200


@pytest.mark.requirement("REQ-30")
def test_fifty_equal_refusals_at_once_are_kept_once_and_told_of_once(ehr: httpx.Client, database: Database) -> None:
    refused = json.dumps(a_response({"chest_pain": "Y"}) | {"status": "banana"}).encode()

    with ThreadPoolExecutor(16) as senders:
        answers = list(senders.map(lambda _: post(ehr, refused), range(50)))

    assert {answer.status_code for answer in answers} == {400}
    assert {codes(answer)[-1] for answer in answers} == {"safety-net"}
    assert len(kept(database)) == 1
    assert len(rows(database, "SELECT 1 FROM intake.outbox")) == 1


@pytest.mark.requirement("REQ-30")
def test_when_it_cannot_be_kept_the_answer_is_try_again_and_never_a_refusal(
    ehr: httpx.Client, database: Database
) -> None:
    refused = a_response({"chest_pain": "Y"}) | {"status": "banana"}
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE intake.quarantine RENAME TO elsewhere")
        try:
            answer = post(ehr, refused)
        finally:
            owner.execute("ALTER TABLE intake.elsewhere RENAME TO quarantine")

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert codes(answer)[0] == "safety-net-away"

    assert codes(post(ehr, refused))[-1] == "safety-net"


@pytest.mark.requirement("REQ-30")
def test_too_many_refusals_are_counted_and_told_to_come_back_never_dropped_in_silence(database: Database) -> None:
    settings = IntakeSettings(intake_database_url=database.intake_url, quarantine_per_minute=2)  # type: ignore[arg-type]
    with client_of(create_app(settings)) as ehr:
        answers = [post(ehr, a_response({"chest_pain": "Y"}) | {"status": "banana"}) for _ in range(3)]
        metrics = ehr.get("/metrics").text

    assert [answer.status_code for answer in answers] == [400, 400, 429]
    assert answers[2].headers["retry-after"]
    assert "NOT checked" in answers[2].json()["issue"][0]["details"]["text"]
    assert "sural_quarantine_turned_away 1.0" in metrics
    assert len(kept(database)) == 2


def test_a_text_that_cannot_be_read_or_holds_no_answers_is_not_kept(ehr: httpx.Client, database: Database) -> None:
    cut = json.dumps(a_response({"chest_pain": "Y"})).encode()[:-20]
    empty = {"resourceType": "QuestionnaireResponse", "status": "banana"}

    for answer in (post(ehr, cut), post(ehr, empty)):
        assert answer.status_code == 400
        assert "safety-net" not in codes(answer)
    assert kept(database) == []


def test_the_notice_is_shown_even_among_more_problems_than_are_listed(ehr: httpx.Client) -> None:
    response = a_response({"chest_pain": "Y"})
    response["item"] += [{"linkId": f"nonsense-{n}", "answer": [{"valueString": "x"}]} for n in range(150)]

    assert "safety-net" in codes(post(ehr, response))


def test_the_refusal_names_no_answer_of_the_patient(ehr: httpx.Client) -> None:
    response = a_response({"chest_pain": "Y"}, patient="canary-patient")
    response["item"].append({"linkId": "nonsense", "answer": [{"valueString": "canary-answer"}]})

    assert "canary" not in post(ehr, response).text


@pytest.mark.requirement("REQ-31")
def test_what_is_not_urgent_is_erased_with_the_verdict_and_what_is_stays(ehr: httpx.Client, database: Database) -> None:
    for state in ("not_urgent", "urgent"):
        sent = json.dumps(a_response({"chest_pain": "Y"}) | {"status": "banana"}).encode()
        post(ehr, sent)
        [entry] = ehr.get(QUARANTINE).json()["entry"]
        waiting = entry["resource"]["id"]
        [full] = ehr.get(QUARANTINE, params={"_id": waiting}).json()["entry"]
        [text] = [part for part in full["resource"]["parameter"] if part["name"] == "text"]
        assert base64.b64decode(text["valueBase64Binary"]) == sent
        note(ehr, waiting, state)
        assert "entry" not in ehr.get(QUARANTINE).json()

    assert [(state, body is None) for state, _, _, _, body in kept(database)] == [
        ("not_urgent", True),
        ("urgent", False),
    ]
    note(ehr, waiting, "not_urgent")
    assert kept(database)[1][0] == "urgent", "a verdict is given once"


def note(client: httpx.Client, submission: str, state: str) -> None:
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "submission", "valueId": submission}, {"name": "state", "valueCode": state}],
    }
    headers = {"Content-Type": "application/fhir+json"}
    assert client.post(QUARANTINE, content=json.dumps(parameters), headers=headers).status_code == 204


@pytest.mark.requirement("REQ-31")
def test_an_urgent_one_is_erased_some_time_after_its_alert_was_acknowledged_and_not_before(
    ehr: httpx.Client, database: Database
) -> None:
    post(ehr, a_response({"chest_pain": "Y"}) | {"status": "banana"})
    [entry] = ehr.get(QUARANTINE).json()["entry"]
    note(ehr, entry["resource"]["id"], "urgent")
    tasks: list[dict[str, Any]] = []
    notify = FastAPI()

    @notify.get("/fhir/Task")
    def search(request: Request) -> dict[str, Any]:
        assert request.query_params["identifier"].endswith(f"|{entry['resource']['id']}")
        return {"entry": [{"resource": task} for task in tasks]}

    def erased(keep: timedelta) -> bool:
        look_after_refused(pool, client, keep)
        return kept(database)[0][4] is None

    with (
        served(notify) as url,
        FhirClient(url) as client,
        open_pool(database.intake_url, schema="intake") as pool,
    ):
        assert not erased(timedelta(0)), "nobody was alerted yet"
        tasks.append({"status": "received"})
        assert not erased(timedelta(0)), "nobody has acknowledged"
        tasks[0]["status"] = "on-hold"
        assert not erased(timedelta(0)), "somebody has snoozed it, nobody has it"
        tasks[0]["status"] = "accepted"
        assert not erased(timedelta(days=30))
        with psycopg.connect(database.owner_url, autocommit=True) as owner:
            owner.execute("SELECT set_config('sural.tenant', %s, false)", (str(DEFAULT_TENANT),))
            owner.execute("UPDATE intake.quarantine SET erase_at = now()")
        assert erased(timedelta(days=30))
    assert kept(database)[0][0] == "urgent"
