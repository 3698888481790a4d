"""Intake and triage on real sockets and one database, driven by the test; and another FHIR server in its place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from services.triage.assess_response import Assessor
from services.triage.catch_up import KIND
from services.triage.rule_results import EXT_FLOOR
from shared import jobs
from shared.events import Ref
from shared.fhir.codes import EXT_DISPOSITION, SID_RESPONSE
from shared.postgres import Pool
from tests.builders import a_response


@dataclass
class Line:
    """Intake and triage on real sockets and one database; the worker is called by the test."""

    ehr: httpx.Client
    triage: httpx.Client
    pool: Pool
    assessor: Assessor

    def post(self, response: dict[str, Any]) -> str:
        """Post a response; returns its id."""
        answer = self.ehr.post(
            "/fhir/QuestionnaireResponse",
            content=json.dumps(response),
            headers={"Content-Type": "application/fhir+json"},
        )
        assert answer.status_code == 201, answer.text
        return answer.headers["location"].split("/QuestionnaireResponse/")[1].split("/")[0]

    def amend(self, response_id: str, response: dict[str, Any], *, version: int) -> None:
        """Replace this version of a response."""
        answer = self.ehr.put(
            f"/fhir/QuestionnaireResponse/{response_id}",
            content=json.dumps(response | {"id": response_id}),
            headers={"Content-Type": "application/fhir+json", "If-Match": f'W/"{version}"'},
        )
        assert answer.status_code == 200, answer.text

    def deliver(self, *response_ids: str, version: int = 1) -> None:
        """A message with these references reaches the worker."""
        with self.pool.connection() as connection:
            jobs.add(connection, KIND, [Ref(response_id, version) for response_id in response_ids])
        jobs.drain(self.pool, KIND, self.assessor.work)

    def time_passes(self) -> None:
        """All that waits is due, and a worker looks for it."""
        with self.pool.connection() as connection:
            connection.execute("UPDATE job SET due_at = now() WHERE state = 'pending'")
        self.deliver()

    def found(self, resource_type: str, response_id: str) -> list[dict[str, Any]]:
        """What an integrator finds by the id of the response."""
        by = {"identifier": f"{SID_RESPONSE}|{response_id}"}
        if resource_type == "Provenance":  # which has no identifier in R4
            by = {"entity": f"QuestionnaireResponse/{response_id}"}
        bundle = self.triage.get(f"/fhir/{resource_type}", params=by, headers={"Prefer": "handling=strict"}).json()
        return [entry["resource"] for entry in bundle.get("entry", [])]

    def assessed(self, answers: dict[str, object], **more: Any) -> dict[str, Any]:
        """The RiskAssessment of a response with these answers."""
        response_id = self.post(a_response(answers, **more))
        self.deliver(response_id)
        [assessment] = self.found("RiskAssessment", response_id)
        return assessment

    def outbox(self) -> list[tuple[str, int]]:
        with self.pool.connection() as connection:
            rows = connection.execute("SELECT queue, ref_version FROM outbox ORDER BY id").fetchall()
        return [(row["queue"], row["ref_version"]) for row in rows]


def urgency(assessment: dict[str, Any]) -> str | None:
    for extension in assessment["extension"]:
        if extension["url"] == EXT_DISPOSITION:
            return str(extension["valueCoding"]["code"])
    return None


def floors(assessment: dict[str, Any]) -> list[str]:
    """Ids of the floors that the assessment names."""
    named = [one["extension"] for one in assessment["extension"] if one["url"] == EXT_FLOOR]
    return [part["valueCode"] for parts in named for part in parts if part["url"] == "rule"]


class OtherIntake:
    """A neighbour that serves versions of one response, as another FHIR server would."""

    def __init__(self) -> None:
        self.versions: dict[int, dict[str, Any]] = {}
        self.app = FastAPI()
        self.app.add_api_route("/fhir/QuestionnaireResponse", self.search)
        self.app.add_api_route("/fhir/QuestionnaireResponse/{_id}/_history/{version}", self.vread)

    def keep(self, version: int, answers: dict[str, object], status: str) -> None:
        response = a_response(answers, status=status, patient="p-1", identifier="form-1")
        self.versions[version] = {**response, "id": "r-1", "meta": {"versionId": str(version)}}

    def search(self) -> dict[str, Any]:
        newest = self.versions[max(self.versions)]
        return {"resourceType": "Bundle", "entry": [{"resource": newest}]}

    def vread(self, _id: str, version: int, _request: Request) -> Response:
        if version not in self.versions:
            return Response(status_code=404)
        return Response(json.dumps(self.versions[version]), media_type="application/fhir+json")
