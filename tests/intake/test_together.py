"""Responses that come at the same moment are stored in one transaction, and nobody bears another's error."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, LiteralString

import httpx
import orjson
import psycopg
import pytest

from services.intake.store import NewResponse, Outcome, StoreResult
from services.intake.together import Together
from shared.fhir.search_index import Rows
from shared.ids import DEFAULT_TENANT
from shared.postgres import DatabaseError, Pool, open_pool, unavailable
from tests.builders import a_response
from tests.conftest import Database
from tests.intake.ehr import id_of, post, stored
from tests.waiting import eventually

IDS = ("a", "b", "c", "d")
ROWS = Rows([("status", "", "completed")], [("authored", 1.0, 2.0)])


@pytest.fixture
def pool(database: Database) -> Iterator[Pool]:
    with open_pool(database.intake_url, schema="intake") as pool:
        yield pool


def new(name: str, *, rows: Rows = ROWS, subject: str = "Patient/p") -> NewResponse:
    body = orjson.dumps({"resourceType": "QuestionnaireResponse", "id": name})
    return NewResponse(
        id=name,
        body=body,
        subject=subject,
        rows=rows,
        identifier=("urn:forms", name),
    )


def store_all(pool: Pool, responses: Sequence[NewResponse]) -> list[StoreResult | BaseException]:
    """Store these at the same moment: while the first is being stored the others wait."""

    async def store() -> list[StoreResult | BaseException]:
        together = Together(pool)
        try:
            stores = (together.store(DEFAULT_TENANT, response) for response in responses)
            return await asyncio.gather(*stores, return_exceptions=True)
        finally:
            together.close()

    return asyncio.run(store())


def told(database: Database) -> list[str]:
    """Of which responses triage will hear."""
    return ids_in(database, "SELECT ref_id FROM intake.outbox ORDER BY ref_id")


def recorded(database: Database) -> list[str]:
    """Of which responses it is recorded who sent them."""
    return ids_in(
        database, "SELECT ref_id FROM intake.audit_event WHERE type = 'QuestionnaireResponse' ORDER BY ref_id"
    )


def ids_in(database: Database, query: LiteralString) -> list[str]:
    with psycopg.connect(database.owner_url) as owner:
        return [name for (name,) in owner.execute(query)]


def outcomes(results: Sequence[StoreResult | BaseException]) -> dict[str, Outcome]:
    return {result.id: result.outcome for result in results if isinstance(result, StoreResult)}


@pytest.mark.requirement("REQ-03")
def test_what_comes_together_is_stored_in_one_transaction_each_with_its_message_and_its_record(
    database: Database, pool: Pool
) -> None:
    results = store_all(pool, [new(name) for name in IDS])

    assert outcomes(results) == dict.fromkeys(IDS, Outcome.CREATED)
    transactions = "SELECT array_agg(id ORDER BY id) FROM intake.resource WHERE type = %s GROUP BY xmin::text"
    with psycopg.connect(database.owner_url) as owner:
        found = owner.execute(transactions, ("QuestionnaireResponse",)).fetchall()
    assert sorted(ids for (ids,) in found) == [["a"], ["b", "c", "d"]]
    assert told(database) == recorded(database) == list(IDS)


@pytest.mark.requirement("REQ-03")
@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(new("c", rows=Rows([], [("authored", "never", 2.0)])), id="by the database"),  # type: ignore[list-item]
        pytest.param(new("c", subject="Patient/\0"), id="before it is sent"),
    ],
)
def test_a_response_that_cannot_be_stored_takes_no_other_with_it(
    database: Database, pool: Pool, refused: NewResponse
) -> None:
    results = store_all(pool, [new("a"), new("b"), refused, new("d")])

    assert outcomes(results) == dict.fromkeys(("a", "b", "d"), Outcome.CREATED)
    assert isinstance(results[2], DatabaseError)
    assert told(database) == recorded(database) == ["a", "b", "d"]


@contextmanager
def somebody_storing(database: Database, name: str) -> Iterator[psycopg.Connection[Any]]:
    """A transaction that holds an identifier until this block ends."""
    with psycopg.connect(database.intake_url, options="-c search_path=intake") as other:
        other.execute("SELECT set_config('sural.tenant', %s, true)", (str(DEFAULT_TENANT),))
        other.execute(
            "INSERT INTO response_key (tenant_id, system, value, id) VALUES (%s, 'urn:forms', %s, 'x')",
            (DEFAULT_TENANT, name),
        )
        yield other
        other.rollback()


@pytest.mark.requirement("REQ-03")
def test_who_waits_too_long_for_anothers_identifier_holds_up_nobody_for_good(database: Database, pool: Pool) -> None:
    with somebody_storing(database, "c"):
        results = store_all(pool, [new(name) for name in IDS])

    assert outcomes(results) == dict.fromkeys(("a", "b", "d"), Outcome.CREATED)
    assert isinstance(results[2], DatabaseError)
    assert unavailable(results[2]), "the sender is asked to send it again"


@pytest.mark.requirement("REQ-03")
def test_when_the_connection_is_lost_all_are_asked_to_send_again_and_then_each_is_stored_once(
    database: Database, pool: Pool
) -> None:
    with somebody_storing(database, "c"), ThreadPoolExecutor(1) as threads:
        running = threads.submit(store_all, pool, [new(name) for name in IDS])
        end_who_waits(database)
        results = running.result(timeout=20)

    assert outcomes(results) == {"a": Outcome.CREATED}
    lost = [result for result in results[1:] if isinstance(result, DatabaseError)]
    assert len(lost) == 3
    assert all(unavailable(error) for error in lost)

    assert len(outcomes(store_all(pool, [new(name) for name in IDS]))) == 4
    assert told(database) == recorded(database) == list(IDS)


def end_who_waits(database: Database) -> None:
    """End the server's process that waits for the lock, as soon as there is one."""
    with psycopg.connect(database.intake_url, autocommit=True) as other:
        waits = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE '%:intake'"
        eventually(lambda: other.execute(waits).fetchone() is not None, within_s=10)
        other.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM ({waits}) AS waiting".encode())


