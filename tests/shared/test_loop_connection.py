"""A database that is away, stands still or was changed: whoever asks is told in time, and the next is served."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count

import psycopg
import pytest

from shared.loop_connection import PATIENCE_S, LoopConnection, Row, Statement, Values
from shared.postgres import DatabaseError, DictConnection, OperationalError, connect
from tests.conftest import Database
from tests.waiting import eventually

Told = list[Row] | BaseException
MANY = 70
"""More than two transactions take."""
ECHO = Statement("SELECT $1", ("text",))
BEHIND_A_LOCK = Statement("SELECT $1 FROM pg_advisory_xact_lock_shared(7201)", ("text",))
HELLO: Values = [b"hello"]


def asking(database: Database, statement: Statement = ECHO) -> LoopConnection:
    return LoopConnection(partial(connect, database.intake_url, schema="intake"), statement)


def without_limits(database: Database) -> DictConnection:
    """A connection on which the database itself never ends a wait."""
    connection = connect(database.intake_url, schema="intake")
    connection.execute("SET lock_timeout = 0; SET statement_timeout = 0")
    return connection


async def told(*asked: asyncio.Future[list[Row]]) -> Sequence[Told]:
    return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 30)


@contextmanager
def lock_held(database: Database) -> Iterator[None]:
    """Nobody gets past the lock inside the block."""
    with psycopg.connect(database.intake_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(7201)")
        yield


@pytest.mark.requirement("REQ-03")
def test_when_no_connection_is_to_be_had_all_who_wait_are_told_at_once() -> None:
    tries: list[str] = []

    def away() -> DictConnection:
        tries.append("one")
        raise psycopg.OperationalError("away")

    async def ask() -> Sequence[Told]:
        connection = LoopConnection(away, ECHO)
        return await told(*[connection.run(HELLO) for _ in range(MANY)])

    answers = asyncio.run(ask())

    assert [str(answer) for answer in answers] == ["away"] * MANY
    assert tries == ["one"], "nobody waited for a second try that could not do better"


@pytest.mark.requirement("REQ-03")
def test_when_the_database_gives_no_answer_those_behind_are_told_with_the_first_and_the_next_is_served(
    database: Database,
) -> None:
    async def ask() -> tuple[Sequence[Told], Sequence[Told]]:
        connection = LoopConnection(partial(without_limits, database), BEHIND_A_LOCK, patience_s=1.0)
        with lock_held(database):
            lost = await told(*[connection.run(HELLO) for _ in range(MANY)])
        connection._patience_s = PATIENCE_S
        later = await told(connection.run(HELLO))
        connection.close()
        return lost, later

    lost, later = asyncio.run(ask())

    assert isinstance(lost[0], OperationalError)
    assert all(answer is lost[0] for answer in lost), "one wait for all, not one for each transaction"
    assert later == [[(b"hello",)]]


@pytest.mark.requirement("REQ-03")
def test_a_connection_that_does_not_come_in_time_is_waited_for_no_longer_and_closed_when_it_comes(
    database: Database,
) -> None:
    goes_on, numbers, opened = threading.Event(), count(), dict[int, DictConnection]()

    def first_late() -> DictConnection:
        number = next(numbers)
        connection = opened[number] = connect(database.intake_url, schema="intake")
        if number == 0:
            goes_on.wait(60)
        return connection

    async def ask() -> list[Sequence[Told]]:
        connection = LoopConnection(first_late, ECHO, patience_s=1.0)
        try:
            lost = await told(*[connection.run(HELLO) for _ in range(MANY)])
            connection._patience_s = PATIENCE_S
            later = await told(connection.run(HELLO))
            goes_on.set()
            await asyncio.to_thread(eventually, lambda: 0 in opened and opened[0].closed)
            return [lost, later, await told(connection.run(HELLO))]
        finally:
            goes_on.set()
            connection.close()

    lost, *later = asyncio.run(ask())

    assert [str(answer) for answer in lost] == ["no answer in time"] * MANY
    assert later == [[[(b"hello",)]]] * 2
    assert len(opened) == 2


@pytest.fixture
def changed(database: Database) -> Iterator[Callable[[], None]]:
    """A function, and the migration that makes another of it."""
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("CREATE FUNCTION intake.asked(text) RETURNS text LANGUAGE sql AS 'SELECT $1'")
        owner.execute("GRANT EXECUTE ON FUNCTION intake.asked TO PUBLIC")

        def change() -> None:
            owner.execute(
                "DROP FUNCTION intake.asked; "
                "CREATE FUNCTION intake.asked(text) RETURNS bool LANGUAGE sql AS 'SELECT true'; "
                "GRANT EXECUTE ON FUNCTION intake.asked TO PUBLIC"
            )

        yield change
        owner.execute("DROP FUNCTION intake.asked")


@pytest.mark.requirement("REQ-03")
def test_after_a_migration_the_statement_is_prepared_anew(database: Database, changed: Callable[[], None]) -> None:
    async def ask() -> list[Sequence[Told]]:
        connection = asking(database, Statement("SELECT intake.asked($1)", ("text",)))
        before = await told(connection.run(HELLO))
        changed()
        answers = [before, await told(connection.run(HELLO)), await told(connection.run(HELLO))]
        connection.close()
        return answers

    before, [refused], after = asyncio.run(ask())

    assert before == [[(b"hello",)]]
    assert isinstance(refused, DatabaseError)
    assert refused.sqlstate == "0A000", "the plan that was prepared gives another type"
    assert after == [[(b"\x01",)]]


def test_what_an_ended_loop_left_in_the_middle_keeps_nobody_waiting(database: Database) -> None:
    connection = asking(database, BEHIND_A_LOCK)

    async def ask() -> Sequence[Told]:
        return await told(connection.run(HELLO))

    async def leave(lock: ExitStack) -> None:
        await ask()
        lock.enter_context(lock_held(database))
        connection.run(HELLO)

    with ExitStack() as lock:
        asyncio.run(leave(lock))

    assert asyncio.run(ask()) == [[(b"hello",)]]
    connection.close()
