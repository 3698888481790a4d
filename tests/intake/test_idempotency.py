"""The same form sent more than once: by identifier, by Idempotency-Key, or with nothing to recognise it by."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import httpx
import psycopg
import pytest

from services.intake.app import create_app
from services.intake.forgetting import forget_old_keys
from services.intake.judge import Judged
from services.intake.preconditions import Preconditions
from services.intake.receive import create
from services.intake.store import Outcome, StoreResult
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection, open_pool
from shared.problems import ProblemError
from tests.builders import a_response
from tests.conftest import Database
from tests.intake.ehr import codes, errors, id_of, post, stored
from tests.intake.test_token import Intake, bearer, settings
from tests.serving import client_of


def nameless(answers: dict[str, object] | None = None, **more: Any) -> dict[str, Any]:
    """A response without an identifier."""
    response = {**a_response(answers, patient="p"), **more}
    del response["identifier"]
    return response


def age(database: Database, statement: str) -> None:
    """Let time pass in the database."""
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(statement)


@pytest.mark.requirement("REQ-04")
def test_a_request_repeated_with_its_key_is_stored_once_also_without_identifier(ehr: httpx.Client) -> None:
    first = post(ehr, nameless(), Idempotency_Key="k-1")
    again = post(ehr, nameless(), Idempotency_Key="k-1")
    other_key = post(ehr, nameless(), Idempotency_Key="k-2")

    assert (first.status_code, again.status_code, other_key.status_code) == (201, 200, 201)
    assert id_of(again) == id_of(first) != id_of(other_key)
    assert "duplicate" in codes(again)
    assert stored(ehr) == 2


@pytest.mark.requirement("REQ-04")
@pytest.mark.parametrize("answers", [{}, {"chest_pain": "Y"}], ids=["the same answers", "other answers"])
def test_the_same_key_of_another_client_is_another_key(database: Database, answers: dict[str, object]) -> None:
    with client_of(create_app(settings(database))) as http:
        http.headers["Host"] = "sural.clinic.example"
        intake = Intake(http, database)
        one, other = (bearer(intake.token(intake.register())) for _ in range(2))
        sent = ((one, nameless()), (other, nameless(answers)))

        first = [post(http, response, Idempotency_Key="k-1", **who) for who, response in sent]
        again = [post(http, response, Idempotency_Key="k-1", **who) for who, response in sent]

    assert [answer.status_code for answer in first] == [201, 201]
    assert [answer.status_code for answer in again] == [200, 200]
    assert [id_of(answer) for answer in again] == [id_of(answer) for answer in first]
    assert id_of(first[0]) != id_of(first[1])


@pytest.mark.requirement("REQ-04")
def test_fifty_equal_posts_at_once_with_one_key_make_one_resource(ehr: httpx.Client) -> None:
    with ThreadPoolExecutor(10) as senders:
        answers = list(senders.map(lambda _: post(ehr, nameless(), Idempotency_Key="k-50"), range(50)))

    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert len({id_of(answer) for answer in answers}) == 1
    assert stored(ehr) == 1


@pytest.mark.requirement("REQ-04")
def test_fifty_equal_posts_at_once_without_a_header_make_one_resource(ehr: httpx.Client) -> None:
    response = a_response(identifier="form-50")
    with ThreadPoolExecutor(10) as senders:
        answers = list(senders.map(lambda _: post(ehr, response), range(50)))

    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert stored(ehr) == 1


def test_a_key_for_another_body_is_refused(ehr: httpx.Client) -> None:
    post(ehr, nameless(), Idempotency_Key="k-1")

    other = post(ehr, nameless({"chest_pain": "Y"}), Idempotency_Key="k-1")

    assert (other.status_code, errors(other)) == (422, ["idempotency-key-reused"])
    assert stored(ehr) == 1


def test_a_key_is_forgotten_after_24_hours(ehr: httpx.Client, database: Database) -> None:
    post(ehr, nameless(), Idempotency_Key="k-1")
    age(database, "UPDATE intake.idempotency_key SET used_at = used_at - interval '24 hours 1 second'")

    assert post(ehr, nameless({"chest_pain": "Y"}), Idempotency_Key="k-1").status_code == 201


def test_a_refused_request_does_not_use_up_its_key(ehr: httpx.Client) -> None:
    post(ehr, a_response(identifier="form-1"))
    taken = post(ehr, a_response({"chest_pain": "Y"}, identifier="form-1"), Idempotency_Key="k-1")

    assert taken.status_code == 409
    assert post(ehr, a_response({"chest_pain": "Y"}, identifier="form-2"), Idempotency_Key="k-1").status_code == 201


@pytest.mark.parametrize("key", ["", "k" * 256, "a b"])
def test_a_key_that_cannot_be_kept_is_refused(ehr: httpx.Client, key: str) -> None:
    answer = post(ehr, nameless(), Idempotency_Key=key)

    assert (answer.status_code, errors(answer)) == (400, ["idempotency-key"])


def test_equal_answers_without_identifier_are_both_stored_and_the_second_is_told_of_the_first(
    ehr: httpx.Client, database: Database
) -> None:
    first = post(ehr, nameless())
    second = post(ehr, nameless())
    changed = post(ehr, nameless({"chest_pain": "Y"}))
    age(database, "UPDATE intake.recent_content SET seen_at = seen_at - interval '10 minutes 1 second'")
    late = post(ehr, nameless())

    assert [answer.status_code for answer in (first, second, changed, late)] == [201] * 4
    assert ["same-answers-again" in codes(answer) for answer in (first, second, changed, late)] == [
        False, True, False, False,
    ]  # fmt: skip
    assert f"QuestionnaireResponse/{id_of(first)}" in second.text
    assert stored(ehr) == 4


@pytest.mark.requirement("REQ-01")
@pytest.mark.parametrize("outcome", sorted({*Outcome} - {Outcome.CREATED, Outcome.REPEATED, Outcome.IDENTIFIED}))
def test_a_new_response_that_was_not_stored_is_never_answered_as_if_it_were(
    monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    met = StoreResult(outcome, "1", 1, None)
    monkeypatch.setattr("services.intake.store.store_response", lambda *_: met)
    monkeypatch.setattr("services.intake.store.read_response", lambda *_: None)
    judged = Judged(b"{}", a_response(), cast(QuestionnaireIndex, None), [])

    with pytest.raises((AssertionError, ProblemError)):
        create(judged, connection=cast(DictConnection, None), tenant=DEFAULT_TENANT, asked=Preconditions("client"))


def test_one_identifier_cannot_belong_to_two_responses(ehr: httpx.Client, database: Database) -> None:
    """So If-None-Exist can never match more than one: the index forbids it, and 412 for that cannot happen."""
    post(ehr, a_response(identifier="form-1"))

    with pytest.raises(psycopg.errors.UniqueViolation), psycopg.connect(database.owner_url) as owner:
        owner.execute(
            "INSERT INTO intake.response_key SELECT tenant_id, system, value, 'other' FROM intake.response_key"
        )


def test_keys_and_digests_are_deleted_when_their_time_is_over(ehr: httpx.Client, database: Database) -> None:
    post(ehr, nameless(), Idempotency_Key="k-1")
    with open_pool(database.intake_url, schema="intake", size=1) as pool:
        assert forget_old_keys(pool) == 0
        age(database, "UPDATE intake.idempotency_key SET used_at = used_at - interval '24 hours 1 second'")
        age(database, "UPDATE intake.recent_content SET seen_at = seen_at - interval '10 minutes 1 second'")

        assert forget_old_keys(pool) == 2
