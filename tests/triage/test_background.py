"""What triage does beside its workers: little is taken from one that is merely busy, all from one that hangs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.triage.background import BUSY_GRACE_S, HELD_GRACE_S, WORKER_GRACE_S, Patience
from services.triage.catch_up import KIND
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
