"""Work is done once per referenced version, whoever dies on the way."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from shared import jobs, leases
from shared.events import Ref
from shared.postgres import DictConnection, Pool, connect, open_pool, unavailable
from tests.conftest import Database
from tests.waiting import eventually

KIND = "assess"
REF = Ref("response-7", 1)


@pytest.fixture
def pool(database: Database) -> Iterator[Pool]:
    with open_pool(database.triage_url, schema="triage") as pool:
        yield pool


@pytest.fixture
def connection(database: Database) -> Iterator[DictConnection]:
    with connect(database.triage_url, schema="triage") as connection:
        yield connection


def end_leases(connection: DictConnection) -> None:
    """As if the worker had died long ago."""
    connection.execute("UPDATE job SET lease_until = now() - interval '1 second' WHERE state = 'running'")


def grow_old(connection: DictConnection) -> None:
    """As if the jobs had been known for a while."""
    connection.execute("UPDATE job SET created_at = now() - interval '5 minutes'")


def test_a_reference_that_is_heard_of_twice_is_one_job(connection: DictConnection) -> None:
    assert jobs.add(connection, KIND, [REF, Ref("response-8", 1)]) == 2
    assert jobs.add(connection, KIND, [REF]) == 0

    assert len(jobs.claim(connection, KIND)) == 2


def test_a_newer_version_of_the_same_response_is_a_job_of_its_own(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF, Ref(REF.id, 2)])

    assert {claim.ref.version for claim in jobs.claim(connection, KIND)} == {1, 2}


def test_a_claimed_job_is_not_given_to_a_second_worker(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF])

    assert len(jobs.claim(connection, KIND)) == 1
    assert jobs.claim(connection, KIND) == []


def test_twenty_workers_at_once_share_the_jobs_without_overlap(connection: DictConnection, pool: Pool) -> None:
    refs = [Ref(f"response-{number}", 1) for number in range(97)]
    jobs.add(connection, KIND, refs)

    def take(_worker: int) -> list[jobs.Claim]:
        with pool.connection() as own:
            return jobs.claim(own, KIND, limit=5)

    with ThreadPoolExecutor(20) as workers:
        taken = [claim.ref for claims in workers.map(take, range(20)) for claim in claims]

    assert len(taken) == len(set(taken)) == 97


@pytest.mark.requirement("REQ-05")
def test_a_job_of_a_dead_worker_is_claimed_again_and_the_crash_is_counted(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF])
    jobs.claim(connection, KIND)
    end_leases(connection)

    [again] = jobs.claim(connection, KIND)

    assert again.attempts == 2
    assert not again.exhausted


@pytest.mark.requirement("REQ-07")
def test_a_job_that_kills_its_worker_three_times_is_set_aside(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF])
    for _ in range(3):
        jobs.claim(connection, KIND)
        end_leases(connection)
    grow_old(connection)

    [last] = jobs.claim(connection, KIND)

    assert last.exhausted


def test_leases_lost_within_seconds_say_nothing_about_the_job(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF])
    for _ in range(3):
        jobs.claim(connection, KIND)
        end_leases(connection)

    [claim] = jobs.claim(connection, KIND)

    assert not claim.exhausted


def test_a_job_that_failed_by_itself_three_times_is_set_aside_at_once(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF])
    for _ in range(3):
        [claim] = jobs.claim(connection, KIND)
        jobs.retry(connection, claim, error="KeyError", delay_s=0)

    [claim] = jobs.claim(connection, KIND)

    assert claim.exhausted


def test_after_an_outage_a_job_is_tried_once_more_before_it_is_set_aside(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF])
    grow_old(connection)
    [claim] = jobs.claim(connection, KIND)
    jobs.retry(connection, claim, error="OperationalError", delay_s=0, counts=False)
    tried = []
    for _ in range(5):
        [claim] = jobs.claim(connection, KIND)
        tried.append(claim.exhausted)
        end_leases(connection)

    assert tried == [False, False, False, False, True]


def test_a_job_that_was_set_aside_is_due_again_when_somebody_names_it(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF])
    for _ in range(4):
        [claim] = jobs.claim(connection, KIND)
        jobs.retry(connection, claim, error="NotKnown", delay_s=0)
    [claim] = jobs.claim(connection, KIND)
    jobs.finish(connection, claim, dead=True)

    assert jobs.add(connection, KIND, [REF]) == 1

    [again] = jobs.claim(connection, KIND)
    assert (again.ref, again.attempts, again.exhausted) == (REF, 1, False)


def test_work_that_is_done_stays_done_when_it_is_named_again(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF])
    [claim] = jobs.claim(connection, KIND)
    jobs.finish(connection, claim)

    assert jobs.add(connection, KIND, [REF]) == 0
    assert jobs.claim(connection, KIND) == []


def test_a_job_that_failed_before_is_claimed_alone_so_that_it_harms_no_other(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF])
    jobs.claim(connection, KIND)
    end_leases(connection)
    jobs.add(connection, KIND, [Ref("response-8", 1), Ref("response-9", 1)])

    assert [claim.ref for claim in jobs.claim(connection, KIND)] == [REF]
    assert len(jobs.claim(connection, KIND)) == 2


@pytest.mark.requirement("REQ-06")
def test_a_worker_that_lost_its_lease_can_no_longer_finish(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF])
    [lost] = jobs.claim(connection, KIND)
    end_leases(connection)
    [taken_over] = jobs.claim(connection, KIND)

    assert not jobs.finish(connection, lost)
    assert jobs.finish(connection, taken_over)
    assert not jobs.finish(connection, taken_over)


def test_a_neighbour_that_is_away_does_not_count_against_the_job(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF])
    for _ in range(5):
        [claim] = jobs.claim(connection, KIND)
        jobs.retry(connection, claim, error="NeighbourUnavailable", delay_s=0, counts=False)

    [claim] = jobs.claim(connection, KIND)

    assert claim.attempts == 1


def test_a_retried_job_waits_until_it_is_due(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF])
    [claim] = jobs.claim(connection, KIND)
    jobs.retry(connection, claim, error="RuntimeError", delay_s=60)

    assert jobs.claim(connection, KIND) == []


def test_young_work_is_left_to_the_workers_by_the_sweep(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF])

    assert jobs.claim(connection, KIND, min_age_s=30) == []
    assert len(jobs.claim(connection, KIND)) == 1


def test_draining_works_off_everything_that_is_due(connection: DictConnection, pool: Pool) -> None:
    jobs.add(connection, KIND, [Ref(f"response-{number}", 1) for number in range(120)])
    seen: list[str] = []

    def work(claims: object) -> None:
        assert isinstance(claims, list)
        for claim in claims:
            seen.append(claim.ref.id)
            with pool.connection() as own:
                jobs.finish(own, claim)

    assert jobs.drain(pool, KIND, work) == 120
    assert len(set(seen)) == 120


@pytest.mark.requirement("REQ-10")
def test_work_that_fails_again_and_again_does_not_hold_up_fresh_work(connection: DictConnection, pool: Pool) -> None:
    jobs.add(connection, KIND, [Ref(f"broken-{number}", 1) for number in range(30)])
    for claim in jobs.claim(connection, KIND):
        jobs.retry(connection, claim, error="KeyError", delay_s=0)
    jobs.add(connection, KIND, [REF])
    order: list[str] = []

    def work(claims: Sequence[jobs.Claim]) -> None:
        order.extend(claim.ref.id for claim in claims)
        with pool.connection() as own:
            for claim in claims:
                jobs.retry(own, claim, error="KeyError", delay_s=60)

    jobs.drain(pool, KIND, work, rounds=4)

    assert REF.id in order[:2]
    assert len(order) == 4


def test_fresh_work_that_never_ends_does_not_hold_up_what_failed(connection: DictConnection, pool: Pool) -> None:
    jobs.add(connection, KIND, [REF])
    [claim] = jobs.claim(connection, KIND)
    jobs.retry(connection, claim, error="KeyError", delay_s=0)
    numbers, seen = itertools.count(), list[str]()

    def work(claims: Sequence[jobs.Claim]) -> None:
        seen.extend(claim.ref.id for claim in claims)
        with pool.connection() as own:
            jobs.add(own, KIND, [Ref(f"response-fresh-{next(numbers)}", 1)])
            for claim in claims:
                jobs.finish(own, claim)

    jobs.drain(pool, KIND, work, rounds=3)

    assert REF.id in seen


def test_a_call_that_has_worked_long_enough_leaves_the_rest_to_the_next(connection: DictConnection, pool: Pool) -> None:
    jobs.add(connection, KIND, [Ref(f"response-{number}", 1) for number in range(120)])

    assert jobs.drain(pool, KIND, lambda _claims: None, within_s=0) == jobs.BATCH


@pytest.mark.parametrize("fresh_first", [True, False])
def test_what_a_claim_leaves_another_worker_can_have_at_once(
    connection: DictConnection, database: Database, fresh_first: bool
) -> None:
    jobs.add(connection, KIND, [REF])
    jobs.claim(connection, KIND)
    end_leases(connection)
    jobs.add(connection, KIND, [Ref("response-8", 1), Ref("response-9", 1)])

    with connect(database.triage_url, schema="triage") as other, connection.transaction():
        mine = jobs.claim(connection, KIND, fresh_first=fresh_first)
        theirs = jobs.claim(other, KIND, fresh_first=fresh_first)

    tried, fresh = {"response-7"}, {"response-8", "response-9"}
    assert {claim.ref.id for claim in mine} == (fresh if fresh_first else tried)
    assert {claim.ref.id for claim in theirs} == (tried if fresh_first else fresh)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases are extended all the time."""
    monkeypatch.setattr(leases, "HEARTBEAT_S", 0.01)


