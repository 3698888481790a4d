"""Whoever was told of an alert hears when an assessment behind it was withdrawn or became less urgent. Each once.

A notice is a step of the alert that asks for nothing: one CommunicationRequest, a delivery to everybody to whom a
message of the alert went out, sent whatever became of the alert. A message that was on its way when the notice was
given is followed by it as soon as it is known to have been sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.notify import communication, store
from services.notify.channels import notice_line
from services.notify.escalate import new_delivery, order_messages, request_id
from services.notify.records import Alert, Delivery
from services.notify.task import Task
from shared.events import Ref
from shared.postgres import DictConnection

WITHDRAWN, CHANGED = "withdrawn", "changed"


def give_notice(
    connection: DictConnection, alert: Alert, content: Task, kind: str, assessment: Ref, now: datetime
) -> Alert:
    """Begin the step, in the caller's transaction, which has stored the Task `content`. Returns the alert, stored."""
    alert = replace(alert, step=alert.step + 1)
    store.update_alert(connection, alert)
    store.add_notice(connection, alert, kind, assessment, now)
    # One address may have been told as two people, or as a person and as an address of the settings.
    told = list(dict.fromkeys(store.told_recipients(connection, alert)))
    order_messages(connection, alert, content, told, text=notice_line(kind, alert.id), now=now, notice=kind)
    return alert


def follow_up(
    connection: DictConnection, alert: Alert, sent: Delivery, missed: Sequence[tuple[int, str]], now: datetime
) -> None:
    """A message of the alert was sent after notices were given: its recipient gets those that it missed too."""
    for step, kind in missed:
        store.add(connection, replace(alert, step=step), messages=[new_delivery(alert, step, sent.to)], now=now)
        if not store.read_resource(
            connection, alert.tenant_id, "CommunicationRequest", request_id(alert.tenant_id, alert.id, step)
        ):
            order = communication.request(
                request_id(alert.tenant_id, alert.id, step),
                store.read_task(connection, alert),
                step=step,
                recipients=[sent.to],
                text=notice_line(kind, alert.id),
                replaces=None,
                now=now,
                notice=kind,
            )
            store.save_resource(connection, alert.tenant_id, order, now)
