"""Running the invariants of `deploy/local/invariants.sql`, and those that SQL alone cannot see, over every tenant.

An auditor that sees nothing would say that all is well, and one whose queries are too slow would be switched off. So it
refuses any connection but the owner's, looks only at what changed since a time, gives each query half a minute, and
says of a query that took longer that its invariant was not checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from deploy.local.verify.again import make_again
from deploy.local.verify.chain import broken_seals
from deploy.local.verify.ledger import Accepted, missing
from deploy.local.verify.texts import changed_texts
from deploy.local.verify.violation import Violation
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).parents[1] / "invariants.sql")
EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC)
QUIET_S = 60.0
"""What is younger than this may be on its way."""
MOST = 50
"""Violations of one query and tenant that are given."""
SLOWEST_S = 30
NOT_CHECKED = "not checked: its query took longer than half a minute; ask for fewer days"


class NotTheOwner(Exception):
    """The connection does not see all tenants: it would find nothing, whatever there is."""


def check(
    connection: DictConnection,
    *,
    ledger: Iterable[Accepted] | None = None,
    quiet_s: float = QUIET_S,
    since: datetime = EVERYTHING,
    recompute: int = 0,
) -> list[Violation]:
    """Everything that is not as it must be, of all tenants, in the order of the invariants.

    `connection`: the owner's, outside any transaction. `ledger`: what was answered 201, noted outside the system.
    `quiet_s`: what is younger may be on its way. `since`: what changed last before that time is not looked at.
    `recompute`: so many assessments of each tenant, drawn by chance, are made again. Raises NotTheOwner.
    """
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        return look(connection, ledger=ledger, quiet_s=quiet_s, since=since, recompute=recompute)
    finally:
        connection.execute("ROLLBACK")


def look(
    connection: DictConnection,
    *,
    ledger: Iterable[Accepted] | None = None,
    quiet_s: float = QUIET_S,
    since: datetime = EVERYTHING,
    recompute: int = 0,
) -> list[Violation]:
    """`check` in the caller's transaction."""
    connection.execute("SELECT set_config('sural.across_tenants', 'on', true)")
    connection.execute(f"SET LOCAL statement_timeout = '{SLOWEST_S}s'".encode())
    connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    require_owner(connection)
    found: list[Violation] = []
    for tenant in [row["id"] for row in connection.execute(QUERIES["tenants"]).fetchall()]:
        found += _of(connection, tenant, quiet_s, since)
        found += changed_texts(connection, QUERIES, tenant, since=since, most=MOST)
        found += broken_seals(connection, QUERIES, tenant, since=since)
        found += make_again(connection, QUERIES, tenant, since=since, number=recompute)
    found += missing(connection.cursor(), QUERIES, list(ledger or ()))
    return sorted(found, key=lambda one: (int(one.invariant[1:]), one.what, one.id))


def require_owner(connection: DictConnection) -> None:
    """Raises NotTheOwner for a connection that does not see the rows of all tenants when it asks for them."""
    row = connection.execute(
        "SELECT pg_get_userbyid(relowner) = current_user OR rolbypassrls AS sees FROM pg_class, pg_roles "
        "WHERE pg_class.oid = 'intake.resource'::regclass AND rolname = current_user"
    ).fetchone()
    if row is None or not row["sees"]:
        raise NotTheOwner("Only the owner of the database sees all rows: another role would find nothing.")


def _of(connection: DictConnection, tenant: UUID, quiet_s: float, since: datetime) -> Iterator[Violation]:
    parameters = {"tenant": tenant, "quiet": quiet_s, "since": since, "most": MOST}
    for name, query in QUERIES.items():
        invariant, _, part = name.partition(".")
        if not part:
            continue
        connection.execute("SAVEPOINT query")
        try:
            rows = connection.execute(query, parameters).fetchall()
        except psycopg.errors.QueryCanceled:
            connection.execute("ROLLBACK TO query")
            yield Violation(invariant, NOT_CHECKED, f"{name}, tenant {tenant}")
        else:
            connection.execute("RELEASE query")
            yield from (Violation(invariant, row["what"], row["id"]) for row in rows)


def connect_as_owner(url: str) -> DictConnection:
    """A connection of the owner with none of the limits of a service. Raises psycopg.OperationalError."""
    return psycopg.connect(url, autocommit=True, row_factory=dict_row, connect_timeout=5, options="-c timezone=UTC")
