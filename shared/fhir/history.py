"""What is asked of a history: `_count`, `_since` and the page (R4 http.html#history)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from shared.fhir.search_conditions import RESOURCE_ID
from shared.fhir.search_dates import moment_of, span
from shared.problems import Category, Problem, ProblemError

MAX_COUNT: Final = 200
DEFAULT_COUNT: Final = 50


@dataclass(frozen=True, slots=True)
class Before:
    """The version that a page goes on after."""

    time: datetime
    id: str
    version_id: int

    def mark(self) -> str:
        """For a link."""
        written = orjson.dumps([self.time.isoformat(), self.id, self.version_id])
        return base64.urlsafe_b64encode(written).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class History:
    """Versions stored at or after `since`, older than `before`, `count` of them."""

    count: int = DEFAULT_COUNT
    since: datetime | None = None
    before: Before | None = None
    used: tuple[tuple[str, str], ...] = ()


def parse_history(pairs: Iterable[tuple[str, str]], *, strict: bool) -> History:
    """Read the query string. Raises ProblemError for a value that cannot be read, and, `strict`, for other names."""
    count, since, before = DEFAULT_COUNT, None, None
    used: list[tuple[str, str]] = []
    for name, value in pairs:
        try:
            match name:
                case "_count":
                    count = _count(value)
                case "_since":
                    since = moment_of(span(value.replace(" ", "+"))[0])
                case "_page":
                    before = _before(value)
                case "_format" | "_pretty":
                    continue
                case _ if strict:
                    raise ValueError("a history has _count and _since alone")
                case _:
                    continue
        except ValueError as error:
            message = f"Search parameter {name[:60]}: {error}."
            raise ProblemError(Problem(Category.INCORRECT, "search-value", message, issue_code="value")) from None
        if name != "_page":
            used.append((name, value))
    return History(count, since, before, tuple(used))


def _count(value: str) -> int:
    if not (value.isascii() and value.isdigit() and 0 < len(value) < 10 and int(value) > 0):
        raise ValueError(f"expected a whole number from 1 to {MAX_COUNT}")
    return min(int(value), MAX_COUNT)


def _before(mark: str) -> Before:
    try:
        time, resource_id, version = orjson.loads(base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4)))
        moment = datetime.fromisoformat(time)
        readable = moment.tzinfo is not None and RESOURCE_ID.fullmatch(resource_id) and type(version) is int
        if readable and 0 < version < 2**31:
            return Before(moment.astimezone(UTC), resource_id, version)
    except (binascii.Error, ValueError, TypeError, OverflowError):
        pass
    raise ValueError("this page mark is not one of ours; start again without it")
