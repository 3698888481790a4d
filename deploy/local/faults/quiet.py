"""When a system is at rest again: everything that is due is done, and somebody was told of everything that alerts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from deploy.local.faults.database import owner
from deploy.local.faults.judge import check_told
from deploy.local.faults.ledger import Accepted
from deploy.local.postgres import EmbeddedPostgres

POLL_S = 0.25
UNFINISHED = """
SELECT
  (SELECT count(*) FROM intake.outbox) + (SELECT count(*) FROM triage.outbox) + (SELECT count(*) FROM notify.outbox)
    AS outbox,
  (SELECT count(*) FROM triage.job WHERE (state = 'pending' AND due_at <= now() + interval '5 s') OR state = 'running')
    AS triage,
  (SELECT count(*) FROM notify.job WHERE kind NOT LIKE 'deliver.%%'
     AND ((state = 'pending' AND due_at <= now() + interval '5 s') OR state = 'running')) AS notify,
  (SELECT count(*) FROM notify.alert WHERE state = 'requested' AND NOT synthetic) AS untold,
  (SELECT count(*) FROM notify.alert WHERE due_at < now() - interval '2 s') AS overdue
"""
UNASSESSED = """
SELECT count(*) FROM unnest(%(ids)s::text[], %(versions)s::integer[]) AS given (id, version)
LEFT JOIN triage.assessment AS a ON a.response_id = given.id AND a.response_version >= given.version
WHERE a.id IS NULL
"""


@dataclass(frozen=True, slots=True)
class Rest:
    """How the wait ended. `left`: what was still to be done, in words; empty when nothing was. `seconds` it took."""

    seconds: float
    left: str = ""


def wait_for_rest(
    server: EmbeddedPostgres, accepted: Sequence[Accepted], *, within_s: float, idle: Callable[[], bool]
) -> Rest:
    """Wait until nothing is left to do for these entries; bounded. `idle`: whether the robot has nothing more to do."""
    began, left = time.monotonic(), "the database did not answer"
    while True:
        try:
            with owner(server) as connection:
                while left := unfinished(connection, accepted, robot_idle=idle()):
                    if time.monotonic() - began > within_s:
                        return Rest(time.monotonic() - began, left)
                    time.sleep(POLL_S)
                return Rest(time.monotonic() - began)
        except psycopg.OperationalError:
            if time.monotonic() - began > within_s:
                return Rest(time.monotonic() - began, left)
            time.sleep(POLL_S)


def unfinished(connection: psycopg.Connection[Any], accepted: Sequence[Accepted], *, robot_idle: bool) -> str:
    """What is left to do, in words; empty when nothing is."""
    row = connection.execute(UNFINISHED).fetchone()
    assert row is not None
    counts = dict(zip(("outbox", "triage", "notify", "untold", "overdue"), row, strict=True))
    if accepted and not any(counts.values()):
        given = {"ids": [entry.id for entry in accepted], "versions": [entry.version for entry in accepted]}
        unassessed = connection.execute(UNASSESSED, given).fetchone()
        counts["unassessed"] = unassessed[0] if unassessed else 0
        if not counts["unassessed"]:
            counts["urgent and untold"] = len(check_told(connection, accepted))
    if not robot_idle and not any(counts.values()):
        counts["acknowledgements"] = 1
    return ", ".join(f"{name} {number}" for name, number in counts.items() if number)
