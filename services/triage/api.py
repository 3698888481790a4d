"""FHIR routes of triage: its results, the Device that made them, its knowledge and the terminology. Read only."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.triage import store
from shared.fhir.canonicals import PARAMETERS, Canonical
from shared.fhir.capability import ResourceCapability
from shared.fhir.http import ResourceApi
from shared.postgres import tenant_transaction
from shared.principal import principal_of

_READ = ("read", "vread", "search-type")
_OF_A_PATIENT = frozenset({"subject", "patient"})

CAPABILITIES = (
    ResourceCapability("RiskAssessment", _READ, search=_OF_A_PATIENT | {"_tag"}),
    ResourceCapability("DetectedIssue", _READ, search=_OF_A_PATIENT),
    ResourceCapability("Provenance", _READ, search=_OF_A_PATIENT),
    ResourceCapability("Device", _READ),
    ResourceCapability("Library", _READ, search=PARAMETERS | {"status"}),
    ResourceCapability("PlanDefinition", _READ, search=PARAMETERS | {"status"}),
    ResourceCapability("CodeSystem", _READ, search=PARAMETERS | {"status"}),
    ResourceCapability("ValueSet", _READ, search=PARAMETERS | {"status"}),
)


def routes(api: ResourceApi) -> APIRouter:
    """Search, read and vread of each type that triage owns."""
    router = APIRouter(prefix="/fhir")
    for capability in CAPABILITIES:
        _add(router, api, capability)
    return router


def _add(router: APIRouter, api: ResourceApi, capability: ResourceCapability) -> None:
    def search(request: Request) -> Response:
        return api.search(
            request, capability.type, capability.search, _published(api, principal_of(request).tenant, capability)
        )

    def read(request: Request, resource_id: str) -> Response:
        return api.read(request, capability.type, resource_id)

    def vread(request: Request, resource_id: str, version_id: str) -> Response:
        return api.vread(request, capability.type, resource_id, version_id)

    router.add_api_route(f"/{capability.type}", search, methods=["GET"])
    router.add_api_route(f"/{capability.type}/{{resource_id}}", read, methods=["GET"])
    router.add_api_route(f"/{capability.type}/{{resource_id}}/_history/{{version_id}}", vread, methods=["GET"])


def _published(api: ResourceApi, tenant: UUID, capability: ResourceCapability) -> Sequence[Canonical]:
    if not capability.search >= PARAMETERS:
        return ()
    with tenant_transaction(api.pool, tenant) as connection:
        return store.canonicals(connection, tenant, capability.type)
