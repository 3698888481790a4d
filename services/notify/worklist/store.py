"""The worklist's queries: a page of alerts, how many there are, and what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from services.notify.worklist.filters import Cursor, Filters, Section
from shared.fhir.codes import Urgency
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
LATE_S = 15.0
"""A number of the ledger may become visible so much later than higher ones (transactions end before)."""


@dataclass(frozen=True, slots=True)
class Looker:
    """Whose alerts `mine` are: id in the on-call document, where it names them, and the name that stands in ledgers."""

    person: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Count:
    """So many alerts, of which so many match the filters."""

    section: Section
    urgency: Urgency
    pathway: str
    team: str | None
    number: int
    matching: int


@dataclass(frozen=True, slots=True)
class Part:
    """The alerts of a section that a page shows, and where its next page begins, when there is one."""

    rows: Sequence[dict[str, Any]]
    next: Cursor | None


def page(
    connection: DictConnection,
    tenant: UUID,
    filters: Filters,
    looker: Looker,
    limits: Mapping[Section, int] | None = None,
) -> dict[Section, Part]:
    """What a page of the worklist shows, by section in its order. `limits` None: as many as the filters ask for."""
    after, limits = filters.after, limits or filters.limits
    parameters = _matching(connection, tenant, filters, looker) | {
        "after_late": after.late if after else None,
        "after_at": after.at if after else None,
        "after_id": after.id if after else None,
        **{section.value: limits.get(section, -1) + 1 for section in Section},
    }
    rows = connection.execute(QUERIES["page"], parameters).fetchall()
    by_section = {section: [row for row in rows if row["section"] == section] for section in Section}
    return {section: _part(section, found, limits.get(section, 0)) for section, found in by_section.items()}


def counts(connection: DictConnection, tenant: UUID, filters: Filters, looker: Looker) -> list[Count]:
    """How many alerts there are, filtered or not."""
    rows = connection.execute(QUERIES["counts"], _matching(connection, tenant, filters, looker)).fetchall()
    return [Count(**(row | {"section": Section(row["section"]), "urgency": Urgency(row["urgency"])})) for row in rows]


def acts(connection: DictConnection, tenant: UUID, *, hours: int, most: int) -> list[dict[str, Any]]:
    """What people did and wrote in these hours, newest first."""
    parameters = {"tenant_id": tenant, "hours": hours, "most": most}
    return connection.execute(QUERIES["acts"], parameters).fetchall()


def newest_change(connection: DictConnection, tenant: UUID) -> int:
    """Number of the newest change of any alert of the tenant; 0 before the first."""
    row = connection.execute(QUERIES["newest_change"], {"tenant_id": tenant}).fetchone()
    assert row is not None
    return int(row["number"])


def changes(connection: DictConnection, after: int) -> list[tuple[UUID, int]]:
    """Tenant and number of the changes after this one, of all tenants."""
    rows = connection.execute(QUERIES["changes"], {"after": after}).fetchall()
    return [(row["tenant_id"], int(row["id"])) for row in rows]


def settled(connection: DictConnection) -> int:
    """Number of the newest change of any tenant before which none becomes visible any more; 0 where there is none."""
    row = connection.execute(QUERIES["settled"], {"late_s": LATE_S}).fetchone()
    assert row is not None
    return int(row["number"])


def settled_of(connection: DictConnection, tenant: UUID) -> int:
    """The same of one tenant: whoever read its alerts after this knows all changes up to it, and perhaps later ones."""
    row = connection.execute(QUERIES["settled_of"], {"tenant_id": tenant, "late_s": LATE_S}).fetchone()
    assert row is not None
    return int(row["number"])


def _matching(connection: DictConnection, tenant: UUID, filters: Filters, looker: Looker) -> dict[str, Any]:
    told: list[UUID] = []
    if filters.mine and looker.person:
        mine = {"tenant_id": tenant, "person": looker.person}
        told = [row["alert_id"] for row in connection.execute(QUERIES["told"], mine).fetchall()]
    return {
        "tenant_id": tenant,
        "everything": filters.everything,
        "urgency": filters.urgency,
        "pathway": filters.pathway or None,
        "team": filters.team or None,
        "mine": filters.mine,
        "person": looker.person,
        "name": looker.name,
        "told": told,
        "words": filters.patterns,
    }


def _part(section: Section, rows: list[dict[str, Any]], limit: int) -> Part:
    if len(rows) <= limit:
        return Part(rows, None)
    return Part(rows[:limit], _cursor(section, rows[limit - 1]))


MOMENTS = {
    Section.WAITING: "opened_at",
    Section.SNOOZED: "snoozed_until",
    Section.HELD: "acknowledged_at",
    Section.CLOSED: "closed_at",
}
"""The time by which a section is ordered."""


def _cursor(section: Section, row: dict[str, Any]) -> Cursor:
    late = section is Section.WAITING and row["urgency"] != Urgency.EMERGENCY
    return Cursor(late, row[MOMENTS[section]], row["id"])
