"""The database's clock decides, and no other: a step begins within seconds of its time, and never before it."""

from __future__ import annotations

import ast
import threading
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest

from services.notify.background import TICK_S
from services.notify.escalate import repeat_due
from services.notify.on_call import store
from shared.loops import run_every
from shared.postgres import tenant_transaction
from tests.notify.on_call.clinic import STANDARD, Clinic
from tests.waiting import eventually

NOTIFY = Path(__file__).parents[3] / "services" / "notify"
DECIDES = ("escalate", "escalation", "reconcile", "raise_alert", "on_call/route", "on_call/turn", "on_call/rota",
           "on_call/quiet", "on_call/local_time", "on_call/check", "on_call/watch", "on_call/save")  # fmt: skip


@pytest.mark.requirement("REQ-09")
@pytest.mark.parametrize("module", DECIDES)
def test_nothing_that_decides_when_somebody_is_told_asks_the_clock_of_its_own_machine(module: str) -> None:
    tree = ast.parse((NOTIFY / f"{module}.py").read_text(encoding="utf-8"))

    asked = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    imported = {
        name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in (one.name for one in node.names)
    }
    assert asked.isdisjoint({"now", "utcnow", "today", "monotonic", "time_ns"})
    assert "time" not in imported


@pytest.mark.requirement("REQ-09")
def test_a_step_begins_with_the_first_tick_after_its_time_and_never_before_it(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    for number in range(8):
        clinic.sees(patient=f"Patient/{number}")
    clinic.service.rows("UPDATE alert SET due_at = now() + (interval '200 milliseconds' * substr(subject_key, 9)::int)")
    times = {row["id"]: row["due_at"] for row in clinic.service.rows("SELECT id, due_at FROM alert")}
    notify = clinic.service.notify
    ticks: list[tuple[datetime, datetime]] = []

    def now() -> datetime:
        with notify.pool.connection() as connection:
            [row] = connection.execute("SELECT clock_timestamp() AS at").fetchall()
        return row["at"]

    def tick() -> None:
        began = now()
        repeat_due(notify.pool, notify.plan)
        ticks.append((began, now()))

    stop = threading.Event()
    thread = threading.Thread(target=run_every, args=("tick", TICK_S, tick, stop))
    thread.start()
    try:
        eventually(lambda: clinic.service.events().count("repeated") == len(times), within_s=60)
    finally:
        stop.set()
        thread.join()

    begun = clinic.service.rows("SELECT alert_id, at FROM alert_event WHERE kind = 'repeated'")
    for row in begun:
        due_at = times[row["alert_id"]]
        assert due_at <= row["at"]
        assert [ended for began, ended in ticks if due_at <= began and ended < row["at"]] == [], "passed over"
    assert TICK_S <= 1, "however long a tick takes, the next one begins so soon after it"


def test_the_document_of_one_tenant_is_none_of_anothers(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    other = UUID("00000000-0000-0000-0000-0000000000b2")

    with tenant_transaction(clinic.service.notify.pool, other) as connection:
        assert store.current(connection, other) is None
        assert store.save(connection, other, STANDARD, edited=0, by="Dr Other") == 1
