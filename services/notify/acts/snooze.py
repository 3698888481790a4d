"""A person puts an alert off for a few minutes, within limits. It comes back by itself, and nobody need remember it.

A snooze is no acknowledgement: the time until somebody knows runs on, and an alert that was acknowledged before is not
any more. Its end is a due time judged by the clock of the database, in the same tick that repeats alerts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.notify.acts import as_task
from services.notify.acts.actor import Actor, Line
from services.notify.acts.held import Held, LookedAt, held
from services.notify.acts.snoozing import snooze_refusal
from services.notify.alert import Act, State
from services.notify.records import Alert
from shared.postgres import Pool
from shared.problems import Category, Problem, ProblemError


def snooze(
    pool: Pool, tenant: UUID, alert_id: UUID, *, by: Actor, minutes: int, looked_at: LookedAt | None = None
) -> Alert:
    """Tell nobody for so many minutes; then the alert is open again and its chain begins anew.

    Raises ProblemError: no name, or too long or too often (422); no such alert (404); a state in which it cannot be
    snoozed, another open alert of the patient, or more than the person saw (409).
    """
    by = by.checked()
    with held(pool, tenant, alert_id) as now:
        now.require_seen(looked_at)
        return rest(now, by, until=now.now + timedelta(minutes=minutes))


def rest(now: Held, by: Actor, *, until: datetime, owner: Mapping[str, Any] | None = None) -> Alert:
    """Nobody is told until then."""
    now.require(Act.SNOOZE)
    refusal = snooze_refusal(now.alert.urgency, now.alert.snoozes, now=now.now, until=until)
    if refusal is not None:
        where = "Task.restriction.period.end"
        raise ProblemError(
            Problem(Category.UNPROCESSABLE, "snooze-limit", refusal, expression=where, issue_code="business-rule")
        )
    content = as_task.owned(now.task, owner or as_task.owner_of(by))
    return now.stored(
        "snoozed",
        by,
        as_task.resting(content, until),
        line=Line(until=until),
        state=State.ON_HOLD,
        snoozed_until=until,
        due_at=until,
        snoozes=now.alert.snoozes + 1,
        acknowledged_at=None,
        acknowledged_by=None,
        owner=by.person,
    )
