"""When an alert is told again and when a message is tried again: pure, times from the caller."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

EMERGENCY, SAME_DAY = "emergency", "same_day"
EMAIL, WEBHOOK, PUSH, APPRISE = "email", "webhook", "push", "apprise"
CHANNELS = (EMAIL, WEBHOOK, PUSH, APPRISE)
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


WATCHDOG = Recipient("watchdog", "watchdog")
"""Who alone is told of a synthetic alert."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is told where no on-call document says it, or when its chains have ended, and after what time again.

    `budget`: messages that are no emergencies that one person gets in an hour.
    """

    recipients: tuple[Recipient, ...]
    repeat_emergency: timedelta
    repeat_same_day: timedelta
    budget: int = 20

    def pause(self, urgency: str) -> timedelta:
        """After this time an alert of this urgency is told again if nobody acknowledges it."""
        return self.repeat_emergency if urgency == EMERGENCY else self.repeat_same_day

    def longest_pause(self, urgency: str) -> timedelta:
        """No alert of this urgency waits longer for its next step, whatever its policy says."""
        return max(self.pause(urgency), LONGEST_PAUSE[urgency])


LONGEST_PAUSE = {EMERGENCY: timedelta(minutes=10), SAME_DAY: timedelta(hours=1)}
"""Longest pause between two steps of a policy (SR-16)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an alert is in its chain: position of the newest step, from 0, and the round, from 1.

    Position -1: somebody that it was handed to, before the chain begins. Positions after the last step: the fallback.
    """

    position: int = 0
    round: int = 1


@dataclass(frozen=True, slots=True)
class Chain:
    """The steps of a policy as pauses before each, the pause after the last, how many rounds, then the fallback's.

    It has no end: after the last round the fallback is told (position `len(pauses)`), then the wider fallback
    (`len(pauses) + 1`), again and again.
    """

    pauses: tuple[timedelta, ...]
    again_after: timedelta
    fallback_again_after: timedelta
    rounds: int

    def is_ended(self, place: Place) -> bool:
        """True when the steps are over and the fallback is told."""
        return place.position >= len(self.pauses)

    def is_past_end(self, place: Place) -> bool:
        """True when the fallback was told before."""
        return place.position > len(self.pauses)

    def end(self, number: int) -> Place:
        """Where the fallback is told for the first time, in this round."""
        return Place(len(self.pauses), number)

    def following(self, place: Place) -> Place:
        """Where an alert goes from here when nobody acknowledges."""
        if self.is_ended(place):
            return Place(len(self.pauses) + 1, place.round)
        if place.position + 1 < len(self.pauses):
            return Place(place.position + 1, place.round)
        return Place(0, place.round + 1) if place.round < self.rounds else self.end(place.round)

    def pause_after(self, place: Place) -> timedelta:
        """How long a place waits for an acknowledgement before what follows it."""
        if self.is_ended(place):
            return self.fallback_again_after
        if place.position < 0:
            return min((*self.pauses[1:2], self.again_after, self.fallback_again_after))
        following = self.following(place)
        if 0 < following.position < len(self.pauses):
            return self.pauses[following.position]
        return self.again_after


def job_kind(channel: str, urgency: str, address: str) -> str:
    """The queue of jobs for a delivery: each recipient has its own, so that none waits for another.

    The address itself stands nowhere but in the delivery.
    """
    lane = "urgent" if urgency == EMERGENCY else "routine"
    return f"deliver.{channel}.{lane}/{hashlib.sha256(address.encode()).hexdigest()[:12]}"


JOB_KINDS = tuple(f"deliver.{channel}.{lane}" for lane in LANES for channel in (*CHANNELS, WATCHDOG.channel))
"""What `job_kind` begins with: one lane of senders for each channel and urgency."""


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


LONGEST_PUT_OFF = {
    kind: LONGEST_RETRY if kind.endswith(".urgent") else max(LONGEST_RETRY, LONGEST_ASKED_FOR) for kind in JOB_KINDS
}
"""How long a message waits for its next attempt at the most (`retry_pause`), by what its kind of job begins with."""


def gives_up(urgency: str, *, created_at: datetime, now: datetime) -> bool:
    """True when this message is not tried again. Never for an emergency; the alert itself is repeated in any case."""
    return urgency != EMERGENCY and now - created_at >= SAME_DAY_GIVES_UP
