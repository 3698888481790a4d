"""FHIR routes of intake for QuestionnaireResponse, and what intake offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from services.intake.context import IntakeContext
from services.intake.definitions import api as definitions_api
from services.intake.judge import judge
from services.intake.preconditions import read_preconditions
from services.intake.receive import Received, create, update, update_identified
from services.intake.written import allowed_prefer, received_problems, written_response
from shared.audit import query
from shared.fhir.capability import READ_ONLY, Operation, ResourceCapability, SystemCapability
from shared.fhir.definitions import canonical
from shared.fhir.http import outcome_response, read_body
from shared.fhir.rest import add_routes
from shared.postgres import tenant_transaction
from shared.principal import principal_of
from shared.problems import Category, Problem

VALIDATE = Operation("validate", "http://hl7.org/fhir/OperationDefinition/Resource-validate")
RESPONSE = ResourceCapability(
    "QuestionnaireResponse",
    ("create", "update", *READ_ONLY),
    conditional_create=True,
    conditional_update=True,
    update_create=True,
    versioning="versioned-update",
    operations=(
        VALIDATE,
        Operation("triage", canonical("OperationDefinition", "response-triage")),
        Operation("status", canonical("OperationDefinition", "response-status")),
        Operation("everything", canonical("OperationDefinition", "response-everything")),
    ),
)
QUESTIONNAIRE = ResourceCapability(
    "Questionnaire",
    ("create", "update", *READ_ONLY),
    update_create=True,
    versioning="versioned-update",
    operations=(
        VALIDATE,
        Operation("process-response", "http://hl7.org/fhir/uv/sdc/OperationDefinition/Questionnaire-process-response"),
    ),
)
WHOLE = SystemCapability(("batch", "transaction"))
AUDIT = ResourceCapability("AuditEvent", ("read", "search-type"), search=query.PARAMETERS | {"_lastUpdated"})
CAPABILITIES = (RESPONSE, QUESTIONNAIRE, AUDIT, *definitions_api.CAPABILITIES)

NEVER_DELETED = (
    "A response is never deleted: what was assessed must stay readable. To withdraw it, PUT it with the status "
    "entered-in-error; the assessment and its alerts are then withdrawn."
)
NOT_PATCHED = "A response is replaced as a whole, so that its answers are checked as a whole. PUT it with If-Match."


def routes(intake: IntakeContext) -> APIRouter:
    """Create, update, read and search of responses."""
    router = APIRouter(prefix="/fhir")
    api = intake.api

    def write(request: Request, body: bytes, store: Callable[..., Received], *address: object) -> Response:
        """Judge and store under the safety net, and say what became of it."""
        who = principal_of(request)
        with intake.net.under(body, who):
            asked = read_preconditions(request.headers, client=who.id)
            judged = judge(body, catalogue=intake.catalogue, tenant=who.tenant)
            with tenant_transaction(api.pool, who.tenant) as connection:
                received = store(*address, judged, connection=connection, tenant=who.tenant, asked=asked)
        if received.written:
            intake.stored()
        received = replace(received, warnings=intake.net.passed_over(body, who, received.warnings))
        problems = received_problems(received, api.base)
        prefer = allowed_prefer(request.headers.get("prefer", ""), received.stored, body, who)
        return written_response(received.stored, received.outcome, problems, base=api.base, prefer=prefer)

    @router.post("/QuestionnaireResponse")
    def create_response(request: Request, body: bytes = Depends(read_body)) -> Response:
        return write(request, body, create)

    @router.put("/QuestionnaireResponse/{resource_id}")
    def update_response(request: Request, resource_id: str, body: bytes = Depends(read_body)) -> Response:
        return write(request, body, update, resource_id)

    @router.put("/QuestionnaireResponse")
    def update_identified_response(request: Request, body: bytes = Depends(read_body)) -> Response:
        return write(request, body, update_identified, request.url.query)

    @router.delete("/QuestionnaireResponse/{resource_id}")
    def delete_response(resource_id: str) -> Response:
        return not_offered(NEVER_DELETED)

    @router.patch("/QuestionnaireResponse/{resource_id}")
    def patch_response(resource_id: str) -> Response:
        return not_offered(NOT_PATCHED)

    add_routes(router, api, RESPONSE)
    return router


def not_offered(why: str) -> Response:
    """405 with the reason, and with what is offered instead."""
    problem = Problem(Category.UNSUPPORTED, "method", why, issue_code="not-supported")
    return outcome_response([problem], 405, {"Allow": "GET, HEAD, PUT"})
