"""What intake offers to whoever wants a token: the endpoint, its public keys, and the document that names both."""

from __future__ import annotations

import time

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.intake import client_store
from services.intake.assertion import Rules
from services.intake.client_keys import ClientKeys
from services.intake.client_store import Client
from services.intake.discovery import Parts, smart_configuration
from services.intake.settings import IntakeSettings
from services.intake.token import TokenEndpoint
from services.intake.token_key import TokenKeys, new_token_keys, read_token_keys
from shared.access.opening import outbound_of
from shared.audit.denials import Denials
from shared.postgres import Pool

CACHEABLE = {"Cache-Control": "public, max-age=300"}


def token_keys(settings: IntakeSettings) -> TokenKeys:
    """The keys of the settings; a sandbox without one makes one that lasts until it ends. Raises ValueError."""
    text = settings.token_key.get_secret_value() if settings.token_key else ""
    return read_token_keys(text) if text else new_token_keys()


def install(app: Starlette, settings: IntakeSettings, pool: Pool, keys: TokenKeys, parts: Parts) -> None:
    """Add /auth/token, /.well-known/jwks.json, and smart-configuration under the host and under the FHIR base."""
    url = settings.public_url.rstrip("/")

    def find(client_id: str) -> Client | None:
        with pool.connection() as connection:
            return client_store.find(connection, client_id)

    rules = Rules(
        find=find, keys_of=ClientKeys(outbound_of(settings).get).of, token_url=f"{url}/auth/token", now=time.time
    )
    endpoint = TokenEndpoint(pool, rules, keys, url, Denials(pool), settings.smart_v1_scopes)

    def jwks(_request: Request) -> Response:
        return JSONResponse(keys.jwks, headers=CACHEABLE)

    def configuration(_request: Request) -> Response:
        return JSONResponse(smart_configuration(url, parts()), headers=CACHEABLE)

    app.add_route("/auth/token", endpoint.answer, methods=["POST"])
    app.add_route("/.well-known/jwks.json", jwks, methods=["GET"])
    for prefix in ("", "/fhir"):
        app.add_route(f"{prefix}/.well-known/smart-configuration", configuration, methods=["GET"])
