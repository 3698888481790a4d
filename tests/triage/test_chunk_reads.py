"""What a chunk reads does not grow with what is stored, whatever a connection learned while there was little."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from services.triage import store
from services.triage.store import SamePatient
from shared.events import Ref
from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection, connect, set_tenant
from tests.conftest import Database
from tests.much_deleted import SIZES, delete_much

STORED = 1500
FILL = """
SELECT set_config('sural.tenant', '{tenant}', true);
INSERT INTO assessment (tenant_id, id, response_id, response_version, pack, pack_version, pack_sha256, version_id,
                        urgency, assessed_at)
SELECT '{tenant}', 'assessment-' || n, 'response-' || n, 1, 'pack', '1', '', 1, 'routine', now()
FROM generate_series(1, {number}) AS n;
INSERT INTO assessment_run (tenant_id, response_id, response_version, pack, pack_version, subject, urgency,
                            withdrawn, by_clinician, ran_at)
SELECT '{tenant}', 'response-' || n, 1, 'pack', '1', 'patient-' || n, 'routine', false, false, now()
FROM generate_series(1, {number}) AS n;
INSERT INTO search_value (tenant_id, type, param, system, value, id)
SELECT '{tenant}', 'RiskAssessment', 'status', '', 'final', 'assessment-' || n FROM generate_series(1, {number}) AS n;
INSERT INTO job (tenant_id, kind, ref_id, ref_version, due_at, state, lease_token)
SELECT '{tenant}', 'assess', 'response-' || n, 1, now(), 'running', '{token}' FROM generate_series(1, {number}) AS n;
"""
READ = """
SELECT relname, coalesce(seq_tup_read + idx_tup_fetch, 0)::integer AS number FROM pg_stat_xact_user_tables
WHERE schemaname = 'triage'
"""
USED = """
SELECT indexrelname AS name FROM pg_stat_user_indexes
WHERE schemaname = 'triage' AND relname = 'search_value' AND pg_stat_get_xact_numscans(indexrelid) > 0
"""
TABLES = ["triage.assessment", "triage.assessment_run", "triage.search_value", "triage.job"]
END_ONE = "SELECT store_assessments(%(tenant)s, '[]', '[]', '{}', '{}', '[]', %(claims)s::jsonb) AS found"


@pytest.fixture
def connection(database: Database) -> Iterator[DictConnection]:
    with connect(database.triage_url, schema="triage") as connection:
        yield connection


def opened(connection: DictConnection, number: int) -> str | None:
    same = SamePatient(Ref(f"response-{number}", 2), f"patient-{number}", "pack")
    [before] = store.open_chunk(connection, [(same, f"assessment-{number}")]).before
    assert before is not None
    return before.held.status if before.held else None


def ended(connection: DictConnection, token: UUID) -> str:
    claims = f'[{{"kind": "assess", "id": "response-7", "version": 1, "token": "{token}"}}]'
    row = connection.execute(END_ONE, {"tenant": DEFAULT_TENANT, "claims": claims}).fetchone()
    assert row is not None
    return str(row["found"])


def rows_read(connection: DictConnection) -> dict[str, int]:
    """By table, in this transaction."""
    return {row["relname"]: row["number"] for row in connection.execute(READ).fetchall() if row["number"]}


def test_a_chunk_reads_a_handful_of_rows_however_many_are_stored(connection: DictConnection) -> None:
    plan_and_fill_and_look(connection)


@pytest.mark.parametrize("many", SIZES)
def test_a_chunk_reads_a_handful_of_rows_although_the_plan_was_made_when_much_had_been_deleted(
    connection: DictConnection, database: Database, many: int
) -> None:
    fill = FILL.format(tenant=DEFAULT_TENANT, number=many, token=uuid4()).replace("'assessment-' || n", "md5(n::text)")
    delete_much(database, TABLES, f"SET LOCAL search_path = triage; {fill}")

    plan_and_fill_and_look(connection)


def plan_and_fill_and_look(connection: DictConnection) -> None:
    token = uuid4()
    for number in range(3):
        with connection.transaction():
            set_tenant(connection, DEFAULT_TENANT)
            assert opened(connection, number) is None
            assert ended(connection, token) == "lease lost"
    with connection.transaction():
        connection.execute(FILL.format(tenant=DEFAULT_TENANT, number=STORED, token=token).encode())
    connection.execute("SELECT pg_stat_force_next_flush()")  # what was counted up to here is not counted again

    with connection.transaction():
        set_tenant(connection, DEFAULT_TENANT)
        assert opened(connection, 7) == "final"
        used = [row["name"] for row in connection.execute(USED).fetchall()]
        assert ended(connection, token) == "stored"
        assert all(number < 5 for number in rows_read(connection).values()), rows_read(connection)

    assert used == ["search_value_owner"]