@pytest.mark.requirement("REQ-03")
def test_where_no_thread_is_to_be_had_all_are_asked_to_send_again_and_nobody_waits_for_ever(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_executor: object, *_: object) -> None:
        raise RuntimeError("can't start new thread")

    async def store() -> tuple[list[StoreResult | BaseException], StoreResult]:
        together = Together(pool)
        with monkeypatch.context() as machine:
            machine.setattr(ThreadPoolExecutor, "submit", no_thread)
            stores = [together.store(DEFAULT_TENANT, new(name)) for name in IDS]
            refused = await asyncio.wait_for(asyncio.gather(*stores, return_exceptions=True), 10)
        later = await asyncio.wait_for(together.store(DEFAULT_TENANT, new("later")), 10)
        together.close()
        return refused, later

    refused, later = asyncio.run(store())

    assert all(isinstance(error, DatabaseError) and unavailable(error) for error in refused)
    assert later.outcome is Outcome.CREATED


@pytest.mark.requirement("REQ-04")
def test_the_same_form_sent_many_times_at_once_is_stored_once(ehr: httpx.Client) -> None:
    post(ehr, a_response(identifier="so that the questionnaire is known"))
    form = a_response(identifier="form-1")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: post(ehr, form), range(8)))

    assert sorted(answer.status_code for answer in answers) == [*[200] * 7, 201]
    assert len({id_of(answer) for answer in answers}) == 1
    assert stored(ehr) == 2


@pytest.mark.requirement("REQ-03")
def test_many_forms_at_once_are_each_stored_and_told_to_triage(ehr: httpx.Client, database: Database) -> None:
    post(ehr, a_response(identifier="form-0"))
    with ThreadPoolExecutor(8) as threads:
        forms = [a_response(identifier=f"form-{number}") for number in range(1, 41)]
        answers = list(threads.map(lambda form: post(ehr, form), forms))

    assert {answer.status_code for answer in answers} == {201}
    ids = {id_of(answer) for answer in answers}
    assert len(ids) == 40
    assert set(told(database)) > ids
    assert set(recorded(database)) > ids
