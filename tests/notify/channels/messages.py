"""A message to send."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from services.notify.channels import Message
from shared.fhir.codes import Urgency
from shared.ids import uuid7


def a_message(**changed: Any) -> Message:
    message = Message(
        delivery_id=uuid7(),
        alert_id=uuid7(),
        urgency=Urgency.EMERGENCY,
        step=1,
        opened_at=datetime.now(UTC),
        recipient="on-call@example.org",
        public_url="https://sural.clinic.example",
        sandbox=False,
    )
    return replace(message, **changed)
