"""Two evaluations that race for one assessment: the one of the newer response stays, the other writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from psycopg.errors import UniqueViolation

from services.triage import store
from services.triage.store import Outcome
from shared.events import Ref
from shared.fhir import resources
from shared.fhir.codes import Urgency
from shared.fhir.search import Search
from shared.ids import DEFAULT_TENANT
from shared.jobs import Claim
from shared.postgres import DictConnection, connect
from tests.conftest import Database

WHEN = datetime(2026, 11, 22, 8, 0, 0, tzinfo=UTC)


@pytest.fixture
def connection(database: Database) -> Iterator[DictConnection]:
    with connect(database.triage_url, schema="triage") as connection:
        connection.execute("SELECT set_config('sural.tenant', %s, false)", (str(DEFAULT_TENANT),))
        yield connection


def outcome(*, response_version: int, version: int, urgency: Urgency = Urgency.EMERGENCY) -> Outcome:
    assessment = {
        "resourceType": "RiskAssessment",
        "id": "a-1",
        "meta": {"versionId": str(version)},
        "status": "final",
        "subject": {"reference": "Patient/1"},
    }
    return Outcome(
        assessment_id="a-1",
        version_id=version,
        response=Ref("r-1", response_version),
        pack="posterior-lower-limb",
        pack_version="1.0.0",
        pack_sha256="",
        urgency=urgency,
        needs_review=False,
        assessed_at=WHEN,
        resources=[assessment],
    )


def told(connection: DictConnection) -> int:
    row = connection.execute("SELECT count(*) AS number FROM outbox").fetchone()
    assert row is not None
    return int(row["number"])


@pytest.mark.requirement("REQ-06")
def test_a_run_for_an_older_response_that_commits_last_writes_nothing(connection: DictConnection) -> None:
    assert store.commit(connection, outcome(response_version=2, version=1))

    assert not store.commit(connection, outcome(response_version=1, version=2))

    assert told(connection) == 1
    assert store.current(connection, Ref("r-1", 1).tenant, ["a-1"])["a-1"].response_version == 2


@pytest.mark.requirement("REQ-05")
def test_two_runs_for_the_same_response_write_one_assessment(connection: DictConnection) -> None:
    assert store.commit(connection, outcome(response_version=1, version=1))

    assert not store.commit(connection, outcome(response_version=1, version=2))

    assert told(connection) == 1


@pytest.mark.requirement("REQ-06")
def test_a_run_that_did_not_see_the_newest_assessment_writes_nothing(connection: DictConnection) -> None:
    assert store.commit(connection, outcome(response_version=1, version=1))
    assert store.commit(connection, outcome(response_version=2, version=2))

    assert not store.commit(connection, outcome(response_version=3, version=2))


@pytest.mark.requirement("REQ-05")
@pytest.mark.parametrize(
    "second",
    [
        "INSERT INTO assessment (tenant_id, id, response_id, response_version, pack, pack_version, pack_sha256, "
        "version_id, assessed_at) SELECT tenant_id, 'a-2', response_id, response_version, pack, pack_version, '', 1, "
        "assessed_at FROM assessment",
        "INSERT INTO resource (tenant_id, type, id, version_id, last_updated, body, sha256) "
        "SELECT tenant_id, type, id, version_id + 1, last_updated, body, sha256 FROM resource WHERE id = 'a-1'",
    ],
    ids=["of one response", "version of one assessment"],
)
def test_the_database_itself_refuses_a_second_current_assessment(connection: DictConnection, second: str) -> None:
    assert store.commit(connection, outcome(response_version=1, version=1))

    with pytest.raises(UniqueViolation):
        connection.execute(second.encode())


@pytest.mark.requirement("REQ-13")
def test_only_what_a_human_must_see_is_told_to_notify(connection: DictConnection) -> None:
    store.commit(connection, outcome(response_version=1, version=1, urgency=Urgency.ROUTINE))

    assert told(connection) == 0


def test_a_search_for_ids_alone_reads_no_bodies(connection: DictConnection) -> None:
    store.commit(connection, outcome(response_version=1, version=1))
    tenant = Ref("r-1", 1).tenant

    [whole] = resources.find(connection, tenant, Search("RiskAssessment")).found
    [bare] = resources.find(connection, tenant, Search("RiskAssessment", elements=("id", "meta"))).found

    assert (bare.id, bare.version_id, bare.body) == (whole.id, whole.version_id, b"")
    assert whole.body != b""


A_DAYS_WORK = f"""
INSERT INTO job (tenant_id, kind, ref_id, ref_version)
SELECT '{DEFAULT_TENANT}', 'assess', 'other-' || number, 1 FROM generate_series(1, 2000) AS number
"""
"""Of which the planner has not heard."""


def read_jobs(connection: DictConnection) -> int:
    """How many jobs were read on this connection lately, by index or not."""
    found = connection.execute(
        "SELECT seq_tup_read + idx_tup_fetch AS number FROM pg_stat_xact_user_tables "
        "WHERE schemaname = 'triage' AND relname = 'job'"
    ).fetchone()
    assert found is not None
    return int(found["number"])


def test_jobs_that_end_are_found_by_key_although_it_was_planned_while_there_were_none(
    connection: DictConnection,
) -> None:
    with connection.transaction():
        end_job(connection, version=1)
    with connection.transaction():
        connection.execute(A_DAYS_WORK.encode())
    with connection.transaction():
        end_job(connection, version=2)

        assert read_jobs(connection) < 25


def end_job(connection: DictConnection, *, version: int) -> None:
    """A version of a response is claimed and assessed."""
    token, ref = uuid4(), Ref("r-1", version)
    connection.execute(
        "INSERT INTO job (tenant_id, kind, ref_id, ref_version, state, lease_token) "
        "VALUES (%s, 'assess', %s, %s, 'running', %s)",
        (ref.tenant, ref.id, ref.version, token),
    )
    claimed = Claim("assess", ref, token, 1)
    store.commit_all(connection, [outcome(response_version=version, version=version)], [claimed])
