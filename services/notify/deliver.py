"""Use case: send what is due, and record what came of it. A message may go out twice, it is never lost.

Between sending and recording the process may die. The message is then sent again under the same id, so that a receiver
can drop the double. An acknowledgement that commits while a message is on its way does not call it back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from services.notify import communication, store, task
from services.notify.acts.links import LASTS, hashed, make_link, new_token
from services.notify.alert import State, after_delivery
from services.notify.attempt import given_back
from services.notify.channels import Answer, DeliveryResult
from services.notify.communication import Outcome
from services.notify.context import Notify
from services.notify.dead_letter import note_unreached
from services.notify.escalate import request_id
from services.notify.escalation import JOB_KINDS, gives_up, retry_pause
from services.notify.notice import follow_up
from services.notify.records import Alert, Delivery, Ending, Event, Recorded, Taken
from services.notify.send import GRACE_S, send_within
from services.notify.task import Task
from shared import jobs
from shared.failpoint import reach
from shared.jobs import Claim
from shared.postgres import DictConnection, database_now, tenant_transaction

SENT, FAILED, DEAD, WITHDRAWN, PENDING = "sent", "failed", "dead", "withdrawn", "pending"
EVENTS = {SENT: "delivered", FAILED: "delivery_refused", DEAD: "delivery_given_up", PENDING: "delivery_failed"}

Mine = tuple[Taken, str]
"""A message that is ours to send, and the token of its one-time link."""
Ready = tuple[Alert, Delivery, str | None]
"""A message that is wanted: its alert, and the token of its one-time link, where it asks for acknowledgement."""

log = logging.getLogger(__name__)


def due_recipients(notify: Notify, *, min_age_s: float = 0) -> dict[str, list[str]]:
    """The kinds of jobs that have due messages, each for one recipient, by lane; in a lane the longest due first."""
    with notify.pool.connection() as connection:
        return jobs.due_kinds(connection, JOB_KINDS, min_age_s=min_age_s)


def take(connection: DictConnection, kind: str, *, min_age_s: float = 0) -> Mine | None:
    """The longest due message of this kind becomes ours; None when none is due.

    In a transaction it must be the last that is done: it goes on as the tenant of that message.
    """
    token = new_token()
    taken = store.take_message(connection, kind, link=hashed(token), lasts=LASTS, min_age_s=min_age_s)
    return (taken, token) if taken is not None else None


def deliver_to(
    notify: Notify,
    kind: str,
    *,
    first: Mine | None = None,
    min_age_s: float = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[int, bool]:
    """Send what is due to one recipient until nothing is, or one attempt failed. `first`: this one is ours already.

    Returns how many were taken, and whether all of them went well.
    """
    sent, well, more, mine = 0, True, True, first
    while well and more and (mine is not None or not stopped()):
        if mine is None:
            with notify.pool.connection() as connection:
                mine = take(connection, kind, min_age_s=min_age_s)
        if mine is None:
            break
        (taken, token), mine = mine, None
        sent, more, well = sent + 1, taken.more, False
        with jobs.kept_alive(notify.pool, [taken.claim]), given_back(notify.pool, taken.claim, "delivery not handled"):
            well = deliver(notify, taken, token)
    return sent, well


def deliver(notify: Notify, taken: Taken, token: str) -> bool:
    """Send one message and record the outcome. False: it failed, and it may be that the next one fails too."""
    claim = taken.claim
    ready = _wanted(taken, token) or _ready(notify, claim)
    if ready is None:
        return True
    alert, delivery, link = ready
    channel = notify.channels.get(delivery.channel)
    if claim.exhausted:
        result = DeliveryResult(Answer.REFUSED, "sender-crashed")
    elif channel is None:
        result = DeliveryResult(Answer.REFUSED, "channel-not-configured")
    else:
        reach("notify.deliver.before_send")
        result = send_within(notify.channel_timeout_s + GRACE_S, channel, notify.message(alert, delivery, link))
        reach("notify.deliver.after_send")
    with tenant_transaction(notify.pool, claim.ref.tenant) as connection:
        _record(connection, claim, delivery, result)
    reach("notify.deliver.after_record")
    return result.answer is not Answer.FAILED


def _wanted(taken: Taken, token: str) -> Ready | None:
    """What is to be sent, while nothing stands against it; else it is looked at again, with time to wait for the lock.

    With a new one-time link where the message asks for acknowledgement: each attempt has its own.
    """
    alert, delivery = taken.alert, taken.delivery
    if alert is None or delivery is None or delivery.state != PENDING:
        return None
    if delivery.notice:
        return alert, delivery, None
    return (alert, delivery, token) if _is_wanted(alert, delivery) else None


def _is_wanted(alert: Alert, delivery: Delivery) -> bool:
    return alert.state.is_open and delivery.step >= alert.first_step


def _ready(notify: Notify, claim: Claim) -> Ready | None:
    """The same, under the alert's lock. What is not wanted any more is recorded as such, and its job ended."""
    with tenant_transaction(notify.pool, claim.ref.tenant) as connection:
        delivery = store.read_delivery(connection, claim.ref.tenant, UUID(claim.ref.id))
        alert = store.lock_alert(connection, claim.ref.tenant, delivery.alert_id) if delivery else None
        if delivery is None or alert is None or delivery.state != PENDING:
            jobs.finish(connection, claim)
            return None
        if delivery.notice:
            return alert, delivery, None
        if _is_wanted(alert, delivery):
            return alert, delivery, make_link(connection, alert, delivery)
        reason = _why_not(alert, delivery)
        withdrawn = replace(delivery, state=WITHDRAWN, answer=reason)
        met = store.meet_outcome(connection, withdrawn, request_of(withdrawn), Ending(claim.kind, claim.token))
        if met is not None:
            event = Event("withdrawn", delivery=withdrawn, detail=reason)
            _store_outcome(connection, met, withdrawn, Outcome("not-done", reason), event)
        return None


