"""Ways out to people. What goes out says that there is an alert, how urgent and where to look; no health data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from shared.fhir.codes import Urgency
from shared.fhir.identity import instant


class Answer(StrEnum):
    """How an attempt to send ended."""

    SENT = "sent"
    REFUSED = "refused"  # for good: this message to this recipient will never be taken
    FAILED = "failed"  # this time: trying again may help


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The answer, and its class ("smtp-550", "http-503", "timeout"): never text of the other side."""

    answer: Answer
    detail: str


@dataclass(frozen=True, slots=True)
class Message:
    """What a recipient is told. `delivery_id` is the same for every attempt, so that receivers can drop doubles."""

    delivery_id: UUID
    alert_id: UUID
    urgency: Urgency
    step: int
    opened_at: datetime
    recipient: str
    public_url: str
    sandbox: bool

    @property
    def link(self) -> str:
        """Where the alert can be looked at and acknowledged; opening it acknowledges nothing."""
        return f"{self.public_url.rstrip('/')}/worklist#alert-{self.alert_id}"

    @property
    def task_url(self) -> str:
        """The alert as FHIR Task."""
        return f"{self.public_url.rstrip('/')}/fhir/Task/{self.alert_id}"


class Channel(Protocol):
    """One way out."""

    def send(self, message: Message) -> DeliveryResult:
        """Try once, within the channel's time limit. Raises nothing that the other side can cause."""
        ...


WORDS = {Urgency.EMERGENCY: "emergency", Urgency.SAME_DAY: "same-day"}


def short_id(alert_id: UUID) -> str:
    """The part of an alert's id that people compare: its last eight digits."""
    return alert_id.hex[-8:]


def subject_line(urgency: Urgency, alert_id: UUID) -> str:
    """What the alert is, in one line without health data."""
    return f"Sural: {WORDS[urgency]} alert, one patient ({short_id(alert_id)})"


def plain_text(message: Message) -> str:
    """The whole message for people, without health data."""
    lines = ["SANDBOX: test data only, no real patient.", ""] if message.sandbox else []
    opened = message.opened_at.astimezone(UTC)
    lines += [
        f"A questionnaire was assessed as: {WORDS[message.urgency]}. One patient needs a clinician.",
        "",
        f"Alert:  {short_id(message.alert_id)}",
        f"Since:  {opened:%Y-%m-%d %H:%M} UTC",
        f"Sent:   {'for the first time' if message.step == 1 else f'step {message.step}'}",
        "",
        "Look at it and acknowledge it here:",
        message.link,
        "",
        "This is sent again until somebody acknowledges the alert.",
        "Decision support for clinicians. Not a diagnosis.",
    ]
    return "\n".join(lines) + "\n"


def as_json(message: Message) -> dict[str, object]:
    """The body of a webhook, in the shape that Standard Webhooks suggests: type, timestamp, data."""
    return {
        "type": "alert.due",
        "timestamp": instant(message.opened_at),
        "data": {
            "alert": str(message.alert_id),
            "delivery": str(message.delivery_id),
            "urgency": message.urgency.value,
            "step": message.step,
            "task": message.task_url,
            "link": message.link,
            "sandbox": message.sandbox,
        },
    }
