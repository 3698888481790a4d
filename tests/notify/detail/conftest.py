"""The whole line for pages: real intake and triage on sockets, notify's web process before them, workers by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.intake.app import create_app as create_intake
from services.intake.settings import IntakeSettings
from services.notify.app import create_app as create_notify
from services.notify.catch_up import catch_up as catch_up_with_triage
from services.notify.settings import NotifySettings
from services.triage.app import create_app as create_triage
from services.triage.assess_response import Assessor, open_assessor, open_examiner
from services.triage.catch_up import KIND
from services.triage.catch_up import catch_up as catch_up_with_intake
from services.triage.refused import EXAMINE, Examiner, look_for_refused
from services.triage.settings import TriageSettings
from shared import jobs
from shared.postgres import open_pool
from tests.builders import a_response
from tests.conftest import Database
from tests.notify.conftest import Service
from tests.notify.neighbours import a_mail_server
from tests.serving import served

OpenService = Callable[[NotifySettings], AbstractContextManager[Service]]
UNHURRIED_S = 30.0
"""How long pages wait in tests that are not about waiting: a machine that is busy must not make them fail."""
FROM_THE_PAGE = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Clinic:
    """The three services, and what a clinician and a patient do with them."""

    site: str
    ehr: httpx.Client
    http: httpx.Client
    assessor: Assessor
    examiner: Examiner
    service: Service
    settings: NotifySettings

    def fills_in(self, answers: dict[str, object] | None = None, **more: Any) -> str:
        """A patient sends a form, and everything that follows happens; gives the response's id."""
        response_id = self.sends(a_response(answers, **more))
        self.works()
        return response_id

    def sends(self, response: dict[str, Any]) -> str:
        headers = {"Content-Type": "application/fhir+json"}
        answer = self.ehr.post("/fhir/QuestionnaireResponse", content=json.dumps(response), headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["location"].split("/QuestionnaireResponse/")[1].split("/")[0])

    def changes(self, response_id: str, response: dict[str, Any]) -> None:
        """The sender's system puts the next version of a response, and everything that follows happens."""
        etag = self.ehr.get(f"/fhir/QuestionnaireResponse/{response_id}").headers["etag"]
        headers = {"Content-Type": "application/fhir+json", "If-Match": etag}
        body = json.dumps({**response, "id": response_id})
        answer = self.ehr.put(f"/fhir/QuestionnaireResponse/{response_id}", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        self.works()

    def is_refused(self, response: dict[str, Any]) -> None:
        """A patient's form is refused by intake, and looked at all the same."""
        headers = {"Content-Type": "application/fhir+json"}
        answer = self.ehr.post("/fhir/QuestionnaireResponse", content=json.dumps(response), headers=headers)
        assert 400 <= answer.status_code < 500, answer.text
        self.works()

    def works(self) -> None:
        """What workers and loops do, until nothing is left to do."""
        catch_up_with_intake(self.assessor.pool, self.assessor.client)
        jobs.drain(self.assessor.pool, KIND, self.assessor.work)
        look_for_refused(self.assessor.pool, self.assessor.client)
        jobs.drain(self.assessor.pool, EXAMINE, self.examiner.work)
        catch_up_with_triage(self.service.notify.pool, self.service.notify.triage)
        self.service.works()
        self.service.sends()

    def alert_id(self) -> UUID:
        """The only alert there is."""
        identifier: UUID = self.service.alert()["id"]
        return identifier

    def address(self, alert_id: object = None, rest: str = "") -> str:
        """Where the page of an alert is."""
        return f"{self.site}/worklist/alert/{alert_id or self.alert_id()}{rest}"

    def page(self, alert_id: object = None, rest: str = "") -> str:
        """The page of an alert as text."""
        answer = self.http.get(self.address(alert_id, rest))
        assert answer.status_code == 200, answer.text
        return answer.text

    def presses(self, act: str, alert_id: object = None, **fields: str) -> httpx.Response:
        """Send a form of the alert's page, with what the page shows now."""
        alert = self.service.rows("SELECT * FROM alert WHERE id = %s", alert_id or self.alert_id())[0]
        counted = self.service.rows("SELECT count(*) AS n FROM alert_assessment WHERE alert_id = %s", alert["id"])
        seen = {"urgency": alert["urgency"], "assessments": str(counted[0]["n"]), "name": "Dr Osei"}
        return self.http.post(self.address(alert["id"], f"/{act}"), data=seen | fields, headers=FROM_THE_PAGE)


@dataclass
class Running:
    """The services of a module's tests: started once, as they keep everything in the database."""

    intake_url: str
    site: str
    assessor: Assessor
    settings: NotifySettings


@pytest.fixture(scope="module")
def running(migrated: Database) -> Iterator[Running]:
    with ExitStack() as stack:
        mail = stack.enter_context(a_mail_server())
        intake = create_intake(IntakeSettings(intake_database_url=migrated.intake_url))  # type: ignore[arg-type]
        intake_url = stack.enter_context(served(intake))
        triage_settings = TriageSettings(triage_database_url=migrated.triage_url, intake_url=intake_url)  # type: ignore[arg-type]
        triage_url = stack.enter_context(served(create_triage(triage_settings)))
        settings = NotifySettings.load(
            {
                "SURAL_MODE": "sandbox",
                "SURAL_NOTIFY_DATABASE_URL": migrated.notify_url,
                "SURAL_INTAKE_URL": intake_url,
                "SURAL_TRIAGE_URL": triage_url,
                "SURAL_SMTP_URL": mail.url,
                "SURAL_SMTP_FROM": "sural@clinic.example",
                "SURAL_ALERT_RECIPIENTS": "on-call@example.org",
                "SURAL_PUBLIC_URL": "http://127.0.0.1:8123",
                "SURAL_PATIENT_LINK": "https://ehr.example/patient/{value}",
            }
        )
        pool = stack.enter_context(open_pool(migrated.triage_url, schema="triage"))
        assessor = open_assessor(triage_settings, pool)
        stack.enter_context(assessor.client)
        yield Running(
            intake_url, stack.enter_context(served(create_notify(settings, patience_s=UNHURRIED_S))), assessor, settings
        )


@pytest.fixture
def clinic(database: Database, running: Running, open_service: OpenService) -> Iterator[Clinic]:
    """The services with an empty database."""
    assert database
    with (
        open_service(running.settings) as service,
        httpx.Client(base_url=running.intake_url, timeout=20, trust_env=False) as ehr,
        httpx.Client(timeout=20, trust_env=False) as http,
    ):
        examiner = open_examiner(running.assessor)
        yield Clinic(running.site, ehr, http, running.assessor, examiner, service, running.settings)