def _why_not(alert: Alert, delivery: Delivery) -> str:
    if alert.state is State.ON_HOLD:
        return "snoozed"
    if alert.state.is_open:
        return "raised" if alert.urgency is not delivery.urgency else "restarted"
    return "acknowledged" if alert.acknowledged_at else "entered-in-error"


def _record(connection: DictConnection, claim: Claim, delivery: Delivery, result: DeliveryResult) -> None:
    """Job, delivery, Communication, ledger and Task in one transaction; nothing when the lease was lost."""
    delivery = replace(delivery, attempts=delivery.attempts + 1, answer=result.detail)
    delivery = replace(delivery, state=_state_after(connection, delivery, result))
    ending: Ending | None = Ending(claim.kind, claim.token)
    if delivery.state == PENDING:
        ending, pause = None, retry_pause(delivery.urgency, delivery.attempts, asked=result.retry_after)
        held = jobs.retry(connection, claim, error=result.detail, delay_s=pause / timedelta(seconds=1), counts=False)
        if not held:
            return
    met = store.meet_outcome(connection, delivery, request_of(delivery), ending)
    if met is None:
        return
    alert, now = met.alert, met.at
    resources: list[dict[str, Any]] = []
    if delivery.state == SENT:
        delivery = replace(delivery, sent_at=now)
        if not delivery.notice:
            alert, resources = _received(met)
            follow_up(connection, alert, delivery, met.missed, now)
    detail = delivery.channel if delivery.state == SENT else result.detail
    event = Event(EVENTS[delivery.state], delivery=delivery, detail=detail)
    _store_outcome(connection, replace(met, alert=alert), delivery, _outcome(delivery), event, resources)
    if delivery.state != SENT and not delivery.notice:
        note_unreached(connection, alert, delivery, now)
    log.log(
        logging.INFO if delivery.state == SENT else logging.ERROR,
        "alert delivered" if delivery.state == SENT else "alert not delivered",
        extra={
            "alert": str(alert.id),
            "delivery": str(delivery.id),
            "channel": delivery.channel,
            "state": delivery.state,
            "error": result.detail,
            "attempts": delivery.attempts,
        },
    )


def _state_after(connection: DictConnection, delivery: Delivery, result: DeliveryResult) -> str:
    match result.answer:
        case Answer.SENT:
            return SENT
        case Answer.REFUSED:
            return FAILED
        case Answer.FAILED:
            now = database_now(connection)
            return DEAD if gives_up(delivery.urgency, created_at=delivery.created_at, now=now) else PENDING


def _outcome(delivery: Delivery) -> Outcome:
    match delivery.state:
        case "sent":
            return Outcome("completed", sent_at=delivery.sent_at)
        case "pending":
            return Outcome("in-progress", reason=delivery.answer)
        case _:
            return Outcome("not-done", reason=delivery.answer)


def _received(met: Recorded) -> tuple[Alert, list[Task]]:
    """The first delivery makes the Task `received`: the alert and the version of the Task that are to be."""
    state = after_delivery(met.alert.state)
    if state is met.alert.state:
        return met.alert, []
    alert = replace(met.alert, state=state, task_version=met.alert.task_version + 1)
    assert met.task is not None
    return alert, [task.stamped(task.with_state(met.task, state), version=alert.task_version, now=met.at)]


def _store_outcome(
    connection: DictConnection,
    met: Recorded,
    delivery: Delivery,
    outcome: Outcome,
    event: Event,
    resources: Sequence[dict[str, Any]] = (),
) -> None:
    """The delivery's row, the line in the ledger, a version of its Communication for every attempt, and the end of the
    step's request, stored together with `resources`."""
    current = communication.communication(
        delivery.id,
        met.request,
        recipient=delivery.to,
        outcome=outcome,
        attempts=delivery.attempts,
        version=met.versions + 1,
        now=met.at,
    )
    store.write(
        connection,
        met.alert,
        met.at,
        is_received=bool(resources),
        resources=[*resources, current, *_ended_request(met, delivery)],
        outcomes=[delivery],
        events=[event],
    )


def _ended_request(met: Recorded, delivery: Delivery) -> list[dict[str, Any]]:
    """Once nothing of a step is pending, its request is completed, or revoked when it reached nobody."""
    if delivery.state == PENDING or met.others_pending or met.request["status"] != "active":
        return []
    status = "completed" if delivery.state == SENT or met.others_sent else "revoked"
    version = int(met.request["meta"]["versionId"]) + 1
    return [communication.ended_request(met.request, version=version, status=status, now=met.at)]


def request_of(delivery: Delivery) -> UUID:
    """Id of the CommunicationRequest that ordered this message."""
    return request_id(delivery.tenant_id, delivery.alert_id, delivery.step)
