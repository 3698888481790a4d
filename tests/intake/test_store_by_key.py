"""A version of a response is stored by its keys, whatever was planned while there was little."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from services.intake import store
from services.intake.store import NewResponse, Outcome
from shared.fhir.search_index import Rows
from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection, connect
from tests.conftest import Database
from tests.much_deleted import SIZES, delete_much

FILL = f"""
SELECT set_config('sural.tenant', '{DEFAULT_TENANT}', true);
INSERT INTO resource (tenant_id, type, id, version_id, last_updated, body, sha256)
SELECT '{DEFAULT_TENANT}', 'QuestionnaireResponse', 'other-' || n, 1, now(), 'x', 'x'
FROM generate_series(1, 3000) AS n;
INSERT INTO search_value (tenant_id, type, param, system, value, id)
SELECT '{DEFAULT_TENANT}', 'QuestionnaireResponse', 'status', '', 'completed', 'other-' || n
FROM generate_series(1, 3000) AS n;
INSERT INTO search_range (tenant_id, type, param, low, high, id)
SELECT '{DEFAULT_TENANT}', 'QuestionnaireResponse', 'authored', n, n, 'other-' || n FROM generate_series(1, 3000) AS n;
INSERT INTO response_key (tenant_id, system, value, id)
SELECT '{DEFAULT_TENANT}', 'urn:forms', 'other-' || n, 'other-' || n FROM generate_series(1, 3000) AS n;
"""
WHOLE = """
SELECT relname AS name FROM pg_stat_user_tables WHERE schemaname = 'intake' AND pg_stat_get_xact_numscans(relid) > 0
"""
SCANS = """
SELECT relname || '/' || indexrelname AS name FROM pg_stat_user_indexes
WHERE schemaname = 'intake' AND pg_stat_get_xact_numscans(indexrelid) > 0
"""
TABLES = [f"intake.{name}" for name in ("resource", "search_value", "search_range", "response_key", "idempotency_key")]
BY_KEY = {
    "resource/resource_current",
    "resource/resource_pkey",
    "search_value/search_value_owner",
    "search_value/search_value_pkey",
    "search_range/search_range_owner",
    "search_range/search_range_pkey",
    "response_key/response_key_pkey",
    "idempotency_key/idempotency_key_pkey",
}
"""No other index: some have the id in them too, behind what all rows of a tenant have."""
OUTCOMES = [Outcome.CREATED, Outcome.REPEATED, Outcome.UNCHANGED, Outcome.UPDATED, Outcome.STALE]


@pytest.fixture
def connection(database: Database) -> Iterator[DictConnection]:
    with connect(database.intake_url, schema="intake") as connection:
        yield connection


def response(number: int, *, version: int = 1, expected: int | None = None, key: str | None = None) -> NewResponse:
    said = [("status", "", "completed" if version == 1 else "amended")]
    return NewResponse(
        id=f"response-{number}",
        body=f"{number}/{version}".encode(),
        subject="Patient/1",
        rows=Rows(said, [("authored", datetime(2026, 1, version, tzinfo=UTC).timestamp(), 2e9)]),
        expected=expected,
        identifier=("urn:forms", f"form-{number}"),
        client="a client",
        key=key,
    )


def life(connection: DictConnection, number: int) -> list[Outcome]:
    """What comes of a response that is new, sent again by its key, sent again, amended, and amended by who is late."""
    with connection.transaction():
        return [
            store.store_response(connection, DEFAULT_TENANT, each).outcome
            for each in (
                response(number, key=f"key-{number}"),
                response(number, key=f"key-{number}"),
                response(number),
                response(number, version=2, expected=1),
                response(number, version=3, expected=1),
            )
        ]


def everything_is_read_by_keys_when_there_is_much(connection: DictConnection) -> None:
    with connection.transaction():
        connection.execute(FILL.encode())
    connection.execute("SELECT pg_stat_force_next_flush()")  # what was counted up to here is not counted again

    with connection.transaction():
        assert life(connection, 100) == OUTCOMES
        used = {row["name"] for row in connection.execute(SCANS).fetchall()}
        read_whole = {row["name"] for row in connection.execute(WHOLE).fetchall()}

    assert used <= BY_KEY
    assert {"search_value/search_value_owner", "search_range/search_range_owner"} <= used
    assert not read_whole


@pytest.mark.parametrize("known", ["", "ANALYZE", "VACUUM ANALYZE"], ids=["nothing", "analysed", "vacuumed"])
def test_every_version_is_stored_by_keys_although_the_plans_were_made_while_there_was_little(
    connection: DictConnection, database: Database, known: str
) -> None:
    """A vacuumed table of a few rows is read cheapest through an index that holds all that is asked for."""
    for number in range(20, 28):
        assert life(connection, number) == OUTCOMES
    if known:
        with psycopg.connect(database.owner_url, autocommit=True) as owner:
            owner.execute(f"{known} {', '.join(TABLES)}".encode())
    for number in range(8):  # until the connection keeps its plans
        assert life(connection, number) == OUTCOMES

    everything_is_read_by_keys_when_there_is_much(connection)


@pytest.mark.parametrize("many", SIZES)
def test_every_version_is_stored_by_keys_although_the_plans_were_made_when_much_had_been_deleted(
    connection: DictConnection, database: Database, many: int
) -> None:
    scattered = FILL.replace("3000", str(many)).replace("'other-' || n", "md5(n::text)")
    delete_much(database, TABLES, f"SET LOCAL search_path = intake; {scattered}")
    for number in range(16):
        assert life(connection, number) == OUTCOMES

    everything_is_read_by_keys_when_there_is_much(connection)
