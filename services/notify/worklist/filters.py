"""What somebody wants to see of the worklist, as parameters of its address. Pure.

A filter that is not known is left out: who looks sees more than they asked for, never less.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self
from urllib.parse import urlencode
from uuid import UUID

from shared.fhir.codes import Urgency

LONGEST = 100
"""Characters of a search, a team or a pathway; the rest is cut off."""
PAGE = 100
"""Alerts of a section that is shown alone."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Section(StrEnum):
    """The parts of the worklist, in their order."""

    WAITING = "waiting"  # nobody has acknowledged
    SNOOZED = "snoozed"  # somebody looks at it later
    HELD = "held"  # somebody has it, it is not resolved
    CLOSED = "closed"  # resolved or withdrawn in the last 24 hours


SHARES = {Section.WAITING: 60, Section.SNOOZED: 10, Section.HELD: 20, Section.CLOSED: 10}
"""Alerts of each section where all are shown."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last alert of a page: the next one begins after it. `late`: it is no emergency (section `waiting` only)."""

    late: bool
    at: datetime
    id: UUID

    def __str__(self) -> str:
        return f"{int(self.late)}.{(self.at - EPOCH) // timedelta(microseconds=1)}.{self.id.hex}"

    @classmethod
    def of(cls, text: str) -> Self | None:
        """The cursor in a parameter, or None."""
        if not (found := re.fullmatch(r"([01])\.([0-9]{1,16})\.([0-9a-f]{32})", text)):
            return None
        return cls(found[1] == "1", EPOCH + timedelta(microseconds=int(found[2])), UUID(found[3]))


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked for. `after` only together with `section`."""

    section: Section | None = None
    urgency: Urgency | None = None
    mine: bool = False
    team: str = ""
    pathway: str = ""
    search: str = ""
    after: Cursor | None = None

    @property
    def everything(self) -> bool:
        """Whether alerts of a section are shown whatever they are."""
        return not (self.urgency or self.mine or self.team or self.pathway or self.search)

    @property
    def limits(self) -> dict[Section, int]:
        """How many alerts of each section one page shows at most; of those that are not here none."""
        if self.section is None:
            return dict(SHARES)
        return {self.section: PAGE}

    @property
    def patterns(self) -> list[str] | None:
        """Patterns for LIKE: every word of the search, anywhere, in lower case."""
        escaped = (re.sub(r"([\\%_])", r"\\\1", word) for word in self.search.lower().split())
        return [f"%{word}%" for word in escaped] or None

    @property
    def query(self) -> str:
        """The same as the part of an address behind `?`; empty when nothing is asked for."""
        parameters = {
            "state": self.section,
            "urgency": self.urgency,
            "mine": "1" if self.mine else "",
            "team": self.team,
            "pathway": self.pathway,
            "q": self.search,
            "after": str(self.after) if self.after else "",
        }
        return urlencode({name: value for name, value in parameters.items() if value})

    def only(self, section: Section, after: Cursor | None = None) -> Filters:
        """One section of the same, from a place on."""
        return replace(self, section=section, after=after)


def read_filters(parameters: Mapping[str, str]) -> Filters:
    """The filters in the parameters of an address."""

    def text(name: str) -> str:
        return " ".join(parameters.get(name, "").replace("\0", " ").split())[:LONGEST]

    asked = parameters.get("urgency")
    section = Section(state) if (state := parameters.get("state")) in list(Section) else None
    return Filters(
        section=section,
        urgency=next((urgency for urgency in Urgency if urgency.alerts and urgency == asked), None),
        mine=parameters.get("mine") == "1",
        team=text("team"),
        pathway=text("pathway"),
        search=text("q"),
        after=Cursor.of(parameters.get("after", "")) if section else None,
    )
