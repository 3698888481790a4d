"""Use cases: a person says that they know, and what they make of it. By the worklist's button or as FHIR Task update.

Both take the alert's row lock, which firing a step takes too: once this is committed, nothing is told again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

from services.notify import store, task
from services.notify.alert import State
from services.notify.store import Alert
from services.notify.task import Task
from services.notify.task_change import TaskChange, read_change
from shared.fhir.codes import Urgency
from shared.postgres import DictConnection, Pool, database_now, tenant_transaction
from shared.problems import Category, Problem, ProblemError

EVENTS = {
    State.ACCEPTED: "acknowledged",
    State.IN_PROGRESS: "started",
    State.COMPLETED: "completed",
    State.CANCELLED: "cancelled",
    State.REJECTED: "rejected",
}
NAME_LENGTH = 120

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The alert as it is now; `new` is False when somebody had acknowledged it before."""

    alert: Alert
    new: bool


@dataclass(frozen=True, slots=True)
class LookedAt:
    """What a page showed of an alert: nobody acknowledges what came after it."""

    urgency: Urgency
    assessments: int


def acknowledge(
    pool: Pool, tenant: UUID, alert_id: UUID, *, person: str, looked_at: LookedAt | None = None
) -> Acknowledged:
    """Note that this person knows of the alert, and end its repeats.

    `looked_at` is what the person saw; None when the alert is acknowledged as it is now, whatever it holds. A second
    acknowledgement changes nothing. Raises ProblemError: no name (422), no such alert (404), or an alert that became
    more urgent or holds more assessments than the person saw (409).
    """
    name = " ".join(person.split())
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        problem = f"Give the name of the person who acknowledges, 1 to {NAME_LENGTH} characters."
        raise ProblemError(Problem(Category.UNPROCESSABLE, "person", problem, issue_code="required"))
    with tenant_transaction(pool, tenant) as connection:
        alert = store.lock_alert(connection, tenant, alert_id)
        if alert is None:
            _not_found(str(alert_id))
        if not alert.state.is_open:
            return Acknowledged(alert, new=False)
        if looked_at is not None:
            _refuse_unseen(alert, looked_at, store.count_assessments(connection, alert))
        change = TaskChange(state=State.ACCEPTED, owner={"display": name}, person=name)
        return Acknowledged(_apply(connection, alert, store.read_task(connection, alert), change), new=True)


def changed_since() -> ProblemError:
    """The alert is not what the person saw."""
    message = "This alert changed since you looked; look again."
    return ProblemError(Problem(Category.CONFLICT, "alert-changed", message, issue_code="conflict"))


def _refuse_unseen(alert: Alert, looked_at: LookedAt, assessments: int) -> None:
    if alert.urgency.rank < looked_at.urgency.rank or assessments > looked_at.assessments:
        raise changed_since()


def update_task(pool: Pool, tenant: UUID, task_id: str, sent: Mapping[str, Any], *, version: int) -> None:
    """Apply what a FHIR client changed on the Task of an alert, if `version` is still the current one.

    A Task that says what is already so makes no new version. Raises ProblemError: unknown (404), changed in between
    (412), or a change that is not allowed (422).
    """
    with tenant_transaction(pool, tenant) as connection:
        alert = store.lock_alert(connection, tenant, _uuid(task_id))
        if alert is None:
            _not_found(task_id)
        if alert.task_version != version:
            raise ProblemError(
                Problem(
                    Category.CONFLICT,
                    "version",
                    f"If-Match names version {version}, the current one is {alert.task_version}. "
                    "Read the Task again and decide anew.",
                    issue_code="conflict",
                    status=412,
                )
            )
        content = store.read_task(connection, alert)
        change = read_change(content, sent, state=alert.state)
        if not change.is_empty:
            _apply(connection, alert, content, change)


def _apply(connection: DictConnection, alert: Alert, content: Task, change: TaskChange) -> Alert:
    """Alert, Task and ledger, in the caller's transaction."""
    now = database_now(connection)
    state = change.state or alert.state
    alert = _moved(replace(alert, task_version=alert.task_version + 1), state, change.person, now)
    store.update_alert(connection, alert)
    content = task.with_period(change.applied_to(content, state), start=alert.acknowledged_at, end=alert.closed_at)
    store.save_task(connection, alert, task.stamped(content, version=alert.task_version, now=now), now)
    event = EVENTS[state] if change.state else "noted"
    store.add_event(connection, alert, event, person=change.person)
    log.info("alert moved", extra={"alert": str(alert.id), "state": state})
    return alert


def _moved(alert: Alert, state: State, person: str | None, now: datetime) -> Alert:
    if alert.state.is_open and not state.is_open:
        alert = replace(alert, acknowledged_at=now, acknowledged_by=person, due_at=None)
    if state.is_closed and not alert.state.is_closed:
        alert = replace(alert, closed_at=now)
    return replace(alert, state=state)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        _not_found(text)


def _not_found(alert_id: str) -> NoReturn:
    raise ProblemError(
        Problem(Category.NOT_FOUND, "not-found", f"Task/{alert_id[:64]} is not known here.", issue_code="not-found")
    )
