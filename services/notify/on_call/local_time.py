"""Times of the week on a place's own clock, as moments. Pure.

When clocks go forward, a wall-clock time that does not exist counts as if they had not yet; when they go back, a time
that comes twice is the first of the two (PEP 495, fold 0). One rule for beginnings and ends: a slot that ends when
another begins leaves no minute between them, in the nights of the change too.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.notify.on_call.document import Window

Span = tuple[datetime, datetime]
"""From the first moment to the one after the last, in UTC."""
LONGEST = timedelta(days=2)
"""No window is longer than a day and an hour; zones are up to 14 hours from UTC."""


def moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The moment, in UTC, at which clocks of that place show this."""
    return datetime.combine(day, at, zone).astimezone(UTC)


def occurrences(window: Window, time_zone: str, start: datetime, end: datetime) -> Iterator[Span]:
    """Every time that this window comes between two moments, whole, in order; what only touches them is left out."""
    zone = ZoneInfo(time_zone)
    day, last = (start - LONGEST).date(), (end + LONGEST).date()
    while day <= last:
        if day.weekday() in window.days:
            begins = moment(day, window.start, zone)
            ends = moment(day + timedelta(days=1) if window.end <= window.start else day, window.end, zone)
            if begins < ends and begins < end and ends > start:
                yield begins, ends
        day += timedelta(days=1)


def ends_of(windows: Iterator[Span] | list[Span], at: datetime) -> datetime | None:
    """Until when `at` lies in one of these, without a break; None when it lies in none."""
    until = None
    for begins, ends in sorted(windows):
        if begins <= (until or at) < ends:
            until = ends
    return until
