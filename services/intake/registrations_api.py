"""The way by which notify asks whose registrations hold: an operation for services, nothing that a client may call.

``GET /fhir/$registrations`` gives, as a searchset of Parameters, every client of the tenant that gets tokens now, with
its scopes. Whoever is not in it is unknown or was disabled.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.intake import client_store
from services.intake.client_store import Client
from shared.access.service_token import is_service
from shared.fhir.http import FhirResponse, refuse
from shared.postgres import Pool
from shared.principal import principal_of
from shared.problems import Category


def routes(pool: Pool) -> APIRouter:
    """The operation."""
    router = APIRouter(prefix="/fhir", include_in_schema=False)

    @router.get("/$registrations")
    def registrations(request: Request) -> Response:
        who = principal_of(request)
        if not is_service(who):
            refuse(
                Category.FORBIDDEN,
                "service-only",
                "Registrations are read by Sural's own services only.",
                issue_code="forbidden",
            )
        with pool.connection() as connection:
            clients = client_store.active(connection, who.tenant)
        entries = [{"resource": _as_parameters(client), "search": {"mode": "match"}} for client in clients]
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
        return FhirResponse(bundle | ({"entry": entries} if entries else {}))

    return router


def _as_parameters(client: Client) -> dict[str, Any]:
    return {
        "resourceType": "Parameters",
        "id": client.id,
        "parameter": [{"name": "scope", "valueString": client.scopes}],
    }
