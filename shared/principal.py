"""On whose behalf a request is answered. The tenant comes from here alone, never from a client's body or header."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request

from shared.access.scopes import EVERYTHING, NOTHING, Scopes
from shared.ids import DEFAULT_TENANT


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: `id` of the client (never a person's name), the tenant whose data it may see, and what it may do."""

    id: str
    tenant: UUID
    scopes: Scopes = NOTHING


SANDBOX = Principal("sandbox", DEFAULT_TENANT, EVERYTHING)
"""Whoever asks a sandbox: no token, test data only."""


def principal_of(request: Request) -> Principal:
    """Who asks, as the guard found out. Raises AttributeError where no guard saw the request: then nobody may ask."""
    principal: Principal = request.state.principal
    return principal
