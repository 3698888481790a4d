"""What our services ask of each other by ids is found by the id, whatever was planned while there was little."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection, connect
from tests.conftest import Database
from tests.much_deleted import SIZES, delete_much

FILL = f"""
SELECT set_config('sural.tenant', '{DEFAULT_TENANT}', true);
INSERT INTO resource (tenant_id, type, id, version_id, last_updated, body, sha256)
SELECT '{DEFAULT_TENANT}', 'QuestionnaireResponse', 'response-' || n, 1, now(), 'x', 'x'
FROM generate_series(1, 3000) AS n;
"""
SCANS = """
SELECT indexrelname AS name FROM pg_stat_user_indexes
WHERE schemaname = 'intake' AND relname = 'resource' AND pg_stat_get_xact_numscans(indexrelid) > 0
"""

BY_ID = {"resource_current", "resource_pkey"}


@pytest.fixture
def connection(database: Database) -> Iterator[DictConnection]:
    with connect(database.intake_url, schema="intake") as connection:
        yield connection


def read(connection: DictConnection, *ids: str) -> list[str]:
    rows = connection.execute(
        "SELECT id FROM read_by_ids(%s, 'QuestionnaireResponse', %s)", (DEFAULT_TENANT, list(ids))
    ).fetchall()
    return [row["id"] for row in rows]


def they_are_found_by_ids_when_there_is_much(connection: DictConnection) -> None:
    with connection.transaction():
        connection.execute(FILL.encode())
    connection.execute("SELECT pg_stat_force_next_flush()")  # what was counted up to here is not counted again

    with connection.transaction():
        assert read(connection, "response-7", "response-7", "unknown", "response-12") == ["response-12", "response-7"]
        used = [row["name"] for row in connection.execute(SCANS).fetchall()]

    assert used
    assert set(used) <= BY_ID


def test_what_is_asked_by_ids_is_found_by_ids_although_the_plan_was_made_before_there_was_anything(
    connection: DictConnection,
) -> None:
    for _ in range(8):  # until the connection keeps its plan
        assert read(connection, "response-7") == []

    they_are_found_by_ids_when_there_is_much(connection)


@pytest.mark.parametrize("many", SIZES)
def test_what_is_asked_by_ids_is_found_by_ids_although_the_plan_was_made_when_much_had_been_deleted(
    connection: DictConnection, database: Database, many: int
) -> None:
    scattered = FILL.replace("3000", str(many)).replace("'response-' || n", "md5(n::text)")
    delete_much(database, ["intake.resource"], f"SET LOCAL search_path = intake; {scattered}")
    for _ in range(8):
        assert read(connection, "response-7") == []

    they_are_found_by_ids_when_there_is_much(connection)
