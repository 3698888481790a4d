"""Operations of intake: $validate of responses and Questionnaires, and $process-response.

https://hl7.org/fhir/R4/resource-operation-validate.html,
http://hl7.org/fhir/uv/sdc/OperationDefinition/Questionnaire-process-response
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from services.intake.context import IntakeContext
from services.intake.judge import judge
from services.intake.lifecycle import check_change
from services.intake.preconditions import read_preconditions
from services.intake.publication import examine
from services.intake.raw_parts import parameters, type_of
from services.intake.receive import create
from services.intake.validate import Asked, asked_for, outcome_of
from services.intake.written import location, received_problems
from shared.fhir import resources
from shared.fhir.http import outcome_response, read_body, refuse, version_headers
from shared.fhir.parse import parse_resource
from shared.fhir.resources import Stored
from shared.fhir.search import RESOURCE_ID
from shared.fhir.strict_json import read_json
from shared.postgres import tenant_transaction
from shared.principal import principal_of
from shared.problems import Category, Problem

RESPONSE, FORM = "QuestionnaireResponse", "Questionnaire"


async def optional_body(request: Request) -> bytes:
    """The body, b"" where there is none."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return b""
    return await read_body(request)


def routes(intake: IntakeContext) -> APIRouter:
    """The operations."""
    router = APIRouter(prefix="/fhir")
    api = intake.api

    def stored_version(request: Request, resource_type: str, resource_id: str) -> Stored:
        tenant, stored = principal_of(request).tenant, None
        if RESOURCE_ID.fullmatch(resource_id):
            with tenant_transaction(api.pool, tenant) as connection:
                stored = resources.read(connection, tenant, resource_type, resource_id)
        if stored is None:
            message = f"{resource_type}/{resource_id[:80]} is not known here."
            refuse(Category.NOT_FOUND, "not-found", message, issue_code="not-found")
        return stored

    def judged(request: Request, body: bytes, before: Stored | None = None) -> Sequence[Problem]:
        found = judge(body, catalogue=intake.catalogue, tenant=principal_of(request).tenant)
        if before is None:
            return found.warnings
        earlier = parse_resource(before.body, resource_type=RESPONSE).resource
        return [*check_change(earlier, found.response), *found.warnings]

    def examined(request: Request, body: bytes) -> Sequence[Problem]:
        return examine(body, find_value_set=intake.value_sets_of(principal_of(request).tenant)).warnings

    def never_deleted() -> Sequence[Problem]:
        message = "Nothing is ever deleted here. Withdraw a response as entered-in-error, retire a Questionnaire."
        return [Problem(Category.UNSUPPORTED, "method", message, issue_code="not-supported")]

    @router.post("/QuestionnaireResponse/$validate")
    def validate_response(request: Request, body: bytes = Depends(read_body)) -> Response:
        asked = asked_for(body, resource_type=RESPONSE, query=dict(request.query_params))
        text = _given(asked, RESPONSE)
        return outcome_response(outcome_of(lambda: judged(request, text), asked), 200)

    @router.get("/QuestionnaireResponse/{resource_id}/$validate")
    @router.post("/QuestionnaireResponse/{resource_id}/$validate")
    def validate_stored_response(request: Request, resource_id: str, body: bytes = Depends(optional_body)) -> Response:
        asked = asked_for(body, resource_type=RESPONSE, query=dict(request.query_params))
        stored = stored_version(request, RESPONSE, resource_id)

        def judging() -> Sequence[Problem]:
            if asked.mode == "delete":
                return never_deleted()
            if asked.body is None:
                return judged(request, stored.body)
            return judged(request, asked.body, stored)

        return outcome_response(outcome_of(judging, asked), 200)

    @router.post("/Questionnaire/$validate")
    def validate_questionnaire(request: Request, body: bytes = Depends(read_body)) -> Response:
        asked = asked_for(body, resource_type=FORM, query=dict(request.query_params))
        text = _given(asked, FORM)
        return outcome_response(outcome_of(lambda: examined(request, text), asked), 200)

    @router.get("/Questionnaire/{resource_id}/$validate")
    @router.post("/Questionnaire/{resource_id}/$validate")
    def validate_stored_questionnaire(
        request: Request, resource_id: str, body: bytes = Depends(optional_body)
    ) -> Response:
        asked = asked_for(body, resource_type=FORM, query=dict(request.query_params))
        text = asked.body if asked.body is not None else stored_version(request, FORM, resource_id).body
        return outcome_response(outcome_of(lambda: examined(request, text), asked), 200)

    @router.post("/Questionnaire/$process-response")
    def process_response(request: Request, body: bytes = Depends(read_body)) -> Response:
        return process(request, body, None)

    @router.post("/Questionnaire/{resource_id}/$process-response")
    def process_response_to(request: Request, resource_id: str, body: bytes = Depends(read_body)) -> Response:
        return process(request, body, resource_id)

    def process(request: Request, body: bytes, form_id: str | None) -> Response:
        """As a create of the response; the operation itself answers 200."""
        who = principal_of(request)
        with intake.net.under(body, who):
            form = None if form_id is None else stored_version(request, FORM, form_id)
            text = _response_in(body)
            asked = read_preconditions(request.headers, client=who.id)
            found = judge(text, catalogue=intake.catalogue, tenant=who.tenant)
            if form is not None:
                _check_form(form, found.index.canonical)
            with tenant_transaction(api.pool, who.tenant) as connection:
                received = create(found, connection=connection, tenant=who.tenant, asked=asked)
        if received.written:
            intake.stored()
        received = replace(received, warnings=intake.net.passed_over(text, who, received.warnings))
        headers = version_headers(received.stored, location=location(received.stored, api.base))
        return outcome_response(received_problems(received, api.base), 200, headers)

    return router


def _given(asked: Asked, resource_type: str) -> bytes:
    if asked.body is None:
        message = f"Found no {resource_type}. Send one, or Parameters with one as resource."
        refuse(Category.INCORRECT, "validate", message, issue_code="required")
    return asked.body


def _response_in(body: bytes) -> bytes:
    """The response itself, or that in Parameters as `response`."""
    read_json(body)
    if type_of(body) != "Parameters":
        return body
    found = parameters(body).get("response", {}).get("resource")
    if found is None:
        message = "Found Parameters without a response. Send the QuestionnaireResponse as the resource of `response`."
        refuse(Category.INCORRECT, "parameters", message, issue_code="required")
    return found


def _check_form(form: Stored, canonical: str) -> None:
    content = parse_resource(form.body, resource_type=FORM).resource
    if canonical != f"{content['url']}|{content['version']}":
        refuse(
            Category.UNPROCESSABLE,
            "questionnaire-mismatch",
            "The response answers another Questionnaire than the one in the address. Send it to that one's address.",
            issue_code="business-rule",
        )
