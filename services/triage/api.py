"""FHIR routes of triage: its results, the Device that made them, its knowledge and the terminology. Read only."""

from __future__ import annotations

from fastapi import APIRouter

from services.triage import terminology_api
from shared.fhir.capability import READ_ONLY, ResourceCapability
from shared.fhir.rest import ResourceApi, add_routes

CAPABILITIES = tuple(
    ResourceCapability(resource_type, READ_ONLY, operations=terminology_api.OPERATIONS.get(resource_type, ()))
    for resource_type in (
        "RiskAssessment",
        "DetectedIssue",
        "Provenance",
        "Device",
        "Library",
        "PlanDefinition",
        "CodeSystem",
        "ValueSet",
    )
)


def routes(api: ResourceApi) -> APIRouter:
    """Read, history and search of each type that triage owns."""
    router = APIRouter(prefix="/fhir")
    for capability in CAPABILITIES:
        add_routes(router, api, capability)
    return router
