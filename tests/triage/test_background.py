"""What triage does beside its workers: nothing is taken from one that is merely busy."""

from __future__ import annotations

import pytest

from services.triage.background import BUSY_GRACE_S, WORKER_GRACE_S, grace_s
from services.triage.catch_up import KIND
from shared import jobs
from shared.events import Ref
from shared.postgres import open_pool
from tests.conftest import Database


@pytest.mark.requirement("REQ-05")
def test_due_work_is_left_for_longer_to_a_worker_that_is_seen_to_work(database: Database) -> None:
    with open_pool(database.triage_url, schema="triage") as pool, pool.connection() as connection:
        assert grace_s(pool, KIND) == WORKER_GRACE_S
        jobs.add(connection, KIND, [Ref("response-1", 1), Ref("response-2", 1)])
        jobs.claim(connection, KIND, limit=1)
        assert grace_s(pool, KIND) == BUSY_GRACE_S
        connection.execute("UPDATE job SET lease_until = now() - interval '1 second' WHERE state = 'running'")
        assert grace_s(pool, KIND) == WORKER_GRACE_S
