"""PostgreSQL: connections with safe limits, named queries from .sql files, and the migration runner."""

from __future__ import annotations

import hashlib
import logging
import math
import re
import select
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow, dict_row
from psycopg_pool import ConnectionPool

from shared.ids import PUBLISHED_TENANT
from shared.problems import Category, Problem, ProblemError

Connection = psycopg.Connection[Any]
DictConnection = psycopg.Connection[dict[str, Any]]
OperationalError = psycopg.OperationalError
"""Without a state of SQL: the database cannot take it now (`unavailable`)."""
DatabaseError = psycopg.Error
"""Whatever goes wrong with a database, a pool that has no connection to give included."""

UNAVAILABLE_SQLSTATES = ("08", "53", "57P", "57014", "58", "25006", "25P03", "40001", "40P01", "55P03")
"""Connection lost, out of resources (disk full too), shutting down, our own statement timeout, input or output error,
read-only standby, idle transaction ended, serialisation, deadlock, lock timeout: all mean "try again", none of them
that the request was wrong."""

SILENT_S = 5.0
"""A connection that was not used for so long is asked whether its server is still there."""

log = logging.getLogger(__name__)

MIGRATION_LOCK = 7_201_733_041
SHARED_MIGRATIONS = Path(__file__).parent / "migrations"


class PooledConnection(psycopg.Connection[dict[str, Any]]):
    """A connection of a pool. `used_at`: when it was handed out last, by the monotonic clock."""

    used_at: float = -math.inf


Pool = ConnectionPool[PooledConnection]


def open_pool(url: str, *, schema: str, size: int = 8, name: str = "sural") -> Pool:
    """A pool whose connections see one schema only and give up rather than hang.

    Statements end after 5 s, lock waits after 2 s, idle transactions after 10 s. A connection is looked at before it
    is handed out, so a restarted server costs a retry, not an error. The caller closes the pool.
    """
    conninfo = limited_conninfo(url, schema=schema, name=name)
    return ConnectionPool(
        conninfo,
        connection_class=PooledConnection,
        kwargs={"row_factory": dict_row, "autocommit": True},
        min_size=1,
        max_size=size,
        timeout=3,
        max_lifetime=1800,
        reconnect_timeout=30,
        configure=_wait_for_the_disk,
        check=check_connection,
        open=True,
        name=name,
    )


def check_connection(connection: PooledConnection) -> None:
    """Raises psycopg.OperationalError for a connection whose server went away.

    A server that ends says so on the socket, so where nothing is to be read it is still there: no question is asked,
    which would be a round trip for every transaction. One that vanished without a word shows only to a question, so
    whoever was silent for a while is asked.
    """
    before, connection.used_at = connection.used_at, monotonic()
    if connection.used_at - before > SILENT_S or has_news(connection.fileno()):
        ConnectionPool.check_connection(connection)


def has_news(fileno: int, *, timeout_s: float = 0) -> bool:
    """Whether the server says something that nobody asked for, within `timeout_s`; mostly that it ends."""
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(1000 * timeout_s))


def connect(url: str, *, schema: str) -> DictConnection:
    """One connection of its own, with the same limits as the pool's. Raises psycopg.OperationalError."""
    return _connect(limited_conninfo(url, schema=schema, name="sural"))


def connect_beside(pool: Pool) -> DictConnection:
    """One connection of its own, like those of the pool. Raises psycopg.OperationalError."""
    assert isinstance(pool.conninfo, str)
    return _connect(pool.conninfo)


def _connect(conninfo: str) -> DictConnection:
    connection = psycopg.connect(conninfo, autocommit=True, row_factory=dict_row)
    try:
        _wait_for_the_disk(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _wait_for_the_disk(connection: DictConnection) -> None:
    """What is confirmed must be on a disk, whatever is set for the server, the database or the role."""
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )


class NotDurable(Exception):
    """The server may lose what it confirmed. The text says what to do."""


