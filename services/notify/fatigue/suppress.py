"""Spare people a message: no job, a Communication that was not done and says why, and a line in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.notify import communication
from services.notify import store as alerts
from services.notify.communication import Outcome
from services.notify.escalation import Recipient
from services.notify.fatigue import store
from services.notify.fatigue.budget import WINDOW, person_key, spared
from services.notify.records import Alert, Delivery, Event, NewDelivery
from shared.postgres import DictConnection

SUPPRESSED, OVER_BUDGET = "suppressed", "over-budget"


def over_budget(
    connection: DictConnection, alert: Alert, told: Sequence[Recipient], now: datetime, *, budget: int
) -> tuple[Recipient, ...]:
    """Which of these are spared the alert's present step."""
    if alert.urgency.rank == 0 or not told:
        return ()
    if alerts.unreached_steps(connection, alert)[0]:
        return ()  # whoever was not spared cannot be reached: now everybody is told
    lately = store.told_lately(connection, alert.tenant_id, now - WINDOW, [person_key(one) for one in told])
    return spared(told, urgency=alert.urgency, lately=lately, budget=budget)


@dataclass(frozen=True, slots=True)
class Spared:
    """What is stored of messages that are not sent: a Communication that was not done, and a line in the ledger."""

    resources: Sequence[dict[str, Any]] = ()
    deliveries: Sequence[Delivery] = ()
    events: Sequence[Event] = ()


def spare(alert: Alert, order: dict[str, Any], messages: Sequence[NewDelivery], now: datetime) -> Spared:
    """What says that these messages of an order are not sent."""
    outcome = Outcome("not-done", OVER_BUDGET)
    deliveries = [_suppressed(alert, message, now) for message in messages]
    return Spared(
        resources=[
            communication.communication(
                message.id, order, recipient=message.to, outcome=outcome, attempts=0, version=1, now=now
            )
            for message in messages
        ],
        deliveries=deliveries,
        events=[Event(SUPPRESSED, person=one.person, delivery=one, detail=one.channel) for one in deliveries],
    )


def _suppressed(alert: Alert, message: NewDelivery, now: datetime) -> Delivery:
    return Delivery(
        id=message.id,
        tenant_id=alert.tenant_id,
        alert_id=alert.id,
        step=alert.step,
        channel=message.to.channel,
        recipient=message.to.address,
        urgency=alert.urgency,
        state=SUPPRESSED,
        attempts=0,
        answer=OVER_BUDGET,
        created_at=now,
        sent_at=None,
        person=message.to.person,
    )
