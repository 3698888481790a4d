"""The relay is woken from an event loop: soon, not for every row, and whatever happened to the connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psycopg
import pytest

from shared import loop_waker
from shared.loop_waker import LoopWaker
from shared.outbox import BUSY_DEBOUNCE_S, DEBOUNCE_S, Waker, channel
from shared.postgres import DictConnection, connect
from tests.conftest import Database


@pytest.fixture
def listening(database: Database) -> Iterator[DictConnection]:
    with connect(database.intake_url, schema="intake") as connection:
        connection.execute(f"LISTEN {channel('intake')}".encode())
        yield connection


@contextmanager
def waker_in(database: Database) -> Iterator[LoopWaker]:
    beside = partial(connect, database.intake_url, schema="intake")
    waker = LoopWaker(beside, "intake", Waker(beside, "intake"))
    try:
        yield waker
    finally:
        waker.close()


def heard(listening: DictConnection) -> int:
    """How many announcements came, once the first has."""
    first = len(list(listening.notifies(timeout=10, stop_after=1)))
    return first + len(list(listening.notifies(timeout=0.2)))


async def hear(listening: DictConnection) -> int:
    return await asyncio.to_thread(heard, listening)


def test_many_rows_at_once_are_announced_once(database: Database, listening: DictConnection) -> None:
    async def wake() -> int:
        with waker_in(database) as waker:
            for _ in range(50):
                waker.wake()
            return await hear(listening)

    assert asyncio.run(wake()) == 1


def test_rows_of_one_queue_are_announced_by_its_name_and_others_as_any(
    database: Database, listening: DictConnection
) -> None:
    async def told(*queues: str) -> list[str]:
        with waker_in(database) as waker:
            for queue in queues:
                waker.wake(queue)
            found = await asyncio.to_thread(lambda: list(listening.notifies(timeout=10, stop_after=1)))
            return [each.payload for each in found]

    assert asyncio.run(told("triage", "triage")) == ["triage"]
    assert asyncio.run(told("triage", "triage.refused")) == [""]
    assert asyncio.run(told("triage", "")) == [""]


def test_what_comes_later_is_announced_again_also_after_the_connection_was_lost(
    database: Database, listening: DictConnection
) -> None:
    async def wake() -> list[int]:
        with waker_in(database) as waker:
            waker.wake()
            found = [await hear(listening)]
            ours = waker._connection._connection
            assert ours is not None
            with psycopg.connect(database.intake_url, autocommit=True) as other:
                ended = other.execute("SELECT pg_terminate_backend(%s, 30000)", (ours.info.backend_pid,))
                assert ended.fetchall() == [(True,)]
            waker.wake()
            return [*found, await hear(listening)]

    assert asyncio.run(wake()) == [1, 1]


@pytest.fixture
def announced(database: Database, monkeypatch: pytest.MonkeyPatch) -> tuple[LoopWaker, list[float]]:
    """A waker, and when it announced: nobody is told."""
    beside = partial(connect, database.intake_url, schema="intake")
    waker, times = LoopWaker(beside, "intake", Waker(beside, "intake")), list[float]()

    def run(_parameters: object) -> asyncio.Future[object]:
        times.append(time.monotonic())
        done = asyncio.get_running_loop().create_future()
        done.set_result([])
        return done

    monkeypatch.setattr(waker._connection, "run", run)
    return waker, times


async def turns(number: int = 10) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_what_comes_alone_is_announced_at_once_and_what_follows_soon_waits_for_company(
    announced: tuple[LoopWaker, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    waker, times = announced
    monkeypatch.setattr(loop_waker, "DEBOUNCE_S", 60.0)

    async def wake() -> list[int]:
        waker.wake()
        await turns()
        alone = len(times)
        for _ in range(3):
            waker.wake()
            await turns()
        return [alone, len(times)]

    assert asyncio.run(wake()) == [1, 1]


@pytest.mark.parametrize(("rows", "busy"), [(1, False), (2, False), (3000, True)])
def test_a_row_or_two_in_a_pause_are_no_busy_time(
    announced: tuple[LoopWaker, list[float]], rows: int, busy: bool
) -> None:
    waker, times = announced

    async def wake() -> None:
        waker.wake()
        await turns()
        for _ in range(rows):
            waker.wake()
        while len(times) < 2:
            await asyncio.sleep(0.001)

    asyncio.run(wake())

    assert waker._pause_s == (BUSY_DEBOUNCE_S if busy else DEBOUNCE_S)


def test_who_stores_in_a_thread_wakes_the_relay_too(database: Database, listening: DictConnection) -> None:
    with waker_in(database) as waker:
        waker.wake()
        assert heard(listening) == 1


def test_a_database_that_is_away_is_no_error(database: Database) -> None:
    def away() -> DictConnection:
        raise psycopg.OperationalError("away")

    async def wake() -> None:
        waker = LoopWaker(away, "intake", Waker(away, "intake"))
        for _ in range(3):
            waker.wake()
            await asyncio.sleep(0.02)
        waker.close()

    errors: list[object] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context))
        await wake()

    asyncio.run(watched())
    assert errors == []