def left_s(connection: DictConnection, ref: Ref = REF) -> float:
    """For how many seconds somebody still has this job."""
    row = connection.execute(
        "SELECT extract(epoch FROM lease_until - now())::float8 AS left_s FROM job WHERE ref_id = %s", (ref.id,)
    ).fetchone()
    assert row is not None
    return float(row["left_s"])


@pytest.mark.requirement("REQ-05")
@pytest.mark.usefixtures("quick")
def test_work_that_goes_on_keeps_its_lease_beside_other_work(connection: DictConnection, pool: Pool) -> None:
    jobs.add(connection, KIND, [REF, Ref("response-8", 1)])
    one, two = jobs.claim(connection, KIND)

    for _ in range(2):
        with jobs.kept_alive(pool, [one]):
            with jobs.kept_alive(pool, [two]):
                end_leases(connection)
                eventually(lambda: left_s(connection, one.ref) > 5 and left_s(connection, two.ref) > 5)
            end_leases(connection)
            eventually(lambda: left_s(connection, one.ref) > 5)
        eventually(lambda: not beating())


@pytest.mark.requirement("REQ-05")
@pytest.mark.usefixtures("quick")
def test_a_job_that_hangs_is_let_go(connection: DictConnection, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "HOLD_S", 0.05)
    jobs.add(connection, KIND, [REF])
    claims = jobs.claim(connection, KIND)

    with jobs.kept_alive(pool, claims):
        eventually(lambda: not beating())
        end_leases(connection)

        assert [claim.ref for claim in jobs.claim(connection, KIND)] == [REF]


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_failed_or_could_not_begin_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    extended = threading.Event()
    held: leases.Leases[int] = leases.Leases()

    def fails(_claims: Sequence[int]) -> None:
        raise SystemExit  # a thread ends with it in silence

    with held.held([1], fails):
        eventually(lambda: not beating())
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", raises)
            with pytest.raises(RuntimeError), held.held([2], fails):
                pass
        with held.held([3], lambda claims: extended.set() if list(claims) == [1, 3] else None):
            assert extended.wait(10)


