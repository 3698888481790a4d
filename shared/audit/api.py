"""`/fhir/AuditEvent`: search and read. Nobody writes it, so every other method is answered 405."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from shared.access.service_token import is_service
from shared.audit.act import Act, Interaction, record
from shared.audit.event import Resource
from shared.audit.neighbours import AuditNeighbours
from shared.audit.query import find, one_page, parse_query, read
from shared.fhir.http import FhirResponse, refuse
from shared.fhir.outcome import operation_outcome
from shared.fhir.preferences import is_strict
from shared.postgres import Pool, tenant_transaction
from shared.principal import SANDBOX, principal_of
from shared.problems import Category, Problem

TYPE = "AuditEvent"


def audit_routes(service: str, pool: Pool, base: str, neighbours: AuditNeighbours) -> APIRouter:
    """Search and read of this service's audit together with that of `neighbours`, and the part that they ask us for."""
    router = APIRouter(prefix="/fhir")

    @router.get(f"/{TYPE}")
    def search(request: Request) -> Response:
        pairs = request.query_params.multi_items()
        query = parse_query((pair for pair in pairs if pair[0] != "_format"), strict=is_strict(request.headers))
        tenant = principal_of(request).tenant
        asked = [*query.used, *(pair for pair in pairs if pair[0] == "_page")]
        parts = neighbours.find(tenant, asked)
        with tenant_transaction(pool, tenant) as connection:
            parts.append(find(connection, tenant, service, query))
            record(
                connection, tenant, Act(Interaction.SEARCH, TYPE, patient=query.patient, query=urlencode(query.used))
            )
        page, following = one_page(parts, query.count)
        links = [("self", query.used)]
        if following is not None:
            links.append(("next", (*query.used, ("_page", following.as_text()))))
        return FhirResponse(_bundle(base, page, links, query.ignored))

    @router.get(f"/{TYPE}/{{event_id}}")
    def read_event(request: Request, event_id: str) -> Response:
        tenant = principal_of(request).tenant
        found = neighbours.read(tenant, event_id)
        with tenant_transaction(pool, tenant) as connection:
            found = found or read(connection, tenant, service, event_id)
            if found is not None:
                record(connection, tenant, Act(Interaction.READ, TYPE, id=event_id, version=1))
        if found is None:
            refuse(
                Category.NOT_FOUND,
                "not-found",
                f"{TYPE}/{event_id[:80]} is not known here.",
                issue_code="not-found",
            )
        return FhirResponse(found, headers={"ETag": 'W/"1"'})

    @router.get("/{resource_type}/$audit", include_in_schema=False)
    def own_part(request: Request, resource_type: str) -> Response:
        """For a service that puts the parts together; there, who asked is recorded."""
        del resource_type
        principal = principal_of(request)
        if principal != SANDBOX and not is_service(principal):
            refuse(Category.NOT_FOUND, "not-found", "Nothing is here.", issue_code="not-found")
        wanted = request.query_params.get("_id")
        with tenant_transaction(pool, principal.tenant) as connection:
            if wanted is not None:
                one = read(connection, principal.tenant, service, wanted)
                return JSONResponse({"events": [one] if one else []})
            query = parse_query(request.query_params.multi_items(), strict=True)
            return JSONResponse({"events": find(connection, principal.tenant, service, query)})

    return router


def _bundle(
    base: str,
    page: Sequence[Resource],
    links: Sequence[tuple[str, Sequence[tuple[str, str]]]],
    ignored: Sequence[Problem],
) -> bytes:
    address = f"{base}/{TYPE}"
    bundle = {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [
            {"relation": relation, "url": f"{address}?{urlencode(pairs)}" if pairs else address}
            for relation, pairs in links
        ],
    }
    entries: list[dict[str, object]] = [
        {"fullUrl": f"{address}/{event['id']}", "resource": event, "search": {"mode": "match"}} for event in page
    ]
    if ignored:
        entries.append({"resource": operation_outcome(ignored), "search": {"mode": "outcome"}})
    if entries:
        bundle["entry"] = entries
    return orjson.dumps(bundle)
