"""A page of the worklist as it is shown: its sections with their numbers, the filters, and what they keep from sight.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.notify.worklist.filters import Filters, Section
from services.notify.worklist.store import Count, Part
from services.notify.worklist.words import (
    NOTHING_KNOWN,
    Moment,
    Shown,
    Surroundings,
    moment,
    pathway_words,
    shown,
)
from shared.fhir.codes import Urgency

TITLES = {
    Section.WAITING: "Waiting for somebody",
    Section.SNOOZED: "Snoozed",
    Section.HELD: "Somebody has it",
    Section.CLOSED: "Closed in the last 24 hours",
}
SHORT_TITLES = {
    Section.WAITING: "Waiting",
    Section.SNOOZED: "Snoozed",
    Section.HELD: "In hand",
    Section.CLOSED: "Closed",
}
EMPTY = {
    Section.WAITING: "No alert is waiting. New ones appear here by themselves.",
    Section.SNOOZED: "None.",
    Section.HELD: "None.",
    Section.CLOSED: "None.",
}


@dataclass(frozen=True, slots=True)
class SectionView:
    """A section as shown. `more`: the address of what follows, or of the section alone; empty when all is shown."""

    section: Section
    title: str
    matching: int
    alerts: Sequence[Shown]
    more: str
    empty: str


@dataclass(frozen=True, slots=True)
class Tab:
    """The way to one section alone, or to all."""

    title: str
    number: int | None
    emergencies: int
    query: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """A value to filter by."""

    value: str
    words: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class WorklistView:
    """All that the templates need. `waiting` and `hidden_*` count what waits, whatever is filtered."""

    sections: Sequence[SectionView]
    on_call: Sequence[tuple[str, str]]
    tabs: Sequence[Tab]
    filters: Filters
    urgencies: Sequence[Choice]
    teams: Sequence[Choice]
    pathways: Sequence[Choice]
    waiting: int
    hidden: int
    hidden_emergencies: int
    now: Moment
    time: str
    change: int


def view(
    parts: Mapping[Section, Part],
    counts: Sequence[Count],
    filters: Filters,
    *,
    now: datetime,
    change: int,
    known: Surroundings = NOTHING_KNOWN,
) -> WorklistView:
    """The page. `change`: the newest change that it holds."""
    waiting = [count for count in counts if count.section is Section.WAITING]
    in_sight = filters.section in (None, Section.WAITING)
    unseen = [(count, count.number - (count.matching if in_sight else 0)) for count in waiting]
    return WorklistView(
        sections=[
            _section(section, parts[section], counts, filters, known)
            for section in Section
            if filters.section in (None, section)
        ],
        on_call=known.on_call,
        tabs=_tabs(counts, filters),
        filters=filters,
        urgencies=[
            Choice(urgency, words, urgency is filters.urgency)
            for urgency, words in ((Urgency.EMERGENCY, "Emergency"), (Urgency.SAME_DAY, "Same day"))
        ],
        teams=_choices((count.team or "" for count in counts), filters.team, known.names),
        pathways=_choices((count.pathway for count in counts), filters.pathway, {}),
        waiting=sum(count.number for count in waiting),
        hidden=sum(number for _, number in unseen),
        hidden_emergencies=sum(number for count, number in unseen if count.urgency is Urgency.EMERGENCY),
        now=moment(now),
        time=f"{now:%H:%M:%S} UTC",
        change=change,
    )


def _section(
    section: Section, part: Part, counts: Sequence[Count], filters: Filters, known: Surroundings
) -> SectionView:
    alone = filters.section is section
    return SectionView(
        section=section,
        title=TITLES[section],
        matching=sum(count.matching for count in counts if count.section is section),
        alerts=[shown(row, known) for row in part.rows],
        more=filters.only(section, part.next if alone else None).query if part.next else "",
        empty=EMPTY[section] if filters.everything and filters.after is None else "None that matches.",
    )


def _tabs(counts: Sequence[Count], filters: Filters) -> list[Tab]:
    def tab(title: str, section: Section | None) -> Tab:
        mine = [count for count in counts if section in (None, count.section)]
        return Tab(
            title,
            sum(count.matching for count in mine) if section else None,
            sum(count.matching for count in mine if section and count.urgency is Urgency.EMERGENCY),
            replace(filters, section=section, after=None).query,
            filters.section is section,
        )

    return [tab("All", None), *(tab(SHORT_TITLES[section], section) for section in Section)]


def _choices(values: Iterable[str], chosen: str, names: Mapping[str, str]) -> list[Choice]:
    found = dict.fromkeys(sorted({value for value in values if value}))
    if chosen:
        found.setdefault(chosen)
    return [Choice(value, names.get(value) or pathway_words(value), value == chosen) for value in found]
