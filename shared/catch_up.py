"""Pull for certainty: asks a neighbour what changed, tenant by tenant, so that no lost message can lose anything.

First it asks which tenants changed at all, then each of these for its resources. How far was read is kept for each
tenant, in the neighbour's own clock, and for the first question only once all tenants were read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from shared.failpoint import reach
from shared.fhir.client import LOOK_BACK, LOOK_BACK_EVERY, Changed, FhirClient, NeighbourUnavailable
from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection, Pool, database_now, load_queries, tenant_transaction

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
START = datetime(2000, 1, 1, tzinfo=UTC)
PAGE = 200

LONG_LOOK_EACH = timedelta(milliseconds=5)
"""For each resource that the last long look had to read, the next one waits so long: a few hundredths of the time."""
LONG_LOOK_LATEST = timedelta(minutes=10)
_read_at_length: dict[str, int] = {}
"""By source: how many resources the last long look read. Forgotten when the process ends."""

Note = Callable[[DictConnection, UUID, Sequence[Changed]], int]
"""Notes, in a transaction of that tenant, what has to be done about these; returns how much of it was not known yet."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is read: the neighbour's name, and a type of resource."""

    neighbour: str
    resource_type: str

    @property
    def tenants(self) -> str:
        """Under this name stands how far all tenants were read."""
        return f"{self.neighbour}/{self.resource_type}/tenants"

    @property
    def looked_back(self) -> str:
        """Under this name stands the time of the last long look."""
        return f"{self.neighbour}/{self.resource_type}/looked-back"

    def of(self, tenant: UUID) -> str:
        """Under this name stands how far this tenant was read."""
        name = f"{self.neighbour}/{self.resource_type}"
        return name if tenant == DEFAULT_TENANT else f"{name}/{tenant}"


def catch_up(pool: Pool, client: FhirClient, source: Source, note: Note) -> int:
    """Note every resource that changed since the last look and is not known yet; returns how many were new.

    The look goes back further than any write of the neighbour can take, and once a minute by 25 hours, so that a clock
    that was wrong for a while hides nothing (less often where that is much to read: 12,000 resources a minute, but
    every ten minutes at least); what is known already is left alone. Raises NeighbourUnavailable, after all tenants
    that can be read; what was noted until then stays noted.
    """
    with pool.connection() as connection:
        now: datetime = database_now(connection)
        every = max(LOOK_BACK_EVERY, LONG_LOOK_EACH * _read_at_length.get(source.looked_back, 0))
        every = min(every, LONG_LOOK_LATEST)
        long_look = not timedelta(0) <= now - _cursor(connection, source.looked_back) < every
        since = _since(connection, source.tenants, now, long_look=long_look)
    new, read, newest, failed = 0, 0, since, None
    for tenant in client.tenants_changed_since(source.resource_type, since):
        try:
            found, seen, reached = _read_tenant(pool, client, source, note, tenant, long_look=long_look)
        except NeighbourUnavailable as error:
            failed = error
        else:
            new, read, newest = new + found, read + seen, max(newest, reached)
    if failed is not None:
        raise failed
    with pool.connection() as connection:
        _move(connection, source.tenants, newest)
        if long_look:
            _move(connection, source.looked_back, now)
            _read_at_length[source.looked_back] = read
    return new


def _read_tenant(
    pool: Pool, client: FhirClient, source: Source, note: Note, tenant: UUID, *, long_look: bool
) -> tuple[int, int, datetime]:
    """Note what is new of one tenant; returns how many, how many were read, and how far."""
    name = source.of(tenant)
    with pool.connection() as connection:
        since = _since(connection, name, database_now(connection), long_look=long_look)
    new, read, newest, page = 0, 0, since, list[Changed]()

    def turn() -> int:
        with tenant_transaction(pool, tenant) as connection:
            noted = note(connection, tenant, page)
            _move(connection, name, newest)
            reach("catch_up.before_commit")
        page.clear()
        return noted

    for changed in client.changed_since(source.resource_type, since, tenant=tenant):
        page.append(changed)
        read += 1
        newest = max(newest, changed.last_updated)
        if len(page) == PAGE:
            new += turn()
    return new + (turn() if page else 0), read, newest


def _since(connection: DictConnection, name: str, now: datetime, *, long_look: bool) -> datetime:
    since = min(_cursor(connection, name), now)
    return min(since, now - LOOK_BACK) if long_look else since


def _cursor(connection: DictConnection, name: str) -> datetime:
    row = connection.execute(QUERIES["cursor"], {"source": name}).fetchone()
    return row["last_updated"] if row else START


def _move(connection: DictConnection, name: str, last_updated: datetime) -> None:
    """Note how far was read: never back, and never beyond the present, whatever time a row claims."""
    connection.execute(QUERIES["move_cursor"], {"source": name, "last_updated": last_updated})
