"""Compares the system with what ledger, receivers and robot know of it. What it finds is a broken promise."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from deploy.local import verify
from deploy.local.faults.ledger import Accepted, Acknowledged
from deploy.local.faults.receivers import Arrival
from deploy.local.faults.workload import MARK, rank
from deploy.local.verify.canaries import leaked
from deploy.local.verify.checking import QUERIES as INVARIANTS
from deploy.local.verify.ledger import missing
from shared.fhir.resources import unpacked
from shared.ids import DEFAULT_TENANT
from shared.postgres import load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
BATCH = 2000
ALERTING = 1
"""The rank of the least urgent answers that somebody is told of the same day."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken, and of what. No health data."""

    what: str
    id: str


Connection = psycopg.Connection[Any]


def check_ledger(connection: Connection, accepted: Sequence[Accepted]) -> list[Violation]:
    """Every answer that was accepted is there, assessed once, as urgent as it is, and told of (I1 to I5)."""
    noted = [verify.Accepted(entry.id, entry.version, entry.sha256) for entry in accepted]
    with connection.cursor(row_factory=dict_row) as cursor:
        found = [Violation(one.what, one.id) for one in missing(cursor, INVARIANTS, noted)]
    for part in _batches(_newest(accepted)):
        found += _asked(connection, "assessed", **_columns(part))
        found += _misjudged(connection, part)
    return found + check_told(connection, accepted)


def check_told(connection: Connection, accepted: Sequence[Accepted]) -> list[Violation]:
    """Every urgent answer has an alert that somebody was told of, and that waits for something or is acknowledged."""
    parts = _batches(must_be_told(accepted))
    return [found for part in parts for found in _asked(connection, "untold", **_columns(part))]


def must_be_told(accepted: Sequence[Accepted]) -> list[Accepted]:
    """Entries whose own answers must have led to an alert of their own, unless they were withdrawn in time."""
    withdrawn = {entry.id for entry in accepted if entry.urgency is None}
    return [
        entry
        for entry in accepted
        if entry.alone and entry.urgency and rank(entry.urgency) <= ALERTING and entry.id not in withdrawn
    ]


def check_acknowledgements(connection: Connection, acknowledged: Sequence[Acknowledged]) -> list[Violation]:
    """What somebody was told is acknowledged is, and no step began after it (I7)."""
    found = _asked(connection, "unacknowledged", alerts=sorted({entry.alert for entry in acknowledged}))
    return found + _asked(connection, "paged_after")


def check_arrivals(
    arrivals: Sequence[Arrival], acknowledged: Sequence[Acknowledged], *, on_its_way_s: float
) -> list[Violation]:
    """Nobody got a message of an alert later after its acknowledgement than one can have been on its way."""
    known = {entry.alert: entry.at for entry in reversed(acknowledged)}
    return [
        Violation("page after acknowledgement", arrival.alert)
        for arrival in arrivals
        if not arrival.notice and arrival.at > known.get(arrival.alert, float("inf")) + on_its_way_s
    ]


def doubles(arrivals: Sequence[Arrival]) -> int:
    """Messages that came again, each under the id that it had the first time."""
    counted = Counter((arrival.channel, arrival.delivery) for arrival in arrivals if not arrival.notice)
    return sum(number - 1 for number in counted.values())


def told_after_s(connection: Connection, accepted: Sequence[Accepted], arrivals: Sequence[Arrival]) -> list[float]:
    """For each emergency with an alert of its own: seconds from the acceptance to the first message that arrived."""
    urgent = {entry.id: entry for entry in accepted if entry.alone and entry.urgency == "emergency"}
    first: dict[str, float] = {}
    for arrival in arrivals:
        first[arrival.alert] = min(arrival.at, first.get(arrival.alert, arrival.at))
    alerts = _rows(connection, "alerts_of", ids=list(urgent))
    return sorted(first[row["alert_id"]] - urgent[row["response_id"]].at for row in alerts if row["alert_id"] in first)


def check_leaks(
    folder: Path, texts: Sequence[bytes], metrics: str, *, but: Sequence[str] = ("postgres",)
) -> list[Violation]:
    """No name and no free text of a patient outside the database: messages, logs, the broker, command lines (I9)."""
    files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(tuple(but))]
    named = {f"message {number}": text for number, text in enumerate(texts, start=1)}
    others = {"/metrics": metrics.encode(), **_of_processes()}
    return [
        Violation(f"health data: {one.what}", one.id) for one in leaked([MARK], files=files, texts={**named, **others})
    ]


def _of_processes() -> dict[str, bytes]:
    """Command line and environment of every other process of this machine that we may read."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            with suppress(OSError):
                if process.name != str(os.getpid()):
                    found[str(process / name)] = (process / name).read_bytes()
    return found


def _newest(accepted: Sequence[Accepted]) -> list[Accepted]:
    """The newest version of each response."""
    newest: dict[str, Accepted] = {}
    for entry in accepted:
        if entry.id not in newest or entry.version >= newest[entry.id].version:
            newest[entry.id] = entry
    return list(newest.values())


def _batches(entries: Sequence[Accepted]) -> Iterator[Sequence[Accepted]]:
    for start in range(0, len(entries), BATCH):
        yield entries[start : start + BATCH]


def _misjudged(connection: Connection, newest: Sequence[Accepted]) -> list[Violation]:
    """Assessments that stand on another version than the newest (I3), or are less urgent than the answers are."""
    entries, found = {entry.id: entry for entry in newest}, list[Violation]()
    for row in _rows(connection, "assessments", ids=list(entries)):
        entry = entries[row["response_id"]]
        basis = f"QuestionnaireResponse/{entry.id}/_history/{entry.version}"
        if basis.encode() not in unpacked(bytes(row["body"])):
            found.append(Violation("assessed on another version", entry.id))
        if entry.urgency and rank(row["urgency"]) > rank(entry.urgency):
            found.append(Violation("assessed as less urgent than its answers", entry.id))
    return found


def _columns(part: Sequence[Accepted]) -> Mapping[str, Any]:
    return {"ids": [entry.id for entry in part], "versions": [entry.version for entry in part]}


def _asked(connection: Connection, query: str, **parameters: Any) -> list[Violation]:
    return [Violation(row["what"], row["id"]) for row in _rows(connection, query, **parameters)]


def _rows(connection: Connection, query: str, **parameters: Any) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(QUERIES[query], {"tenant": DEFAULT_TENANT, **parameters}).fetchall()
