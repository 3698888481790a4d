"""One base, one audit: intake gives out what all services recorded, page by page, and never half of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.intake.app import create_app as create_intake
from services.intake.settings import IntakeSettings
from services.triage.app import create_app as create_triage
from services.triage.settings import TriageSettings
from shared.audit.act import Act, Asker, Interaction, record
from shared.ids import DEFAULT_TENANT
from shared.postgres import Pool, open_pool, tenant_transaction
from tests.conftest import Database
from tests.serving import client_of, served

SECRET = "a secret of at least thirty-two characters"
EHR = Asker("ehr-1", "192.0.2.7")


@pytest.fixture
def pools(database: Database) -> Iterator[dict[str, Pool]]:
    with (
        open_pool(database.intake_url, schema="intake") as intake,
        open_pool(database.triage_url, schema="triage") as triage,
    ):
        yield {"intake": intake, "triage": triage}


@pytest.fixture
def triage_url(database: Database) -> Iterator[str]:
    settings = TriageSettings(
        mode="sandbox",
        triage_database_url=database.triage_url,  # type: ignore[arg-type]
        service_token=SECRET,  # type: ignore[arg-type]
    )
    with served(create_triage(settings)) as url:
        yield url


def base(database: Database, triage_url: str) -> IntakeSettings:
    return IntakeSettings(
        mode="sandbox",
        intake_database_url=database.intake_url,  # type: ignore[arg-type]
        triage_url=triage_url,
        service_token=SECRET,  # type: ignore[arg-type]
    )


def happened(pool: Pool, number: int) -> None:
    """So many acts, all in the same two milliseconds, as they may be in services that work at the same time."""
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        for one in range(number):
            record(connection, DEFAULT_TENANT, Act(Interaction.CREATE, "Task", id=f"t-{one}"), EHR)
            connection.execute(
                "INSERT INTO audit_event (tenant_id, recorded, interaction, outcome, agent, type, ref_id) "
                "VALUES (%s, %s, 'create', '0', 'ehr-1', 'Task', %s)",
                (DEFAULT_TENANT, at + timedelta(milliseconds=one % 2), f"same-{one}"),
            )


def test_pages_hold_the_events_of_every_service_once_and_in_order(
    database: Database, pools: dict[str, Pool], triage_url: str
) -> None:
    for pool in pools.values():
        happened(pool, 7)

    with client_of(create_intake(base(database, triage_url))) as client:
        found, url = [], "/fhir/AuditEvent?action=C&entity=Task/same-1&_count=1"
        entity = client.get(url).raise_for_status().json()["entry"]
        url = "/fhir/AuditEvent?subtype=create&_count=3"
        while url:
            bundle = client.get(url).raise_for_status().json()
            found += [entry["resource"] for entry in bundle["entry"]]
            following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
            url = httpx.URL(following[0]).raw_path.decode() if following else ""

    ours = [event for event in found if event["entity"][-1]["what"]["reference"].startswith("Task/")]
    assert len(entity) == 1
    assert len(ours) == len({event["id"] for event in ours}) == 28
    assert {event["id"].split("-")[0] for event in ours} == {"intake", "triage"}
    assert [event["recorded"] for event in found] == sorted((event["recorded"] for event in found), reverse=True)


def test_an_event_of_another_service_is_read_by_its_id(
    database: Database, pools: dict[str, Pool], triage_url: str
) -> None:
    happened(pools["triage"], 1)

    with client_of(create_intake(base(database, triage_url))) as client:
        [entry, *_] = client.get("/fhir/AuditEvent?entity=Task/t-0").json()["entry"]
        read = client.get(f"/fhir/AuditEvent/{entry['resource']['id']}")

    assert entry["resource"]["id"].startswith("triage-")
    assert read.json() == entry["resource"]


def test_half_an_audit_is_refused(database: Database) -> None:
    with client_of(create_intake(base(database, "http://127.0.0.1:9"))) as client:
        answer = client.get("/fhir/AuditEvent")

    assert answer.status_code == 503
    assert "triage" in answer.json()["issue"][0]["details"]["text"]
