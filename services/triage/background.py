"""What triage does beside its workers: telling notify, catching up with intake, and doing what nobody did."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from services.triage import store
from services.triage.assess_response import open_assessor, open_examiner
from services.triage.catch_up import KIND, catch_up
from services.triage.reconcile import reconcile
from services.triage.refused import EXAMINE, look_for_refused
from services.triage.settings import TriageSettings
from shared import jobs
from shared.access.service_token import signer
from shared.audit.chain import run_sealing
from shared.broker import Publisher, make_celery
from shared.canary import run_heartbeat, send_canaries
from shared.events import TRIAGE
from shared.fhir.client import FhirClient
from shared.loops import run_every
from shared.postgres import Pool, open_pool
from shared.relay import run_relay
from shared.watchdog import forget_rounds

SCHEMA = "triage"
CATCH_UP_S, SWEEP_S, RECONCILE_S, PRUNE_S = 2.0, 1.0, 5.0, 60.0
WORKER_GRACE_S, HELD_GRACE_S, BUSY_GRACE_S = 1.5, 5.0, 20.0
"""Due work younger than this is left to the workers: when none of them had any in hand at the last two looks; when one
has, and may hang; when some of what they had at the last look is done, as help would then take the processor from
them."""
SPARING = {"share": 0.1, "most_s": 15.0}
"""A look at intake reads everything that is new several times over; under load it comes seldom, not never."""

Loop = tuple[str, Callable[[threading.Event], None]]


@dataclass(slots=True)
class Patience:
    """How long workers are waited for, by what they were seen to do. For one loop, which works itself in between."""

    pool: Pool
    kind: str
    _seen: frozenset[UUID] = frozenset()

    def grace_s(self) -> float:
        """How old due work must be before it is taken from the workers: one that gets on will come to it itself."""
        with self.pool.connection() as connection:
            seen, self._seen = self._seen, jobs.in_hand(connection, self.kind)
        if not seen and not self._seen:
            return WORKER_GRACE_S
        gets_on = bool(self._seen) and not seen <= self._seen
        return BUSY_GRACE_S if gets_on else HELD_GRACE_S


def loops(settings: TriageSettings) -> list[Loop]:
    """Named loops; each runs until its event is set. Together they are the path that needs no broker."""
    url = settings.triage_database_url.get_secret_value()
    app = make_celery(settings.redis_url.get_secret_value())
    pool = open_pool(url, schema=SCHEMA, size=6, name="background")
    client = FhirClient(settings.intake_url, token=signer(settings.service_token, "triage"))
    assessor = open_assessor(settings, pool)
    examiner = open_examiner(assessor)
    patience = Patience(pool, KIND)

    def look_at_intake() -> None:
        if new := catch_up(pool, client):
            with pool.connection() as connection:
                store.count_repair(connection, "response_without_message", new)

    def look_at_refused() -> None:
        if new := look_for_refused(pool, client):
            with pool.connection() as connection:
                store.count_repair(connection, "refused_without_message", new)

    def sweep_refused() -> None:
        if taken := jobs.drain(pool, EXAMINE, examiner.work, min_age_s=WORKER_GRACE_S):
            with pool.connection() as connection:
                store.count_repair(connection, "refused_without_worker", taken)

    def sweep() -> None:
        if taken := jobs.drain(pool, KIND, assessor.work, min_age_s=patience.grace_s()):
            with pool.connection() as connection:
                store.count_repair(connection, "job_without_worker", taken)

    def prune() -> None:
        with pool.connection() as connection:
            connection.execute(jobs.QUERIES["prune"])
        forget_rounds(pool, SCHEMA, store.forget_rounds)

    return [
        ("triage-relay", lambda stop: run_relay(url, SCHEMA, Publisher(app), stop)),
        ("triage-canary", lambda stop: send_canaries(Publisher(app), [TRIAGE], stop)),
        ("triage-catch-up", lambda stop: run_every("triage-catch-up", CATCH_UP_S, look_at_intake, stop, **SPARING)),
        ("triage-look-at-refused", lambda stop: run_every("triage-look-at-refused", CATCH_UP_S, look_at_refused, stop)),
        ("triage-sweep-refused", lambda stop: run_every("triage-sweep-refused", SWEEP_S, sweep_refused, stop)),
        ("triage-sweep", lambda stop: run_every("triage-sweep", SWEEP_S, sweep, stop)),
        ("triage-reconcile", lambda stop: run_every("triage-reconcile", RECONCILE_S, lambda: reconcile(pool), stop)),
        ("triage-audit", lambda stop: run_sealing(pool, SCHEMA, stop)),
        ("triage-heartbeat", lambda stop: run_heartbeat(pool, SCHEMA, stop)),
        ("triage-prune", lambda stop: run_every("triage-prune", PRUNE_S, prune, stop)),
    ]
