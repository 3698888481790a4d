"""Who is on call when: weekly slots, dated slots and overrides of a rota, laid out as spans of time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from services.notify.on_call.document import Document, Override, Person, Rota
from services.notify.on_call.local_time import occurrences

INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class OnCall:
    """From `start` up to `end` these people are on call (ids, each once); nobody is a gap."""

    start: datetime
    end: datetime
    people: tuple[str, ...]


def people_on_call(document: Document, rota_id: str, at: datetime) -> tuple[Person, ...]:
    """Everybody whom this rota has on call at that moment; nobody for a rota or a person that is not known."""
    rota = document.rota(rota_id)
    ids = _at(rota, list(_slots(rota, at, at + INSTANT)), at) if rota else ()
    return tuple(person for person in map(document.person, ids) if person is not None)


def on_call(rota: Rota, start: datetime, end: datetime) -> list[OnCall]:
    """Who is on call from `start` to `end`, without a hole: neighbours differ in their people, a gap has none."""
    slots = list(_slots(rota, start, end))
    spans = [(span.start, span.end) for span in slots] + [(span.start, span.end) for span in rota.overrides]
    edges = {start, end, *(edge for span in spans for edge in span)}
    found: list[OnCall] = []
    for begins, ends in pairwise(sorted(edge for edge in edges if start <= edge <= end)):
        people = _at(rota, slots, begins)
        if found and found[-1].people == people:
            begins = found.pop().start
        found.append(OnCall(begins, ends, people))
    return found


def gaps(rota: Rota, start: datetime, end: datetime) -> list[OnCall]:
    """When nobody is on call between two moments."""
    return [span for span in on_call(rota, start, end) if not span.people]


def _slots(rota: Rota, start: datetime, end: datetime) -> Iterator[OnCall]:
    for slot in rota.slots:
        for begins, ends in occurrences(slot.window, rota.time_zone, start, end):
            yield OnCall(begins, ends, slot.people)
    for dated in rota.dated:
        if dated.start < end and dated.end > start:
            yield OnCall(dated.start, dated.end, dated.people)


def _at(rota: Rota, slots: Iterable[OnCall], at: datetime) -> tuple[str, ...]:
    people = tuple(dict.fromkeys(person for slot in slots if slot.start <= at < slot.end for person in slot.people))
    for override in rota.overrides:
        if override.start <= at < override.end:
            people = _overridden(people, override)
    return people


def _overridden(people: tuple[str, ...], override: Override) -> tuple[str, ...]:
    if override.instead_of is None:
        return override.people
    stands_in = ((person,) if person != override.instead_of else override.people for person in people)
    return tuple(dict.fromkeys(person for group in stands_in for person in group))
