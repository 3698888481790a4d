"""Work done exactly once per referenced version, whatever the broker does.

A job is a row. It is claimed with a lease and a fencing token; whoever lost the lease can no longer finish it. A claim
that ended in a crash is counted, so that a response that kills its worker is set aside after a few attempts. A lease
that ended because the database was away looks like a crash: only failures that recur for minutes count as the job's.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID
from weakref import WeakKeyDictionary

from shared.events import Ref
from shared.failpoint import reach
from shared.leases import Leases
from shared.postgres import DictConnection, Pool, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
LEASE_S = 10
BATCH = 50
DRAIN_S = 10.0
"""After this time no further batch is begun in one call: half the soft time limit of a task."""
MAX_ATTEMPTS = 3
EXTEND_S = 1.0
"""Longest wait for a connection to extend leases with: all work of the pool waits for the same extension."""
CRASHING_S = 120.0
"""Lost leases alone say nothing about a job that is younger than this: restarts and outages lose them too."""
SLACK_S = 5.0
"""By this much a time may lie further ahead than it should before anybody takes it for a wrong one."""
TRANSIENT = frozenset(
    {
        "AdminShutdown",
        "CannotConnectNow",
        "DeadlockDetected",
        "DiskFull",
        "EarlierVersion",
        "IdleInTransactionSessionTimeout",
        "LockNotAvailable",
        "NeighbourUnavailable",
        "OperationalError",
        "Overtaken",
        "PoolTimeout",
        "QueryCanceled",
        "ResponseWithheld",
        "TooManyConnections",
    }
)
"""Errors, by class, that are not, or not surely, the fault of the job they ended."""

_turns = itertools.count()

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is ours until the lease ends. `attempts` counts this one."""

    kind: str
    ref: Ref
    token: UUID
    attempts: int
    age_s: float = 0.0
    error: str | None = None

    @property
    def exhausted(self) -> bool:
        """True when earlier attempts failed too often to try the work itself again.

        Failures of the job's own count as they are. Where only leases were lost, or the last error was one of the
        database or a neighbour, the job must be two minutes old, and after such an error it has one attempt more.
        """
        transient = self.error in TRANSIENT
        if self.error is not None and not transient:
            return self.attempts > MAX_ATTEMPTS
        return self.attempts > MAX_ATTEMPTS + transient and self.age_s > CRASHING_S


def add(connection: DictConnection, kind: str, refs: Sequence[Ref], *, delay_s: float = 0) -> int:
    """Note work that is to be done. Returns how many are new, or were set aside and are due again.

    Other work that is known already stays as it is: what was set aside is tried anew when somebody names it again.
    """
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


def claim(
    connection: DictConnection, kind: str, *, limit: int = BATCH, min_age_s: float = 0, fresh_first: bool = False
) -> list[Claim]:
    """Take due work: many fresh jobs at once, or one that already failed, alone, so that it can harm only itself.

    `min_age_s` leaves young work to the workers: the sweep takes only what they should have done by now.
    `fresh_first`: failed work only where no fresh work is due. Whoever claims again and again takes turns.
    """
    parameters = {
        "kind": kind,
        "limit": limit,
        "lease_s": LEASE_S,
        "min_age_s": min_age_s,
        "fresh_first": fresh_first,
    }
    rows = connection.execute(QUERIES["claim"], parameters).fetchall()
    if rows:
        reach("jobs.after_claim")
    return [
        Claim(
            kind=kind,
            ref=Ref(id=row["ref_id"], version=row["ref_version"], tenant=row["tenant_id"]),
            token=row["lease_token"],
            attempts=row["attempts"],
            age_s=row["age_s"],
            error=row["error"],
        )
        for row in rows
    ]


