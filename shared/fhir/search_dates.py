"""Dates as spans of time: what a FHIR date, dateTime, instant or Period stands for, for search.

https://hl7.org/fhir/R4/search.html#date. A span goes from low up to but without high, in milliseconds since 1970 in
UTC; a date without time counts as that day in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import inf
from typing import Any, TypeAlias

Span: TypeAlias = tuple[float, float]

_YEAR_MONTH = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?P<second>:[0-9]{2}(?P<fraction>\.[0-9]{1,9})?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@lru_cache(maxsize=16)
def span(text: str) -> Span:
    """The span of a date: a year, a month, a day, a minute, a second, or a millisecond. Raises ValueError.

    Kept for a moment, as what is stored together states the same time.
    """
    try:
        if rough := _YEAR_MONTH.fullmatch(text):
            year, month = int(rough[1]), int(rough[2] or 1)
            following = (year, month + 1) if rough[2] and month < 12 else (year + 1, 1)
            return milliseconds(datetime(year, month, 1, tzinfo=UTC)), _month(*following)
        if _DAY.fullmatch(text):
            low = milliseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))
            return low, low + 86_400_000
        if exact := _TIME.fullmatch(text):
            low = milliseconds(datetime.fromisoformat(text).astimezone(UTC))
            return low, low + (1 if exact["fraction"] else 1_000 if exact["second"] else 60_000)
    except (ValueError, OverflowError):
        pass
    raise ValueError("expected a date, or a time with zone, for example 2026-11-22T08:00:00Z")


def milliseconds(moment: datetime) -> float:
    """Milliseconds since 1970, without what is below a millisecond."""
    return float((moment - _EPOCH) // _MILLISECOND)


def moment_of(at: float) -> datetime:
    """The instant of so many milliseconds since 1970; outside of the years 1 to 9999 their first or last moment."""
    try:
        return _EPOCH + timedelta(milliseconds=at)
    except OverflowError:
        return _LAST if at > 0 else _FIRST


def span_of(value: Any) -> Span | None:
    """The span of an element: a date, dateTime or instant, or a Period with an open end where none is given."""
    try:
        match value:
            case str():
                return span(value)
            case {"start": str(start), "end": str(end)}:
                return span(start)[0], span(end)[1]
            case {"start": str(start)}:
                return span(start)[0], inf
            case {"end": str(end)}:
                return -inf, span(end)[1]
    except ValueError:
        return None
    return None


def _month(year: int, month: int) -> float:
    return inf if year > 9999 else milliseconds(datetime(year, month, 1, tzinfo=UTC))
