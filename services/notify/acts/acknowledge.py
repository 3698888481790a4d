"""A person says that they know of an alert, and that they work on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.notify.acts import as_task
from services.notify.acts.actor import Actor
from services.notify.acts.held import Held, LookedAt, held
from services.notify.alert import Act, State
from services.notify.records import Alert
from shared.postgres import Pool


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The alert as it is now; `new` is False when somebody had acknowledged it before, or it was closed."""

    alert: Alert
    new: bool


def acknowledge(
    pool: Pool, tenant: UUID, alert_id: UUID, *, by: Actor, looked_at: LookedAt | None = None
) -> Acknowledged:
    """Note that this person knows of the alert, and end its steps; a snooze ends with it.

    `looked_at` is what the person saw; None when the alert is acknowledged as it is now, whatever it holds. A second
    acknowledgement changes nothing. Raises ProblemError: no name (422), no such alert (404), or an alert that became
    more urgent or holds more assessments than the person saw (409).
    """
    by = by.checked()
    with held(pool, tenant, alert_id) as now:
        if not now.alert.state.absorbs:
            return Acknowledged(now.alert, new=False)
        now.require_seen(looked_at)
        return Acknowledged(accept(now, by), new=True)


def accept(now: Held, by: Actor, *, owner: Mapping[str, Any] | None = None) -> Alert:
    """This person has it. `owner`: how a FHIR client named them."""
    now.require(Act.ACKNOWLEDGE)
    return now.stored(
        "acknowledged",
        by,
        as_task.owned(now.task, owner or as_task.owner_of(by)),
        state=State.ACCEPTED,
        acknowledged_at=now.now,
        acknowledged_by=by.name,
        owner=by.person,
        due_at=None,
        snoozed_until=None,
    )


def start(pool: Pool, tenant: UUID, alert_id: UUID, *, by: Actor) -> Alert:
    """Note that this person works on an acknowledged alert. A second time changes nothing.

    Raises ProblemError: no name (422), no such alert (404), not acknowledged or closed (409).
    """
    by = by.checked()
    with held(pool, tenant, alert_id) as now:
        return now.alert if now.alert.state is State.IN_PROGRESS else begin(now, by)


def begin(now: Held, by: Actor, *, owner: Mapping[str, Any] | None = None) -> Alert:
    """This person works on it, whoever acknowledged it."""
    now.require(Act.START)
    content = as_task.owned(now.task, owner or as_task.owner_of(by))
    return now.stored("started", by, content, state=State.IN_PROGRESS, owner=by.person)
