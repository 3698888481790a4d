"""What was confirmed is on a disk, whatever somebody set; and a server that does not wait for its disk is not used."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from fastapi import FastAPI

from deploy.local import postgres
from deploy.local.postgres import EmbeddedPostgres
from shared.access.gate import Gate
from shared.access.tokens import Verifier
from shared.fhir.identity import as_received
from shared.fhir.rest import ResourceApi
from shared.operations import check_database
from shared.postgres import DictConnection, NotDurable, Pool, connect, connect_beside, open_pool
from shared.service_app import service_app

SETTING = "SELECT current_setting('synchronous_commit') AS found"


@pytest.fixture(scope="module")
def careless() -> Iterator[str]:
    """A server that confirms before anything is on its disk."""
    folder = Path(tempfile.mkdtemp(prefix="sural-careless-"))
    folder.chmod(0o711)
    try:
        with pytest.MonkeyPatch.context() as settings:
            for name in ("fsync", "synchronous_commit"):
                settings.setitem(postgres.SETTINGS, name, "off")
            with EmbeddedPostgres(folder / "data") as server:
                yield server.url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pool(careless: str) -> Iterator[Pool]:
    with open_pool(careless, schema="public", size=2) as pool:
        yield pool


def setting_of(connection: DictConnection) -> str:
    row = connection.execute(SETTING).fetchone()
    assert row is not None
    return str(row["found"])


@pytest.mark.requirement("REQ-03")
def test_our_sessions_wait_for_the_disk_although_the_server_says_otherwise(careless: str, pool: Pool) -> None:
    with psycopg.connect(careless) as theirs:
        assert theirs.execute(SETTING).fetchone() == ("off",)
    with pool.connection() as pooled, connect(careless, schema="public") as own, connect_beside(pool) as beside:
        assert [setting_of(each) for each in (pooled, own, beside)] == ["on"] * 3


def an_app(pool: Pool, gate: Gate) -> FastAPI:
    resources = ResourceApi(pool, "http://localhost:8000", as_received)
    return service_app("intake", resources, (), measure=tuple, metrics=None, gate=gate)


def start(app: FastAPI) -> None:
    async def begin_and_end() -> None:
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(begin_and_end())


@pytest.mark.requirement("REQ-03")
def test_in_production_nothing_starts_on_a_server_that_does_not_wait_for_its_disk(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(NotDurable, match="Set fsync to on"):
        start(an_app(pool, Gate(tokens=Verifier([]))))
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]
    assert "Set synchronous_commit and fsync to on" in str(check_database(pool)()), "said by readyz, doctor and status"


def test_a_sandbox_starts_there_and_says_so(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    start(an_app(pool, Gate()))

    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]
