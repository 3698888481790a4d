"""Steps of an alert: the first, the next when nobody acknowledged in time, and the one after it became more urgent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from services.notify import communication, store, task
from services.notify.channels import subject_line
from services.notify.escalation import Plan, Recipient, job_kind
from services.notify.store import Alert
from services.notify.task import Task
from shared import jobs
from shared.events import Ref
from shared.ids import named
from shared.postgres import DictConnection, Pool, database_now, tenant_transaction, unavailable

PUT_OFF = timedelta(seconds=30)

log = logging.getLogger(__name__)


def repeat_due(pool: Pool, plan: Plan) -> int:
    """Tell every alert again whose time has come by the database's clock; returns how many.

    Each in its own transaction, under the row's lock that acknowledging takes too: no step begins once an
    acknowledgement is committed. An alert whose step fails is put off, and keeps no other alert from being told.
    """
    fired = 0
    while True:
        with pool.connection() as connection:
            due = store.due_alerts(connection)
        outcomes = [repeat_one(pool, plan, tenant, alert_id) for tenant, alert_id in due]
        fired += outcomes.count(True)
        if all(outcome is None for outcome in outcomes):
            return fired


def repeat_one(pool: Pool, plan: Plan, tenant: UUID, alert_id: UUID) -> bool | None:
    """Begin the next step of an alert: True; False when that failed and was put off; None when it is not due any more.

    An alert that is locked is being acknowledged or fired elsewhere, and counts as not due. Raises what says that the
    database is away.
    """
    alert = None
    try:
        with tenant_transaction(pool, tenant) as connection:
            alert = store.lock_due_alert(connection, tenant, alert_id)
            if alert is None:
                return None
            _repeat(connection, plan, alert)
    except Exception as error:
        if alert is None or unavailable(error):
            raise
        log.error("alert not told again", extra={"alert": str(alert.id), "error": type(error).__name__}, exc_info=error)
        _put_off(pool, alert)
        return False
    log.warning("alert told again", extra={"alert": str(alert.id), "urgency": alert.urgency, "number": alert.step + 1})
    return True


def _repeat(connection: DictConnection, plan: Plan, alert: Alert) -> None:
    now = database_now(connection)
    alert = replace(
        alert,
        step=alert.step + 1,
        due_at=plan.next_due(alert.urgency, now),
        task_version=alert.task_version + 1,
    )
    store.update_alert(connection, alert)
    begin_step(connection, plan, alert, store.read_task(connection, alert), now)
    store.add_event(connection, alert, "repeated")


def _put_off(pool: Pool, failed: Alert) -> None:
    """Try this alert again later, unless somebody acknowledged or fired it meanwhile."""
    with tenant_transaction(pool, failed.tenant_id) as connection:
        alert = store.lock_alert(connection, failed.tenant_id, failed.id)
        if alert is not None and alert.due_at is not None and alert.due_at == failed.due_at:
            store.update_alert(connection, replace(alert, due_at=database_now(connection) + PUT_OFF))
            store.add_event(connection, alert, "repeat_failed")


def begin_step(connection: DictConnection, plan: Plan, alert: Alert, content: Task, now: datetime) -> None:
    """Store the alert's Task with its new step, and order that everybody is told, in the caller's transaction.

    Somebody for whom a message of the present urgency is still being tried gets no second one.
    """
    assert alert.due_at is not None
    content = task.with_step(content, step=alert.step, due_at=alert.due_at)
    content = task.stamped(content, version=alert.task_version, now=now)
    store.save_task(connection, alert, content, now)
    told = list(plan.to_tell(store.pending_recipients(connection, alert)))
    text = subject_line(alert.urgency, alert.id, refused=alert.refused_client is not None)
    order_messages(connection, alert, content, told, text=text, now=now, replaces=_replaced(connection, alert))


def order_messages(
    connection: DictConnection,
    alert: Alert,
    content: Task,
    told: Sequence[Recipient],
    *,
    text: str,
    now: datetime,
    replaces: UUID | None = None,
    notice: str | None = None,
) -> None:
    """Order that these are told, with the alert's present step, in the caller's transaction."""
    if not told:
        return
    deliveries = [(delivery_id(alert, alert.step, recipient), recipient) for recipient in told]
    store.add_deliveries(connection, alert, deliveries, now)
    order = communication.request(
        request_id(alert, alert.step),
        content,
        step=alert.step,
        recipients=told,
        text=text,
        replaces=replaces,
        now=now,
        notice=notice,
    )
    store.save_resource(connection, alert.tenant_id, order, now)
    add_jobs(connection, alert, alert.step, deliveries)


def add_jobs(connection: DictConnection, alert: Alert, step: int, deliveries: Sequence[tuple[UUID, Recipient]]) -> None:
    """Let these deliveries be made, each by the sender of its channel and urgency."""
    for kind in dict.fromkeys(job_kind(recipient.channel, alert.urgency) for _, recipient in deliveries):
        refs = [
            Ref(str(identifier), step, alert.tenant_id)
            for identifier, recipient in deliveries
            if job_kind(recipient.channel, alert.urgency) == kind
        ]
        jobs.add(connection, kind, refs)


def _replaced(connection: DictConnection, alert: Alert) -> UUID | None:
    """The request of the step before, when a more urgent assessment began this one."""
    before = request_id(alert, alert.step - 1)
    if alert.first_step < alert.step or not store.read_resource(
        connection, alert.tenant_id, "CommunicationRequest", before
    ):
        return None
    return before


def delivery_id(alert: Alert, step: int, recipient: Recipient) -> UUID:
    """Id of the one delivery of a step to a recipient."""
    return named(alert.tenant_id, "delivery", alert.id, step, recipient.channel, recipient.address)


def request_id(alert: Alert, step: int) -> UUID:
    """Id of the CommunicationRequest of a step."""
    return named(alert.tenant_id, "communication-request", alert.id, step)
