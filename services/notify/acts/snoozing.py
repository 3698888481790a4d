"""How long and how often an alert may be put off. Pure.

The numbers are our own judgement; no source gives any. Ten minutes are two steps of an emergency's chain as it comes
(five minutes each), enough to finish what one's hands are in; two hours are what a same-day alert can lose twice and
more and still be seen on the same day. The counts are for the alert's whole life, and nothing sets them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.fhir.codes import Urgency


@dataclass(frozen=True, slots=True)
class Limit:
    """The longest snooze, and how many there may be."""

    longest: timedelta
    times: int

    @property
    def minutes(self) -> int:
        """The longest snooze in minutes."""
        return self.longest // timedelta(minutes=1)


SNOOZE: Mapping[Urgency, Limit] = {
    Urgency.EMERGENCY: Limit(timedelta(minutes=10), 2),
    Urgency.SAME_DAY: Limit(timedelta(hours=2), 3),
}
"""By the urgency that the alert has when it is snoozed."""


def snoozes_left(urgency: Urgency, snoozes: int) -> int:
    """How often an alert of this urgency may still be snoozed, after so many times."""
    return max(SNOOZE[urgency].times - snoozes, 0)


def snooze_refusal(urgency: Urgency, snoozes: int, *, now: datetime, until: datetime) -> str | None:
    """Why an alert cannot be snoozed until then, as a sentence; None when it can."""
    limit = SNOOZE[urgency]
    if not snoozes_left(urgency, snoozes):
        return (
            f"This alert was snoozed {snoozes} times, and {limit.times} is the most. Acknowledge it, or hand it over."
        )
    if until <= now:
        return "The end of the snooze is not in the future. Give a later time."
    if until - now > limit.longest:
        latest = (now + limit.longest).astimezone(UTC)
        return (
            f"It can be snoozed for {limit.minutes} minutes at most, until {latest:%Y-%m-%d %H:%M:%S} UTC. Give less."
        )
    return None
