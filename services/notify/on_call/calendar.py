"""Shifts from an iCalendar file (RFC 5545) as dated slots of a rota. What cannot be understood imports nothing.

An event's people are its attendees (by e-mail address), else those that its summary names (id, name or address).
Repeating events are written out for the time that is asked for, with their exceptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar, Event

from services.notify.on_call.document import DatedSlot, Document, Rota
from services.notify.on_call.flaw import DocumentFlawed, Flaw

AHEAD = timedelta(days=400)
LONGEST_TEXT = 512 * 1024
MOST_SLOTS = 4000
TOO_OFTEN = frozenset({"SECONDLY", "MINUTELY", "HOURLY"})
"""Rules that no rota has, and that would take for ever to write out."""


def shifts_of(text: str, document: Document, rota: Rota, *, name: str, at: datetime) -> tuple[DatedSlot, ...]:
    """The shifts of a calendar from `at` on, for 400 days. Raises DocumentFlawed with every event that says nothing."""
    calendar = _parsed(text, name)
    found: list[DatedSlot] = []
    flaws: dict[str, Flaw] = {}
    for event in _events(calendar, name, at):
        where = f"calendar {name}, {_summary(event)}"
        people = _people(event, document)
        start, end = _span(event, rota)
        if not people:
            remedy = "Invite them by the address in [people], or write an id or a name into the summary."
            flaws.setdefault(where, Flaw(where, "nobody that the document knows", "somebody from [people]", remedy))
        elif start >= end:
            flaws.setdefault(where, Flaw(where, "no end after its beginning", "a shift", "Give the event an end."))
        else:
            found.append(DatedSlot(start, end, people, name))
    if not found and not flaws:
        flaws[name] = Flaw(f"calendar {name}", "no event from now on", "shifts", "Export the calendar again.")
    if len(found) > MOST_SLOTS:
        flaws[name] = Flaw(f"calendar {name}", f"{len(found)} shifts", f"at most {MOST_SLOTS}", "Use weekly slots.")
    if flaws:
        raise DocumentFlawed(list(flaws.values()))
    return tuple(sorted(found, key=lambda slot: (slot.start, slot.end)))


def _parsed(text: str, name: str) -> Calendar:
    where, expected = f"calendar {name}", "an iCalendar file (BEGIN:VCALENDAR, RFC 5545)"
    if len(text.encode()) > LONGEST_TEXT:
        raise DocumentFlawed(
            [Flaw(where, "a file that is too large", f"at most {LONGEST_TEXT} bytes", "Cut off the past.")]
        )
    try:
        calendar = Calendar.from_ical(text)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        flaw = Flaw(where, f"text that cannot be read ({type(error).__name__})", expected, "Export the calendar again.")
        raise DocumentFlawed([flaw]) from None
    if not isinstance(calendar, Calendar) or calendar.name != "VCALENDAR":
        raise DocumentFlawed([Flaw(where, "another kind of file", expected, "Export the calendar again.")])
    for event in calendar.walk("VEVENT"):
        rules = event.get("RRULE")
        for rule in rules if isinstance(rules, list) else [rules] if rules else []:
            if TOO_OFTEN.intersection(map(str, rule.get("FREQ", []))):
                flaw = Flaw(where, f"a shift that repeats {rule['FREQ'][0]}", "DAILY or less often", "Change its rule.")
                raise DocumentFlawed([flaw])
    return calendar


def _events(calendar: Calendar, name: str, at: datetime) -> Iterator[Event]:
    """Every event that is not cancelled and ends after `at`, repetitions written out."""
    try:
        events: Sequence[Event] = recurring_ical_events.of(calendar).between(at, at + AHEAD)
    except Exception as error:
        found = f"a date or a rule that cannot be read ({type(error).__name__})"
        flaw = Flaw(f"calendar {name}", found, "events with dates", "Export the calendar again.")
        raise DocumentFlawed([flaw]) from None
    return (event for event in events if str(event.get("STATUS", "")).upper() != "CANCELLED")


def _span(event: Event, rota: Rota) -> tuple[datetime, datetime]:
    """In UTC. Whole days, and times without a zone, are on the rota's clock."""
    start, end = event.start, event.end
    return _moment(start, rota), _moment(end, rota)


def _moment(value: date, rota: Rota) -> datetime:
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=ZoneInfo(rota.time_zone))
    return (value if value.tzinfo else value.replace(tzinfo=ZoneInfo(rota.time_zone))).astimezone(UTC)


def _summary(event: Event) -> str:
    words = "".join(character for character in str(event.get("SUMMARY", "")) if character.isprintable())
    return f'"{words[:60]}"' if words else "an event without a summary"


def _people(event: Event, document: Document) -> tuple[str, ...]:
    """Ids of the event's people; none when one of those that the summary lists is not known."""
    invited = event.get("ATTENDEE", [])
    addresses = [
        str(one).lower().removeprefix("mailto:") for one in (invited if isinstance(invited, list) else [invited])
    ]
    known = [person for address in addresses for person in _called(address, document)]
    if known:
        return tuple(dict.fromkeys(known))
    summary = str(event.get("SUMMARY", ""))
    for part in (summary, *re.split(r"\s+[-–|]\s+", summary)):
        names = [_called(name, document) for name in re.split(r"\s*[,;/&]\s*", part.strip())]
        if names and all(names):
            return tuple(dict.fromkeys(person for found in names for person in found))
    return ()


def _called(name: str, document: Document) -> list[str]:
    wanted = " ".join(name.lower().split())
    return [
        person.id
        for person in document.people
        if wanted in (person.id, person.name.lower())
        or any(contact.channel == "email" and contact.address.lower() == wanted for contact in person.contacts)
    ]
