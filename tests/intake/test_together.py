"""Responses that come at the same moment are stored in one transaction, and nobody bears another's error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, LiteralString
from uuid import uuid4

import httpx
import orjson
import psycopg
import pytest
from psycopg.rows import dict_row

from services.intake.store import NewResponse, Outcome, StoreResult
from services.intake.together import Together
from shared.fhir.search_index import Rows
from shared.ids import DEFAULT_TENANT
from shared.loop_connection import PATIENCE_S
from shared.postgres import DatabaseError, DictConnection, connect, nothing_done, unavailable
from tests.builders import SENDER, a_response
from tests.conftest import Database
from tests.intake.ehr import id_of, post, stored
from tests.waiting import eventually

IDS = ("a", "b", "c", "d")
ROWS = Rows([("status", "", "completed")], [("authored", 1.0, 2.0)])


def new(name: str, *, rows: Rows = ROWS, subject: str = "Patient/p") -> NewResponse:
    body = orjson.dumps({"resourceType": "QuestionnaireResponse", "id": name})
    return NewResponse(
        id=name,
        body=body,
        subject=subject,
        rows=rows,
        identifier=("urn:forms", name),
    )


Told = StoreResult | BaseException | None


def together_in(database: Database) -> Together:
    return Together(lambda: connect(database.intake_url, schema="intake"))


def together_without_limits(database: Database, patience_s: float) -> Together:
    """The database itself never ends a wait: only this patience does."""

    def without_limits() -> DictConnection:
        connection = connect(database.intake_url, schema="intake")
        connection.execute("SET lock_timeout = 0; SET statement_timeout = 0")
        return connection

    return Together(without_limits, patience_s=patience_s)


def store_all(
    database: Database, responses: Sequence[NewResponse], *, open_together: Callable[[Database], Together] = together_in
) -> list[Told]:
    """Store these at the same moment: while the first is being stored the others wait."""

    async def store() -> list[Told]:
        together = open_together(database)
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


def outcomes(results: Sequence[Told]) -> dict[str, Outcome]:
    return {result.id: result.outcome for result in results if isinstance(result, StoreResult)}


@pytest.mark.requirement("REQ-03")
def test_what_comes_together_is_stored_in_one_transaction_each_with_its_message_and_its_record(
    database: Database,
) -> None:
    results = store_all(database, [new(name) for name in IDS])

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
def test_who_came_together_with_one_that_cannot_be_stored_is_stored_the_other_way(
    database: Database, refused: NewResponse
) -> None:
    results = store_all(database, [new("a"), new("b"), refused, new("d")])

    assert outcomes(results) == {"a": Outcome.CREATED}
    assert results[1:] == [None] * 3, "each takes the way that all writes take"
    assert told(database) == recorded(database) == ["a"], "and of them nothing is stored yet"


@pytest.fixture
def no_commit_of_c(database: Database) -> Iterator[None]:
    """The server gives the row of a statement before the commit, which fails for the form `c`."""
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(
            "CREATE FUNCTION intake.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'too late'; END $$;"
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON intake.response_key DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW WHEN (new.value = 'c') EXECUTE FUNCTION intake.fail()"
        )
        yield
        owner.execute("DROP FUNCTION intake.fail CASCADE")


@pytest.mark.requirement("REQ-03")
@pytest.mark.usefixtures("no_commit_of_c")
def test_what_fails_when_it_is_committed_is_not_confirmed(database: Database) -> None:
    results = store_all(database, [new(name) for name in IDS])

    assert outcomes(results) == {"a": Outcome.CREATED}
    assert results[1:] == [None] * 3
    assert told(database) == recorded(database) == ["a"]


@contextmanager
def somebody_storing(database: Database, name: str, system: str = "urn:forms") -> Iterator[psycopg.Connection[Any]]:
    """A transaction that holds an identifier until this block ends."""
    with psycopg.connect(database.intake_url, options="-c search_path=intake") as other:
        other.execute("SELECT set_config('sural.tenant', %s, true)", (str(DEFAULT_TENANT),))
        other.execute(
            "INSERT INTO response_key (tenant_id, system, value, id) VALUES (%s, %s, %s, 'x')",
            (DEFAULT_TENANT, system, name),
        )
        yield other
        other.rollback()


@pytest.mark.requirement("REQ-03")
def test_when_the_connection_is_lost_all_are_asked_to_send_again_and_then_each_is_stored_once(
    database: Database,
) -> None:
    with somebody_storing(database, "c"), ThreadPoolExecutor(1) as threads:
        waiting = partial(together_without_limits, patience_s=60)
        running = threads.submit(store_all, database, [new(name) for name in IDS], open_together=waiting)
        end_who_waits(database)
        results = running.result(timeout=30)

    assert outcomes(results) == {"a": Outcome.CREATED}
    lost = [result for result in results[1:] if isinstance(result, DatabaseError)]
    assert len(lost) == 3
    assert all(unavailable(error) for error in lost)

    again = store_all(database, [new(name) for name in IDS])
    assert again[0] is None, "the first is there already"
    assert outcomes(again) == dict.fromkeys(("b", "c", "d"), Outcome.CREATED)
    assert told(database) == recorded(database) == list(IDS)


def end_who_waits(database: Database) -> None:
    """End the server's process that waits for the lock, as soon as there is one."""
    with psycopg.connect(database.intake_url, autocommit=True) as other:
        waits = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE '%:intake'"
        eventually(lambda: other.execute(waits).fetchone() is not None, within_s=30)
        other.execute(f"SELECT pg_terminate_backend(pid, 30000) FROM ({waits}) AS waiting".encode())


