"""FHIR routes of what intake publishes about the base. Read only."""

from __future__ import annotations

from fastapi import APIRouter

from shared.fhir.capability import READ_ONLY, ResourceCapability
from shared.fhir.rest import ResourceApi, add_routes

CAPABILITIES = tuple(
    ResourceCapability(resource_type, READ_ONLY)
    for resource_type in ("StructureDefinition", "SearchParameter", "OperationDefinition", "NamingSystem")
)


def routes(api: ResourceApi) -> APIRouter:
    """Read, history and search of each type."""
    router = APIRouter(prefix="/fhir")
    for capability in CAPABILITIES:
        add_routes(router, api, capability)
    return router
