"""The event streams of the worklist, as a client hears them."""

from __future__ import annotations

import asyncio

import httpx
import psycopg

from services.notify.worklist.live import Live
from shared.ids import DEFAULT_TENANT
from tests.conftest import Database
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage
from tests.notify.worklist.test_list import opens

UP_TO_DATE = 10**17
"""A change that no ledger has reached: whoever knows it is told of new ones only."""


def test_a_change_that_becomes_visible_late_is_told_too(
    site: str, database: Database, service: Service, triage: Triage
) -> None:
    alert = opens(service, triage, "Ada Sudden")
    line = (
        "INSERT INTO notify.alert_event (tenant_id, alert_id, kind) "
        f"VALUES ('{DEFAULT_TENANT}', '{alert}', 'noted') RETURNING id"
    )
    with (
        psycopg.connect(database.owner_url) as slow,
        psycopg.connect(database.owner_url, autocommit=True) as quick,
        httpx.stream("GET", f"{site}/worklist/events?since={UP_TO_DATE}", timeout=20) as stream,
    ):
        events = (heard for heard in stream.iter_lines() if heard.startswith("event"))
        assert next(events) == "event: beat"
        [early] = slow.execute(line.encode()).fetchall()
        [late] = quick.execute(line.encode()).fetchall()
        assert early < late
        assert next(events) == "event: change"

        slow.commit()

        assert next(events) == "event: change"


def test_another_tenant_hears_nothing_of_it(site: str, service: Service, triage: Triage) -> None:
    with httpx.stream("GET", f"{site}/worklist/events?since={UP_TO_DATE}", timeout=20) as stream:
        events = (heard for heard in stream.iter_lines() if heard.startswith("event"))
        assert next(events) == "event: beat"
        alert = opens(service, triage, "Ada Sudden")
        assert next(events) == "event: change"

        service.rows("SELECT set_config('sural.tenant', '0199a0b0-0000-7000-8000-0000000000aa', false)")
        service.rows(
            "INSERT INTO alert (id, tenant_id, subject_key, pathway, state, urgency, first_step, step, task_version, "
            "opened_at) SELECT gen_random_uuid(), present_tenant(), 'x', 'y', 'requested', 'emergency', 1, 1, 1, now()"
        )
        service.rows("INSERT INTO alert_event (tenant_id, alert_id, kind) SELECT tenant_id, id, 'opened' FROM alert")
        assert alert
        assert next(events) == "event: beat"


def test_whoever_comes_after_the_last_stream_polls(service: Service) -> None:
    async def story() -> list[bool]:
        live = Live(service.notify.pool, most=1)
        before = live.is_full
        stream = live.events(DEFAULT_TENANT, 0, lambda: True)
        await anext(stream)
        during = live.is_full
        await stream.aclose()  # type: ignore[attr-defined]
        return [before, during, live.is_full]

    assert asyncio.run(story()) == [False, True, False]
