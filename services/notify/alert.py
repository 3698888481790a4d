"""The life of an alert, as a pure state machine: what a further assessment does to it, and which states may follow.

States are those of the FHIR Task that stands for the alert (R4 task.html, state machine): `requested` → `received`
(told to somebody) → `accepted` (acknowledged by a person) → `in-progress` → `completed`, `cancelled` or `rejected`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class State(StrEnum):
    """Where an alert is; the codes of FHIR task-status."""

    REQUESTED = "requested"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def is_open(self) -> bool:
        """True while nobody has acknowledged: it repeats, and further assessments join it."""
        return self in (State.REQUESTED, State.RECEIVED)

    @property
    def is_closed(self) -> bool:
        """True when nothing may follow."""
        return not BY_PERSON[self]


_CLOSED = frozenset({State.COMPLETED, State.CANCELLED, State.REJECTED})

BY_PERSON: dict[State, frozenset[State]] = {
    State.REQUESTED: frozenset({State.ACCEPTED}),
    State.RECEIVED: frozenset({State.ACCEPTED}),
    State.ACCEPTED: frozenset({State.IN_PROGRESS}) | _CLOSED,
    State.IN_PROGRESS: _CLOSED,
    State.COMPLETED: frozenset(),
    State.CANCELLED: frozenset(),
    State.REJECTED: frozenset(),
}
"""What a person may do next. An alert can only be closed by somebody who acknowledged it: no way around knowing."""


def after_delivery(state: State) -> State:
    """The state once a message was delivered: the first one makes `received` of `requested`."""
    return State.RECEIVED if state is State.REQUESTED else state


@dataclass(frozen=True, slots=True)
class Arrival:
    """A version of an assessment that notify has just heard of.

    `rank` is that of its urgency, 0 the most urgent. `alerts`: it asks for an alert by itself.
    """

    version: int
    rank: int
    alerts: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """An earlier heard version of the same assessment, and the alert that stands for it."""

    version: int
    rank: int
    alert_id: UUID


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """The alert of the same patient and pathway that nobody has acknowledged yet."""

    id: UUID
    rank: int


class Effect(StrEnum):
    """What an arrival does."""

    NOTHING = "nothing"
    OPEN = "open"  # a new alert
    JOIN = "join"  # counted and noted on the open alert, nobody is told again
    RAISE = "raise"  # the open alert becomes more urgent and starts over
    EASE = "ease"  # no longer urgent: noted; only a person closes an alert


def effect_of(arrival: Arrival, *, seen: Sequence[Seen], open_alert: OpenAlert | None) -> Effect:
    """What this version does, whatever the order and however often versions arrive.

    Acknowledged and closed alerts are not given here: they never absorb. Nothing lowers the urgency of an alert. An
    older version that comes late does nothing when a newer one, at least as urgent, was seen; else it counts like any.
    """
    if any(earlier.version == arrival.version for earlier in seen):
        return Effect.NOTHING
    newest = max((earlier.version for earlier in seen), default=0)
    if not arrival.alerts:
        joined = open_alert is not None and any(earlier.alert_id == open_alert.id for earlier in seen)
        return Effect.EASE if joined and arrival.version > newest else Effect.NOTHING
    if any(earlier.version > arrival.version and earlier.rank <= arrival.rank for earlier in seen):
        return Effect.NOTHING
    if open_alert is None:
        return Effect.OPEN
    return Effect.RAISE if arrival.rank < open_alert.rank else Effect.JOIN
