"""The way by which triage looks at refused submissions: an operation for services, nothing that a client may call.

``GET /fhir/QuestionnaireResponse/$quarantine`` lists what waits, as a searchset of Parameters with id and meta;
``?_id=`` gives one with its text; ``/$changed-tenants`` says which tenants have any. ``POST`` with ``submission`` and
``state`` notes what triage found.
"""

from __future__ import annotations

import base64
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from services.intake import quarantine_store
from services.intake.quarantine_store import State, Submission
from shared.access.service_token import is_service
from shared.fhir.http import FhirResponse, read_body, refuse
from shared.fhir.identity import instant
from shared.fhir.parse import parse_resource
from shared.fhir.search import RESOURCE_ID
from shared.postgres import Pool, tenant_transaction
from shared.principal import SANDBOX, Principal, principal_of
from shared.problems import Category

PATH = "/QuestionnaireResponse/$quarantine"
VERDICTS = {state.value: state for state in (State.URGENT, State.NOT_URGENT)}


def routes(pool: Pool, *, most: int) -> APIRouter:
    """The operation. `most`: how many are listed at once; never fewer than may wait."""
    router = APIRouter(prefix="/fhir", include_in_schema=False)

    @router.get(PATH)
    def look(request: Request) -> Response:
        tenant = _service(request).tenant
        wanted = request.query_params.get("_id")
        with tenant_transaction(pool, tenant) as connection:
            if wanted is None:
                rows = quarantine_store.waiting(connection, tenant, limit=most)
                return FhirResponse(_searchset([_waiting(*row) for row in rows]))
            found = quarantine_store.read(connection, tenant, wanted) if RESOURCE_ID.fullmatch(wanted) else None
        return FhirResponse(_searchset([_in_full(found)] if found else []))

    @router.get(f"{PATH}/$changed-tenants")
    def tenants(request: Request) -> Response:
        _service(request)
        with pool.connection() as connection:
            return JSONResponse({"tenants": [str(one) for one in quarantine_store.tenants_with(connection)]})

    @router.post(PATH)
    def note(request: Request, body: bytes = Depends(read_body)) -> Response:
        tenant = _service(request).tenant
        parts = parse_resource(body, resource_type="Parameters").resource.get("parameter", [])
        given = {one["name"]: one for one in parts}
        try:
            submission, state = given["submission"]["valueId"], VERDICTS[given["state"]["valueCode"]]
        except KeyError:
            refuse(Category.INCORRECT, "parameters", "Send submission (valueId) and state (urgent or not_urgent).")
        with tenant_transaction(pool, tenant) as connection:
            quarantine_store.examined(connection, tenant, submission, state)
        return Response(status_code=204)

    return router


def _service(request: Request) -> Principal:
    principal = principal_of(request)
    if principal != SANDBOX and not is_service(principal):
        refuse(
            Category.FORBIDDEN,
            "service-only",
            "Refused submissions are read by Sural's own services only. For yours, see $status.",
            issue_code="forbidden",
        )
    return principal


def _searchset(resources: list[dict[str, Any]]) -> dict[str, Any]:
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    return bundle | ({"entry": entries} if entries else {})


def _waiting(identifier: str, received_at: Any) -> dict[str, Any]:
    meta = {"versionId": "1", "lastUpdated": instant(received_at)}
    return {"resourceType": "Parameters", "id": identifier, "meta": meta}


def _in_full(found: Submission) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"name": "state", "valueCode": found.state.value},
        {"name": "received", "valueInstant": instant(found.received_at)},
        {"name": "client", "valueString": found.client},
    ]
    if found.body is not None:
        parts.append({"name": "text", "valueBase64Binary": base64.b64encode(found.body).decode()})
    return _waiting(found.id, found.received_at) | {"parameter": parts}
