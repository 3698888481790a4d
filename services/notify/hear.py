"""A message names assessments: each of them has its effect, at once or as a job, and none is forgotten on the way."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from services.notify.assessment import Assessment, read_assessment, unreadable
from services.notify.attempt import give_back, given_back
from services.notify.context import Notify
from services.notify.lanes import Lanes
from services.notify.outgoing import outgoing
from services.notify.raise_alert import take_in
from services.notify.records import Ending
from shared import jobs
from shared.events import NOTIFY_ROUTINE, NOTIFY_URGENT, Ref
from shared.failpoint import reach
from shared.fhir.client import NeighbourFault, NeighbourUnavailable
from shared.fhir.codes import Urgency
from shared.jobs import MAX_ATTEMPTS, Claim
from shared.postgres import Pool, tenant_transaction
from shared.telemetry import correlated

RAISE_URGENT, RAISE_ROUTINE = "raise.urgent", "raise.routine"
RAISE_KIND = {NOTIFY_URGENT: RAISE_URGENT, NOTIFY_ROUTINE: RAISE_ROUTINE}
"""Jobs that a message on a queue makes. Two kinds, so that no emergency waits behind a backlog of the others."""

OTHERWISE = {RAISE_URGENT: Urgency.EMERGENCY, RAISE_ROUTINE: Urgency.SAME_DAY}
"""How urgent an assessment is that does not say so itself: as what it was told of."""

TRIAGE_PAUSE_S = 2.0
AT_ONCE_S = 5.0
"""After this time the rest of a message is noted as jobs: a task may take 20 s, and others may help."""

log = logging.getLogger(__name__)


def hear(notify: Notify, kind: str, refs: Sequence[Ref], *, again: bool = False, senders: Lanes | None = None) -> None:
    """Let what a message names have its effect, before anything that is left over from before.

    What nobody has noted is done at once: its job is stored as done in the transaction of its effect. Whatever cannot
    be done so is noted as a job, and done like all that is due. `again`: the message came before, and may have ended
    the worker that had it; then all of it is noted first, so that attempts are counted. `senders`: those of this
    process; without them messages are left to others.
    """
    begun = time.monotonic()
    left = list(refs) if again else _at_once(notify, kind, refs, senders)
    if left:
        with notify.pool.connection() as connection:
            jobs.add(connection, kind, left)
        within_s = max(jobs.DRAIN_S - (time.monotonic() - begun), 0)
        jobs.drain(notify.pool, kind, lambda claims: raise_alerts(notify, claims, senders=senders), within_s=within_s)


def _at_once(notify: Notify, kind: str, refs: Sequence[Ref], senders: Lanes | None) -> list[Ref]:
    """Do these; returns those that were not done, whatever the reason.

    The first that fails ends it, and so does the time: what is noted as jobs survives this process, and others can
    share it.
    """
    left, number, end = list[Ref](), 0, time.monotonic() + AT_ONCE_S
    try:
        found = notify.triage.read_many("RiskAssessment", refs, digits=False)
        for number, ref in enumerate(refs):
            if time.monotonic() > end:
                return [*left, *refs[number:]]
            resource = found.get(ref)
            if resource is None or not _let_in(
                notify, read_assessment(resource, ref, otherwise=OTHERWISE[kind]), Ending(kind), senders
            ):
                left.append(ref)
    except Exception as error:
        more = {"number": len(refs) - number, "error": type(error).__name__}
        log.warning("assessments not handled at once", extra=more)
        return [*left, *refs[number:]]
    return left


def raise_alerts(notify: Notify, claims: Sequence[Claim], *, senders: Lanes | None = None) -> None:
    """Do these jobs: read the assessments in one go, then let each have its effect in a transaction of its own.

    What failed at once comes here, so nothing but the effect itself is in that transaction: `senders` are only woken.

    While triage is away they wait, uncounted. A faulty answer is counted, and jobs with a count are claimed alone, so
    that one assessment that cannot be read soon stands alone, and in the end a human is told of it.
    """
    readable = [claim for claim in claims if not claim.exhausted]
    found: dict[Ref, dict[str, Any]] = {}
    try:
        if readable:
            found = notify.triage.read_many("RiskAssessment", [claim.ref for claim in readable], digits=False)
    except NeighbourUnavailable as error:
        counts = isinstance(error, NeighbourFault)
        log.warning("triage away", extra={"number": len(readable), "error": type(error).__name__})
        for claim in readable:
            give_back(notify.pool, claim, error=type(error).__name__, delay_s=TRIAGE_PAUSE_S, counts=counts)
        claims = [claim for claim in claims if claim.exhausted]
    for claim in claims:
        with given_back(notify.pool, claim, "assessment not handled"):
            _raise_one(notify, claim, found.get(claim.ref), senders)


def _raise_one(notify: Notify, claim: Claim, resource: dict[str, Any] | None, senders: Lanes | None) -> None:
    otherwise = OTHERWISE[claim.kind]
    if claim.exhausted:
        log.error("assessment cannot be read, a human is told", extra={"assessment": claim.ref.id})
        assessment = unreadable(claim.ref, otherwise)
    elif resource is None:
        _unknown_to_triage(notify.pool, claim)
        return
    else:
        assessment = read_assessment(resource, claim.ref, otherwise=otherwise)
    if _let_in(notify, assessment, Ending(claim.kind, claim.token)) and senders is not None:
        senders.wake()


def _let_in(notify: Notify, assessment: Assessment, ending: Ending, senders: Lanes | None = None) -> bool:
    """Let an assessment have its effect and end its job, in one transaction. False: the job was not ours to end.

    `senders`: those that are free are given the messages of a new alert with its commit.
    """
    ref = assessment.ref
    correlation = assessment.response_id or ref.id
    with outgoing(notify, senders) as messages:
        with correlated(correlation=correlation), tenant_transaction(notify.pool, ref.tenant) as connection:
            did = take_in(connection, notify.plan, assessment, ending)
            if did is not None:
                log.info(
                    "assessment handled",
                    extra={"assessment": ref.id, "urgency": assessment.urgency, "state": did.effect},
                )
                if messages is not None:
                    messages.take(connection, did)
            reach("notify.raise.before_commit")
        reach("notify.raise.after_commit")
    return did is not None


def _unknown_to_triage(pool: Pool, claim: Claim) -> None:
    """Triage answers, and does not have it: asked a few times, then set aside. A forged message cannot raise alerts."""
    with pool.connection() as connection:
        if claim.attempts >= MAX_ATTEMPTS:
            jobs.finish(connection, claim, dead=True)
            log.error("triage does not know this assessment", extra={"assessment": claim.ref.id})
        else:
            jobs.retry(connection, claim, error="not-found", delay_s=TRIAGE_PAUSE_S)
