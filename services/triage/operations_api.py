"""`$triage` on a QuestionnaireResponse: of one that is sent, or of a stored one. See `dry_run.py`.

Whether a sent response is valid is intake's judgement (`$validate`); where intake does not offer that, the R4 gate
alone judges. An invalid one is answered 422 with intake's OperationOutcome.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from services.triage.dry_run import DryRun
from shared.audit.act import Act, Interaction, patient_of, record
from shared.events import Ref
from shared.fhir.client import NeighbourUnavailable
from shared.fhir.http import FhirResponse, read_body, refuse
from shared.fhir.parse import parse_resource
from shared.fhir.search import RESOURCE_ID
from shared.postgres import tenant_transaction
from shared.principal import principal_of
from shared.problems import Category

RESPONSE = "QuestionnaireResponse"
NOT_OFFERED = frozenset({404, 405, 501})
WRONG = ("fatal", "error")


def routes(dry_run: Callable[[], DryRun]) -> APIRouter:
    """Both forms of the operation. `dry_run` is called at the first use, as packs take a moment to load."""
    router = APIRouter(prefix="/fhir")

    @router.post(f"/{RESPONSE}/$triage")
    def triage_sent(request: Request, body: bytes = Depends(read_body)) -> Response:
        response, knowledge = read_sent(body)
        knowledge = request.query_params.get("knowledge", knowledge)
        with_intake = dry_run()
        try:
            issues = validated(with_intake, response, request)
            if any(issue["severity"] in WRONG for issue in issues):
                return FhirResponse({"resourceType": "OperationOutcome", "issue": issues}, status_code=422)
            return FhirResponse(with_intake.of_sent(response, issues, knowledge))
        except NeighbourUnavailable:
            away()

    def triage_stored(request: Request, resource_id: str) -> Response:
        tenant = principal_of(request).tenant
        with_intake = dry_run()
        try:
            found = []
            if RESOURCE_ID.fullmatch(resource_id):
                found = with_intake.assessor.client.find(RESPONSE, {"_id": resource_id}, tenant=tenant)
            if not found:
                refuse(
                    Category.NOT_FOUND,
                    "not-found",
                    f"This {RESPONSE} is not known here.",
                    issue_code="not-found",
                )
            ref = Ref(found[0]["id"], int(found[0]["meta"]["versionId"]), tenant)
            knowledge = request.query_params.get("knowledge")
            answer = with_intake.of_stored(ref, found[0], knowledge)
            act = Act(Interaction.OPERATION, RESPONSE, id=ref.id, version=ref.version, patient=patient_of(found[0]))
            with tenant_transaction(with_intake.assessor.pool, tenant) as connection:
                record(connection, tenant, act)
            return FhirResponse(answer)
        except NeighbourUnavailable:
            away()

    router.add_api_route(f"/{RESPONSE}/{{resource_id}}/$triage", triage_stored, methods=["GET", "POST"])
    return router


def read_sent(body: bytes) -> tuple[dict[str, Any], str | None]:
    """The response and the parameter `knowledge` of a body: the resource itself, or Parameters that hold it.

    Raises ProblemError for what is neither.
    """
    if b'"Parameters"' not in body:
        return parse_resource(body, resource_type=RESPONSE).resource, None
    given = parse_resource(body, resource_type="Parameters").resource.get("parameter", [])
    response = next((one["resource"] for one in given if one["name"] == "resource" and "resource" in one), None)
    if response is None or response.get("resourceType") != RESPONSE:
        refuse(Category.INCORRECT, "parameters", f"Send the {RESPONSE} as parameter resource.", issue_code="required")
    named = (one.get("valueCanonical") for one in given if one["name"] == "knowledge")
    return response, next(named, None)


def validated(dry_run: DryRun, response: dict[str, Any], request: Request) -> list[dict[str, Any]]:
    """Issues of intake's `$validate`; none where intake does not offer it. Raises NeighbourUnavailable."""
    tenant = principal_of(request).tenant
    status, outcome = dry_run.assessor.client.post(f"{RESPONSE}/$validate", response, tenant=tenant)
    if status in NOT_OFFERED:
        return []
    issues: list[dict[str, Any]] = outcome.get("issue", [])
    return issues


def away() -> NoReturn:
    """Intake does not answer now."""
    refuse(
        Category.UNAVAILABLE,
        "service-unavailable",
        "The service that knows the form does not answer now. Send the same request again.",
        issue_code="transient",
    )
