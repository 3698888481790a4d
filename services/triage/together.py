"""Many responses in one transaction: what costs a round trip costs it once for all of them.

Only what needs no second thought is done here. Whatever does (another worker has the patient, an earlier version was
not looked at, the evaluation failed, the database refused something) is left, and its turn comes by itself, so that
one response can harm no other. Whoever is in the same chunk has another patient and is another response.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from services.triage import store
from services.triage.basis import Run
from services.triage.case import Case, Describe
from services.triage.store import Held, Opened, Outcome
from shared.failpoint import reach
from shared.outbox import announce
from shared.postgres import DatabaseError, DictConnection, Pool, tenant_transaction
from shared.telemetry import correlated

CHUNK = 25
"""Responses in one transaction, at most."""
CHUNK_S = 0.1
"""After this time what was evaluated is stored: an emergency among them is told before the rest is looked at."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Left:
    """What a chunk did not settle: some must be done alone, for some there was no time."""

    alone: Sequence[Case]
    later: Sequence[Case]


def chunk_of(cases: Sequence[Case]) -> tuple[list[Case], list[Case]]:
    """The first cases of one tenant that do not touch each other, and all others, each in their order."""
    chunk: list[Case] = []
    others: list[Case] = []
    taken: set[str] = set()
    for case in cases:
        names = {f"response/{case.claimed.ref.id}", f"lock/{case.same_patient.key}"}
        fits = len(chunk) < CHUNK and case.claimed.ref.tenant == cases[0].claimed.ref.tenant
        (chunk if fits and not names & taken else others).append(case)
        taken |= names
    return chunk, others


def assess_together(pool: Pool, cases: Sequence[Case], *, until: float) -> Left:
    """Assess and store a chunk (see `chunk_of`) in one transaction, as much of it as there is time for.

    `until`: monotonic clock; at least one is evaluated. Raises nothing but what ends the process: after a failure
    nothing of the chunk is stored, and all of it is left.
    """
    if not cases:
        return Left((), ())
    until = min(until, time.monotonic() + CHUNK_S)
    try:
        with tenant_transaction(pool, cases[0].claimed.ref.tenant) as connection:
            opened = store.open_chunk(connection, [(case.same_patient, case.held_id) for case in cases])
            ready, left = _evaluate(connection, cases, opened, until)
            outcomes = _store(connection, ready, opened.now())
            reach("triage.store.before_commit")
    except Exception as error:
        log.warning("a chunk is done one by one", extra={"number": len(cases), "error": type(error).__name__})
        return Left(cases, ())
    reach("triage.store.after_commit")
    tell(pool, outcomes)
    return left


@dataclass(frozen=True, slots=True)
class _Ready:
    """A case that was evaluated while nobody else could write one of its patient."""

    case: Case
    held: Held | None
    describe: Describe


def _evaluate(
    connection: DictConnection, cases: Sequence[Case], opened: Opened, until: float
) -> tuple[list[_Ready], Left]:
    """Evaluate those of the cases that are simple, and say what is left of the others."""
    ready: list[_Ready] = []
    alone = [case for case, before in zip(cases, opened.before, strict=True) if before is None]
    free = [(case, before) for case, before in zip(cases, opened.before, strict=True) if before is not None]
    for number, (case, before) in enumerate(free):
        if number and time.monotonic() > until:
            return ready, Left(alone, [case for case, _ in free[number:]])
        if _is_simple(connection, case, before.held):
            try:
                ready.append(_Ready(case, before.held, case.prepare(earlier=before.earlier)))
                continue
            except Exception as error:
                log.warning("evaluation failed", extra={"error": type(error).__name__})
        alone.append(case)
    return ready, Left(alone, ())


def _is_simple(connection: DictConnection, case: Case, held: Held | None) -> bool:
    """True when it is newer than what is held, and no earlier version waits to be looked at."""
    is_newer = held is None or held.response_version < case.claimed.ref.version
    return is_newer and not store.unassessed(connection, case.claimed)


def _store(connection: DictConnection, ready: Sequence[_Ready], now: datetime) -> list[Outcome]:
    """Write all of them. Raises LeaseLost and Overtaken where somebody else came in between with one of them."""
    outcomes = []
    for one in ready:
        version, status = one.case.next_run(one.held)
        run = Run(one.case.held_id, version, now, status)
        outcomes.append(one.case.outcome(run, one.describe(run)))
    if outcomes:
        store.commit_all(connection, outcomes, [one.case.claimed for one in ready])
    return outcomes


def tell(pool: Pool, outcomes: Sequence[Outcome]) -> None:
    """Wake the relay if notify must hear of any, and log all."""
    if any(outcome.queue for outcome in outcomes):
        with suppress(DatabaseError), pool.connection() as connection:
            announce(connection, store.SCHEMA)
    for outcome in outcomes:
        with correlated(correlation=outcome.response.id):
            log.info("assessed", extra={"assessment": outcome.assessment_id, "urgency": outcome.urgency})
