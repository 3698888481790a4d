"""Search parameters of R4 that we claim: parsed strictly, unknown ones refused or named, never silently ignored."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from shared.problems import Category, Problem, ProblemError, Severity

DEFAULT_COUNT, MAX_COUNT, MAX_VALUES = 50, 200, 200

RESOURCE_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""What an id can be in R4 (datatypes.html#id)."""
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
_YEAR_MONTH = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?")

PREFIXES = {"eq": "=", "ne": "<>", "gt": ">", "lt": "<", "ge": ">=", "le": "<=", "sa": ">", "eb": "<"}

COMMON = {"_id", "_lastUpdated", "_count", "_elements", "_page", "_format", "identifier"}
"""Parameters that every searchable type of ours understands. `_page` is ours: it is what next links carry."""


@dataclass(frozen=True, slots=True)
class Bound:
    """One comparison with `last_updated`: an SQL operator from a fixed set and an instant."""

    operator: str
    instant: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """`system|value`: system None means any system, '' means no system."""

    system: str | None
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed search of one resource type. None means: not asked for."""

    resource_type: str
    ids: tuple[str, ...] | None = None
    subjects: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    statuses: tuple[str, ...] | None = None
    identifiers: tuple[Token, ...] = ()
    last_updated: tuple[Bound, ...] = ()
    count: int = DEFAULT_COUNT
    elements: tuple[str, ...] | None = None
    after: tuple[datetime, str] | None = None
    used: tuple[tuple[str, str], ...] = ()
    """The parameters that were understood, in their order: what the self link repeats."""
    ignored: tuple[Problem, ...] = ()
    """What was not understood, for the Bundle's OperationOutcome (lenient handling)."""

    def narrowed(self, ids: Sequence[str], *, used: Sequence[tuple[str, str]]) -> Search:
        """The same search among these ids only; `used` are the parameters that led to them."""
        return replace(self, ids=_and(self.ids, ids), used=(*used, *self.used))


def parse_search(
    resource_type: str,
    pairs: Iterable[tuple[str, str]],
    *,
    allowed: frozenset[str] | set[str],
    strict: bool = False,
) -> Search:
    """Parse a query string's (name, value) pairs.

    `allowed` names the parameters beyond `COMMON` that this type has ("subject", "_tag", "status"). Raises ProblemError
    for a value that cannot be read; for an unknown parameter only with `strict` (Prefer: handling=strict).
    """
    search = Search(resource_type)
    problems: list[Problem] = []
    used: list[tuple[str, str]] = []
    ignored: list[Problem] = []
    for name, value in pairs:
        if name not in COMMON and name not in allowed:
            ignored.append(_unknown(name, resource_type, allowed))
            continue
        try:
            if "\x00" in value:
                raise ValueError("the value holds a NUL character; take it out")
            search = _apply(search, name, value)
            if name not in ("_page", "_format"):
                used.append((name, value))
        except ValueError as error:
            problems.append(
                Problem(
                    Category.INCORRECT,
                    "search-value",
                    f"Search parameter {name}: {error}",
                    issue_code="value",
                )
            )
    if strict:
        problems += [replace(problem, severity=Severity.ERROR) for problem in ignored]
    if problems:
        raise ProblemError(problems)
    return replace(search, used=tuple(used), ignored=tuple(ignored))


def next_page(last_updated: datetime, resource_id: str) -> str:
    """Opaque mark for the page after this row. It names a place in the order, so it stays valid while data arrives."""
    return base64.urlsafe_b64encode(f"{last_updated.isoformat()} {resource_id}".encode()).decode().rstrip("=")


