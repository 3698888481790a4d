"""FHIR routes of intake for Questionnaires."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from services.intake.api import QUESTIONNAIRE, not_offered
from services.intake.context import IntakeContext
from services.intake.preconditions import read_preconditions
from services.intake.publication import examine
from services.intake.publish import create, update
from services.intake.store import Outcome
from services.intake.written import published_problems, written_response
from shared.fhir.http import read_body
from shared.fhir.resources import Stored
from shared.fhir.rest import add_routes
from shared.postgres import tenant_transaction
from shared.principal import principal_of

NEVER_DELETED = (
    "A Questionnaire is never deleted: answers refer to its text. PUT it with the status retired; answers to it are "
    "then accepted with a warning."
)
NOT_PATCHED = "A Questionnaire is replaced as a whole, so that it is checked as a whole. PUT it with If-Match."


def routes(intake: IntakeContext) -> APIRouter:
    """Create, update, read and search of Questionnaires."""
    router = APIRouter(prefix="/fhir")
    api = intake.api

    def write(request: Request, body: bytes, store: Callable[..., tuple[Stored, Outcome]], *address: str) -> Response:
        who = principal_of(request)
        asked = read_preconditions(request.headers, client=who.id)
        authored = examine(body, find_value_set=intake.value_sets_of(who.tenant))
        with tenant_transaction(api.pool, who.tenant) as connection:
            stored, outcome = store(*address, authored, connection=connection, tenant=who.tenant, asked=asked)
        intake.catalogue.entries(who.tenant)
        problems = published_problems(stored, outcome, authored.warnings)
        prefer = request.headers.get("prefer", "")
        return written_response(stored, outcome, problems, base=api.base, prefer=prefer)

    @router.post("/Questionnaire")
    def create_questionnaire(request: Request, body: bytes = Depends(read_body)) -> Response:
        return write(request, body, create)

    @router.put("/Questionnaire/{resource_id}")
    def update_questionnaire(request: Request, resource_id: str, body: bytes = Depends(read_body)) -> Response:
        return write(request, body, update, resource_id)

    @router.delete("/Questionnaire/{resource_id}")
    def delete_questionnaire(resource_id: str) -> Response:
        return not_offered(NEVER_DELETED)

    @router.patch("/Questionnaire/{resource_id}")
    def patch_questionnaire(resource_id: str) -> Response:
        return not_offered(NOT_PATCHED)

    add_routes(router, api, QUESTIONNAIRE)
    return router
