"""Two tenants on one system in production: real tokens, real sockets, one database, the workers called by the test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

import services.intake.api
import services.notify.api
import services.triage.api
from services.intake.app import create_app as create_intake
from services.notify.app import create_app as create_notify
from services.notify.catch_up import catch_up as catch_up_with_triage
from services.notify.context import Notify, open_notify
from services.notify.escalate import repeat_due
from services.notify.escalation import JOB_KINDS
from services.notify.hear import RAISE_ROUTINE, RAISE_URGENT, raise_alerts
from services.notify.settings import NotifySettings
from services.triage.app import create_app as create_triage
from services.triage.assess_response import Assessor, open_assessor
from services.triage.catch_up import KIND
from services.triage.catch_up import catch_up as catch_up_with_intake
from services.triage.settings import TriageSettings
from shared import jobs
from shared.ids import DEFAULT_TENANT
from shared.postgres import open_pool
from tests.builders import a_response
from tests.conftest import Database
from tests.intake.test_token import KEYS, PUBLIC, Intake, settings
from tests.notify.neighbours import MailServer, a_mail_server
from tests.notify.sending import deliver_due
from tests.serving import client_of, served

SCOPES = "system/*.cruds"
SERVICE_TOKEN = "a secret of at least thirty-two characters"
OTHER_TENANT = UUID("00000000-0000-4000-8000-0000000000b0")
EMERGENCY = {"chest_pain": "Y"}
CAPABILITIES = {
    "intake": services.intake.api.CAPABILITIES,
    "triage": services.triage.api.CAPABILITIES,
    "notify": services.notify.api.CAPABILITIES,
}


@dataclass
class Tenant:
    """A client of one tenant: its token, shown to whichever service holds the type."""

    id: UUID
    token: str
    services: dict[str, httpx.Client]

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request as this tenant, to the service of that path."""
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return self.services[path.split("/")[2].split("?")[0]].request(method, path, headers=headers, **more)

    def all(self, resource_type: str) -> list[dict[str, Any]]:
        """What a search without any parameter finds."""
        bundle = self.ask("GET", f"/fhir/{resource_type}").raise_for_status().json()
        return [entry["resource"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == "match"]

    def post(self, response: dict[str, Any]) -> str:
        """Post a response; gives its id."""
        answer = self.ask("POST", "/fhir/QuestionnaireResponse", json=response)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["location"].split("/")[-3])


@dataclass
class System:
    """Two tenants, the three services, and their workers."""

    a: Tenant
    b: Tenant
    apps: dict[str, FastAPI]
    assessor: Assessor
    notify: Notify
    mail: MailServer
    intake_url: str

    def works(self) -> None:
        """What workers and loops do, by the way that needs no broker, until nothing is left to do."""
        catch_up_with_intake(self.assessor.pool, self.assessor.client)
        jobs.drain(self.assessor.pool, KIND, self.assessor.work)
        catch_up_with_triage(self.notify.pool, self.notify.triage)
        for kind in (RAISE_URGENT, RAISE_ROUTINE):
            jobs.drain(self.notify.pool, kind, lambda claims: raise_alerts(self.notify, claims))
        for kind in JOB_KINDS:
            deliver_due(self.notify, kind)
        repeat_due(self.notify.pool, self.notify.plan)


@pytest.fixture
def system(database: Database) -> Iterator[System]:
    common: dict[str, Any] = {"mode": "production", "public_url": PUBLIC, "service_token": SERVICE_TOKEN}
    common["allowed_hosts"] = "127.0.0.1"
    with ExitStack() as stack:
        mail = stack.enter_context(a_mail_server())
        intake = create_intake(settings(database, allowed_hosts="127.0.0.1"))
        intake_url = stack.enter_context(served(intake))
        triage_settings = TriageSettings(
            triage_database_url=database.triage_url,
            intake_url=intake_url,
            token_keys=json.dumps(KEYS.jwks),
            **common,
        )
        triage = create_triage(triage_settings)
        triage_url = stack.enter_context(served(triage))
        notify_settings = NotifySettings(
            notify_database_url=database.notify_url,
            triage_url=triage_url,
            token_keys=json.dumps(KEYS.jwks),
            smtp_url=mail.url,
            smtp_from="sural@clinic.example",
            alert_recipients="on-call@example.org",
            **common,
        )
        notify_app = create_notify(notify_settings)
        clients = {
            "intake": stack.enter_context(httpx.Client(base_url=intake_url, timeout=20, trust_env=False)),
            "triage": stack.enter_context(httpx.Client(base_url=triage_url, timeout=20, trust_env=False)),
            "notify": stack.enter_context(client_of(notify_app)),
        }
        apps = {"intake": intake, "triage": triage, "notify": notify_app}
        holders = {
            capability.type: clients[name] for name, capabilities in CAPABILITIES.items() for capability in capabilities
        }
        clients["intake"].headers["Host"] = "sural.clinic.example"
        door = Intake(clients["intake"], database)
        tenants = [
            Tenant(tenant, door.token(door.register(scopes=SCOPES, tenant=tenant), SCOPES), holders)
            for tenant in (DEFAULT_TENANT, OTHER_TENANT)
        ]
        pool = stack.enter_context(open_pool(database.triage_url, schema="triage"))
        assessor = open_assessor(triage_settings, pool)
        stack.enter_context(assessor.client)
        notify = open_notify(notify_settings, size=12, name="test")
        stack.callback(notify.close)
        yield System(*tenants, apps, assessor, notify, mail, intake_url)


def an_emergency(name: str) -> dict[str, Any]:
    """The same patient and identifier for both tenants, as two clinics with the same software would have them."""
    response = a_response(EMERGENCY, patient="7391", identifier="form-1")
    response["subject"]["display"] = name
    return response