def raises(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def beating() -> bool:
    return any(thread.name == "lease-heartbeat" for thread in threading.enumerate())


@pytest.mark.requirement("REQ-23")
def test_work_that_lies_further_ahead_than_it_is_ever_put_off_is_due_now(connection: DictConnection) -> None:
    def put_off(kind: str, ref: str, delay_s: float) -> None:
        jobs.add(connection, kind, [Ref(ref, 1)])
        [claim] = jobs.claim(connection, kind)
        jobs.retry(connection, claim, error="NotKnown", delay_s=delay_s, counts=False)

    put_off(KIND, "may-wait", 60)
    put_off(KIND, "too-late", 70)
    put_off(f"{KIND}/apart", "apart", 3600)
    put_off("another", "another", 3600)
    jobs.add(connection, KIND, [Ref("never-tried", 1)], delay_s=10)

    assert jobs.hasten(connection, {KIND: 60, "more": 1}) == 3
    assert jobs.hasten(connection, {KIND: 60, "more": 1}) == 0

    assert {claim.ref.id for claim in jobs.claim(connection, KIND)} == {"too-late", "never-tried"}
    assert [claim.ref.id for claim in jobs.claim(connection, f"{KIND}/apart")] == ["apart"]
    assert jobs.claim(connection, "another") == []


@pytest.mark.requirement("REQ-23")
def test_a_lease_that_ends_too_far_ahead_ends_as_if_it_were_given_now(connection: DictConnection) -> None:
    jobs.add(connection, KIND, [REF, Ref("response-8", 1)])
    mine, lost = jobs.claim(connection, KIND)
    assert jobs.shorten_leases(connection) == 0
    connection.execute("UPDATE job SET lease_until = lease_until + interval '1 hour'")

    assert jobs.shorten_leases(connection) == 2

    assert jobs.finish(connection, mine), "who has it may still end it"
    assert jobs.claim(connection, KIND) == []
    connection.execute("UPDATE job SET lease_until = lease_until - interval '11 seconds' WHERE state = 'running'")
    assert [claim.ref for claim in jobs.claim(connection, KIND)] == [lost.ref]


def test_who_looks_for_times_too_far_ahead_reads_open_work_only(connection: DictConnection) -> None:
    done = "INSERT INTO job (tenant_id, kind, ref_id, ref_version, state) SELECT %s, %s, n::text, 1, 'done' "
    connection.execute(done.encode() + b"FROM generate_series(1, 20000) AS n", [REF.tenant, KIND])
    jobs.add(connection, KIND, [REF, Ref("response-8", 1)], delay_s=3600)
    with connection.transaction():
        jobs.hasten(connection, {KIND: 60})
        jobs.shorten_leases(connection)
        read = connection.execute(
            "SELECT pg_stat_get_xact_numscans('job'::regclass) AS scans, "
            "sum(pg_stat_get_xact_tuples_returned(indexrelid)) AS entries "
            "FROM pg_stat_user_indexes WHERE relid = 'job'::regclass"
        ).fetchone()

    assert read is not None
    assert read["scans"] == 0
    assert read["entries"] <= 10


def test_old_finished_work_is_deleted_in_portions(connection: DictConnection) -> None:
    connection.execute(
        "INSERT INTO job (tenant_id, kind, ref_id, ref_version, state, finished_at) "
        "SELECT %s, %s, number::text, 1, 'done', now() - interval '8 days' FROM generate_series(1, 5001) AS number",
        (REF.tenant, KIND),
    )

    assert connection.execute(jobs.QUERIES["prune"]).rowcount == 5000
    assert connection.execute(jobs.QUERIES["prune"]).rowcount == 1


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.QueryCanceled,
        psycopg.errors.IdleInTransactionSessionTimeout,
        psycopg.errors.IoError,
        psycopg.errors.DiskFull,
        PoolTimeout,
    ],
)
def test_a_database_that_cannot_just_now_is_no_fault_of_the_work(error: type[Exception]) -> None:
    assert unavailable(error("not now"))
