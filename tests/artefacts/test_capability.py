"""What the CapabilityStatement claims is there: profiles, search parameters that answer, readable definitions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from services.intake.app import create_app as create_intake
from services.intake.settings import IntakeSettings
from services.notify.app import create_app as create_notify
from services.notify.settings import NotifySettings
from services.notify.subscriptions.document import PROFILE
from services.triage.app import create_app as create_triage
from services.triage.settings import TriageSettings
from shared.fhir.capability import EXT_TOPIC
from shared.fhir.codes import CANONICAL, PROFILES
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.search_parameters import parameters_of
from shared.fhir.structure import check_structure
from tests.conftest import Database
from tests.serving import client_of

STRICT = {"Prefer": "handling=strict"}
VALUES = {
    "token": "x",
    "string": "x",
    "uri": "http://example.org/x",
    "date": "ge2026-01-01",
    "reference": "Patient/x",
    "number": "5",
    "quantity": "5",
}
CODED = {("AuditEvent", "action"): "R", ("AuditEvent", "outcome"): "0"}
"""What may be searched for by codes of R4 alone."""


@pytest.fixture
def services(database: Database) -> Iterator[dict[str, httpx.Client]]:
    """Each service alone, by name."""
    apps = {
        "intake": create_intake(IntakeSettings(intake_database_url=database.intake_url)),  # type: ignore[arg-type]
        "triage": create_triage(TriageSettings(triage_database_url=database.triage_url)),  # type: ignore[arg-type]
        "notify": create_notify(
            NotifySettings(notify_database_url=database.notify_url, alert_recipients="on-call@example.org")  # type: ignore[arg-type]
        ),
    }
    with ExitStack() as stack:
        yield {name: stack.enter_context(client_of(app)) for name, app in apps.items()}


def offered(services: dict[str, httpx.Client]) -> list[tuple[httpx.Client, dict[str, Any]]]:
    """Every `rest.resource` entry with the service that offers it."""
    return [
        (client, entry)
        for client in services.values()
        for entry in client.get("/fhir/metadata").json()["rest"][0]["resource"]
    ]


def readable(services: dict[str, httpx.Client], canonical: str) -> bool:
    path = canonical.removeprefix("https://sural.example")
    return any(client.get(path).status_code == 200 for client in services.values())


def test_every_type_that_we_emit_names_the_profile_that_it_keeps(services: dict[str, httpx.Client]) -> None:
    named = {entry["type"]: entry["supportedProfile"] for _, entry in offered(services) if "supportedProfile" in entry}

    assert named.pop("Subscription") == [PROFILE]
    assert named == {resource_type: [url] for resource_type, url in PROFILES.items()}


def test_the_topics_that_can_be_subscribed_to_are_named(services: dict[str, httpx.Client]) -> None:
    [entry] = [entry for _, entry in offered(services) if entry["type"] == "Subscription"]

    assert [(one["url"], one["valueCanonical"]) for one in entry["extension"]] == [
        (EXT_TOPIC, f"{CANONICAL}/SubscriptionTopic/alert"),
        (EXT_TOPIC, f"{CANONICAL}/SubscriptionTopic/assessment"),
    ]


def a_value(resource_type: str, parameter: dict[str, Any]) -> str:
    """A value that this parameter can have, whatever it finds."""
    if parameter["type"] == "reference" and (targets := parameters_of(resource_type)[parameter["name"]].targets):
        return f"{targets[0]}/x"
    return CODED.get((resource_type, parameter["name"]), VALUES[parameter["type"]])


def test_every_search_parameter_that_is_claimed_answers(services: dict[str, httpx.Client]) -> None:
    tried = 0
    for client, entry in offered(services):
        for parameter in entry.get("searchParam", []):
            query = {parameter["name"]: a_value(entry["type"], parameter)}
            answer = client.get(f"/fhir/{entry['type']}", params=query, headers=STRICT)
            assert answer.status_code == 200, (entry["type"], parameter["name"], answer.text)
            tried += 1
    assert tried > 150


def test_every_definition_that_is_claimed_is_hl7s_or_can_be_read_here(services: dict[str, httpx.Client]) -> None:
    claimed = {
        one["definition"]
        for _, entry in offered(services)
        for one in (*entry.get("searchParam", []), *entry.get("operation", []))
    }

    assert len(claimed) > 50
    for url in claimed:
        assert url.startswith("http://hl7.org/fhir/") or (url.startswith(CANONICAL) and readable(services, url)), url


def test_every_operation_that_is_published_is_offered(services: dict[str, httpx.Client]) -> None:
    claimed = {
        (entry["type"], one["name"], one["definition"])
        for _, entry in offered(services)
        for one in entry.get("operation", [])
    }
    bundle = services["intake"].get("/fhir/OperationDefinition", params={"_count": "100"}).json()
    published = {(one["resource"][0], one["code"], one["url"]) for one in (e["resource"] for e in bundle["entry"])}

    assert published <= claimed


def test_the_capability_statement_is_read_under_its_canonical_too(services: dict[str, httpx.Client]) -> None:
    read = services["intake"].get("/fhir/CapabilityStatement/sural").json()

    assert read == services["intake"].get("/fhir/metadata").json()
    assert read["url"] == f"{CANONICAL}/CapabilityStatement/sural"
    assert check_structure(read, resource_type="CapabilityStatement") == []
    assert validate_with_fhir_resources(read) == []
