"""Steps of an alert: the first, the next when nobody acknowledged in time, and the one after it became more urgent."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from services.notify import communication, store, task
from services.notify.alert import State, after_snooze
from services.notify.assessment import Assessment
from services.notify.channels import subject_line
from services.notify.escalation import Plan, Recipient, job_kind
from services.notify.fatigue.suppress import Spared, over_budget, spare
from services.notify.on_call.route import at_turn, first_turn, next_turn
from services.notify.on_call.turn import Turn
from services.notify.records import Alert, Event, NewDelivery
from services.notify.task import Task
from shared.failpoint import reach
from shared.fhir.identity import instant
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
            reach("notify.escalate.before_commit")
        reach("notify.escalate.after_commit")
    except Exception as error:
        if alert is None or (unavailable(error) and not _of_this_alert(error)):
            raise
        log.error("alert not told again", extra={"alert": str(alert.id), "error": type(error).__name__}, exc_info=error)
        _put_off(pool, alert)
        return False
    log.warning("alert told again", extra={"alert": str(alert.id), "urgency": alert.urgency, "number": alert.step + 1})
    return True


def _of_this_alert(error: Exception) -> bool:
    """True for a database that answers, and did not in time or not beside others: the next alert may do better."""
    return getattr(error, "sqlstate", None) in ("57014", "55P03", "40P01", "40001")


def _repeat(connection: DictConnection, plan: Plan, alert: Alert) -> None:
    now = database_now(connection)
    if alert.state is State.ON_HOLD:
        content = task.with_note(store.read_task(connection, alert), task.SNOOZE_OVER, now)
        alert = replace(alert, task_version=alert.task_version + 1)
        store.add_event(connection, restart(connection, plan, alert, content, now), "woken")
        return
    turn = next_turn(connection, plan, alert, now)
    was_exhausted = alert.exhausted_at is not None
    alert = replace(at_turn(alert, turn, now), step=alert.step + 1, task_version=alert.task_version + 1)
    store.update_alert(connection, alert)
    begin_step(
        connection,
        alert,
        store.read_task(connection, alert),
        turn,
        now,
        budget=plan.budget,
        was_exhausted=was_exhausted,
        events=[Event("repeated")],
    )


def restart(
    connection: DictConnection, plan: Plan, alert: Alert, content: Task, now: datetime, *, owner_first: bool = True
) -> Alert:
    """Begin the chain of an open alert anew with a new step, in the caller's transaction; returns the alert, stored.

    `alert` and `content` are as they shall be stored, `alert.task_version` the version that the Task gets. Messages of
    earlier steps that are still on their way are not sent any more. The policy is that of the newest document.
    `owner_first`: whoever the alert was handed to (`alert.owner`) is told before the chain begins. A snoozed alert is
    open again, and nobody's.
    """
    if alert.state is State.ON_HOLD:
        alert = replace(alert, state=after_snooze(alert.state), snoozed_until=None, owner=None)
        content = task.reopened(content)
    step = alert.step + 1
    alert = replace(alert, step=step, first_step=step)
    alert, turn = first_turn(connection, plan, alert, now, owner_first=owner_first)
    store.update_alert(connection, alert)
    begin_step(connection, alert, content, turn, now, budget=plan.budget)
    return alert


def _put_off(pool: Pool, failed: Alert) -> None:
    """Try this alert again later, unless somebody acknowledged or fired it meanwhile."""
    with tenant_transaction(pool, failed.tenant_id) as connection:
        alert = store.lock_alert(connection, failed.tenant_id, failed.id)
        if alert is not None and alert.due_at is not None and alert.due_at == failed.due_at:
            store.update_alert(connection, replace(alert, due_at=database_now(connection) + PUT_OFF))
            store.add_event(connection, alert, "repeat_failed")


def begin_step(
    connection: DictConnection,
    alert: Alert,
    content: Task,
    turn: Turn,
    now: datetime,
    *,
    budget: int,
    was_exhausted: bool = False,
    events: Sequence[Event] = (),
    opening: Assessment | None = None,
) -> Sequence[str] | None:
    """Store the alert's Task with its new step, and order that the turn's people are told, in the caller's transaction.

    Somebody for whom a message of the present urgency is still being tried gets no second one, nor does one wait twice
    for the end of somebody's quiet hours. What the turn passed over, held or reached the end of is in the ledger,
    behind `events`. `budget`: whoever was told of more steps than that in the last hour is spared this one, unless
    nobody else is told. `opening`: the alert itself is stored too, for this assessment.

    Returns the kinds of jobs that are due with it; None, and nothing stored, when another alert was opened for the same
    patient and pathway meanwhile.
    """
    assert alert.due_at is not None
    if opening is not None and alert.urgency.rank:
        # The patient's one place for an open alert comes before anybody's budget, as for whoever hands an alert over:
        # taken in another order, each may hold what the other waits for. An emergency has no budget.
        if not store.write(connection, alert, now, opening=opening):
            return None
        opening = None
    content = task.with_step(content, step=alert.step, due_at=alert.due_at)
    content = task.stamped(content, version=alert.task_version, now=now)
    first = alert.step == 1  # nobody was told before
    pending = set() if first else store.pending_recipients(connection, alert)
    waiting = set() if first else store.held_recipients(connection, alert)
    told = [recipient for recipient in turn.told if recipient not in pending]
    held = {one.recipient: one.until for one in turn.held if one.recipient not in pending | waiting}
    return order_messages(
        connection,
        alert,
        content,
        [*told, *held],
        text=subject_line(alert.urgency, alert.id, refused=alert.refused_client is not None),
        now=now,
        replaces=None if first else _replaced(connection, alert),
        until=held,
        over=over_budget(connection, alert, told, now, budget=budget),
        resources=[content],
        before=events,
        after=_of_turn(alert, turn, held, was_exhausted=was_exhausted),
        opening=opening,
    )


def _of_turn(alert: Alert, turn: Turn, held: Mapping[Recipient, datetime], *, was_exhausted: bool) -> list[Event]:
    """What is more than a step that somebody hears: for the ledger, and loud where nobody was there."""
    events = [Event("held", person=one.person, detail=f"until {instant(until)}") for one, until in held.items()]
    for place in turn.unheard:
        events.append(Event("nobody_on_call", detail=f"step {place.position + 1} of round {place.round}"))
        log.error("nobody on call", extra={"alert": str(alert.id), "number": place.position + 1})
    if turn.exhausted and not was_exhausted:
        events.append(Event("exhausted", detail=alert.policy))
        log.error("chain exhausted, the fallback is told", extra={"alert": str(alert.id), "urgency": alert.urgency})
    return events


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
    until: Mapping[Recipient, datetime] | None = None,
    over: Sequence[Recipient] = (),
    resources: Sequence[Task] = (),
    before: Sequence[Event] = (),
    after: Sequence[Event] = (),
    opening: Assessment | None = None,
) -> Sequence[str] | None:
    """Order that these are told, with the alert's present step, in the caller's transaction.

    `until`: whose message waits, and when it goes out if the alert is still open then. `over`: who is spared it.
    `resources`, `before` and `after` are stored with it: lines of the ledger before and after those of who is spared;
    `opening`, and what it returns, as in `begin_step`.
    """
    messages = [new_delivery(alert, alert.step, one, (until or {}).get(one), spared=one in over) for one in told]
    stored, spared = list(resources), Spared()
    if messages:
        order = communication.request(
            request_id(alert.tenant_id, alert.id, alert.step),
            content,
            step=alert.step,
            recipients=told,
            text=text,
            replaces=replaces,
            now=now,
            notice=notice,
        )
        spared = spare(alert, order, [one for one in messages if one.job is None], now)
        stored += [order, *spared.resources]
    written = store.write(
        connection,
        alert,
        now,
        opening=opening,
        resources=stored,
        messages=messages,
        outcomes=spared.deliveries,
        events=[*before, *spared.events, *after],
    )
    return [one.job for one in messages if one.job is not None and one.until is None] if written else None


def new_delivery(
    alert: Alert, step: int, recipient: Recipient, until: datetime | None = None, *, spared: bool = False
) -> NewDelivery:
    """The one delivery of a step to a recipient, by the sender of its recipient and urgency unless it is spared."""
    kind = None if spared else job_kind(recipient.channel, alert.urgency, recipient.address)
    return NewDelivery(delivery_id(alert, step, recipient), recipient, kind, until)


def _replaced(connection: DictConnection, alert: Alert) -> UUID | None:
    """The request of the step before, when a more urgent assessment began this one."""
    before = request_id(alert.tenant_id, alert.id, alert.step - 1)
    if alert.first_step < alert.step or not store.read_resource(
        connection, alert.tenant_id, "CommunicationRequest", before
    ):
        return None
    return before


def delivery_id(alert: Alert, step: int, recipient: Recipient) -> UUID:
    """Id of the one delivery of a step to a recipient."""
    return named(alert.tenant_id, "delivery", alert.id, step, recipient.channel, recipient.address)


def request_id(tenant: UUID, alert_id: UUID, step: int) -> UUID:
    """Id of the CommunicationRequest of a step."""
    return named(tenant, "communication-request", alert_id, step)
