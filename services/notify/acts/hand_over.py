"""A person hands an alert to another, or to a team. It is open until somebody acknowledges it: that is no silence."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from services.notify import store, task
from services.notify.acts import as_task
from services.notify.acts.actor import Actor, Line
from services.notify.acts.held import Held, LookedAt, another_is_open, held
from services.notify.acts.people import Colleague, colleague, document_of
from services.notify.alert import Act, State
from services.notify.escalate import restart
from services.notify.escalation import Plan
from services.notify.records import Alert
from shared.postgres import Pool


def hand_over(
    pool: Pool, plan: Plan, tenant: UUID, alert_id: UUID, *, by: Actor, to: str, looked_at: LookedAt | None = None
) -> Alert:
    """Give the alert to a person or team, by the id in the on-call document; they are told at once.

    Whoever does it stays in the ledger, and has it no longer: the alert is open, and if nobody acknowledges, its chain
    follows from the beginning. Raises ProblemError: no name, or nobody of that id (422); no such alert (404); closed,
    another open alert of the patient, or more than the person saw (409).
    """
    by = by.checked()
    with held(pool, tenant, alert_id) as now:
        now.require_seen(looked_at)
        return pass_on(now, plan, by, colleague(document_of(now.connection, tenant), to))


def pass_on(now: Held, plan: Plan, by: Actor, to: Colleague) -> Alert:
    """The other has it, and is told in the same transaction."""
    now.require(Act.HAND_OVER)
    alert = replace(
        now.alert,
        state=State.REQUESTED,
        owner=to.id,
        acknowledged_at=None,
        acknowledged_by=None,
        snoozed_until=None,
        task_version=now.alert.task_version + 1,
    )
    if not store.move_alert(now.connection, alert):
        raise another_is_open()
    content = as_task.owned(task.with_state(task.reopened(now.task), alert.state), to.owner)
    content = task.with_period(content, start=None, end=None)
    content = task.with_note(content, f"Handed over to {to.name}.", now.now, by=by.name)
    alert = restart(now.connection, plan, alert, content, now.now)
    store.add_act(now.connection, alert, "handed_over", by, Line(target=to.id))
    return alert
