"""What can be done with an alert now, for the forms of its page: acts, limits and coded choices. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from services.notify.acts.outcomes import (
    CS_OUTCOME,
    CS_OVERRIDE,
    Outcome,
    choices,
    display,
    needs_reason,
)
from services.notify.acts.snoozing import SNOOZE, snoozes_left
from services.notify.alert import BY_PERSON, Act
from services.notify.records import Alert

MINUTES = (5, 10, 15, 30, 60, 120)


@dataclass(frozen=True, slots=True)
class Choice:
    """One code with its words. `needs_reason`: less than the urgency asks for."""

    code: str
    words: str
    meaning: str
    needs_reason: bool = False


@dataclass(frozen=True, slots=True)
class Offered:
    """The acts that the alert's state allows, and what their forms offer. `ended`: what became of a closed alert."""

    acts: frozenset[Act]
    minutes: tuple[int, ...]
    snoozes_left: int
    outcomes: tuple[Choice, ...]
    reasons: tuple[Choice, ...]
    ended: str


def offered(alert: Alert) -> Offered:
    """What a person can do with this alert as it is."""
    left = snoozes_left(alert.urgency, alert.snoozes)
    longest = SNOOZE[alert.urgency].minutes
    acts = BY_PERSON[alert.state]
    return Offered(
        acts=acts if left else acts - {Act.SNOOZE},
        minutes=tuple(one for one in MINUTES if one <= longest),
        snoozes_left=left,
        outcomes=tuple(
            Choice(code, words, meaning, needs_reason(Outcome(code), alert.urgency))
            for code, words, meaning in choices(CS_OUTCOME)
        ),
        reasons=tuple(Choice(*each) for each in choices(CS_OVERRIDE)),
        ended=_ended(alert),
    )


def _ended(alert: Alert) -> str:
    if alert.outcome is None:
        return ""
    reason = f", because: {display(CS_OVERRIDE, alert.override_reason)}" if alert.override_reason else ""
    return f"{display(CS_OUTCOME, alert.outcome)}{reason}"
