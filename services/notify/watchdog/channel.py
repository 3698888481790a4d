"""The channel of the watchdog: it tells nobody, and acknowledges at once, as a person would."""

from __future__ import annotations

from dataclasses import dataclass

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.channels import Answer, DeliveryResult, Message
from services.notify.watchdog import store
from services.notify.watchdog.emergency import round_of
from shared.fhir.codes import Urgency
from shared.ids import WATCHDOG_TENANT
from shared.postgres import Pool

BY = Actor("Watchdog", None, "watchdog")


@dataclass(frozen=True, slots=True)
class WatchdogChannel:
    """Acts for the tenant of the watchdog alone: an alert of any other is not found by it."""

    pool: Pool

    def send(self, message: Message) -> DeliveryResult:
        """Acknowledge the alert, and note that its round is full. ProblemError for another tenant's alert.

        A round that came out as no emergency is not full: the silence about it is noticed.
        """
        acknowledged = acknowledge(self.pool, WATCHDOG_TENANT, message.alert_id, by=BY)
        if message.urgency is not Urgency.EMERGENCY:
            return DeliveryResult(Answer.SENT, "acknowledged")
        if (round_id := round_of(acknowledged.alert.subject)) is not None:
            with self.pool.connection() as connection:
                store.note_full(connection, round_id)
        return DeliveryResult(Answer.SENT, "acknowledged")
