"""A person closes an alert and says what became of it: a code, and a reason where less was done than was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from services.notify.acts import as_task
from services.notify.acts.actor import Actor, Line
from services.notify.acts.held import Held, held
from services.notify.acts.outcomes import (
    Outcome,
    OverrideReason,
    outcome_refusal,
    unknown_outcome,
    unknown_reason,
)
from services.notify.alert import Act, State
from services.notify.records import Alert
from shared.postgres import Pool
from shared.problems import ProblemError


def resolve(
    pool: Pool,
    tenant: UUID,
    alert_id: UUID,
    *,
    by: Actor,
    outcome: str,
    override_reason: str | None = None,
    note: str = "",
) -> Alert:
    """Close an acknowledged alert with the code of an outcome; `override_reason` where it is less than the urgency.

    Raises ProblemError: no name, an unknown or missing code, or words that are missing (422); no such alert (404);
    nobody acknowledged it, or it is closed (409).
    """
    by = by.checked()
    became, reason = read_codes(outcome, override_reason)
    with held(pool, tenant, alert_id) as now:
        return close(now, by, became, reason, note=" ".join(note.split()))


def read_codes(outcome: str | None, override_reason: str | None) -> tuple[Outcome, OverrideReason | None]:
    """The two codes. Raises ProblemError 422 when one is not ours, or the outcome is missing."""
    if outcome not in list(Outcome):
        raise ProblemError(unknown_outcome())
    if override_reason and override_reason not in list(OverrideReason):
        raise ProblemError(unknown_reason())
    return Outcome(outcome), OverrideReason(override_reason) if override_reason else None


def close(
    now: Held,
    by: Actor,
    outcome: Outcome,
    reason: OverrideReason | None,
    *,
    note: str = "",
    words: str = "",
    state: State | None = None,
    owner: Mapping[str, Any] | None = None,
) -> Alert:
    """This became of it. `state`: which end a FHIR client asks for; None: the one that the outcome has.

    `words`: what a client said already, in a note or as reason, and what need not be noted again.
    """
    now.require(Act.RESOLVE)
    refusal = outcome_refusal(outcome, now.alert.urgency, reason, note or words)
    if refusal is not None:
        raise ProblemError(refusal)
    content = as_task.owned(now.task, owner) if owner else now.task
    state = state or outcome.state
    return now.stored(
        state.value,
        by,
        as_task.resolved(content, outcome, reason, note or words),
        note=note,
        line=Line(detail=outcome, reason=reason),
        state=state,
        closed_at=now.now,
        outcome=outcome.value,
        override_reason=reason.value if reason else None,
    )
