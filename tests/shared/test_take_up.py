"""Work that a message names is taken at once where nothing else waits, and is the same work as any other."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared import jobs, take_up
from shared.events import Ref
from shared.ids import DEFAULT_TENANT
from shared.jobs import Claim
from shared.postgres import DictConnection, Pool, connect, open_pool
from tests.conftest import Database

KIND = "assess"
REF, OTHER = Ref("response-7", 1), Ref("response-8", 1)
FILL = """
INSERT INTO job (tenant_id, kind, ref_id, ref_version, due_at, state, finished_at)
SELECT %(tenant)s, kind, 'old-' || n, 1, now(), 'done', now()
FROM generate_series(1, 1500) AS n, unnest(%(kinds)s::text[]) AS kind
"""
READ = """
SELECT coalesce(seq_tup_read + idx_tup_fetch, 0)::integer AS number FROM pg_stat_xact_user_tables
WHERE schemaname = 'triage' AND relname = 'job'
"""


@pytest.fixture
def pool(database: Database) -> Iterator[Pool]:
    with open_pool(database.triage_url, schema="triage") as pool:
        yield pool


@pytest.fixture
def connection(database: Database) -> Iterator[DictConnection]:
    with connect(database.triage_url, schema="triage") as connection:
        yield connection


def end_leases(connection: DictConnection) -> None:
    connection.execute("UPDATE job SET lease_until = now() - interval '1 second' WHERE state = 'running'")


def states(connection: DictConnection) -> dict[str, str]:
    return {row["ref_id"]: row["state"] for row in connection.execute("SELECT ref_id, state FROM job").fetchall()}


class Worker:
    """Ends whatever it is given; `done` is what it was given at each call."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.done = pool, list[list[Ref]]()

    def __call__(self, claims: Sequence[Claim]) -> None:
        self.done.append([claimed.ref for claimed in claims])
        with self.pool.connection() as own:
            assert [claimed for claimed in claims if not jobs.finish(own, claimed)] == []


def test_what_a_message_names_is_done_once_and_no_more_when_it_is_named_again(pool: Pool) -> None:
    worker = Worker(pool)

    assert take_up.take_up(pool, KIND, [REF, OTHER, REF], worker) == 2
    assert take_up.take_up(pool, KIND, [REF], worker) == 0
    assert take_up.take_up(pool, KIND, [], worker) == 0

    assert [set(refs) for refs in worker.done] == [{REF, OTHER}]


@pytest.mark.requirement("REQ-06")
def test_a_job_that_was_taken_at_once_is_under_a_lease_and_a_token_like_any_other(connection: DictConnection) -> None:
    [claimed] = take_up.note(connection, KIND, [REF]) or ()

    assert (claimed.ref, claimed.attempts, claimed.exhausted) == (REF, 1, False)
    assert jobs.claim(connection, KIND) == [], "somebody has it"
    lease = connection.execute("SELECT extract(epoch FROM lease_until - now())::float AS s FROM job").fetchone()
    assert lease is not None
    assert 0 < lease["s"] <= jobs.LEASE_S, "and not for ever"
    end_leases(connection)
    [again] = jobs.claim(connection, KIND)
    assert again.attempts == 2, "the first attempt was counted before the work began"
    assert not jobs.finish(connection, claimed)
    assert jobs.finish(connection, again)


@pytest.mark.requirement("REQ-07")
def test_a_job_that_kills_its_worker_is_counted_when_it_was_taken_at_once(connection: DictConnection) -> None:
    take_up.note(connection, KIND, [REF])
    for _ in range(2):
        end_leases(connection)
        jobs.claim(connection, KIND)
    end_leases(connection)
    connection.execute("UPDATE job SET created_at = now() - interval '5 minutes'")

    [last] = jobs.claim(connection, KIND)

    assert last.exhausted


@pytest.mark.parametrize("before", ["noted", "failed", "crashed"])
def test_what_waits_comes_before_what_a_message_names(connection: DictConnection, pool: Pool, before: str) -> None:
    jobs.add(connection, KIND, [REF])
    if before != "noted":
        [claimed] = jobs.claim(connection, KIND)
        if before == "failed":
            jobs.retry(connection, claimed, error="KeyError", delay_s=0)
        else:
            end_leases(connection)
    assert take_up.note(connection, KIND, [OTHER]) is None
    assert states(connection)[OTHER.id] == "pending"

    worker = Worker(pool)
    assert take_up.take_up(pool, KIND, [OTHER], worker) == 2
    assert {ref for refs in worker.done for ref in refs} == {REF, OTHER}
    if before == "noted":
        assert worker.done == [[REF, OTHER]]


