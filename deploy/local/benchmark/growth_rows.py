"""Fill the three schemas of a database with what so many responses leave behind, ten thousand of them a day.

So the windows of a day or a week hold the same at every size, and only what is kept for good differs. Every tenth
response alerted; a patient comes back four times. Rows are made by the database itself (growth_rows.sql); for large
sizes indexes are made after the rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from deploy.local.benchmark.growth_templates import Template, assessment_template, response_template, task_templates
from services.triage.catch_up import KIND
from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
A_DAY = 10_000
PACE = timedelta(days=1) / A_DAY
CHUNK = 200_000
INDEXED_LATER = 200_000
"""From so many responses on, indexes are dropped before and made after the rows."""
LARGE_TABLES = {
    "intake": ("resource", "search_value", "search_range", "response_key", "audit_event"),
    "triage": ("resource", "search_value", "search_range", "assessment", "assessment_run", "audit_event"),
    "notify": ("resource", "search_value", "search_range", "audit_event"),
}
SYSTEM = "https://growth.example/forms"
Progress = Callable[[str], None]


class Part(Enum):
    """What is made, and how many bytes of disk one response costs in it, indexes included (measured at a million)."""

    RESPONSES = 3200
    """In intake: the response, its search rows for patient and identifier, the sender's identifier. In notify: alerts
    with assessments, messages and ledger, without the Tasks."""
    RUNS = 800
    """In triage: assessment and run of each response, without the resources, and the jobs of the last week."""
    SEARCHES = 1400
    """In intake: search rows for status, questionnaire and authored."""
    AUDIT = 1200
    """Audit rows of all three services, with seals."""
    TASKS = 1100
    """In notify: three versions of each Task, with search rows."""
    ASSESSMENTS = 6800
    """In triage: the RiskAssessment of each response, with search rows."""


WHOLE = frozenset(Part)
LEFT_OUT_FIRST = (Part.ASSESSMENTS, Part.TASKS, Part.AUDIT, Part.SEARCHES, Part.RUNS)
CORE_SEARCHES = ("subject", "identifier")


@dataclass(frozen=True, slots=True)
class Filling:
    """So many responses, the last of which came at `until`. Ids and patients are known by the response's number."""

    count: int
    until: datetime
    parts: frozenset[Part] = WHOLE
    pace: timedelta = PACE

    @property
    def patients(self) -> int:
        """How many patients there are."""
        return max(self.count // 4, 1)

    @property
    def start(self) -> datetime:
        """Just before the first response."""
        return self.until - self.count * self.pace

    def response_id(self, number: int) -> str:
        """The id of a response, 1 to `count`."""
        at = self.start + number * self.pace
        ms = f"{(at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1):012x}"
        digest = hashlib.md5(f"response{number}".encode(), usedforsecurity=False).hexdigest()
        return f"{ms[:8]}-{ms[8:]}-7{digest[:3]}-8{digest[3:6]}-{digest[6:18]}"

    def patient(self, number: int) -> str:
        """The subject of a response."""
        return f"Patient/growth-{number * 2654435761 % self.patients}"


def whole_second() -> datetime:
    """Now, without parts of a second: the database and Python then agree on every id."""
    return datetime.now(UTC).replace(microsecond=0)


def fill(owner_url: str, filling: Filling, *, progress: Progress) -> int:
    """Make the rows, then tell the planner of them, as autovacuum would. Returns the bytes that the database takes."""
    with ThreadPoolExecutor(len(LARGE_TABLES)) as threads:
        made = [threads.submit(_fill_schema, owner_url, schema, filling, progress) for schema in LARGE_TABLES]
        for each in made:
            each.result()
    with _owner(owner_url, "intake") as connection:
        row = connection.execute(QUERIES["size"]).fetchone()
        assert row is not None
        return int(row["bytes"])


def _fill_schema(owner_url: str, schema: str, filling: Filling, progress: Progress) -> None:
    """One schema: chunks of responses, two at a time, then what needs them all."""
    later = LARGE_TABLES[schema] if filling.count >= INDEXED_LATER else ()

    def chunk(first: int) -> None:
        last = min(first + CHUNK - 1, filling.count)
        with _owner(owner_url, schema) as connection, connection.transaction():
            _members(connection, filling, first, last)
            STEPS[schema](connection, filling)
        progress(f"{filling.count:,} responses: {schema} {last:,}")

    with _owner(owner_url, schema) as connection:
        with indexes_made_after(connection, later):
            with ThreadPoolExecutor(2) as threads:
                list(threads.map(chunk, range(1, filling.count + 1, CHUNK)))
            connection.execute(QUERIES["seals"], {"tenant": DEFAULT_TENANT})
        connection.execute("VACUUM (ANALYZE)")
    progress(f"{filling.count:,} responses: {schema} with its indexes")


@contextmanager
def _owner(owner_url: str, schema: str) -> Iterator[DictConnection]:
    options = f"-c search_path={schema} -c sural.tenant={DEFAULT_TENANT} -c timezone=UTC -c synchronous_commit=off"
    with psycopg.connect(
        owner_url, autocommit=True, row_factory=dict_row, options=f"{options} -c maintenance_work_mem=256MB"
    ) as connection:
        connection.execute(QUERIES["begin"])
        yield connection


def _members(connection: DictConnection, filling: Filling, first: int, last: int) -> None:
    connection.execute(QUERIES["forget"])
    given = {"patients": filling.patients, "start": filling.start, "pace": filling.pace, "first": first, "last": last}
    connection.execute(QUERIES["members"], given)
    connection.execute("ANALYZE member")


def _intake(connection: DictConnection, filling: Filling) -> None:
    made = response_template()
    _resource(connection, made)
    _found_by(connection, made, core=Part.SEARCHES not in filling.parts)
    connection.execute(QUERIES["response_keys"], {"tenant": DEFAULT_TENANT, "system": SYSTEM})
    connection.execute(QUERIES["quarantine"], {"tenant": DEFAULT_TENANT})
    if Part.AUDIT in filling.parts:
        _audit(connection, made, "client/growth", None)


def _triage(connection: DictConnection, filling: Filling) -> None:
    made = assessment_template()
    given = {"tenant": DEFAULT_TENANT, "pack": "posterior-lower-limb"}
    if Part.RUNS in filling.parts:
        connection.execute(QUERIES["assessments"], given)
        connection.execute(QUERIES["runs"], given)
        _jobs(connection, KIND, "%1$s", of_alerts=False)
    if Part.ASSESSMENTS in filling.parts:
        _resource(connection, made)
        _found_by(connection, made)
    if Part.AUDIT in filling.parts:
        _audit(connection, made, "service/triage", "assessed")


def _notify(connection: DictConnection, filling: Filling) -> None:
    given = {"tenant": DEFAULT_TENANT, "pathway": "posterior-lower-limb", "count": filling.count}
    for name in ("alerts", "alert_assessments", "alert_flags", "deliveries", "alert_events", "quiet"):
        connection.execute(QUERIES[name], given)
    _jobs(connection, "deliver.email", "%5$s", of_alerts=True)
    versions = task_templates()
    if Part.TASKS in filling.parts:
        for number, made in enumerate(versions, start=1):
            _resource(connection, made, version=number, current=number == len(versions))
        _found_by(connection, versions[-1])
    if Part.AUDIT in filling.parts:
        for _ in versions:
            _audit(connection, versions[-1], "service/notify", "delivered")


def _resource(connection: DictConnection, made: Template, *, version: int = 1, current: bool = True) -> None:
    given = {"type": made.type, "id": made.id, "body": made.body, "tagged": made.tagged, "of_alerts": made.of_alerts}
    more = {"tenant": DEFAULT_TENANT, "version": version, "current": current, "delay": timedelta(seconds=version - 1)}
    connection.execute(QUERIES["resources"], given | more)


def _found_by(connection: DictConnection, made: Template, *, core: bool = False) -> None:
    given = {"tenant": DEFAULT_TENANT, "type": made.type, "id": made.id, "of_alerts": made.of_alerts}
    for param, system, value in made.values:
        if not core or param in CORE_SEARCHES:
            connection.execute(QUERIES["values"], given | {"param": param, "system": system, "value": value})
    for param, low, high in () if core else made.ranges:
        connection.execute(QUERIES["ranges"], given | {"param": param, "low": low, "high": high})


def _audit(connection: DictConnection, made: Template, agent: str, word: str | None) -> None:
    given = {"tenant": DEFAULT_TENANT, "type": made.type, "id": made.id, "agent": agent, "word": word}
    connection.execute(QUERIES["audit"], given | {"of_alerts": made.of_alerts})


def _jobs(connection: DictConnection, kind: str, ref: str, *, of_alerts: bool) -> None:
    connection.execute(QUERIES["jobs"], {"tenant": DEFAULT_TENANT, "kind": kind, "id": ref, "of_alerts": of_alerts})


STEPS = {"intake": _intake, "triage": _triage, "notify": _notify}


@contextmanager
def indexes_made_after(connection: DictConnection, tables: Sequence[str]) -> Iterator[None]:
    """Drop the indexes of these tables and make them again, as they were, after the block."""
    dropped = {table: connection.execute(QUERIES["indexes"], {"table": table}).fetchall() for table in tables}
    for table, indexes in dropped.items():
        for index in reversed(indexes):
            connection.execute(_drop(table, index))
    yield
    for table, indexes in dropped.items():
        for index in indexes:
            connection.execute(_make(table, index))


def _drop(table: str, index: dict[str, Any]) -> sql.Composed:
    if index["constraint_name"] is None:
        return sql.SQL("DROP INDEX {}").format(sql.Identifier(index["name"]))
    name = sql.Identifier(index["constraint_name"])
    return sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.Identifier(table), name)


def _make(table: str, index: dict[str, Any]) -> bytes:
    if index["constraint_name"] is None:
        return str(index["index_text"]).encode()
    return f'ALTER TABLE {table} ADD CONSTRAINT "{index["constraint_name"]}" {index["constraint_text"]}'.encode()