def require_durable(pool: Pool, *, refuse: bool) -> None:
    """Said loudly at the start: a server that does not wait for its disk. Nothing where it does not answer yet.

    `refuse`: raises NotDurable; else it is only logged.
    """
    try:
        with pool.connection(timeout=3.0) as connection:
            row = connection.execute("SELECT current_setting('fsync') AS fsync").fetchone()
    except DatabaseError:
        return
    if row is not None and row["fsync"] == "off":
        log.critical("the database loses what it confirmed: fsync is off")
        if refuse:
            raise NotDurable("The database runs with fsync=off and may lose answers of patients. Set fsync to on.")


@contextmanager
def published_content(owner_url: str, *, schema: str) -> Iterator[DictConnection]:
    """A connection of the owner that writes what all tenants read (`PUBLISHED_TENANT`), and seals its audit.

    For migrations only.
    """
    with connect(owner_url, schema=schema) as connection:
        connection.execute("SELECT set_config('sural.tenant', %s, false)", (str(PUBLISHED_TENANT),))
        yield connection
        connection.execute("SELECT seal_audit(%s, 10000)", (PUBLISHED_TENANT,))


@contextmanager
def all_tenants(owner_url: str, *, schema: str) -> Iterator[DictConnection]:
    """A connection of the owner that sees the rows of all tenants, and writes those of the tenant that it sets.

    For migrations only.
    """
    with connect(owner_url, schema=schema) as connection:
        connection.execute("SELECT set_config('sural.across_tenants', 'on', false)")
        yield connection


@contextmanager
def tenant_transaction(pool: Pool, tenant: UUID) -> Iterator[DictConnection]:
    """A transaction that sees and writes one tenant's rows and no others.

    Row security holds every query to that (`shared/migrations/0006_row_security.sql`): outside of such a transaction no
    row of any tenant is seen or written, but for ids and states of work (`outbox`, `job`). It begins with one round
    trip; the pool's own block ends it (commit, or rollback after an exception).
    """
    with pool.connection() as connection:
        connection.execute(f"BEGIN; SET LOCAL sural.tenant = '{tenant}'".encode(), prepare=False)
        yield connection


def set_tenant(connection: DictConnection, tenant: UUID) -> None:
    """This tenant until the transaction ends. Outside a transaction it has no effect: no row is seen."""
    connection.execute("SELECT set_config('sural.tenant', %s, true)", (str(tenant),))


def limited_conninfo(url: str, *, schema: str, name: str) -> str:
    """Connection parameters that see one schema and cannot hang."""
    return make_conninfo(
        url,
        application_name=f"{name}:{schema}",
        connect_timeout=3,
        keepalives_idle=10,
        tcp_user_timeout=10_000,
        options=(
            f"-c search_path={schema} -c statement_timeout=5000 -c lock_timeout=2000 "
            "-c idle_in_transaction_session_timeout=10000 -c timezone=UTC -c jit=off"  # statements are short
        ),
    )


def unavailable(error: Exception) -> bool:
    """True when the same work may succeed later (server away, disk full, lock not had in time)."""
    if isinstance(error, psycopg.Error):
        if error.sqlstate is None:
            return isinstance(error, psycopg.OperationalError)
        return error.sqlstate.startswith(UNAVAILABLE_SQLSTATES)
    return error.__class__.__module__.startswith("psycopg_pool")


def nothing_done(error: BaseException) -> bool:
    """True for an error after which the transaction is undone for certain: the database refused a statement, or its
    parameters could not even be sent. False when nobody knows: the connection was lost, or the server ended it."""
    if not isinstance(error, psycopg.Error):
        return False
    refused = error.diag.severity_nonlocalized == "ERROR"
    return refused or not isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))


def as_problem(error: Exception) -> ProblemError:
    """A database error as the answer a client gets: 503 to try again, or our own fault. No values are repeated."""
    if unavailable(error):
        return ProblemError(
            Problem(
                Category.UNAVAILABLE,
                "database-unavailable",
                "The database cannot take this now; nothing was stored. Send the same request again.",
                issue_code="transient",
            )
        )
    return ProblemError(
        Problem(
            Category.FAULT,
            "database-fault",
            "The database refused a statement of ours.",
            issue_code="exception",
        )
    )


