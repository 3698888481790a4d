"""Work done exactly once per referenced version, whatever the broker does.

A job is a row. It is claimed with a lease and a fencing token; whoever lost the lease can no longer finish it. A claim
that ended in a crash is counted, so that a response that kills its worker is set aside after a few attempts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg_pool import PoolTimeout

from shared.events import Ref
from shared.postgres import DictConnection, Pool, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
LEASE_S = 10
HEARTBEAT_S = 3
BATCH = 50
MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is ours until the lease ends. `attempts` counts this one."""

    kind: str
    ref: Ref
    token: UUID
    attempts: int

    @property
    def exhausted(self) -> bool:
        """True when earlier attempts ended in a crash too often to try the work itself again."""
        return self.attempts > MAX_ATTEMPTS


def add(connection: DictConnection, kind: str, refs: Sequence[Ref], *, delay_s: float = 0) -> int:
    """Note work that is to be done; what is known already stays as it is. Returns how many were new."""
    if not refs:
        return 0
    return connection.execute(
        QUERIES["add"],
        {
            "kind": kind,
            "tenants": [ref.tenant for ref in refs],
            "ids": [ref.id for ref in refs],
            "versions": [ref.version for ref in refs],
            "delay_s": delay_s,
        },
    ).rowcount


def claim(connection: DictConnection, kind: str, *, limit: int = BATCH, min_age_s: float = 0) -> list[Claim]:
    """Take due work: many fresh jobs at once, or one that already failed, alone, so that it can harm only itself.

    `min_age_s` leaves young work to the workers: the sweep takes only what they should have done by now.
    """
    for query, size in (("claim_tried", 1), ("claim_fresh", limit)):
        rows = connection.execute(
            QUERIES[query], {"kind": kind, "limit": size, "lease_s": LEASE_S, "min_age_s": min_age_s}
        ).fetchall()
        if rows:
            return [
                Claim(
                    kind=kind,
                    ref=Ref(id=row["ref_id"], version=row["ref_version"], tenant=row["tenant_id"]),
                    token=row["lease_token"],
                    attempts=row["attempts"],
                )
                for row in rows
            ]
    return []


def finish(connection: DictConnection, claimed: Claim, *, dead: bool = False) -> bool:
    """End the job in the caller's transaction. False: the lease was lost, and the caller must write nothing."""
    return _with_token(connection, "finish", claimed, {"state": "dead" if dead else "done"})


def retry(connection: DictConnection, claimed: Claim, *, error: str, delay_s: float, counts: bool = True) -> bool:
    """Put the job back for later. `counts=False`: the fault was not the job's (a neighbour was away)."""
    return _with_token(connection, "retry", claimed, {"error": error[:200], "delay_s": delay_s, "counts": int(counts)})


def _with_token(connection: DictConnection, query: str, claimed: Claim, more: dict[str, object]) -> bool:
    parameters = {
        "tenant_id": claimed.ref.tenant,
        "kind": claimed.kind,
        "ref_id": claimed.ref.id,
        "ref_version": claimed.ref.version,
        "token": claimed.token,
    }
    return connection.execute(QUERIES[query], parameters | more).rowcount == 1


@contextmanager
def kept_alive(pool: Pool, claims: Sequence[Claim]) -> Iterator[None]:
    """Extend the leases of these claims every few seconds for as long as the block runs."""
    stop = threading.Event()
    tokens = [claimed.token for claimed in claims]

    def beat() -> None:
        while not stop.wait(HEARTBEAT_S):
            with suppress(psycopg.Error, PoolTimeout), pool.connection() as connection:
                connection.execute(QUERIES["heartbeat"], {"tokens": tokens, "lease_s": LEASE_S})

    thread = threading.Thread(target=beat, name="lease-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()


def drain(
    pool: Pool, kind: str, work: Callable[[Sequence[Claim]], None], *, min_age_s: float = 0, rounds: int = 40
) -> int:
    """Claim and work until nothing is due (or `rounds` batches were done). Returns how many jobs were taken."""
    taken = 0
    for _ in range(rounds):
        with pool.connection() as connection:
            claims = claim(connection, kind, min_age_s=min_age_s)
        if not claims:
            break
        taken += len(claims)
        with kept_alive(pool, claims):
            work(claims)
    return taken
