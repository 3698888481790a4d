"""An on-call document in words, for the page and the command line. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.notify.on_call.check import AHEAD, in_words
from services.notify.on_call.document import Document, Kind, Policy, PolicyStep, Rota, Target, Team
from services.notify.on_call.rota import OnCall, on_call
from shared.fhir.codes import Urgency

NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Shift:
    """A span of a rota as it is shown; `gap`: nobody is on call."""

    when: str
    who: str
    gap: bool


@dataclass(frozen=True, slots=True)
class ShownRota:
    """A rota as it is shown: who is on call now, until when, who is next, and the days ahead."""

    id: str
    name: str
    time_zone: str
    now: Shift
    next: Shift | None
    ahead: tuple[Shift, ...]
    gaps: int


@dataclass(frozen=True, slots=True)
class ShownTeam:
    """A team as it is shown."""

    name: str
    members: str
    takes: str
    policy: str
    rota: str


@dataclass(frozen=True, slots=True)
class ShownPolicy:
    """A policy as it is shown: one sentence a step."""

    name: str
    emergency: tuple[str, ...]
    same_day: tuple[str, ...]


def shown_rota(document: Document, rota: Rota, at: datetime, *, ahead: timedelta = AHEAD) -> ShownRota:
    """Who is on call now and next, and in the time ahead."""
    spans = on_call(rota, at, at + ahead)
    shifts = tuple(_shift(document, rota, span) for span in spans)
    following = shifts[1] if len(shifts) > 1 else None
    gaps = sum(shift.gap for shift in shifts)
    now = replace(shifts[0], when=f"until {local(spans[0].end, rota.time_zone)}")
    return ShownRota(rota.id, rota.name, rota.time_zone, now, following, shifts, gaps)


def _shift(document: Document, rota: Rota, span: OnCall) -> Shift:
    who = listed(name_of(document, person) for person in span.people) or NOBODY
    return Shift(in_words(span.start, span.end, rota.time_zone), who, not span.people)


def shown_team(document: Document, team: Team) -> ShownTeam:
    """Who is in a team, and which alerts it takes."""
    urgencies = "emergencies only" if team.threshold is Urgency.EMERGENCY else "emergencies and same-day alerts"
    pathways = f"of {listed(team.pathways)}" if team.pathways else "of every pathway"
    takes = f"{urgencies} {pathways}"
    policy = document.policy(team.policy)
    members = listed(name_of(document, person) for person in team.members)
    rota = document.rota(team.rota or "")
    return ShownTeam(team.name, members, takes, policy.name if policy else team.policy, rota.name if rota else "")


def shown_policy(document: Document, policy: Policy) -> ShownPolicy:
    """What happens when nobody acknowledges, step by step."""
    return ShownPolicy(
        policy.name,
        _steps(document, policy, Urgency.EMERGENCY),
        _steps(document, policy, Urgency.SAME_DAY),
    )


def _steps(document: Document, policy: Policy, urgency: Urgency) -> tuple[str, ...]:
    steps = policy.steps(urgency)
    if not steps:
        return ()
    told = [_step(document, step) for step in steps]
    again = (
        f"{_times(policy.repeat)} from the first step, each {_minutes(policy.again_after(urgency))} after the last step"
    )
    return (
        *told,
        f"Then {again if policy.repeat else _minutes(policy.again_after(urgency)) + ' later'}, then: the fallback.",
    )


def _step(document: Document, step: PolicyStep) -> str:
    when = f"After {_minutes(step.after)}" if step.after else "At once"
    by = f" by {listed(step.channels)}" if step.channels else ""
    return f"{when}: {listed(target_words(document, target) for target in step.tell)}{by}."


def _times(number: int) -> str:
    return {1: "once more"}.get(number, f"{number} times more")


def _minutes(pause: timedelta) -> str:
    minutes = pause / timedelta(minutes=1)
    return "1 minute" if minutes == 1 else f"{minutes:g} minutes"


def target_words(document: Document, target: Target) -> str:
    """Whom a step tells."""
    match target.kind:
        case Kind.PERSON:
            return name_of(document, target.id)
        case Kind.TEAM:
            team = document.team(target.id)
            return f"everybody in {team.name if team else target.id}"
        case Kind.ROTA:
            rota = document.rota(target.id)
            return f"whoever is on call in {rota.name if rota else target.id}"


def name_of(document: Document, person_id: str) -> str:
    """The name of a person; the id of one that is not known."""
    person = document.person(person_id)
    return person.name if person else person_id


def listed(names: Iterable[str]) -> str:
    """Names in a row."""
    found: Sequence[str] = list(names)
    return ", ".join(found[:-1]) + (" and " if len(found) > 1 else "") + found[-1] if found else ""


def local(at: datetime, time_zone: str) -> str:
    """A moment on the clock of a place."""
    return f"{at.astimezone(ZoneInfo(time_zone)):%a %Y-%m-%d %H:%M}"
