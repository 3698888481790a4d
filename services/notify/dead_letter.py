"""A message that will never arrive raises: when nobody was reached since, the alert does not wait for its next step.

In a chain of people the next step begins at once; after its last step the fallback. Where the same people are told
again and again, they are tried again after a pause that grows like that of a message, and never later than planned.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime

from services.notify import store
from services.notify.escalation import retry_delay
from services.notify.records import Alert, Delivery
from shared.postgres import DictConnection

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far messages have come since one step. `untried`: not sent once yet; `trying`: failed, and tried again."""

    sent: int
    untried: int
    trying: int
    lost: int

    @property
    def is_nobody(self) -> bool:
        """One message is lost for good, and none of the others has reached anybody, or waits for its first attempt."""
        return self.lost > 0 and self.sent == 0 and self.untried == 0


def hastened(due_at: datetime, *, now: datetime, in_chain: bool, before: int) -> datetime:
    """When the next step begins instead. `before`: how many steps in a row reached nobody before this one."""
    return min(due_at, now if in_chain else now + retry_delay(before + 1))


def note_unreached(connection: DictConnection, alert: Alert, delivery: Delivery, now: datetime) -> Alert:
    """See whether anybody was reached since the step of this message, in the caller's transaction; the alert, stored.

    The caller holds the alert's lock, and has stored how the delivery stands.
    """
    if not alert.state.is_open or alert.due_at is None or delivery.step < alert.first_step:
        return alert
    if not Reach(**store.reach_since(connection, alert, delivery.step)).is_nobody:
        return alert
    before, noted = store.unreached_steps(connection, alert)
    if noted:
        return alert
    store.add_event(connection, alert, "reached_nobody", detail=delivery.answer)
    in_chain = alert.policy is not None and alert.exhausted_at is None
    due_at = hastened(alert.due_at, now=now, in_chain=in_chain, before=before)
    if due_at < alert.due_at:
        alert = replace(alert, due_at=due_at)
        store.update_alert(connection, alert)
    log.error("a step reached nobody", extra={"alert": str(alert.id), "urgency": alert.urgency, "number": alert.step})
    return alert