def load_queries(path: Path) -> Mapping[str, str]:
    """Named queries of a .sql file: each starts with a line `-- name: the_name`. Text after it, to the next, is SQL."""
    queries: dict[str, str] = {}
    for part in re.split(r"^-- name: ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        name, _, text = part.partition("\n")
        queries[name.strip()] = text.strip()
    return queries


def database_now(connection: psycopg.Connection[Any]) -> Any:
    """The database's clock, in UTC, to the millisecond: the only clock that decides when something is due."""
    with connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        row: TupleRow | None = cursor.execute("SELECT date_trunc('milliseconds', clock_timestamp())").fetchone()
    assert row is not None
    return row[0]


def migrate_service(owner_url: str, *, service: str, service_url: str, folder: Path) -> list[str]:
    """Bring one service's schema up to date and return the names of the migrations that ran.

    Makes the schema and the login role of `service_url` where they are missing, runs the shared migrations and then
    the service's own, each once, each in its own transaction, under an advisory lock. A migration whose text changed
    after it ran is refused. Every table with a tenant gets row security. Grants nothing on other schemas.
    """
    login = conninfo_to_dict(service_url)
    role, password = str(login.get("user") or f"sural_{service}"), login.get("password")
    ran: list[str] = []
    with psycopg.connect(owner_url, autocommit=True, connect_timeout=5) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        connection.execute("SET lock_timeout = '2s'")
        prepare_schema(connection, service=service, role=role, password=str(password) if password else None)
        done: dict[str, str] = dict(connection.execute("SELECT name, sha256 FROM migration").fetchall())
        for name, text in migration_files(folder):
            digest = hashlib.sha256(text.encode()).hexdigest()
            if name in done:
                if done[name] != digest:
                    raise ProblemError(
                        Problem(
                            Category.FAULT,
                            "migration-changed",
                            f"Migration {service}/{name} was changed after it ran. Restore its text and add a new one.",
                        )
                    )
                continue
            with connection.transaction():
                connection.execute(text.encode())
                connection.execute("INSERT INTO migration (name, sha256) VALUES (%s, %s)", (name, digest))
            ran.append(name)
        connection.execute("SELECT keep_tenants_apart(%s)", (role,))
        grant_schema(connection, service=service, role=role)
    return ran


def migration_files(folder: Path) -> Iterable[tuple[str, str]]:
    """The shared migrations first, then the service's own, each in the order of their numbers."""
    for prefix, source in (("shared", SHARED_MIGRATIONS), ("own", folder)):
        for path in sorted(source.glob("[0-9]*.sql")):
            yield f"{prefix}/{path.name}", path.read_text(encoding="utf-8")


def prepare_schema(connection: Connection, *, service: str, role: str, password: str | None) -> None:
    """Schema, login role and migration table. The role's password is set to that of the service's own URL."""
    name, login = sql.Identifier(service), sql.Identifier(role)
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE").format(login))
    if password is not None:
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(login, sql.Literal(password)))
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
    connection.execute(sql.SQL("SET search_path = {}").format(name))
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migration ("
        "name text PRIMARY KEY, sha256 text NOT NULL, ran_at timestamptz NOT NULL DEFAULT now())"
    )


def grant_schema(connection: Connection, *, service: str, role: str) -> None:
    """The service may read and write rows of its own schema; it owns nothing and sees nothing else."""
    name, login = sql.Identifier(service), sql.Identifier(role)
    for statement in (
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE ON SCHEMA {schema} TO {role}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
        "REVOKE INSERT, UPDATE, DELETE ON {schema}.migration FROM {role}",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
        "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {role}",
    ):
        connection.execute(sql.SQL(statement).format(schema=name, role=login))
    for (table,) in connection.execute(APPEND_ONLY, (service,)).fetchall():
        connection.execute(sql.SQL("REVOKE UPDATE, DELETE ON {}.{} FROM {}").format(name, sql.Identifier(table), login))


APPEND_ONLY = """
SELECT DISTINCT c.relname FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_proc AS p ON p.oid = t.tgfoid
WHERE c.relnamespace = %s::regnamespace AND p.proname LIKE 'refuse\\_change%%'
"""
"""Tables that a trigger of ours keeps from being changed."""
