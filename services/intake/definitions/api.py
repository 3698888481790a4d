"""FHIR routes of what intake publishes about the base. Read only."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.intake.definitions.publish import definitions
from shared.fhir.canonicals import PARAMETERS, Canonical
from shared.fhir.capability import ResourceCapability
from shared.fhir.http import ResourceApi

_READ = ("read", "vread", "search-type")

CAPABILITIES = (
    ResourceCapability("StructureDefinition", _READ, search=PARAMETERS | {"status"}),
    ResourceCapability("SearchParameter", _READ, search=(PARAMETERS - {"title"}) | {"status"}),
    ResourceCapability("OperationDefinition", _READ, search=PARAMETERS | {"status"}),
    ResourceCapability("NamingSystem", _READ, search=frozenset({"status"})),
)


def routes(api: ResourceApi) -> APIRouter:
    """Search, read and vread of each type."""
    router = APIRouter(prefix="/fhir")
    for capability in CAPABILITIES:
        _add(router, api, capability)
    return router


def _add(router: APIRouter, api: ResourceApi, capability: ResourceCapability) -> None:
    published = _published(capability.type)

    def search(request: Request) -> Response:
        return api.search(request, capability.type, capability.search, published)

    def read(request: Request, resource_id: str) -> Response:
        return api.read(request, capability.type, resource_id)

    def vread(request: Request, resource_id: str, version_id: str) -> Response:
        return api.vread(request, capability.type, resource_id, version_id)

    router.add_api_route(f"/{capability.type}", search, methods=["GET"])
    router.add_api_route(f"/{capability.type}/{{resource_id}}", read, methods=["GET"])
    router.add_api_route(f"/{capability.type}/{{resource_id}}/_history/{{version_id}}", vread, methods=["GET"])


def _published(resource_type: str) -> Sequence[Canonical]:
    return [
        Canonical(one["id"], one["url"], one["version"], one["name"], one.get("title", ""))
        for one in definitions()
        if one["resourceType"] == resource_type and "url" in one
    ]
