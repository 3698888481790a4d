"""What triage does beside its workers: little is taken from one that is merely busy, all from one that hangs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.triage.background import BUSY_GRACE_S, HELD_GRACE_S, WORKER_GRACE_S, Patience
from services.triage.catch_up import KIND
from services.triage.reconcile import reconcile
from services.triage.refused import EXAMINE
from shared import jobs
from shared.events import Ref
from shared.postgres import DictConnection, Pool, open_pool
from tests.conftest import Database

pytestmark = pytest.mark.requirement("REQ-05")


@pytest.fixture
def pool(database: Database) -> Iterator[Pool]:
    with open_pool(database.triage_url, schema="triage") as pool:
        yield pool


def claim_one_of_three(connection: DictConnection) -> list[jobs.Claim]:
    jobs.add(connection, KIND, [Ref(f"response-{number}", 1) for number in range(3)])
    return jobs.claim(connection, KIND, limit=1)


def test_due_work_is_soon_taken_where_nobody_works(pool: Pool) -> None:
    patience = Patience(pool, KIND)
    with pool.connection() as connection:
        claim_one_of_three(connection)
        connection.execute("UPDATE job SET lease_until = now() - interval '1 second' WHERE state = 'running'")

    assert [patience.grace_s() for _ in range(2)] == [WORKER_GRACE_S] * 2


def test_a_worker_that_holds_the_same_work_for_long_may_hang_and_is_not_waited_for_long(pool: Pool) -> None:
    patience = Patience(pool, KIND)
    with pool.connection() as connection:
        claim_one_of_three(connection)

    assert [patience.grace_s() for _ in range(4)] == [HELD_GRACE_S] * 4


def test_a_worker_that_ends_its_work_and_begins_the_next_is_waited_for_longest(pool: Pool) -> None:
    patience = Patience(pool, KIND)
    with pool.connection() as connection:
        [held] = claim_one_of_three(connection)
        patience.grace_s()
        jobs.finish(connection, held)
        jobs.claim(connection, KIND, limit=1)

    assert [patience.grace_s() for _ in range(2)] == [BUSY_GRACE_S, HELD_GRACE_S]


def test_a_worker_that_has_done_a_part_of_its_batch_gets_on(pool: Pool) -> None:
    patience = Patience(pool, KIND)
    with pool.connection() as connection:
        jobs.add(connection, KIND, [Ref(f"response-{number}", 1) for number in range(3)])
        held = jobs.claim(connection, KIND)
        patience.grace_s()
        jobs.finish(connection, held[0])

    assert [patience.grace_s() for _ in range(2)] == [BUSY_GRACE_S, HELD_GRACE_S]


def test_a_moment_between_two_batches_does_not_look_as_if_nobody_worked(pool: Pool) -> None:
    patience = Patience(pool, KIND)
    with pool.connection() as connection:
        [held] = claim_one_of_three(connection)
        patience.grace_s()
        jobs.finish(connection, held)

    assert [patience.grace_s() for _ in range(2)] == [HELD_GRACE_S, WORKER_GRACE_S]


@pytest.mark.requirement("REQ-05", "REQ-23")
def test_after_the_clock_was_set_back_work_is_due_and_no_lease_lasts_for_long(pool: Pool) -> None:
    with pool.connection() as connection:
        [held] = claim_one_of_three(connection)
        jobs.add(connection, EXAMINE, [Ref("refused", 1)])
        connection.execute(
            "UPDATE job SET due_at = due_at + interval '1 hour', lease_until = lease_until + interval '1 hour', "
            "created_at = created_at + interval '1 hour'"
        )
        assert jobs.claim(connection, KIND) == jobs.claim(connection, EXAMINE) == []

    assert reconcile(pool) == {"job_due_too_late": 3, "lease_too_long": 1}
    assert set(reconcile(pool).values()) == {0}

    with pool.connection() as connection:
        assert (len(jobs.claim(connection, KIND)), len(jobs.claim(connection, EXAMINE))) == (2, 1)
        ended = "UPDATE job SET lease_until = lease_until - interval '11 seconds' WHERE lease_token = %s"
        connection.execute(ended, [held.token])
        assert [claim.ref for claim in jobs.claim(connection, KIND)] == [held.ref]
        repairs = connection.execute("SELECT kind, number FROM repair ORDER BY kind").fetchall()
    assert repairs == [{"kind": "job_due_too_late", "number": 3}, {"kind": "lease_too_long", "number": 1}]


@pytest.mark.requirement("REQ-23")
def test_work_that_waits_as_long_as_it_may_is_left_alone(pool: Pool) -> None:
    with pool.connection() as connection:
        [claimed] = claim_one_of_three(connection)
        jobs.retry(connection, claimed, error="NotKnown", delay_s=60)
        jobs.add(connection, EXAMINE, [Ref("refused", 1)])
        [claimed] = jobs.claim(connection, EXAMINE)
        jobs.retry(connection, claimed, error="NotKnown", delay_s=2)

    assert set(reconcile(pool).values()) == {0}
