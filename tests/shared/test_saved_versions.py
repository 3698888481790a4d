"""What stands in the database after a resource was stored: the rows of its current version, each once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
import pytest

from shared.fhir import resources
from shared.fhir.resources import NewVersion
from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection, Pool, open_pool, tenant_transaction
from tests.conftest import Database
from tests.much_deleted import SIZES, delete_much

FILL = f"""
INSERT INTO resource (tenant_id, type, id, version_id, last_updated, body, sha256)
SELECT '{DEFAULT_TENANT}', 'DetectedIssue', 'other-' || n, 1, now(), 'x', 'x' FROM generate_series(1, 3000) AS n;
INSERT INTO search_value (tenant_id, type, param, system, value, id)
SELECT '{DEFAULT_TENANT}', 'DetectedIssue', param, '', 'final', 'other-' || n
FROM generate_series(1, 3000) AS n, unnest(ARRAY['status', 'code']) AS param;
INSERT INTO search_range (tenant_id, type, param, low, high, id)
SELECT '{DEFAULT_TENANT}', 'DetectedIssue', 'identified', n, n, 'other-' || n FROM generate_series(1, 3000) AS n;
"""
SCANS = """
SELECT i.relname AS name FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
WHERE i.relnamespace = 'triage'::regnamespace AND pg_stat_get_xact_numscans(i.oid) > 0
"""
TABLES = ["triage.resource", "triage.search_value", "triage.search_range"]
BY_ID = {"resource_current", "resource_pkey", "search_value_owner", "search_range_owner", "search_value_pkey"}
"""Indexes in the order of the id, and what an insertion asks. The others have the id behind what all rows have."""
ROWS_READ = """
SELECT relname AS name, coalesce(seq_tup_read + idx_tup_fetch, 0)::integer AS number FROM pg_stat_xact_user_tables
WHERE schemaname = 'triage'
"""
WHEN = datetime(2026, 11, 22, 8, 0, 0, tzinfo=UTC)
MANY = 300
"""Enough resources that reading all rows of a table takes longer than asking its index."""


@pytest.fixture
def pool(database: Database) -> Iterator[Pool]:
    with open_pool(database.triage_url, schema="triage", size=1) as pool:
        yield pool


def an_issue(number: int, *, version: int = 1, **more: Any) -> NewVersion:
    issue = {
        "resourceType": "DetectedIssue",
        "id": f"issue-{number}",
        "status": "final",
        "code": {"coding": [{"system": "https://example.org/flags", "code": f"flag-{version}"}]},
        "patient": {"reference": f"Patient/{number}"},
        "identifiedDateTime": "2026-11-22",
        **more,
    }
    return NewVersion("DetectedIssue", f"issue-{number}", version, WHEN, orjson.dumps(issue))


def codes(connection: DictConnection, number: int) -> list[str]:
    found = connection.execute(
        "SELECT value FROM search_value WHERE type = 'DetectedIssue' AND id = %s AND param = 'code'",
        (f"issue-{number}",),
    ).fetchall()
    return [row["value"] for row in found]


def read_whole(connection: DictConnection) -> Mapping[str, int]:
    """How often this transaction read a table from one end to the other."""
    found = connection.execute("SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE schemaname = 'triage'")
    return {row["relname"]: row["seq_scan"] for row in found.fetchall()}


def test_a_new_version_is_found_by_what_it_says_and_no_more_by_what_the_old_one_said(pool: Pool) -> None:
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        resources.save(connection, DEFAULT_TENANT, [an_issue(1), an_issue(2)])
        resources.save(connection, DEFAULT_TENANT, [an_issue(1, version=2)])

        assert codes(connection, 1) == ["flag-2"]
        assert codes(connection, 2) == ["flag-1"]


def test_what_a_new_version_replaces_is_sought_by_its_key_although_the_planner_knows_of_few(
    pool: Pool, database: Database
) -> None:
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("ANALYZE triage.resource, triage.search_value, triage.search_range")
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        resources.save(connection, DEFAULT_TENANT, [an_issue(number) for number in range(MANY)])

        resources.save(connection, DEFAULT_TENANT, [an_issue(number, version=2) for number in range(MANY)])

        read = read_whole(connection)
        assert [read[table] for table in ("search_value", "search_range", "resource")] == [0, 0, 0]


def test_a_resource_that_says_the_same_thing_twice_is_stored_and_has_it_once(pool: Pool) -> None:
    twice = [{"system": "https://example.org/flags", "code": "flag-1"}] * 2
    number = [{"value": "7"}, {"value": "7"}, {"system": "", "value": "7"}]
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        resources.save(connection, DEFAULT_TENANT, [an_issue(1, code={"coding": twice}, identifier=number)])

        assert codes(connection, 1) == ["flag-1"]


def places(connection: DictConnection, number: int) -> dict[tuple[str, str], str]:
    """Where each search row of a resource lies: a row that is written anew lies elsewhere."""
    found = connection.execute(
        "SELECT param, value, ctid::text AS place FROM search_value WHERE id = %s", (f"issue-{number}",)
    ).fetchall()
    return {(row["param"], row["value"]): row["place"] for row in found}


def test_of_a_new_version_only_what_it_says_differently_is_written(pool: Pool) -> None:
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        resources.save(connection, DEFAULT_TENANT, [an_issue(1)])
        before = places(connection, 1)
        resources.save(connection, DEFAULT_TENANT, [an_issue(1, version=2)])
        after = places(connection, 1)

    assert before.keys() - after.keys() == {("code", "flag-1")}
    assert after.keys() - before.keys() == {("code", "flag-2")}
    assert {row: after[row] for row in before.keys() & after.keys()} == {
        row: before[row] for row in before.keys() & after.keys()
    }


def test_a_new_version_whose_system_and_code_changed_places_is_found_by_what_it_says(pool: Pool) -> None:
    one, other = {"system": "a", "code": "b"}, {"system": "b", "code": "a"}
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        resources.save(connection, DEFAULT_TENANT, [an_issue(1, code={"coding": [one]})])
        resources.save(connection, DEFAULT_TENANT, [an_issue(1, version=2, code={"coding": [other]})])

        assert codes(connection, 1) == ["a"]


def replace(pool: Pool) -> None:
    for number in range(8):  # until the connection keeps its plans
        with tenant_transaction(pool, DEFAULT_TENANT) as connection:
            resources.save(connection, DEFAULT_TENANT, [an_issue(number)])
            resources.save(connection, DEFAULT_TENANT, [an_issue(number, version=2)])


def fill(pool: Pool) -> None:
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        connection.execute(FILL.encode())


def what_is_replaced_is_found_by_its_id(pool: Pool) -> None:
    with pool.connection() as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")  # what was counted up to here is not counted again

    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        resources.save(connection, DEFAULT_TENANT, [an_issue(number, version=3) for number in range(3)])
        used = {row["name"] for row in connection.execute(SCANS).fetchall()}
        read = {row["name"]: row["number"] for row in connection.execute(ROWS_READ).fetchall()}

        assert {name for name in used if name.startswith(("resource", "search"))} <= BY_ID
        assert {"search_value_owner", "search_range_owner"} <= used, "the other one is asked by what is written only"
        assert read["resource"] <= 6
        assert read["search_value"] <= 3 * 12
        assert [codes(connection, number) for number in range(4)] == [["flag-3"], ["flag-3"], ["flag-3"], ["flag-2"]]


@pytest.mark.parametrize("known", ["VACUUM", "ANALYZE"])
@pytest.mark.parametrize("planned", ["while there is nothing", "while there is much"])
def test_what_a_version_replaces_is_found_by_its_id_whenever_the_plan_was_made(
    pool: Pool, database: Database, planned: str, known: str
) -> None:
    with psycopg.connect(database.owner_url, autocommit=True) as owner:  # of tables that are nearly empty
        owner.execute(f"{known} {', '.join(TABLES)}".encode())

    if planned == "while there is nothing":
        replace(pool)
    fill(pool)
    if planned == "while there is much":
        replace(pool)

    what_is_replaced_is_found_by_its_id(pool)


@pytest.mark.parametrize("many", SIZES)
def test_what_a_version_replaces_is_found_by_its_id_although_the_plan_was_made_when_much_had_been_deleted(
    pool: Pool, database: Database, many: int
) -> None:
    scattered = FILL.replace("3000", str(many)).replace("'other-' || n", "md5(n::text)")
    tenant = f"SELECT set_config('sural.tenant', '{DEFAULT_TENANT}', true)"
    delete_much(database, TABLES, f"SET LOCAL search_path = triage; {tenant}; {scattered}")
    replace(pool)
    fill(pool)

    what_is_replaced_is_found_by_its_id(pool)
