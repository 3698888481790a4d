"""When an alert is told again and when a message is tried again: pure, times from the caller."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

EMERGENCY = "emergency"
EMAIL, WEBHOOK = "email", "webhook"
CHANNELS = (EMAIL, WEBHOOK)
LANES = ("urgent", "routine")

FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(minutes=5)
SHORTEST_ASKED_FOR, LONGEST_ASKED_FOR = timedelta(seconds=1), timedelta(hours=1)
SAME_DAY_GIVES_UP = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody to tell: a channel and an address on it, and the person of the on-call document whose it is, if any."""

    channel: str
    address: str
    person: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is told, and after what time again."""

    recipients: tuple[Recipient, ...]
    repeat_emergency: timedelta
    repeat_same_day: timedelta

    def next_due(self, urgency: str, now: datetime) -> datetime:
        """When an alert of this urgency is told again if nobody acknowledges it."""
        return now + (self.repeat_emergency if urgency == EMERGENCY else self.repeat_same_day)

    def to_tell(self, pending: Collection[Recipient]) -> Iterable[Recipient]:
        """Who gets a new message with a new step: everybody for whom none is still being tried."""
        return (recipient for recipient in self.recipients if recipient not in pending)


def job_kind(channel: str, urgency: str) -> str:
    """The queue of jobs for a delivery. Each channel and each lane has its own, so that none waits for another."""
    lane = "urgent" if urgency == EMERGENCY else "routine"
    return f"deliver.{channel}.{lane}"


JOB_KINDS = tuple(f"deliver.{channel}.{lane}" for lane in LANES for channel in CHANNELS)


def retry_delay(attempts: int) -> timedelta:
    """The pause after so many failed attempts: 5 s, 15 s, 45 s, … and 5 minutes from then on."""
    factor: int = 3 ** min(max(attempts - 1, 0), 10)
    return min(FIRST_RETRY * factor, LONGEST_RETRY)


def retry_pause(urgency: str, attempts: int, *, asked: timedelta | None = None) -> timedelta:
    """When a message is tried again after so many failed attempts, where the other side may have asked for a pause.

    An emergency is never put off longer than without being asked; anything else for an hour at the most.
    """
    usual = retry_delay(attempts)
    if asked is None:
        return usual
    longest = usual if urgency == EMERGENCY else max(usual, LONGEST_ASKED_FOR)
    return min(max(asked, SHORTEST_ASKED_FOR), longest)


def gives_up(urgency: str, *, created_at: datetime, now: datetime) -> bool:
    """True when this message is not tried again. Never for an emergency; the alert itself is repeated in any case."""
    return urgency != EMERGENCY and now - created_at >= SAME_DAY_GIVES_UP
