"""Work that a message names, noted and taken in one step where nothing else waits: the short way of most messages.

Noting, claiming and looking whether more is due are three round trips and two commits, which for a message with one
reference cost as much as storing what comes of it. The job is the same row as in `shared.jobs` and taken in the same
way: under a lease and a token, its attempt counted before the work begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from shared import jobs
from shared.events import Ref
from shared.failpoint import reach
from shared.jobs import Claim
from shared.postgres import DictConnection, Pool, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
SOON_S = 0.5
"""After work on first versions that took no longer nobody looks for more: what became due meanwhile has a message of
its own, or was put back, and is found by the next message and the sweep. A later version may have had earlier ones
noted, and these are looked for."""


def take_up(pool: Pool, kind: str, refs: Sequence[Ref], work: Callable[[Sequence[Claim]], None]) -> int:
    """Note this work and do it, and whatever else is due, the oldest first; returns how many jobs.

    Of what is known already nothing is done again, but what was set aside is tried anew (see `jobs.add`).
    """
    begun = time.monotonic()
    with pool.connection() as connection:
        claims = note(connection, kind, refs)
    if claims is not None:
        if claims:
            with jobs.kept_alive(pool, claims):
                work(claims)
        if time.monotonic() - begun < SOON_S and all(ref.version == 1 for ref in refs):
            return len(claims)
    return len(claims or ()) + jobs.drain(pool, kind, work)


def note(connection: DictConnection, kind: str, refs: Sequence[Ref]) -> list[Claim] | None:
    """Note this work. Returns what of it is taken at once; None where others come first, or it is more than a batch."""
    if len(refs) > jobs.BATCH:
        jobs.add(connection, kind, refs)
        return None
    named = [{"tenant": ref.tenant, "id": ref.id, "version": ref.version} for ref in dict.fromkeys(refs)]
    parameters = {"kind": kind, "refs": orjson.dumps(named).decode(), "lease_s": jobs.LEASE_S}
    rows = connection.execute(QUERIES["take_up"], parameters).fetchall()
    if rows and rows[-1]["ref_id"] is None:
        return None
    if rows:
        reach("jobs.after_claim")
    return [
        Claim(kind, Ref(row["ref_id"], row["ref_version"], row["tenant_id"]), row["lease_token"], 1) for row in rows
    ]
