"""An alert that one act changes: under its row's lock, with its Task, at one moment of the database's clock.

Firing a step, a delivery's record and every other act take the same lock. What is stored here, the ledger's line and
the audit's row, is one transaction: after it, the act is done, and before it, nothing is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.notify import store, task
from services.notify.acts.actor import NOTHING, Actor, Line
from services.notify.alert import BY_PERSON, Act, State
from services.notify.records import Alert
from services.notify.task import Task
from shared.failpoint import reach
from shared.fhir.codes import Urgency
from shared.postgres import DictConnection, Pool, database_now, tenant_transaction
from shared.problems import Category, Problem, ProblemError

NOW_IT_IS = {
    State.REQUESTED: "open, and nobody has acknowledged it",
    State.RECEIVED: "open, and nobody has acknowledged it",
    State.ON_HOLD: "snoozed",
    State.ACCEPTED: "acknowledged",
    State.IN_PROGRESS: "being worked on",
    State.COMPLETED: "closed",
    State.CANCELLED: "closed",
    State.REJECTED: "closed",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LookedAt:
    """What a page showed of an alert: nobody acts on what came after it."""

    urgency: Urgency
    assessments: int


@dataclass(frozen=True, slots=True)
class Held:
    """The alert and its Task as they are, locked until the transaction ends, and the time of it."""

    connection: DictConnection
    alert: Alert
    task: Task
    now: datetime

    def require(self, act: Act) -> None:
        """Raises ProblemError 409 when the alert is in a state in which nobody can do this."""
        state = self.alert.state
        if act in BY_PERSON[state]:
            return
        possible = ", ".join(sorted(BY_PERSON[state]))
        then = f"What can be done now: {possible}." if possible else "Nothing can be done with it any more."
        message = f"This alert is {NOW_IT_IS[state]}: it cannot be changed like this ({act}). {then}"
        raise ProblemError(Problem(Category.CONFLICT, "alert-state", message, issue_code="conflict"))

    def require_seen(self, looked_at: LookedAt | None) -> None:
        """Raises ProblemError 409 when the alert is more than what the person saw. None: whatever it holds now."""
        if looked_at is None:
            return
        assessments = store.count_assessments(self.connection, self.alert)
        if self.alert.urgency.rank < looked_at.urgency.rank or assessments > looked_at.assessments:
            raise changed_since()

    def stored(self, event: str, by: Actor, content: Task, *, note: str = "", line: Line = NOTHING, **to: Any) -> Alert:
        """The alert with these columns changed, its Task as the next version, and the line in the ledger.

        Raises ProblemError 409 when it would be open beside another open alert of the same patient.
        """
        alert = replace(self.alert, task_version=self.alert.task_version + 1, **to)
        if not store.move_alert(self.connection, alert):
            raise another_is_open()
        if note:
            content = task.with_note(content, note, self.now, by=by.name)
        content = task.with_period(content, start=alert.acknowledged_at, end=alert.closed_at)
        content = task.with_state(content, alert.state)
        store.save_task(
            self.connection, alert, task.stamped(content, version=alert.task_version, now=self.now), self.now
        )
        store.add_act(self.connection, alert, event, by, line)
        log.info("alert moved", extra={"alert": str(alert.id), "state": alert.state})
        return alert


@contextmanager
def held(pool: Pool, tenant: UUID, alert_id: UUID) -> Iterator[Held]:
    """A transaction that has this alert. Raises ProblemError 404 when the tenant has no such alert."""
    with tenant_transaction(pool, tenant) as connection:
        alert = store.lock_alert(connection, tenant, alert_id)
        if alert is None:
            raise not_found(str(alert_id))
        yield Held(connection, alert, store.read_task(connection, alert), database_now(connection))
        reach("notify.acts.before_commit")
    reach("notify.acts.after_commit")


def not_found(alert_id: str) -> ProblemError:
    """There is no such alert here."""
    message = f"Task/{alert_id[:64]} is not known here."
    return ProblemError(Problem(Category.NOT_FOUND, "not-found", message, issue_code="not-found"))


def changed_since() -> ProblemError:
    """The alert is not what the person saw."""
    message = "This alert changed since you looked; look again."
    return ProblemError(Problem(Category.CONFLICT, "alert-changed", message, issue_code="conflict"))


def another_is_open() -> ProblemError:
    """The patient has another open alert: this one cannot be open beside it."""
    message = (
        "A newer alert of the same patient is open, and this one cannot be open beside it. "
        "Look at the newer one, and acknowledge it, snooze it or hand it over."
    )
    return ProblemError(Problem(Category.CONFLICT, "alert-episode", message, issue_code="conflict"))