def test_what_is_not_due_or_in_other_hands_or_of_another_kind_holds_nothing_up(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [Ref("later", 1)], delay_s=60)
    jobs.add(connection, KIND, [Ref("in-hand", 1)])
    jobs.claim(connection, KIND)
    jobs.add(connection, "assess/else", [Ref("another", 1)])

    assert [claimed.ref for claimed in take_up.note(connection, KIND, [REF]) or ()] == [REF]


def test_work_that_is_known_stays_as_it_is_and_what_was_set_aside_is_tried_anew(connection: DictConnection) -> None:
    done, dead, held = Ref("done", 1), Ref("dead", 1), Ref("held", 1)
    jobs.add(connection, KIND, [done, dead, held])
    for claimed in jobs.claim(connection, KIND):
        if claimed.ref != held:
            jobs.finish(connection, claimed, dead=claimed.ref == dead)

    [again] = take_up.note(connection, KIND, [done, dead, held]) or ()

    assert (again.ref, again.attempts, again.exhausted) == (dead, 1, False)
    assert states(connection) == {"done": "done", "dead": "running", "held": "running"}


def test_more_than_a_batch_is_done_batch_by_batch(pool: Pool) -> None:
    refs = [Ref(f"response-{number}", 1) for number in range(120)]
    worker = Worker(pool)

    assert take_up.take_up(pool, KIND, refs, worker) == 120
    assert [len(refs) for refs in worker.done] == [50, 50, 20]


def test_after_long_work_whatever_came_due_is_done_too(
    connection: DictConnection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(take_up, "SOON_S", 0.0)
    worker = Worker(pool)

    def work(claims: Sequence[Claim]) -> None:
        worker(claims)
        jobs.add(connection, KIND, [OTHER])

    assert take_up.take_up(pool, KIND, [REF], work) == 2
    assert worker.done == [[REF], [OTHER]]


def test_an_earlier_version_that_a_later_one_has_noted_is_done_at_once(connection: DictConnection, pool: Pool) -> None:
    """An emergency may stand only in a version whose message was lost."""
    later, earlier, worker = Ref("response-7", 2), Ref("response-7", 1), Worker(pool)

    def work(claims: Sequence[Claim]) -> None:
        worker(claims)
        if claims[0].ref == later:
            jobs.add(connection, KIND, [earlier])

    assert take_up.take_up(pool, KIND, [later], work) == 2
    assert worker.done == [[later], [earlier]]


def test_a_worker_that_fails_leaves_the_job_to_its_lease(connection: DictConnection, pool: Pool) -> None:
    def fails(_claims: Sequence[Claim]) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        take_up.take_up(pool, KIND, [REF], fails)

    assert states(connection) == {REF.id: "running"}
    end_leases(connection)
    assert [claimed.attempts for claimed in jobs.claim(connection, KIND)] == [2]


def test_messages_that_name_the_same_at_the_same_time_do_it_once(pool: Pool, database: Database) -> None:
    refs = [Ref(f"response-{number}", 1) for number in range(40)]
    begin, taken = threading.Barrier(8), list[Ref]()

    def hear(number: int) -> None:
        with connect(database.triage_url, schema="triage") as own:
            begin.wait(10)
            for ref in refs[number % 2 :] + refs[: number % 2]:
                taken.extend(claimed.ref for claimed in take_up.note(own, KIND, [ref]) or ())

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(hear, range(8)))
    with pool.connection() as connection:
        while claims := jobs.claim(connection, KIND):
            taken.extend(claimed.ref for claimed in claims)

    assert sorted(taken, key=lambda ref: ref.id) == sorted(refs, key=lambda ref: ref.id)


def test_what_is_read_to_take_a_job_does_not_grow_with_what_was_done(connection: DictConnection) -> None:
    for number in range(8):  # until the connection keeps its plans
        [claimed] = take_up.note(connection, KIND, [Ref(f"early-{number}", 1)]) or ()
        jobs.finish(connection, claimed)
    connection.execute(FILL, {"tenant": DEFAULT_TENANT, "kinds": [KIND, "a", "z"]})
    connection.execute("SELECT pg_stat_force_next_flush()")

    with connection.transaction():
        assert take_up.note(connection, KIND, [REF]) is not None
        assert all(row["number"] < 5 for row in connection.execute(READ).fetchall())
