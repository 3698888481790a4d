"""The event streams of the worklist, as a client hears them."""

from __future__ import annotations

import asyncio
import re
from uuid import UUID

import httpx
import psycopg
import pytest
from anyio.to_thread import current_default_thread_limiter

from services.notify.worklist.live import Live
from shared.ids import DEFAULT_TENANT
from tests.conftest import Database
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage
from tests.notify.worklist.test_list import opens

UP_TO_DATE = 10**17
"""A change that no ledger has reached: whoever knows it is told of new ones only."""


def noted(alert: UUID) -> bytes:
    """A line of the ledger about this alert, to be written by the owner; gives its number."""
    return (
        "INSERT INTO notify.alert_event (tenant_id, alert_id, kind) "
        f"VALUES ('{DEFAULT_TENANT}', '{alert}', 'noted') RETURNING id"
    ).encode()


def test_a_change_that_becomes_visible_late_is_told_too(
    site: str, database: Database, service: Service, triage: Triage
) -> None:
    alert = opens(service, triage, "Ada Sudden")
    with (
        psycopg.connect(database.owner_url) as slow,
        psycopg.connect(database.owner_url, autocommit=True) as quick,
        httpx.stream("GET", f"{site}/worklist/events?since={UP_TO_DATE}", timeout=20) as stream,
    ):
        events = (heard for heard in stream.iter_lines() if heard.startswith("event"))
        assert next(events) == "event: beat"
        [early] = slow.execute(noted(alert)).fetchall()
        [late] = quick.execute(noted(alert)).fetchall()
        assert early < late
        assert next(events) == "event: change"

        slow.commit()

        assert next(events) == "event: change"


@pytest.mark.requirement("REQ-37")
def test_a_change_that_the_page_could_not_see_yet_is_told_also_when_it_has_a_lower_number(
    site: str, database: Database, service: Service, triage: Triage
) -> None:
    alert = opens(service, triage, "Ada Sudden")
    with psycopg.connect(database.owner_url) as slow, psycopg.connect(database.owner_url, autocommit=True) as quick:
        slow.execute(noted(alert))
        quick.execute(noted(alert))
        page = httpx.get(f"{site}/worklist").text
        slow.commit()

    [known] = re.findall(r'data-change="(\d+)"', page)
    with httpx.stream("GET", f"{site}/worklist/events?since={known}", timeout=20) as stream:
        assert next(heard for heard in stream.iter_lines() if heard.startswith("event")) == "event: change"


@pytest.mark.requirement("REQ-37")
def test_a_change_is_told_to_the_first_page_that_opens_a_stream_while_it_is_made(
    service: Service, triage: Triage, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = Live.newest

    def meanwhile(live: Live, tenant: UUID) -> int:
        number = newest(live, tenant)
        opens(service, triage, "Ada Sudden")
        return number

    monkeypatch.setattr(Live, "newest", meanwhile)

    async def story() -> bytes:
        current_default_thread_limiter().total_tokens = 1  # what is asked for first is answered first
        stream = Live(service.notify.pool).events(DEFAULT_TENANT, 0, lambda: True)
        assert await anext(stream) == b"retry: 2000\n\n"
        monkeypatch.undo()
        told = await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        return told

    assert b"event: change" in asyncio.run(story())


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
