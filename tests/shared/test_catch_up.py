"""A catch-up asks its neighbour what changed and misses nothing, whatever the neighbour's clock did."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request

import shared.catch_up
from services.notify.catch_up import SOURCE, catch_up
from shared.fhir.client import FhirClient
from shared.fhir.codes import CS_URGENCY
from shared.fhir.identity import instant
from shared.postgres import Pool, open_pool
from tests.conftest import Database
from tests.serving import served


class OtherTriage:
    """A neighbour whose clock the test sets."""

    def __init__(self) -> None:
        self.changed: dict[str, datetime] = {}
        self.encodings: set[str] = set()
        self.app = FastAPI()
        self.app.add_api_route("/fhir/RiskAssessment", self.search)

    def search(self, request: Request) -> dict[str, Any]:
        self.encodings.add(request.headers.get("accept-encoding", ""))
        since = datetime.fromisoformat(request.query_params["_lastUpdated"].removeprefix("ge"))
        tag = {"system": CS_URGENCY, "code": "emergency"}
        found = [
            {"id": name, "meta": {"versionId": "1", "lastUpdated": instant(moment), "tag": [tag]}}
            for name, moment in sorted(self.changed.items(), key=lambda row: row[1])
            if moment >= since
        ]
        return {"resourceType": "Bundle", "entry": [{"resource": resource} for resource in found]}


@pytest.fixture
def triage() -> OtherTriage:
    return OtherTriage()


@pytest.fixture
def client(triage: OtherTriage) -> Iterator[FhirClient]:
    with served(triage.app) as url, FhirClient(url) as client:
        yield client


@pytest.fixture
def pool(database: Database) -> Iterator[Pool]:
    with open_pool(database.notify_url, schema="notify") as pool:
        yield pool


@pytest.mark.requirement("REQ-23")
def test_an_assessment_from_the_future_hides_no_later_one(triage: OtherTriage, client: FhirClient, pool: Pool) -> None:
    triage.changed["ahead"] = datetime.now(UTC) + timedelta(hours=1)
    assert catch_up(pool, client) == 1

    triage.changed["right"] = datetime.now(UTC)

    assert catch_up(pool, client) == 1


@pytest.mark.requirement("REQ-23")
def test_once_a_minute_the_look_goes_back_a_day(triage: OtherTriage, client: FhirClient, pool: Pool) -> None:
    triage.changed["seen"] = datetime.now(UTC)
    assert catch_up(pool, client) == 1
    triage.changed["late"] = datetime.now(UTC) - timedelta(hours=24)
    assert catch_up(pool, client) == 0

    with pool.connection() as connection:
        connection.execute(
            "UPDATE catch_up_cursor SET last_updated = now() - interval '61 seconds' WHERE source = %s",
            (SOURCE.looked_back,),
        )

    assert catch_up(pool, client) == 1


@pytest.mark.requirement("REQ-23")
def test_where_there_is_much_to_read_the_long_look_comes_less_often_but_it_comes(
    triage: OtherTriage, client: FhirClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared.catch_up, "LONG_LOOK_EACH", timedelta(minutes=1))
    triage.changed |= {f"seen-{number}": datetime.now(UTC) for number in range(5)}
    assert catch_up(pool, client) == 5
    triage.changed["late"] = datetime.now(UTC) - timedelta(hours=24)

    minutes_pass(pool, 4)
    assert catch_up(pool, client) == 0
    minutes_pass(pool, 2)
    assert catch_up(pool, client) == 1


def minutes_pass(pool: Pool, minutes: int) -> None:
    """The last long look was so many minutes earlier."""
    with pool.connection() as connection:
        connection.execute(
            "UPDATE catch_up_cursor SET last_updated = last_updated - make_interval(mins => %s) WHERE source = %s",
            (minutes, SOURCE.looked_back),
        )


def test_a_neighbour_is_not_asked_to_compress_its_answers(triage: OtherTriage, client: FhirClient, pool: Pool) -> None:
    catch_up(pool, client)

    assert triage.encodings == {"identity"}
