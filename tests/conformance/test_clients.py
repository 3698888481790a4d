"""fhirclient, fhirpy and fhir-kit-client, unchanged: from metadata to the acknowledged Task."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from typing import Any

import pytest
import requests
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.fhirreference import FHIRReference
from fhirclient.models.questionnaireresponse import QuestionnaireResponse
from fhirclient.models.riskassessment import RiskAssessment
from fhirclient.models.task import Task
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

from shared.fhir.codes import SID_RESPONSE
from tests.builders import SENDER, a_response
from tests.conformance.clients import KIT_CLIENT
from tests.conformance.environments import CannotRunError
from tests.journeys.system import System
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(600)

ASSESSED_S = 60.0


def urgent(name: str) -> dict[str, Any]:
    """A form that alerts, under an identifier of its own."""
    return a_response({"chest_pain": "Y"}, identifier=name, patient=name)


@pytest.fixture(scope="module", autouse=True)
def enough_to_page(system: System) -> None:
    """So many responses that a search for two at a time has several pages."""
    client = SyncFHIRClient(f"{system.url}/fhir", extra_headers={"Prefer": "return=representation"})
    for _ in range(5):
        client.resource("QuestionnaireResponse", **a_response()).save()


def test_fhirclient(system: System) -> None:
    smart = FHIRClient(settings={"app_id": "kit", "api_base": f"{system.url}/fhir/"})
    server = smart.server
    headers = server.session.headers
    assert server.capabilityStatement.fhirVersion == "4.0.1"

    headers["Prefer"] = "return=representation"
    name = secrets.token_hex(8)
    created = QuestionnaireResponse(QuestionnaireResponse(urgent(name)).create(server))
    read = QuestionnaireResponse.read(created.id, server)
    assert read.as_json()["item"] == urgent(name)["item"]
    assert QuestionnaireResponse.read_from(f"{read.relativePath()}/_history/1", server).meta.versionId == "1"

    headers["If-None-Exist"] = f"identifier={SENDER}|{name}"
    assert QuestionnaireResponse(urgent(name)).create(server)["id"] == created.id
    del headers["If-None-Exist"]

    read.status = "amended"
    headers["If-Match"] = f'W/"{read.meta.versionId}"'
    assert read.update(server)["meta"]["versionId"] == "2"
    del headers["If-Match"]
    history = Bundle.read_from(f"{read.relativePath()}/_history", server)
    assert [entry.resource.meta.versionId for entry in history.entry] == ["2", "1"]

    found = [each.id for each in QuestionnaireResponse.where({"_count": "2"}).perform_resources_iter(server)]
    assert len(found) == len(set(found)) > 2
    assert created.id in found

    by_response = {"identifier": f"{SID_RESPONSE}|{created.id}"}
    [assessment] = eventually(
        lambda: list(RiskAssessment.where(by_response).perform_resources_iter(server)), within_s=ASSESSED_S
    )
    assert assessment.basis[0].reference.startswith(f"QuestionnaireResponse/{created.id}/_history/")

    def acknowledged() -> str | None:
        """The status after the update; None while somebody else changed the Task in between: read it again."""
        for task in Task.where(by_response).perform_resources_iter(server):
            task.status, task.owner = "accepted", FHIRReference({"display": "Dr Client"})
            headers["If-Match"] = f'W/"{task.meta.versionId}"'
            with suppress(requests.HTTPError):
                return str(task.update(server)["status"])
        return None

    assert eventually(acknowledged, within_s=ASSESSED_S) == "accepted"
    server.session.close()


def test_fhirpy(system: System) -> None:
    base = f"{system.url}/fhir"
    client = SyncFHIRClient(base, extra_headers={"Prefer": "return=representation"})
    assert client.execute("metadata", method="get")["fhirVersion"] == "4.0.1"

    name = secrets.token_hex(8)
    created = client.resource("QuestionnaireResponse", **urgent(name))
    created.save()
    read = client.get("QuestionnaireResponse", created.id)
    assert read["item"] == urgent(name)["item"]
    version = client.execute(f"QuestionnaireResponse/{created.id}/_history/1", method="get")
    assert version["meta"]["versionId"] == "1"

    known = with_headers(base, {"If-None-Exist": f"identifier={SENDER}|{name}"})
    assert known.resource("QuestionnaireResponse", **urgent(name)).create().id == created.id

    read["status"] = "amended"
    matching = with_headers(base, {"If-Match": f'W/"{read["meta"]["versionId"]}"'})
    assert matching.resource("QuestionnaireResponse", **read).update()["meta"]["versionId"] == "2"
    history = client.execute(f"QuestionnaireResponse/{created.id}/_history", method="get")
    assert [entry["resource"]["meta"]["versionId"] for entry in history["entry"]] == ["2", "1"]

    found = [each.id for each in client.resources("QuestionnaireResponse").limit(2).fetch_all()]
    assert len(found) == len(set(found)) > 2
    assert created.id in found

    by_response = {"identifier": f"{SID_RESPONSE}|{created.id}"}
    assessments = client.resources("RiskAssessment").search(**by_response)
    [assessment] = eventually(assessments.fetch, within_s=ASSESSED_S)
    assert assessment["basis"][0]["reference"].startswith(f"QuestionnaireResponse/{created.id}/_history/")

    def acknowledged() -> str | None:
        """The status after the update; None while somebody else changed the Task in between: read it again."""
        for task in client.resources("Task").search(**by_response).fetch():
            task["status"], task["owner"] = "accepted", {"display": "Dr Py"}
            matching = with_headers(base, {"If-Match": f'W/"{task["meta"]["versionId"]}"'})
            with suppress(MultipleResourcesFound):  # what this client makes of every 412
                return str(matching.resource("Task", **task).update()["status"])
        return None

    assert eventually(acknowledged, within_s=ASSESSED_S) == "accepted"

    with pytest.raises(ResourceNotFound):
        client.get("QuestionnaireResponse", "none")
    with pytest.raises(OperationOutcome) as refused:
        client.resource("QuestionnaireResponse", status="done").save()
    assert refused.value.resource["issue"][0]["code"] == "code-invalid"


def with_headers(base: str, headers: dict[str, str]) -> SyncFHIRClient:
    return SyncFHIRClient(base, extra_headers={"Prefer": "return=representation", **headers})


EXPECTED: dict[str, Any] = {
    "metadata": "4.0.1",
    "create": [True, "1"],
    "read": True,
    "vread": "1",
    "conditional create": True,
    "update": ["amended", "2"],
    "history": ["2", "1"],
    "search": "Bundle",
    "paging": [True, True, True],
    "assessment": "RiskAssessment",
    "acknowledge": ["accepted", "Dr Kit"],
    "refusal": [400, "OperationOutcome"],
}


def test_fhir_kit_client(system: System) -> None:
    name = secrets.token_hex(8)
    asked = {"baseUrl": f"{system.url}/fhir", "response": urgent(name), "identified": f"{SENDER}|{name}"}

    try:
        told = KIT_CLIENT.run(json.dumps(asked))
    except CannotRunError as reason:
        pytest.skip(f"fhir-kit-client did not run: {reason}")

    assert {step["step"]: step["result"] for step in map(json.loads, told.splitlines())} == EXPECTED
