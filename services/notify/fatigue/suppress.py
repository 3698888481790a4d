"""Spare people a message: no job, a Communication that was not done and says why, and a line in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.notify import communication
from services.notify import store as alerts
from services.notify.communication import Outcome
from services.notify.escalation import Recipient
from services.notify.fatigue import store
from services.notify.fatigue.budget import WINDOW, person_key, spared
from services.notify.store import Alert
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


def suppress(
    connection: DictConnection,
    alert: Alert,
    order: dict[str, Any],
    deliveries: Sequence[tuple[UUID, Recipient]],
    now: datetime,
) -> None:
    """Record, in the caller's transaction, that these messages of an order are not sent."""
    for identifier, recipient in deliveries:
        delivery = alerts.read_delivery(connection, alert.tenant_id, identifier)
        assert delivery is not None
        delivery = replace(delivery, state=SUPPRESSED, answer=OVER_BUDGET)
        alerts.update_delivery(connection, delivery)
        outcome = Outcome("not-done", OVER_BUDGET)
        said = communication.communication(
            identifier, order, recipient=recipient, outcome=outcome, attempts=0, version=1, now=now
        )
        alerts.save_resource(connection, alert.tenant_id, said, now)
        alerts.add_event(
            connection, alert, SUPPRESSED, person=recipient.person, delivery=delivery, detail=recipient.channel
        )
