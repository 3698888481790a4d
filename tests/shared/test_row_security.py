"""Tenants are kept apart by the database, whatever a query forgets."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.ids import DEFAULT_TENANT, PUBLISHED_TENANT
from shared.postgres import DictConnection, Pool, open_pool, tenant_transaction
from tests.conftest import Database

SERVICES = ("intake", "triage", "notify")
OTHER = UUID("00000000-0000-4000-8000-00000000000b")

TENANTLESS = {
    "migration",
    "canary",
    "catch_up_cursor",
    "repair",
    "search_edition",
    "client",
    "client_assertion",
    "sign_in_failure",
    "sign_in_round",
    "watchdog_round",
}
"""Tables for all tenants together: of the machinery, and what is looked up to learn whose a client or account is."""
INSERT = (
    "INSERT INTO resource (tenant_id, type, id, version_id, last_updated, body, sha256) "
    "VALUES (%s, 'QuestionnaireResponse', %s, 1, now(), '{}', '')"
)


@pytest.fixture(params=SERVICES)
def pool(request: pytest.FixtureRequest, database: Database) -> Iterator[Pool]:
    with open_pool(getattr(database, f"{request.param}_url"), schema=request.param) as pool:
        yield pool


def ids(connection: DictConnection) -> set[str]:
    rows = connection.execute("SELECT id FROM resource WHERE type = 'QuestionnaireResponse'").fetchall()
    return {row["id"] for row in rows}


@pytest.mark.parametrize("service", SERVICES)
def test_every_table_with_a_tenant_has_row_security_that_holds_for_its_owner_too(
    migrated: Database, service: str
) -> None:
    with psycopg.connect(migrated.owner_url) as owner:
        open_tables = owner.execute(
            "SELECT c.relname FROM pg_class AS c "
            "JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id' "
            "WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'p') "
            "AND NOT (c.relrowsecurity AND c.relforcerowsecurity "
            "AND EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid))",
            (service,),
        ).fetchall()
        across = owner.execute(
            "SELECT tablename FROM pg_policies WHERE schemaname = %s AND policyname = 'across_tenants'", (service,)
        ).fetchall()
    assert open_tables == []
    assert {name for (name,) in across} == {"outbox", "job"}


@pytest.mark.parametrize("service", SERVICES)
def test_tables_that_hold_no_tenant_hold_nothing_of_a_patient(migrated: Database, service: str) -> None:
    with psycopg.connect(migrated.owner_url) as owner:
        tables = owner.execute(
            "SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'p') "
            "AND NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')",
            (service,),
        ).fetchall()
    assert {name for (name,) in tables} <= TENANTLESS


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_is_superuser_owner_or_above_row_security(migrated: Database, service: str) -> None:
    with psycopg.connect(migrated.owner_url) as owner:
        role = owner.execute(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, "
            "(SELECT count(*) FROM pg_class WHERE relowner = r.oid), "
            "(SELECT count(*) FROM pg_auth_members WHERE member = r.oid) "
            "FROM pg_roles AS r WHERE rolname = %s",
            (f"sural_{service}",),
        ).fetchone()
    assert role == (False, False, False, False, 0, 0)


def test_a_query_without_a_tenant_sees_nothing(pool: Pool) -> None:
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        connection.execute(INSERT, (DEFAULT_TENANT, "mine"))
    with pool.connection() as connection:
        assert ids(connection) == set()
    with tenant_transaction(pool, OTHER) as connection:
        assert ids(connection) == set()
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        assert ids(connection) == {"mine"}


def test_nothing_is_written_changed_or_deleted_for_another_tenant(pool: Pool) -> None:
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        connection.execute(INSERT, (DEFAULT_TENANT, "mine"))
    for tenant in (DEFAULT_TENANT, PUBLISHED_TENANT):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), tenant_transaction(pool, OTHER) as connection:
            connection.execute(INSERT, (tenant, "forged"))
    with tenant_transaction(pool, OTHER) as connection:
        assert connection.execute("UPDATE resource SET body = 'x' WHERE id = 'mine'").rowcount == 0
        assert connection.execute("DELETE FROM resource WHERE id = 'mine'").rowcount == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege), tenant_transaction(pool, DEFAULT_TENANT) as connection:
        connection.execute("UPDATE resource SET tenant_id = %s WHERE id = 'mine'", (OTHER,))


def test_a_service_cannot_write_what_is_published_even_when_it_says_that_it_may(pool: Pool) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), tenant_transaction(pool, PUBLISHED_TENANT) as connection:
        connection.execute(INSERT, (PUBLISHED_TENANT, "forged"))
    with tenant_transaction(pool, PUBLISHED_TENANT) as connection:
        assert connection.execute("UPDATE resource SET is_current = false").rowcount == 0
        assert connection.execute("DELETE FROM resource").rowcount == 0


def test_every_tenant_reads_what_is_published(database: Database) -> None:
    with open_pool(database.intake_url, schema="intake") as pool, tenant_transaction(pool, uuid4()) as connection:
        found = connection.execute("SELECT DISTINCT type FROM resource").fetchall()
    assert "Questionnaire" in {row["type"] for row in found}


def test_the_owner_too_sees_one_tenant_at_a_time(database: Database, pool: Pool) -> None:
    with tenant_transaction(pool, OTHER) as connection:
        connection.execute(INSERT, (OTHER, "theirs"))
    with psycopg.connect(database.owner_url) as owner:
        for service in SERVICES:
            rows = owner.execute(
                f"SELECT id FROM {service}.resource WHERE tenant_id = %s".encode(), (OTHER,)
            ).fetchall()
            assert rows == []


def test_tenants_that_changed_are_told_by_id_alone(pool: Pool) -> None:
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        connection.execute(INSERT, (DEFAULT_TENANT, "mine"))
    with tenant_transaction(pool, OTHER) as connection:
        connection.execute(INSERT, (OTHER, "theirs"))
    with pool.connection() as connection:
        query = "SELECT tenants_changed('QuestionnaireResponse', now() + %s::interval) AS tenant"
        assert {row["tenant"] for row in connection.execute(query, ("-1 minute",))} == {DEFAULT_TENANT, OTHER}
        assert connection.execute(query, ("1 minute",)).fetchall() == []


@pytest.mark.parametrize("service", SERVICES)
def test_functions_that_see_all_tenants_look_in_no_schema_that_others_can_write(
    migrated: Database, service: str
) -> None:
    with psycopg.connect(migrated.owner_url) as owner:
        functions = owner.execute(
            "SELECT proname, proconfig FROM pg_proc WHERE pronamespace = %s::regnamespace AND prosecdef", (service,)
        ).fetchall()
    assert functions
    for name, settings in functions:
        assert f"search_path={service}, pg_temp" in settings, name
