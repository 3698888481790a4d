"""The on-call document as values: people, teams, rotas, escalation policies, and the last fallback. Pure.

`read.py` makes one of a TOML text and vouches for every id in it. docs/on-call.md says what it means to clinicians.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Protocol, TypeVar

from shared.fhir.codes import Urgency

MONDAY_TO_SUNDAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Kind(StrEnum):
    """What a step can name."""

    PERSON = "person"
    TEAM = "team"
    ROTA = "rota"


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a step tells: a person, everybody in a team, or whoever a rota has on call at that minute."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Contact:
    """One way to reach a person: `email` with an address, `webhook` with the id of a receiver, `push`, `apprise`."""

    channel: str
    address: str


@dataclass(frozen=True, slots=True)
class Window:
    """A time of the week on the clock of a place; days are numbered from Monday 0.

    An end that is not later than the beginning is that of the next day.
    """

    days: frozenset[int]
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class QuietHours:
    """When a person is told of nothing but emergencies, as long as somebody else of the same step is told."""

    window: Window


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can be told."""

    id: str
    name: str
    contacts: tuple[Contact, ...]
    quiet: tuple[QuietHours, ...]
    time_zone: str


@dataclass(frozen=True, slots=True)
class Team:
    """People who take certain alerts: of these pathways (none named: of all), this urgent or more urgent."""

    id: str
    name: str
    members: tuple[str, ...]
    rota: str | None
    policy: str
    threshold: Urgency
    pathways: tuple[str, ...]
    time_zone: str


@dataclass(frozen=True, slots=True)
class Slot:
    """A time of every week, and who is on call then."""

    window: Window
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatedSlot:
    """A time that comes once, and who is on call then; `calendar` names the iCalendar file that it came from."""

    start: datetime
    end: datetime
    people: tuple[str, ...]
    calendar: str | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """For this time others are on call: instead of one person (`instead_of`), or else instead of everybody."""

    start: datetime
    end: datetime
    people: tuple[str, ...]
    instead_of: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rota:
    """Who is on call when. Slots that overlap add up; of overrides that overlap the later in the document wins."""

    id: str
    name: str
    time_zone: str
    slots: tuple[Slot, ...]
    dated: tuple[DatedSlot, ...]
    overrides: tuple[Override, ...]


@dataclass(frozen=True, slots=True)
class PolicyStep:
    """`after`: the pause since the step before, zero for the first. No channel named: every contact of a person."""

    after: timedelta
    tell: tuple[Target, ...]
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Chains of steps for emergencies and for same-day alerts; each runs once and then `repeat` times more.

    `again_after`: the pause between the last step and what follows it (the first step again, or the fallback).
    """

    id: str
    name: str
    emergency: tuple[PolicyStep, ...]
    same_day: tuple[PolicyStep, ...]
    repeat: int
    emergency_again_after: timedelta
    same_day_again_after: timedelta

    def steps(self, urgency: str) -> tuple[PolicyStep, ...]:
        """The chain for this urgency."""
        return self.emergency if urgency == Urgency.EMERGENCY else self.same_day

    def again_after(self, urgency: str) -> timedelta:
        """The pause after the last step of that chain."""
        return self.emergency_again_after if urgency == Urgency.EMERGENCY else self.same_day_again_after


class _Named(Protocol):
    @property
    def id(self) -> str: ...


Item = TypeVar("Item", bound=_Named)


@dataclass(frozen=True, slots=True)
class Document:
    """One version of the on-call document of a tenant, immutable once saved. `version` 0: not saved yet.

    `fallback` is told when a chain has ended without anybody acknowledging, again and again.
    """

    version: int
    time_zone: str
    people: tuple[Person, ...]
    teams: tuple[Team, ...]
    rotas: tuple[Rota, ...]
    policies: tuple[Policy, ...]
    fallback: tuple[Target, ...]

    def person(self, person_id: str) -> Person | None:
        """The person with this id, or None."""
        return _named(self.people, person_id)

    def team(self, team_id: str) -> Team | None:
        """The team with this id, or None."""
        return _named(self.teams, team_id)

    def rota(self, rota_id: str) -> Rota | None:
        """The rota with this id, or None."""
        return _named(self.rotas, rota_id)

    def policy(self, policy_id: str) -> Policy | None:
        """The policy with this id, or None."""
        return _named(self.policies, policy_id)


def _named(items: Iterable[Item], item_id: str) -> Item | None:
    return next((item for item in items if item.id == item_id), None)


def person_of(document: Document, person_id: str) -> Person | None:
    """The person with this id, or None."""
    return document.person(person_id)


def team_for(document: Document, *, pathway: str, urgency: str) -> Team | None:
    """Which team takes an alert: the first that names its pathway, else the first that takes every pathway; or None."""
    able = [team for team in document.teams if Urgency(urgency).rank <= team.threshold.rank]
    naming = (team for team in able if pathway in team.pathways)
    return next(naming, next((team for team in able if not team.pathways), None))
