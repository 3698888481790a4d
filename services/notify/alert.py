"""The life of an alert, as a pure state machine: what a further assessment does to it, and what people may do with it.

States are those of the FHIR Task that stands for the alert (R4 task.html, state machine): `requested` → `received`
(told to somebody) → `accepted` (acknowledged by a person) → `in-progress` → `completed`, `cancelled` or `rejected`;
`on-hold` is snoozed: for a while nobody is told. docs/alert-states.md draws it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class State(StrEnum):
    """Where an alert is; the codes of FHIR task-status."""

    REQUESTED = "requested"
    RECEIVED = "received"
    ON_HOLD = "on-hold"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def is_open(self) -> bool:
        """True while nobody has acknowledged: it is told again and again."""
        return self in (State.REQUESTED, State.RECEIVED)

    @property
    def absorbs(self) -> bool:
        """True while it is open or snoozed: further assessments of the patient join it."""
        return self.is_open or self is State.ON_HOLD

    @property
    def is_closed(self) -> bool:
        """True when nothing may follow."""
        return not BY_PERSON[self]


class Act(StrEnum):
    """What a person may do with an alert."""

    ACKNOWLEDGE = "acknowledge"  # I know of it: nobody else is told
    START = "start"  # I work on it
    HAND_OVER = "hand-over"  # somebody else shall have it: open until acknowledged again
    SNOOZE = "snooze"  # not now: it comes back by itself
    RESOLVE = "resolve"  # this became of it


LEADS_TO: Mapping[Act, frozenset[State]] = {
    Act.ACKNOWLEDGE: frozenset({State.ACCEPTED}),
    Act.START: frozenset({State.IN_PROGRESS}),
    Act.HAND_OVER: frozenset({State.REQUESTED}),
    Act.SNOOZE: frozenset({State.ON_HOLD}),
    Act.RESOLVE: frozenset({State.COMPLETED, State.REJECTED, State.CANCELLED}),
}

BY_PERSON: Mapping[State, frozenset[Act]] = {
    State.REQUESTED: frozenset({Act.ACKNOWLEDGE, Act.SNOOZE, Act.HAND_OVER}),
    State.RECEIVED: frozenset({Act.ACKNOWLEDGE, Act.SNOOZE, Act.HAND_OVER}),
    State.ON_HOLD: frozenset({Act.ACKNOWLEDGE, Act.HAND_OVER}),
    State.ACCEPTED: frozenset({Act.START, Act.SNOOZE, Act.HAND_OVER, Act.RESOLVE}),
    State.IN_PROGRESS: frozenset({Act.HAND_OVER, Act.RESOLVE}),
    State.COMPLETED: frozenset(),
    State.CANCELLED: frozenset(),
    State.REJECTED: frozenset(),
}
"""What a person may do next. An alert can only be closed by somebody who acknowledged it: no way around knowing.

Beside a person only a withdrawal closes one: when nothing stands behind it any more (`after_withdrawal`)."""


def act_between(state: State, wanted: State) -> Act | None:
    """What a person does who brings an alert from one state to the other, or None: that is not possible."""
    return next((act for act in Act if act in BY_PERSON[state] and wanted in LEADS_TO[act]), None)


def after_snooze(state: State) -> State:
    """The state once a snooze ended, by the clock or by a further assessment: open, as when it began."""
    return State.REQUESTED if state is State.ON_HOLD else state


def after_delivery(state: State) -> State:
    """The state once a message was delivered: the first one makes `received` of `requested`."""
    return State.RECEIVED if state is State.REQUESTED else state


def after_withdrawal(state: State, *, others_stand: bool) -> State:
    """The state once an assessment was entered in error: cancelled, unless others still stand or a person closed it."""
    return state if others_stand or state.is_closed else State.CANCELLED


@dataclass(frozen=True, slots=True)
class Arrival:
    """A version of an assessment that notify has just heard of.

    `rank` is that of its urgency, 0 the most urgent. `alerts`: it asks for an alert by itself. `withdrawn`: it says
    that the assessment was entered in error.
    """

    version: int
    rank: int
    alerts: bool
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """An earlier heard version of the same assessment, and the alert that stands for it."""

    version: int
    rank: int
    alert_id: UUID


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """The alert of the same patient and pathway that nobody has acknowledged yet, or that somebody snoozed."""

    id: UUID
    rank: int
    snoozed: bool = False


class Effect(StrEnum):
    """What an arrival does."""

    NOTHING = "nothing"
    OPEN = "open"  # a new alert
    JOIN = "join"  # counted and noted on the open alert, nobody is told again
    WAKE = "wake"  # joins the snoozed alert, which is open again and starts over
    RAISE = "raise"  # the open alert becomes more urgent, or urgent again, and starts over
    CHANGE = "change"  # less urgent than it was: noted, and told to whoever was told; only a person closes an alert
    WITHDRAW = "withdraw"  # entered in error: whoever was told hears of it; closes what nothing else stands behind


def effect_of(
    arrival: Arrival, *, seen: Sequence[Seen], open_alert: OpenAlert | None, withdrawn_version: int = 0
) -> Effect:
    """What this version does, whatever the order and however often versions arrive.

    Acknowledged and closed alerts are not given as `open_alert`: they never absorb. Nothing lowers the urgency of an
    alert. An older version that comes late does nothing when a newer one, at least as urgent, was seen, or when the
    assessment was withdrawn in a newer one (`withdrawn_version`); else it counts like any.
    """
    if arrival.version <= withdrawn_version or any(earlier.version == arrival.version for earlier in seen):
        return Effect.NOTHING
    newest = max(seen, key=lambda earlier: earlier.version, default=None)
    if not arrival.alerts:
        if newest is None or arrival.version < newest.version:
            return Effect.NOTHING
        return Effect.WITHDRAW if arrival.withdrawn else Effect.CHANGE
    if any(earlier.version > arrival.version and earlier.rank <= arrival.rank for earlier in seen):
        return Effect.NOTHING
    if open_alert is None:
        return Effect.OPEN
    if arrival.rank < open_alert.rank or _urgent_again(arrival, newest, open_alert):
        return Effect.RAISE
    eased = newest is not None and newest.version < arrival.version and newest.rank < arrival.rank
    if eased and newest is not None and newest.alert_id == open_alert.id:
        return Effect.CHANGE
    return Effect.WAKE if open_alert.snoozed else Effect.JOIN


def _urgent_again(arrival: Arrival, newest: Seen | None, open_alert: OpenAlert) -> bool:
    """True when whoever was told has heard that this assessment became less urgent, and it is as urgent as before."""
    if newest is None or newest.alert_id != open_alert.id or newest.version > arrival.version:
        return False
    return arrival.rank == open_alert.rank and newest.rank > arrival.rank
