"""Whether an on-call document leaves anybody unheard in the next 30 days. Pure; the moment is the caller's.

A document with a flaw is refused when it is saved, and looked at again every day, as rotas age. The times are SR-16's:
an emergency is told at once, told on after 5 minutes, then every 10; a same-day alert within the hour.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.notify.escalation import EMERGENCY, LONGEST_PAUSE, PUSH, SAME_DAY
from services.notify.on_call.document import Contact, Document, Kind, Person, Policy, PolicyStep, Rota, Target
from services.notify.on_call.flaw import Flaw
from services.notify.on_call.quiet import quiet_spans
from services.notify.on_call.rota import OnCall, gaps, on_call

AHEAD = timedelta(days=30)
SECOND_EMERGENCY_STEP = timedelta(minutes=5)
SHORTEST_PAUSE = timedelta(minutes=1)
MOST_NAMED = 3


def find_flaws(
    document: Document, at: datetime, *, ways: Collection[str] | None = None, devices: Collection[str] | None = None
) -> list[Flaw]:
    """Everything by which somebody could stay unheard within 30 days from `at`; empty when nothing is found.

    `ways`: the channels that are set up here, of webhooks each receiver (`webhook:ward`); None: not known.
    `devices`: ids of the people who registered a device for Web Push; None: not asked for, as somebody who was just
    named cannot have one yet.
    """
    end = at + AHEAD
    spans = {rota.id: on_call(rota, at, end) for rota in document.rotas}
    flaws = [flaw for rota in document.rotas for flaw in _gaps(rota, spans[rota.id])]
    for policy in document.policies:
        for urgency in (EMERGENCY, SAME_DAY):
            flaws += _pauses(document, policy, urgency)
            for number, step in enumerate(policy.steps(urgency), 1):
                where = f"policies.{policy.id}.{urgency}[{number}]"
                flaws += _unreachable(document, where, step.tell, step.channels, spans, ways, devices)
                if urgency == SAME_DAY:
                    flaws += _all_quiet(document, where, step, spans, at, end)
    return flaws + list(_unreachable(document, "fallback.tell", document.fallback, (), spans, ways, devices))


def gap_hours(document: Document, at: datetime) -> tuple[float, datetime | None]:
    """Hours within 30 days from `at` for which some rota has nobody, all rotas together, and when the first begins."""
    found = [gap for rota in document.rotas for gap in gaps(rota, at, at + AHEAD)]
    hours = sum((gap.end - gap.start) / timedelta(hours=1) for gap in found)
    return hours, min((gap.start for gap in found), default=None)


def in_words(start: datetime, end: datetime, time_zone: str) -> str:
    """A span on the clock of a place."""
    zone = ZoneInfo(time_zone)
    first, last = start.astimezone(zone), end.astimezone(zone)
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%a %Y-%m-%d %H:%M}"
    return f"{first:%a %Y-%m-%d %H:%M} to {until}"


def _gaps(rota: Rota, spans: Sequence[OnCall]) -> Iterator[Flaw]:
    open_spans = [span for span in spans if not span.people]
    if open_spans:
        named = "; ".join(in_words(span.start, span.end, rota.time_zone) for span in open_spans[:MOST_NAMED])
        more = f"; and {len(open_spans) - MOST_NAMED} more" if len(open_spans) > MOST_NAMED else ""
        yield Flaw(
            f"rotas.{rota.id}",
            f"nobody on call ({named}{more}, {rota.time_zone})",
            "somebody in every minute of the next 30 days",
            "Add a slot or an override for these times.",
        )


def _pauses(document: Document, policy: Policy, urgency: str) -> Iterator[Flaw]:
    """Steps that come too late, or so soon that they tell everybody at once."""
    steps, where = policy.steps(urgency), f"policies.{policy.id}.{urgency}"
    if not steps:
        if urgency == EMERGENCY or any(
            team.policy == policy.id and team.threshold == SAME_DAY for team in document.teams
        ):
            yield Flaw(where, "no step", "at least one step", f"Add [[{where}]], or let no team use it for these.")
        return
    if steps[0].after:
        found = _minutes(steps[0].after)
        yield Flaw(f"{where}[1].after_minutes", found, "0: the first step is told at once", "Write after_minutes = 0.")
    following = [(f"{where}[{number}].after_minutes", step.after) for number, step in enumerate(steps[1:], 2)]
    following.append((f"policies.{policy.id}.{urgency}_again_after_minutes", policy.again_after(urgency)))
    for number, (place, pause) in enumerate(following):
        longest = SECOND_EMERGENCY_STEP if urgency == EMERGENCY and number == 0 else LONGEST_PAUSE[urgency]
        if not SHORTEST_PAUSE <= pause <= longest:
            expected = f"{_minutes(SHORTEST_PAUSE)} to {_minutes(longest)} minutes"
            yield Flaw(
                place, _minutes(pause), expected, "Nobody acknowledged the step before: tell on within that time."
            )


def _minutes(pause: timedelta) -> str:
    return f"{pause / timedelta(minutes=1):g}"


def _unreachable(
    document: Document,
    where: str,
    tell: Iterable[Target],
    channels: Sequence[str],
    spans: dict[str, list[OnCall]],
    ways: Collection[str] | None,
    devices: Collection[str] | None,
) -> Iterator[Flaw]:
    """People of a step who have no contact on its channels, none that works here, or no device where it would be."""
    told = dict.fromkeys(person for target in tell for person in _ever(document, target, spans))
    for person in filter(None, map(document.person, told)):
        usable = [contact for contact in person.contacts if not channels or contact.channel in channels]
        if not usable:
            found = f"{person.name} ({person.id}), who has no contact on {_listed(channels)}"
            yield Flaw(
                where, found, "a contact of everybody on the channels of the step", "Add the contact or a channel."
            )
        elif ways is not None and not any(_works(contact, ways) for contact in usable):
            names = _listed(sorted({contact.channel for contact in usable}))
            found = f"{person.name} ({person.id}), who can be reached by {names} only"
            expected = f"a channel that is set up here ({_listed(sorted(ways)) or 'none is'})"
            yield Flaw(where, found, expected, "Add a contact on such a channel, or set the channel up.")
        elif devices is not None and person.id not in devices and {contact.channel for contact in usable} == {PUSH}:
            found = f"{person.name} ({person.id}), who is told by {PUSH} only and registered no device"
            remedy = "Let this person turn on messages in a browser, or add a contact on another channel."
            yield Flaw(where, found, "a device, or another contact", remedy)


def _works(contact: Contact, ways: Collection[str]) -> bool:
    return contact.channel in ways or f"{contact.channel}:{contact.address}" in ways


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _ever(document: Document, target: Target, spans: dict[str, list[OnCall]]) -> Iterable[str]:
    """Everybody whom a target may tell within the time looked at."""
    match target.kind:
        case Kind.PERSON:
            return (target.id,)
        case Kind.TEAM:
            team = document.team(target.id)
            return team.members if team else ()
        case Kind.ROTA:
            return dict.fromkeys(person for span in spans.get(target.id, ()) for person in span.people)


def _all_quiet(
    document: Document,
    where: str,
    step: PolicyStep,
    spans: dict[str, list[OnCall]],
    at: datetime,
    end: datetime,
) -> Iterator[Flaw]:
    """A time when everybody of a same-day step has quiet hours: they would be disturbed after all."""
    told = [document.person(one) for target in step.tell for one in _ever(document, target, spans)]
    quiet = {person.id: quiet_spans(person, at, end) for person in told if person is not None and person.quiet}
    if not quiet:
        return
    edges = {at} | {start for one in quiet.values() for start, _ in one}
    edges |= {span.start for target in step.tell if target.kind is Kind.ROTA for span in spans.get(target.id, ())}
    for moment in sorted(edge for edge in edges if at <= edge < end):
        people = _then(document, step, spans, moment)
        if people and all(_is_quiet(quiet.get(person.id, []), moment) for person in people):
            names, zone = _listed(person.name for person in people), ZoneInfo(document.time_zone)
            found = f"only people in quiet hours ({names} on {moment.astimezone(zone):%a %Y-%m-%d %H:%M})"
            yield Flaw(
                where, found, "somebody without quiet hours at every time", "Tell somebody else too, or end them."
            )
            return


def _then(document: Document, step: PolicyStep, spans: dict[str, list[OnCall]], at: datetime) -> list[Person]:
    now = {name: [span for span in listed if span.start <= at < span.end] for name, listed in spans.items()}
    ids = dict.fromkeys(one for target in step.tell for one in _ever(document, target, now))
    return [person for person in map(document.person, ids) if person is not None]


def _is_quiet(spans: Iterable[tuple[datetime, datetime]], at: datetime) -> bool:
    return any(start <= at < end for start, end in spans)