def due_kinds(
    connection: DictConnection, names: Sequence[str], *, most: int = 200, min_age_s: float = 0
) -> dict[str, list[str]]:
    """The kinds with due work that are one of these names, or one with a `/` and more behind it, by name.

    What stands behind the `/` keeps work apart that must not wait for one another. Figures leave it out. Of each name
    there are `most` at the most, the longest due first; a name without due work is left out.
    """
    parameters = {"names": list(names), "most": most, "min_age_s": min_age_s}
    found: dict[str, list[str]] = {}
    for row in connection.execute(QUERIES["due_kinds"], parameters).fetchall():
        found.setdefault(row["name"], []).append(row["kind"])
    return found


def in_hand(connection: DictConnection, kind: str) -> frozenset[UUID]:
    """The tokens of the jobs of this kind that somebody has under a lease that has not ended."""
    return frozenset(row["token"] for row in connection.execute(QUERIES["in_hand"], {"kind": kind}).fetchall())


def hasten(connection: DictConnection, longest_s: Mapping[str, float]) -> int:
    """What would wait longer than anything of its kind is ever put off is due now; returns how many jobs.

    What never failed is not put off at all. Such a time was written while the database's clock was ahead, and is found
    by nobody before it has come.
    """
    parameters = {"names": list(longest_s), "longest_s": list(longest_s.values()), "slack_s": SLACK_S}
    return _number(connection, "hasten", parameters)


def shorten_leases(connection: DictConnection) -> int:
    """No lease lasts longer than one that is given now; returns how many did. Whoever works extends it as always."""
    return _number(connection, "shorten_leases", {"lease_s": LEASE_S, "slack_s": SLACK_S})


def _number(connection: DictConnection, query: str, parameters: Mapping[str, object]) -> int:
    row = connection.execute(QUERIES[query], parameters).fetchone()
    assert row is not None
    return int(row["number"])


def finish(connection: DictConnection, claimed: Claim, *, dead: bool = False) -> bool:
    """End the job in the caller's transaction. False: the lease was lost, and the caller must write nothing."""
    reach("jobs.before_finish")
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


def _arrays(claims: Sequence[Claim]) -> dict[str, object]:
    return {
        "tenants": [claimed.ref.tenant for claimed in claims],
        "kinds": [claimed.kind for claimed in claims],
        "ids": [claimed.ref.id for claimed in claims],
        "versions": [claimed.ref.version for claimed in claims],
        "tokens": [claimed.token for claimed in claims],
    }


_leases: WeakKeyDictionary[Pool, Leases[Claim]] = WeakKeyDictionary()
_lock = threading.Lock()


@contextmanager
def kept_alive(pool: Pool, claims: Sequence[Claim]) -> Iterator[None]:
    """Extend the leases of these claims every few seconds while the block runs, for a minute at the most."""
    with _lock:
        leases = _leases.setdefault(pool, Leases())

    def extend(held: Sequence[Claim]) -> None:
        try:
            with pool.connection(timeout=EXTEND_S) as connection:
                connection.execute(QUERIES["heartbeat"], _arrays(held) | {"lease_s": LEASE_S})
        except Exception as error:
            log.warning("leases not extended", extra={"number": len(held), "error": type(error).__name__})

    with leases.held(claims, extend):
        yield


def drain(
    pool: Pool,
    kind: str,
    work: Callable[[Sequence[Claim]], None],
    *,
    min_age_s: float = 0,
    rounds: int = 40,
    within_s: float = DRAIN_S,
) -> int:
    """Claim and work until nothing is due, `rounds` batches were done or `within_s` is over; returns how many jobs.

    Fresh and failed work take turns, across calls too, so that neither can starve the other.
    """
    taken, end = 0, time.monotonic() + within_s
    for _ in range(rounds):
        if taken and time.monotonic() >= end:
            break
        with pool.connection() as connection:
            claims = claim(connection, kind, min_age_s=min_age_s, fresh_first=next(_turns) % 2 == 0)
        if not claims:
            break
        taken += len(claims)
        with kept_alive(pool, claims):
            work(claims)
    return taken
