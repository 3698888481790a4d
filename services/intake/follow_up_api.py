"""`$everything` and `$status`: what followed from a response, as resources and as steps with their times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from services.intake import quarantine_store
from services.intake.follow_up import MOST, follow_up
from services.intake.neighbours import Neighbours
from services.intake.timeline import Timeline, of_refused, of_response
from shared.audit.act import Interaction
from shared.audit.reading import record_reading
from shared.fhir import identity, resources
from shared.fhir.client import exact_digits
from shared.fhir.codes import SID_REFUSED, SID_RESPONSE
from shared.fhir.http import FhirResponse
from shared.fhir.outcome import operation_outcome
from shared.fhir.rest import ResourceApi
from shared.fhir.search import RESOURCE_ID
from shared.postgres import Pool, tenant_transaction
from shared.principal import principal_of
from shared.problems import Category, Problem, ProblemError, Severity

RESPONSE = "QuestionnaireResponse"


def routes(api: ResourceApi, neighbours: Neighbours) -> APIRouter:
    """Both operations on one response; `$status` on a refused submission too."""
    router = APIRouter(prefix="/fhir")

    @router.get(f"/{RESPONSE}/{{resource_id}}/$everything")
    def everything(request: Request, resource_id: str) -> Response:
        return FhirResponse(everything_of(api, neighbours, principal_of(request).tenant, resource_id))

    @router.get(f"/{RESPONSE}/{{resource_id}}/$status")
    def status(request: Request, resource_id: str) -> Response:
        return FhirResponse(parameters(timeline_of(api.pool, neighbours, principal_of(request).tenant, resource_id)))

    return router


def everything_of(api: ResourceApi, neighbours: Neighbours, tenant: UUID, resource_id: str) -> bytes:
    """A searchset of the response and all that followed from it. Raises ProblemError 404."""
    stored = None
    if RESOURCE_ID.fullmatch(resource_id):
        with tenant_transaction(api.pool, tenant) as connection:
            stored = resources.read(connection, tenant, RESPONSE, resource_id)
            record_reading(connection, tenant, Interaction.OPERATION, stored)
    if stored is None:
        raise not_found(resource_id)
    followed = follow_up(neighbours, tenant, SID_RESPONSE, resource_id)
    entries: list[dict[str, Any]] = [
        {
            "fullUrl": f"{api.base}/{RESPONSE}/{stored.id}",
            "resource": orjson.Fragment(identity.as_received(stored)),
            "search": {"mode": "match"},
        }
    ]
    entries += [
        {"fullUrl": f"{api.base}/{one['resourceType']}/{one['id']}", "resource": one, "search": {"mode": "include"}}
        for one in followed
    ]
    if told := _missing(followed.silent, followed.cut):
        outcome = operation_outcome(told)
        entries.append({"resource": outcome, "search": {"mode": "outcome"}})
    link = [{"relation": "self", "url": f"{api.base}/{RESPONSE}/{stored.id}/$everything"}]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": 1, "link": link, "entry": entries}
    return orjson.dumps(bundle, default=exact_digits)


def timeline_of(pool: Pool, neighbours: Neighbours, tenant: UUID, identifier: str) -> Timeline:
    """The steps of a response or of a refused submission. Raises ProblemError 404."""
    first = current = refused = None
    if RESOURCE_ID.fullmatch(identifier):
        with tenant_transaction(pool, tenant) as connection:
            current = resources.read(connection, tenant, RESPONSE, identifier)
            first = resources.vread(connection, tenant, RESPONSE, identifier, 1)
            refused = None if current else quarantine_store.read(connection, tenant, identifier)
            record_reading(connection, tenant, Interaction.OPERATION, current)
    if current is not None:
        followed = follow_up(neighbours, tenant, SID_RESPONSE, identifier)
        return of_response(first or current, current, str(orjson.loads(current.body).get("status")), followed)
    if refused is not None:
        return of_refused(refused, follow_up(neighbours, tenant, SID_REFUSED, identifier))
    raise not_found(identifier)


def parameters(timeline: Timeline) -> dict[str, Any]:
    """The timeline as Parameters: one `step` each, with name, state, time and reference."""
    given: list[dict[str, Any]] = [{"name": "id", "valueId": timeline.id}]
    if timeline.urgency:
        given.append({"name": "urgency", "valueCode": timeline.urgency})
    for step in timeline.steps:
        parts: list[dict[str, Any]] = [{"name": "state", "valueCode": step.state.value}]
        if step.at:
            parts.append({"name": "time", "valueInstant": step.at})
        if step.reference:
            parts.append({"name": "reference", "valueReference": {"reference": step.reference}})
        given.append({"name": step.name, "part": parts})
    if told := _missing(timeline.silent, timeline.cut):
        outcome = operation_outcome(told)
        given.append({"name": "outcome", "resource": outcome})
    return {"resourceType": "Parameters", "parameter": given}


def not_found(identifier: str) -> ProblemError:
    """Neither a response nor a refused submission of this tenant."""
    message = f"{RESPONSE}/{identifier[:64]} is not known here."
    return ProblemError(Problem(Category.NOT_FOUND, "not-found", message, issue_code="not-found"))


def _missing(silent: Sequence[str], cut: Sequence[str]) -> list[Problem]:
    """What is said of services that do not answer, and of types of which there is too much."""
    away = "does not answer now, so what it holds is missing here. Ask again later."
    return [
        *(_incomplete("neighbour-silent", f"{name} {away}") for name in silent),
        *(
            _incomplete(
                "include-too-many", f"More than {MOST} {kind} followed; the first are here. Search {kind} itself."
            )
            for kind in cut
        ),
    ]


def _incomplete(code: str, message: str) -> Problem:
    return Problem(Category.UNAVAILABLE, code, message, severity=Severity.WARNING, issue_code="incomplete")
