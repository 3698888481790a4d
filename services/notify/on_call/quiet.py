"""Quiet hours: when a person is told of nothing but emergencies. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.notify.on_call.document import Person
from services.notify.on_call.local_time import Span, ends_of, occurrences

AHEAD = timedelta(days=8)


def quiet_spans(person: Person, start: datetime, end: datetime) -> list[Span]:
    """The person's quiet hours between two moments."""
    return [span for quiet in person.quiet for span in occurrences(quiet.window, person.time_zone, start, end)]


def quiet_until(person: Person, at: datetime) -> datetime | None:
    """When the quiet hours end in which `at` lies; None when the person may be told now.

    Quiet hours without an end within a week are none: whoever is always quiet would never hear of anything.
    """
    until = ends_of(quiet_spans(person, at, at + AHEAD), at)
    return until if until is None or until < at + AHEAD - timedelta(days=1) else None
