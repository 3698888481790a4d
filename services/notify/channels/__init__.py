"""Ways out to people. What goes out says that there is an alert, how urgent and where to look; no health data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from shared.fhir.codes import Urgency
from shared.fhir.identity import instant
from shared.ids import DEFAULT_TENANT


class Answer(StrEnum):
    """How an attempt to send ended."""

    SENT = "sent"
    REFUSED = "refused"  # for good: this message to this recipient will never be taken
    FAILED = "failed"  # this time: trying again may help


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The answer, and its class ("smtp-550", "http-503", "timeout"): never text of the other side.

    `retry_after`: the other side asked not to be tried again before.
    """

    answer: Answer
    detail: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What a recipient is told. `delivery_id` is the same for every attempt, so that receivers can drop doubles.

    `notice`: `withdrawn` or `changed`, what became of an assessment that was told of before; `test`, that no alert
    stands behind it; None asks for acknowledgement. `refused_client`, `refused_at`: the alert stands for a submission
    that was refused. `token`: of the one-time link by which whoever gets this acknowledges.
    """

    delivery_id: UUID
    alert_id: UUID
    urgency: Urgency
    step: int
    opened_at: datetime
    recipient: str
    public_url: str
    sandbox: bool
    notice: str | None = None
    still_open: bool = True
    refused_client: str | None = None
    refused_at: datetime | None = None
    token: str | None = field(default=None, repr=False)
    tenant_id: UUID = DEFAULT_TENANT

    @property
    def subject_line(self) -> str:
        """The one line that says what it is."""
        if self.notice is not None:
            return notice_line(self.notice, self.alert_id)
        return subject_line(self.urgency, self.alert_id, refused=self.refused_client is not None)

    @property
    def link(self) -> str:
        """Where the alert can be looked at and acknowledged; opening it acknowledges nothing."""
        place = "" if self.notice == TRIAL else f"/alert/{self.alert_id}"
        return f"{self.public_url.rstrip('/')}/worklist{place}"

    @property
    def acknowledge_link(self) -> str | None:
        """The page with the one button of this message; opening it acknowledges nothing."""
        return f"{self.public_url.rstrip('/')}/a/{self.token}" if self.token else None

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


def subject_line(urgency: Urgency, alert_id: UUID, *, refused: bool = False) -> str:
    """What the alert is, in one line without health data."""
    what = "a refused submission looks urgent" if refused else "one patient"
    return f"Sural: {WORDS[urgency]} alert, {what} ({short_id(alert_id)})"


GAP = "gap"
"""A notice that belongs to no alert: there are times soon at which nobody is on call."""
TRIAL = "test"
"""One that belongs to no alert either: somebody tries whether messages arrive."""
NOTICES = {
    "withdrawn": "an assessment was withdrawn",
    "changed": "an assessment is less urgent now",
    GAP: "the on-call document has a gap within the next 30 days",
    TRIAL: "a test message, nobody needs help",
}


def notice_line(notice: str, alert_id: UUID) -> str:
    """What became of an alert that was told of before, in one line without health data."""
    if notice == GAP:
        return f"Sural: {NOTICES[GAP]}"
    return f"Sural: {NOTICES[notice]} ({short_id(alert_id)})"


def plain_text(message: Message) -> str:
    """The whole message for people, without health data."""
    lines = ["SANDBOX: test data only, no real patient.", ""] if message.sandbox else []
    if message.notice == GAP:
        return "\n".join([*lines, *_gap(message)]) + "\n"
    opened = message.opened_at.astimezone(UTC)
    about = [f"Alert:  {short_id(message.alert_id)}", f"Since:  {opened:%Y-%m-%d %H:%M} UTC"]
    if message.notice == TRIAL:
        said = ["This is a test: no alert stands behind it, and nobody waits.", "Alerts to you come this way."]
        return "\n".join([*lines, *said, "", "The worklist is here:", message.link]) + "\n"
    if message.notice is not None:
        lines += [*_notice(message), "", *about, "", "Look at it here:", message.link, ""]
        return "\n".join([*lines, "Decision support for clinicians. Not a diagnosis."]) + "\n"
    lines += [
        *_occasion(message),
        "",
        *about,
        f"Sent:   {'for the first time' if message.step == 1 else f'step {message.step}'}",
        "",
        "Look at it and acknowledge it here:",
        message.link,
        "",
        *_link(message),
        "This is sent again until somebody acknowledges the alert.",
        "Decision support for clinicians. Not a diagnosis.",
    ]
    return "\n".join(lines) + "\n"


def _link(message: Message) -> list[str]:
    """The one-time link, for whoever cannot sign in now."""
    if message.acknowledge_link is None:
        return []
    return ["Only acknowledge it, without signing in (for you alone, works once):", message.acknowledge_link, ""]


def _occasion(message: Message) -> list[str]:
    if message.refused_client is None or message.refused_at is None:
        return [f"A questionnaire was assessed as: {WORDS[message.urgency]}. One patient needs a clinician."]
    received = message.refused_at.astimezone(UTC)
    return [
        "A questionnaire could not be processed and was refused. As far as it can be read it looks urgent.",
        f"It was sent by {message.refused_client} and received on {received:%Y-%m-%d %H:%M} UTC.",
        "Reach the patient now. If the patient is not known, reach the sender now.",
    ]


def _gap(message: Message) -> list[str]:
    return [
        "Within the next 30 days somebody could stay unheard: a rota has nobody, or a step reaches nobody.",
        "",
        "What it is, and the text in which it is put right, stands here:",
        f"{message.public_url.rstrip('/')}/worklist/on-call",
        "",
        "This is sent once a day until it is put right.",
    ]


def _notice(message: Message) -> list[str]:
    if message.notice == "withdrawn":
        said = "An assessment that you were told of was entered in error and is withdrawn."
    else:
        said = "The newest answers behind an assessment that you were told of are less urgent."
    if message.still_open:
        return [said, "The alert is still open and waits for somebody."]
    return [said, "Nobody is asked for anything more by this alert."]


def as_json(message: Message) -> dict[str, object]:
    """The body of a webhook, in the shape that Standard Webhooks suggests: type, timestamp, data."""
    data: dict[str, object] = {
        "alert": str(message.alert_id),
        "delivery": str(message.delivery_id),
        "urgency": message.urgency.value,
        "step": message.step,
        "task": message.task_url,
        "link": message.link,
        "sandbox": message.sandbox,
    }
    if message.acknowledge_link is not None:
        data["acknowledge"] = message.acknowledge_link
    if message.notice is not None:
        data["open"] = message.still_open
    if message.refused_client is not None:
        data["refused"] = True
    return {
        "type": f"alert.{message.notice or 'due'}",
        "timestamp": instant(message.opened_at),
        "data": data,
    }
