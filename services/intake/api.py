"""FHIR routes of intake: QuestionnaireResponse, Questionnaire, and the CapabilityStatement of the whole base."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from services.intake.catalogue import Catalogue
from services.intake.definitions import api as definitions_api
from services.intake.judge import judge
from services.intake.preconditions import read_preconditions
from services.intake.receive import Received, create, update
from services.intake.safety_net import SafetyNet
from shared.audit import query
from shared.fhir import identity
from shared.fhir.canonicals import Canonical
from shared.fhir.capability import ResourceCapability
from shared.fhir.codes import SID_RESPONSE
from shared.fhir.http import (
    FhirResponse,
    ResourceApi,
    outcome_response,
    read_body,
    version_headers,
)
from shared.postgres import tenant_transaction
from shared.principal import principal_of
from shared.problems import Category, Problem, Severity

RESPONSE = ResourceCapability(
    "QuestionnaireResponse",
    ("create", "read", "vread", "update", "search-type"),
    search=frozenset({"subject", "patient", "status"}),
    conditional_create=True,
    update_create=True,
    versioning="versioned-update",
)
QUESTIONNAIRE = ResourceCapability(
    "Questionnaire", ("read", "vread", "search-type"), search=frozenset({"url", "version", "status"})
)
AUDIT = ResourceCapability("AuditEvent", ("read", "search-type"), search=query.PARAMETERS)
CAPABILITIES = (RESPONSE, QUESTIONNAIRE, AUDIT, *definitions_api.CAPABILITIES)


def routes(api: ResourceApi, catalogue: Catalogue, net: SafetyNet, *, stored: Callable[[], None]) -> APIRouter:
    """The routes. `stored` is called after each new version of a response, to wake the relay."""
    router = APIRouter(prefix="/fhir")

    def written(request: Request, received: Received) -> Response:
        if received.written:
            stored()
        return written_response(api, received, request.headers.get("prefer", ""))

    @router.post("/QuestionnaireResponse")
    def create_response(request: Request, body: bytes = Depends(read_body)) -> Response:
        who = principal_of(request)
        with net.under(body, who):
            asked = read_preconditions(request.headers, client=who.id)
            judged = judge(body, catalogue=catalogue, tenant=who.tenant)
            with tenant_transaction(api.pool, who.tenant) as connection:
                received = create(judged, connection=connection, tenant=who.tenant, asked=asked)
        return written(request, received)

    @router.put("/QuestionnaireResponse/{resource_id}")
    def update_response(request: Request, resource_id: str, body: bytes = Depends(read_body)) -> Response:
        who = principal_of(request)
        with net.under(body, who):
            asked = read_preconditions(request.headers, client=who.id)
            judged = judge(body, catalogue=catalogue, tenant=who.tenant)
            with tenant_transaction(api.pool, who.tenant) as connection:
                received = update(resource_id, judged, connection=connection, tenant=who.tenant, asked=asked)
        return written(request, received)

    @router.get("/QuestionnaireResponse")
    def search_responses(request: Request) -> Response:
        return api.search(request, RESPONSE.type, RESPONSE.search)

    @router.get("/QuestionnaireResponse/{resource_id}")
    def read_response(request: Request, resource_id: str) -> Response:
        return api.read(request, RESPONSE.type, resource_id)

    @router.get("/QuestionnaireResponse/{resource_id}/_history/{version_id}")
    def vread_response(request: Request, resource_id: str, version_id: str) -> Response:
        return api.vread(request, RESPONSE.type, resource_id, version_id)

    @router.get("/Questionnaire")
    def search_questionnaires(request: Request) -> Response:
        published = [
            Canonical(entry.id, entry.url, entry.version) for entry in catalogue.entries(principal_of(request).tenant)
        ]
        return api.search(request, QUESTIONNAIRE.type, QUESTIONNAIRE.search, published)

    @router.get("/Questionnaire/{resource_id}")
    def read_questionnaire(request: Request, resource_id: str) -> Response:
        return api.read(request, QUESTIONNAIRE.type, resource_id)

    @router.get("/Questionnaire/{resource_id}/_history/{version_id}")
    def vread_questionnaire(request: Request, resource_id: str, version_id: str) -> Response:
        return api.vread(request, QUESTIONNAIRE.type, resource_id, version_id)

    return router


def written_response(api: ResourceApi, received: Received, prefer: str) -> Response:
    """201 (or 200 for what was there) with Location, ETag, Last-Modified, and the body that Prefer asks for."""
    stored = received.stored
    location = f"{api.base}/{stored.type}/{stored.id}/_history/{stored.version_id}"
    headers = version_headers(stored, location=location)
    status = 201 if received.created else 200
    if "return=minimal" in prefer:
        return Response(status_code=status, headers=headers)
    if "return=representation" in prefer:
        return FhirResponse(identity.as_received(stored), status_code=status, headers=headers)
    what = "Stored as" if received.written else "Known as"
    told = [
        Problem(
            Category.INCORRECT,
            "stored",
            f"{what} QuestionnaireResponse/{stored.id}, version {stored.version_id}.",
            severity=Severity.INFORMATION,
            issue_code="informational",
        ),
        Problem(
            Category.INCORRECT,
            "assessment",
            f"Its assessment: {api.base}/RiskAssessment?identifier={SID_RESPONSE}|{stored.id}",
            severity=Severity.INFORMATION,
            issue_code="informational",
        ),
    ]
    return outcome_response([*told, *received.warnings], status, headers)