def _apply(search: Search, name: str, value: str) -> Search:
    match name:
        case "_id":
            return replace(search, ids=_and(search.ids, _values(value)))
        case "subject" | "patient":
            references = [v if "/" in v or name == "subject" else f"Patient/{v}" for v in _values(value)]
            return replace(search, subjects=_and(search.subjects, references))
        case "_tag":
            return replace(search, tags=_and(search.tags, [v.rpartition("|")[2] for v in _values(value)]))
        case "status":
            return replace(search, statuses=_and(search.statuses, _values(value)))
        case "identifier":
            return replace(search, identifiers=(*search.identifiers, _token(value)))
        case "_lastUpdated":
            return replace(search, last_updated=search.last_updated + _bounds(value))
        case "_count":
            if not _WHOLE_NUMBER.fullmatch(value):
                raise ValueError("expected a whole number from 0 to 200, for example _count=50")
            return replace(search, count=min(int(value), MAX_COUNT))
        case "_elements":
            return replace(search, elements=tuple(_values(value)))
        case "_page":
            return replace(search, after=_place(value))
        case "_format":
            return search
        case _:
            raise ValueError("it is named as known here but cannot be applied")


def _and(before: tuple[str, ...] | None, given: Sequence[str]) -> tuple[str, ...]:
    """Values of one parameter are alternatives; a repeated parameter narrows."""
    return tuple(given) if before is None else tuple(value for value in before if value in given)


def _values(value: str) -> list[str]:
    values = [part for part in value.split(",") if part]
    if not values:
        raise ValueError("the value is empty; leave the parameter out or give a value")
    if len(values) > MAX_VALUES:
        raise ValueError(f"{len(values)} values found, at most {MAX_VALUES} expected; ask in several searches")
    return values


def _token(value: str) -> Token:
    parts = _values(value)
    systems = {part.rpartition("|")[0] if "|" in part else None for part in parts}
    if len(systems) > 1:
        raise ValueError("several values must name the same system; ask in several searches")
    return Token(system=systems.pop(), values=tuple(part.rpartition("|")[2] for part in parts))


def _bounds(value: str) -> tuple[Bound, ...]:
    prefix, text = (value[:2], value[2:]) if value[:2] in PREFIXES else ("eq", value)
    start, end = _period(text)
    match prefix:
        case "eq":
            return (Bound(">=", start), Bound("<", end))
        case "gt" | "sa":
            return (Bound(">=", end),)
        case "lt" | "eb":
            return (Bound("<", start),)
        case "ge":
            return (Bound(">=", start),)
        case "le":
            return (Bound("<", end),)
        case _:
            raise ValueError("the prefix ne is not supported for _lastUpdated; use lt and gt")


def _period(text: str) -> tuple[datetime, datetime]:
    """The span that a FHIR date or dateTime stands for: a year, a month, a day of 24 hours (all in UTC), a second."""
    try:
        if rough := _YEAR_MONTH.fullmatch(text):
            year, month = int(rough[1]), int(rough[2] or 1)
            following = (year, month + 1) if rough[2] and month < 12 else (year + 1, 1)
            return datetime(year, month, 1, tzinfo=UTC), datetime(*following, 1, tzinfo=UTC)
        if len(text) == 10:
            day = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return day, day + timedelta(days=1)
        instant = datetime.fromisoformat(text.replace(" ", "+"))
        if instant.tzinfo is not None:
            instant = instant.astimezone(UTC)
            return instant, instant + (timedelta(milliseconds=1) if "." in text else timedelta(seconds=1))
    except (ValueError, OverflowError):
        pass
    raise ValueError("expected a date or a time with zone, for example ge2026-11-22T08:00:00Z")


def _place(value: str) -> tuple[datetime, str]:
    try:
        text = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode()
        time, _, resource_id = text.partition(" ")
        instant = datetime.fromisoformat(time)
        readable = instant.tzinfo is not None and RESOURCE_ID.fullmatch(resource_id) is not None
        instant = instant.astimezone(UTC)
    except (binascii.Error, UnicodeDecodeError, ValueError, OverflowError):
        raise ValueError("this page mark is not one of ours; start the search again without it") from None
    if not readable:
        raise ValueError("this page mark is not one of ours; start the search again without it")
    return instant, resource_id


def _unknown(name: str, resource_type: str, allowed: Iterable[str]) -> Problem:
    known = ", ".join(sorted((COMMON | set(allowed)) - {"_page"}))
    return Problem(
        Category.INCORRECT,
        "search-parameter-unknown",
        f"{resource_type} has no search parameter '{name[:40]}'; it was not used. Known: {known}.",
        severity=Severity.WARNING,
        issue_code="not-supported",
    )
