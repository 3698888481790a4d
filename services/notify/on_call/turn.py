"""Whom an alert tells at a place of its chain, at a given moment. Pure.

The steps are those of the policy version that the alert was stamped with; who is on call, and how people are reached,
is asked of the newest document. A turn ends with somebody told: a step that nobody hears is passed over at once, and
where no later step of the round has anybody, the last fallback is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.notify.escalation import EMERGENCY, Chain, Place, Recipient
from services.notify.on_call.document import Document, Kind, Person, Policy, PolicyStep, Target
from services.notify.on_call.quiet import quiet_until
from services.notify.on_call.rota import people_on_call


@dataclass(frozen=True, slots=True)
class Route:
    """Where an alert goes: its stamped policy, the document that it stands in, and the newest one.

    `policy` None: no team takes it, so the fallback does. `first`: somebody that it was handed to, told before the
    chain begins. `site`: addresses of the settings, told when all else has been. `repeat`: the pause between two
    rounds of the fallback.
    """

    policy: Policy | None
    stamped: Document
    newest: Document
    urgency: str
    site: tuple[Recipient, ...]
    repeat: timedelta
    first: Target | None = None

    @property
    def steps(self) -> tuple[PolicyStep, ...]:
        """The steps of the chain."""
        return self.policy.steps(self.urgency) if self.policy else ()

    @property
    def chain(self) -> Chain:
        """The chain as pauses, without people."""
        if self.policy is None:
            return Chain((), self.repeat, self.repeat, rounds=1)
        pauses = tuple(step.after for step in self.steps)
        return Chain(pauses, self.policy.again_after(self.urgency), self.repeat, rounds=self.policy.repeat + 1)


@dataclass(frozen=True, slots=True)
class Held:
    """A message that waits for the end of somebody's quiet hours."""

    recipient: Recipient
    until: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """What an alert does now: where it is in its chain, who is told, whose message waits, and the pause after it.

    `unheard`: places that were passed over, as nobody was there to hear. `exhausted`: the fallback is told.
    """

    place: Place
    told: tuple[Recipient, ...]
    pause: timedelta
    held: tuple[Held, ...] = ()
    unheard: tuple[Place, ...] = ()
    exhausted: bool = False


def turn_at(route: Route, place: Place, at: datetime) -> Turn:
    """The turn of an alert that has come to this place of its chain."""
    chain = route.chain
    unheard: list[Place] = []
    while not chain.is_ended(place):
        told, held = _of_step(route, place, at)
        if told:
            return Turn(place, told, chain.pause_after(place), held, tuple(unheard))
        unheard.append(place)
        following = chain.following(place)
        place = following if following.round == place.round else chain.end(place.round)
    told = _of_fallback(route, place, at)
    if not told:
        unheard.append(place)
    return Turn(place, told, chain.pause_after(place), unheard=tuple(unheard), exhausted=True)


def _of_step(route: Route, place: Place, at: datetime) -> tuple[tuple[Recipient, ...], tuple[Held, ...]]:
    """Who of this step is told now, and whose message waits: only while somebody else of the step is told now."""
    if place.position < 0:
        return recipients(route, [route.first] if route.first else [], (), at), ()
    step = route.steps[place.position]
    everybody = [(person, _contacts(person, step.channels)) for person in people(route, step.tell, at)]
    reachable = [(person, contacts) for person, contacts in everybody if contacts]
    waits = {person.id: quiet_until(person, at) for person, _ in reachable if route.urgency != EMERGENCY}
    if all(waits.get(person.id) for person, _ in reachable):
        waits = {}
    told = _each(contacts for person, contacts in reachable if not waits.get(person.id))
    held = [
        Held(contact, until)
        for person, contacts in reachable
        if (until := waits.get(person.id))
        for contact in contacts
    ]
    return told, tuple(one for one in held if one.recipient not in told)


def _of_fallback(route: Route, place: Place, at: datetime) -> tuple[Recipient, ...]:
    """The named fallback first, and from the next time on, or where it has nobody, the site's addresses too."""
    named = [person for target in route.newest.fallback for person in _people(route.newest, target, at)]
    told = _each(_contacts(person, ()) for person in named)
    return told if told and not route.chain.is_past_end(place) else _each([told, route.site])


def recipients(route: Route, tell: Iterable[Target], channels: tuple[str, ...], at: datetime) -> tuple[Recipient, ...]:
    """Everybody whom these targets have at that moment, by each contact on these channels."""
    return _each(_contacts(person, channels) for person in people(route, tell, at))


def people(route: Route, tell: Iterable[Target], at: datetime) -> list[Person]:
    """The people of these targets, each once, as the newest document knows them.

    A rota or a team that the newest document does not have any more is the one that the alert was stamped with;
    whoever is not in the newest document is not told.
    """
    found = [person for target in tell for person in _people(_holder(route, target), target, at)]
    ids = dict.fromkeys(person.id for person in found)
    return [person for person in map(route.newest.person, ids) if person is not None]


def _holder(route: Route, target: Target) -> Document:
    known = {Kind.TEAM: route.newest.team, Kind.ROTA: route.newest.rota, Kind.PERSON: route.newest.person}
    return route.newest if known[target.kind](target.id) is not None else route.stamped


def _people(document: Document, target: Target, at: datetime) -> Iterator[Person]:
    match target.kind:
        case Kind.PERSON:
            ids: tuple[str, ...] = (target.id,)
        case Kind.TEAM:
            team = document.team(target.id)
            ids = team.members if team else ()
        case Kind.ROTA:
            ids = tuple(person.id for person in people_on_call(document, target.id, at))
    yield from (person for person in map(document.person, ids) if person is not None)


def _contacts(person: Person, channels: tuple[str, ...]) -> tuple[Recipient, ...]:
    return tuple(
        Recipient(contact.channel, contact.address, person.id)
        for contact in person.contacts
        if not channels or contact.channel in channels
    )


def _each(groups: Iterable[Iterable[Recipient]]) -> tuple[Recipient, ...]:
    """Each recipient once: two people with one address get one message."""
    return tuple(dict.fromkeys(recipient for group in groups for recipient in group))