@pytest.mark.requirement("REQ-03")
def test_where_no_thread_is_to_be_had_all_are_asked_to_send_again_and_nobody_waits_for_ever(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_executor: object, *_: object) -> None:
        raise RuntimeError("can't start new thread")

    async def store() -> tuple[list[Told], Told]:
        together = together_in(database)
        with monkeypatch.context() as machine:
            machine.setattr(ThreadPoolExecutor, "submit", no_thread)
            stores = [together.store(DEFAULT_TENANT, new(name)) for name in IDS]
            refused = await asyncio.wait_for(asyncio.gather(*stores, return_exceptions=True), 10)
        later = await asyncio.wait_for(together.store(DEFAULT_TENANT, new("later")), 10)
        together.close()
        return refused, later

    refused, later = asyncio.run(store())

    assert all(isinstance(error, DatabaseError) and unavailable(error) for error in refused)
    assert isinstance(later, StoreResult)


@pytest.mark.requirement("REQ-03")
def test_who_waits_for_the_answer_of_a_database_that_gives_none_is_told_so_and_the_next_is_stored(
    database: Database,
) -> None:
    async def store() -> tuple[list[Told], Told]:
        together = together_without_limits(database, patience_s=0.5)
        with somebody_storing(database, "a"):
            lost = await asyncio.gather(*[together.store(DEFAULT_TENANT, new("a"))], return_exceptions=True)
        together._connection._patience_s = PATIENCE_S
        later = await together.store(DEFAULT_TENANT, new("later"))
        together.close()
        return lost, later

    [lost], later = asyncio.run(store())

    assert isinstance(lost, DatabaseError)
    assert unavailable(lost)
    assert not nothing_done(lost), "nobody knows what the database did with it"
    assert isinstance(later, StoreResult)


@pytest.mark.requirement("REQ-03")
def test_a_connection_that_the_server_ended_meanwhile_costs_no_answer(database: Database) -> None:
    async def store() -> list[Told]:
        together = together_in(database)
        first = await together.store(DEFAULT_TENANT, new("a"))
        ours = together._connection._connection
        assert ours is not None
        with psycopg.connect(database.intake_url, autocommit=True) as other:
            ended = other.execute("SELECT pg_terminate_backend(%s, 30000)", (ours.info.backend_pid,))
            assert ended.fetchall() == [(True,)]
        second = await together.store(DEFAULT_TENANT, new("b"))
        together.close()
        return [first, second]

    assert outcomes(asyncio.run(store())) == dict.fromkeys(("a", "b"), Outcome.CREATED)


def test_each_of_those_that_are_stored_together_belongs_to_its_own_tenant(database: Database) -> None:
    elsewhere = uuid4()

    async def store() -> None:
        together = together_in(database)
        tenants = [DEFAULT_TENANT, elsewhere, DEFAULT_TENANT, elsewhere]
        await asyncio.gather(*(together.store(one, new(name)) for one, name in zip(tenants, IDS, strict=True)))
        together.close()

    asyncio.run(store())

    for table in ("resource", "response_key", "search_value", "search_range", "outbox", "audit_event"):
        column = "ref_id" if table in ("outbox", "audit_event") else "id"
        query = f"SELECT DISTINCT {column}, tenant_id FROM intake.{table} WHERE {column} = ANY (%s) ORDER BY 1"
        with psycopg.connect(database.owner_url, options="-c sural.across_tenants=on") as owner:
            found = owner.execute(query.encode(), (list(IDS),)).fetchall()
        assert found == list(zip(IDS, [DEFAULT_TENANT, elsewhere] * 2, strict=True)), table


@pytest.mark.requirement("REQ-03")
def test_a_response_that_waits_for_anothers_identifier_delays_those_that_came_with_it_and_no_more(
    ehr: httpx.Client, database: Database
) -> None:
    post(ehr, a_response(identifier="so that the questionnaire is known"))
    with somebody_storing(database, "c", system=SENDER), ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda name: post(ehr, a_response(identifier=name)), ("c", "a", "b", "d")))

    assert [answer.status_code for answer in answers] == [503, 201, 201, 201]


def test_the_short_way_stores_what_the_long_way_stores(ehr: httpx.Client, database: Database) -> None:
    """A condition that holds takes the long way."""
    long = a_response(identifier="long")
    short = {**long, "identifier": {"system": SENDER, "value": "short"}}
    condition = {"If_None_Exist": f"identifier={SENDER}|long"}
    ids = {"long": id_of(post(ehr, long, **condition)), "short": id_of(post(ehr, short))}

    assert everything_about(database, "short", ids["short"]) == everything_about(database, "long", ids["long"])


OF_EACH = ("id", "number", "last_updated", "recorded", "created_at", "body", "sha256", "request")
"""What differs from one response to the next."""


def everything_about(database: Database, name: str, response_id: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of a response in all tables, with a word in place of its identifier and id."""
    found: dict[str, list[dict[str, Any]]] = {}
    with psycopg.connect(database.owner_url, row_factory=dict_row) as owner:
        tables = owner.execute(
            "SELECT table_name AS name, array_agg(column_name::text) AS columns FROM information_schema.columns "
            "WHERE table_schema = 'intake' GROUP BY table_name ORDER BY table_name"
        ).fetchall()
        for table in tables:
            column = next((name for name in ("ref_id", "id") if name in table["columns"]), None)
            if column is None or "tenant_id" not in table["columns"]:
                continue
            query = f"SELECT * FROM intake.{table['name']} AS t WHERE {column}::text = %s ORDER BY t::text"
            rows = owner.execute(query.encode(), (response_id,)).fetchall()
            found[table["name"]] = [
                {
                    field: str(value).replace(response_id, "ID").replace(name, "NAME")
                    for field, value in row.items()
                    if field not in OF_EACH
                }
                for row in rows
            ]
    return found


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
