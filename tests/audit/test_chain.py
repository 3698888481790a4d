"""The chain shows whatever was done to the audit behind our back."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from shared.audit.act import Act, Asker, Interaction, record
from shared.audit.chain import Head, Verified, seal_all, verify
from shared.ids import DEFAULT_TENANT
from shared.postgres import Pool, open_pool, tenant_transaction
from tests.conftest import Database

EHR = Asker("ehr-1", "192.0.2.7", "request-1")


@pytest.fixture
def pool(database: Database) -> Iterator[Pool]:
    with open_pool(database.intake_url, schema="intake") as pool:
        yield pool


def happened(pool: Pool, *names: str) -> None:
    """Acts with these patients, each sealed by itself."""
    for name in names:
        with tenant_transaction(pool, DEFAULT_TENANT) as connection:
            record(connection, DEFAULT_TENANT, Act(Interaction.READ, "Task", id="t-1", version=3, patient=name), EHR)
        sealed(pool)


def sealed(pool: Pool) -> int:
    with pool.connection() as connection:
        return seal_all(connection)


def checked(pool: Pool, noted: Head | None = None) -> Verified:
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        return verify(connection, DEFAULT_TENANT, noted=noted)


def behind_our_back(database: Database, *statements: str) -> None:
    """What an owner of the database can do who lifts the triggers first."""
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("SET search_path = intake")
        for table in ("audit_event", "audit_seal"):
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
        try:
            for statement in statements:
                assert owner.execute(statement.encode()).rowcount > 0
        finally:
            for table in ("audit_event", "audit_seal"):
                owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())


def test_what_nobody_touched_is_whole(pool: Pool) -> None:
    happened(pool, "Patient/1", "Patient/2", "Patient/3")
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        for act in (Act(Interaction.SEARCH, "Task", query="a=b&c=ü\u2028"), Act(Interaction.LOGIN)):
            record(connection, DEFAULT_TENANT, act, Asker("é"))
    assert sealed(pool) == 2

    found = checked(pool)

    assert (found.faults, found.events) == ((), 5)
    assert found.head is not None
    assert found.head.position == 4


def test_an_event_is_sealed_once(pool: Pool) -> None:
    happened(pool, "Patient/1")
    assert sealed(pool) == 0


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (["UPDATE audit_event SET patient = 'Patient/9' WHERE patient = 'Patient/2'"], "was changed"),
        (["UPDATE audit_event SET recorded = recorded - interval '1 hour' WHERE patient = 'Patient/2'"], "was changed"),
        (["DELETE FROM audit_event WHERE patient = 'Patient/2'"], "was removed"),
        (["DELETE FROM audit_seal WHERE position = 2"], "Seal 2 is missing"),
        (["DELETE FROM audit_seal WHERE position = 1"], "Seal 1 is missing"),
        (
            ["DELETE FROM audit_event WHERE patient = 'Patient/2'", "DELETE FROM audit_seal WHERE position = 2"],
            "Seal 2 is missing",
        ),
        (
            [
                "UPDATE audit_event SET patient = 'Patient/9' WHERE patient = 'Patient/2'",
                "UPDATE audit_seal SET digests = ARRAY[(SELECT audit_digest(e) FROM audit_event AS e "
                "WHERE e.patient = 'Patient/9')] WHERE position = 2",
            ],
            "does not follow",
        ),
        (
            [
                "INSERT INTO audit_event (tenant_id, interaction, outcome, agent, recorded) "
                f"VALUES ('{DEFAULT_TENANT}', 'read', '0', 'forged', now() - interval '5 minutes')"
            ],
            "held by no seal",
        ),
    ],
)
def test_whatever_is_changed_shows(pool: Pool, database: Database, statements: list[str], told: str) -> None:
    happened(pool, "Patient/1", "Patient/2", "Patient/3")

    behind_our_back(database, *statements)

    assert told in " ".join(checked(pool).faults)


def test_a_chain_that_was_cut_off_shows_to_who_noted_its_head(pool: Pool, database: Database) -> None:
    happened(pool, "Patient/1", "Patient/2")
    noted = checked(pool).head
    assert checked(pool, noted).faults == ()
    behind_our_back(
        database, "DELETE FROM audit_event WHERE patient = 'Patient/2'", "DELETE FROM audit_seal WHERE position = 2"
    )

    assert checked(pool).faults == ()
    assert "cut off" in checked(pool, noted).faults[0]
