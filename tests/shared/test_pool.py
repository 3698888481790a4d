"""What a pool gives out: connections whose server is there, and transactions of one tenant with few round trips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from shared.events import Ref
from shared.ids import DEFAULT_TENANT
from shared.outbox import add
from shared.postgres import SILENT_S, DictConnection, Pool, open_pool, tenant_transaction
from tests.conftest import Database


@pytest.fixture
def pool(database: Database) -> Iterator[Pool]:
    """One connection: whatever happened to it, the next transaction meets it."""
    with open_pool(database.intake_url, schema="intake", size=1) as pool:
        yield pool


def undone(connection: DictConnection) -> ZeroDivisionError:
    add(connection, "triage", [Ref("never", 1)])
    return ZeroDivisionError()


def tenant_of(connection: DictConnection) -> object:
    row = connection.execute("SELECT present_tenant() AS tenant").fetchone()
    assert row is not None
    return row["tenant"]


def process_of(connection: DictConnection) -> int:
    return connection.info.backend_pid


@pytest.mark.requirement("REQ-03")
def test_a_connection_that_the_server_ended_is_replaced_before_anybody_works_with_it(
    database: Database, pool: Pool
) -> None:
    for _ in range(3):
        with tenant_transaction(pool, DEFAULT_TENANT) as connection:
            before = process_of(connection)
        with psycopg.connect(database.intake_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 30000)", (before,))

        with tenant_transaction(pool, DEFAULT_TENANT) as connection:
            assert process_of(connection) != before
            assert tenant_of(connection) == DEFAULT_TENANT


def test_a_connection_that_nobody_used_for_a_while_is_asked_whether_it_lives(pool: Pool, tmp_path: Path) -> None:
    with traced(pool, tmp_path) as trace:
        with pool.connection() as connection:
            connection.used_at -= SILENT_S + 1
        with tenant_transaction(pool, DEFAULT_TENANT):
            pass
    assert round_trips(trace) == 3, "one to ask, one to begin, one to end"


def test_a_transaction_of_a_tenant_needs_one_round_trip_to_begin_and_one_to_end(pool: Pool, tmp_path: Path) -> None:
    with traced(pool, tmp_path) as trace, tenant_transaction(pool, DEFAULT_TENANT):
        pass
    assert round_trips(trace) == 2


@pytest.mark.requirement("REQ-03")
def test_what_a_failed_transaction_wrote_is_gone_and_so_is_its_tenant(pool: Pool) -> None:
    with pytest.raises(ZeroDivisionError), tenant_transaction(pool, DEFAULT_TENANT) as connection:
        raise undone(connection)

    with pool.connection() as connection:
        assert tenant_of(connection) is None
        assert connection.execute("SELECT ref_id FROM outbox").fetchall() == []


def test_a_tenant_is_forgotten_when_its_transaction_ends(pool: Pool) -> None:
    other = uuid4()
    with tenant_transaction(pool, other) as connection:
        assert tenant_of(connection) == other
    with pool.connection() as connection:
        assert tenant_of(connection) is None


def test_a_part_of_a_transaction_can_fail_without_the_whole(pool: Pool) -> None:
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        add(connection, "triage", [Ref("stays", 1)])
        with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction():
            connection.execute("SELECT 1 / 0")

    with pool.connection() as connection:
        assert [row["ref_id"] for row in connection.execute("SELECT ref_id FROM outbox")] == ["stays"]


@contextmanager
def traced(pool: Pool, folder: Path) -> Iterator[Path]:
    """What goes over the pool's connection in this block is written into a file."""
    path = folder / "trace"
    with path.open("wb") as file:
        with pool.connection() as connection:
            connection.pgconn.trace(file.fileno())
        yield path
        with pool.connection() as connection:
            connection.pgconn.untrace()


def round_trips(trace: Path) -> int:
    """How often the server said that it waits for the next command."""
    return trace.read_text().count("ReadyForQuery")
