"""Searches of the audit: what is asked, one service's part of the answer, and the parts of all services as one page.

Pages are newest first and begin behind a place (time, service, number), so that they stay valid while acts are recorded
and every service can tell which of its events follow.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from shared.audit.act import QUERIES
from shared.audit.event import Resource, audit_event, place_of
from shared.fhir.codes import CS_AUDIT_ACT
from shared.fhir.search_dates import moment_of, span
from shared.ids import seen_by
from shared.postgres import DictConnection
from shared.problems import Category, Problem, ProblemError, Severity

DEFAULT_COUNT, MOST = 50, 200
PARAMETERS: Final = frozenset({"action", "date", "entity", "outcome", "patient", "subtype"})
LAST_NUMBER = 2**63 - 1
ACTIONS: Final = {
    "C": ("create",),
    "R": ("read", "vread", "history-instance", "history-type"),
    "U": ("update",),
    "E": ("search-type", "operation", "login"),
    "D": (),
}
_REFERENCE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands: newest first, and of one millisecond by service and number."""

    recorded: datetime
    service: str
    number: int

    def as_text(self) -> str:
        """An opaque mark."""
        text = f"{self.recorded.isoformat()} {self.service} {self.number}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def of_text(cls, text: str) -> Place:
        """Raises ValueError for what is no mark of ours."""
        padded = text + "=" * (-len(text) % 4)
        recorded, service, number = base64.urlsafe_b64decode(padded.encode()).decode().split(" ")
        moment = datetime.fromisoformat(recorded)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        try:
            return cls(moment.astimezone(UTC), service, min(int(number), LAST_NUMBER))
        except OverflowError:
            raise ValueError("no year of ours") from None


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What is asked. None: everything. `used`: the parameters as they were understood, for the self link; `ignored`: a
    warning for each that is not known."""

    since: datetime | None = None
    until: datetime | None = None
    patient: str | None = None
    ref_type: str | None = None
    ref_id: str | None = None
    interactions: tuple[str, ...] | None = None
    outcome: str | None = None
    count: int = DEFAULT_COUNT
    after: Place | None = None
    used: tuple[tuple[str, str], ...] = ()
    ignored: tuple[Problem, ...] = ()


def parse_query(pairs: Iterable[tuple[str, str]], *, strict: bool) -> AuditQuery:
    """Read the parameters. Raises ProblemError 400 for a value that cannot be and, if strict, for an unknown name."""
    query = AuditQuery()
    for name, value in pairs:
        try:
            if "\x00" in value:
                raise ValueError
            changed = _with(query, name, value)
        except (ValueError, KeyError):
            raise _refused("search-value", f"The value of the search parameter {name} cannot be read.") from None
        if changed is None:
            query = replace(query, ignored=(*query.ignored, _unknown(name)))
            continue
        query = changed if name == "_page" else replace(changed, used=(*query.used, (name, value)))
    if strict and query.ignored:
        raise ProblemError(replace(each, severity=Severity.ERROR) for each in query.ignored)
    return query


def _with(query: AuditQuery, name: str, value: str) -> AuditQuery | None:
    match name:
        case "date" | "_lastUpdated":
            return _bounded(query, value)
        case "patient":
            return replace(query, patient=value if "/" in value or "|" in value else f"Patient/{value}")
        case "entity":
            found = _REFERENCE.fullmatch(value)
            if found is None:
                raise ValueError
            return replace(query, ref_type=found[1], ref_id=found[2])
        case "subtype":
            system, bar, code = value.rpartition("|")
            known = system in ("", "http://hl7.org/fhir/restful-interaction", CS_AUDIT_ACT)
            return _narrowed(query, (code,) if known or not bar else ())
        case "action":
            return _narrowed(query, ACTIONS[value.rpartition("|")[2]])
        case "outcome":
            return replace(query, outcome=value.rpartition("|")[2])
        case "_count":
            return replace(query, count=max(1, min(int(value), MOST)))
        case "_page":
            return replace(query, after=Place.of_text(value))
        case _:
            return None


def _narrowed(query: AuditQuery, interactions: Sequence[str]) -> AuditQuery:
    held = query.interactions
    return replace(query, interactions=tuple(one for one in interactions if held is None or one in held))


def _bounded(query: AuditQuery, value: str) -> AuditQuery:
    prefix = value[:2] if value[:2].isalpha() else "eq"
    low, high = (moment_of(at) for at in span(value[2:] if value[:2].isalpha() else value))
    since, until = {
        "eq": (low, high),
        "ge": (low, None),
        "gt": (high, None),
        "le": (None, high),
        "lt": (None, low),
    }[prefix]
    return replace(
        query,
        since=max(filter(None, (query.since, since)), default=None),
        until=min(filter(None, (query.until, until)), default=None),
    )


def find(connection: DictConnection, tenant: UUID, service: str, query: AuditQuery) -> list[Resource]:
    """This service's events that belong on the page, newest first, and one more when more follow.

    What was done to what all tenants use (a rule set was published) is shown to every tenant.
    """
    after = query.after
    number = 0
    if after is not None and service <= after.service:
        number = after.number if service == after.service else LAST_NUMBER
    filters = {
        name: value for name, value in asdict(query).items() if name not in ("count", "after", "used", "ignored")
    }
    filters |= {
        "before": after.recorded if after else None,
        "before_number": number,
        "interactions": None if query.interactions is None else list(query.interactions),
        "limit": query.count + 1,
    }
    rows = [
        row
        for each in seen_by(tenant)
        for row in connection.execute(QUERIES["find"], filters | {"tenant": each}, prepare=False).fetchall()
    ]
    rows.sort(key=lambda row: (row["recorded"], row["number"]), reverse=True)
    return [audit_event(row, service=service) for row in rows[: query.count + 1]]


def read(connection: DictConnection, tenant: UUID, service: str, identifier: str) -> Resource | None:
    """One event of this service, or None."""
    place = place_of(identifier)
    if place is None or place[0] != service:
        return None
    parameters = {"tenants": seen_by(tenant), "recorded": place[1], "number": place[2]}
    row = connection.execute(QUERIES["read"], parameters).fetchone()
    return audit_event(row, service=service) if row else None


def one_page(parts: Iterable[Sequence[Resource]], count: int) -> tuple[list[Resource], Place | None]:
    """The page out of what each service has, and where the next one begins; None when this is the last."""
    merged = sorted((one for part in parts for one in part), key=_place_of, reverse=True)
    page = merged[:count]
    if len(merged) <= count or not page:
        return page, None
    return page, Place(*_place_of(page[-1]))


def _place_of(resource: Mapping[str, Any]) -> tuple[datetime, str, int]:
    place = place_of(resource["id"])
    assert place is not None
    service, recorded, number = place
    return recorded, service, number


def _refused(code: str, message: str) -> ProblemError:
    return ProblemError(Problem(Category.INCORRECT, code, message, issue_code="value"))


def _unknown(name: str) -> Problem:
    known = ", ".join(sorted([*PARAMETERS, "_count", "_lastUpdated"]))
    return Problem(
        Category.INCORRECT,
        "search-parameter-unknown",
        f"AuditEvent has no search parameter '{name[:40]}'; it was not used. Known: {known}.",
        severity=Severity.WARNING,
        issue_code="not-supported",
    )
