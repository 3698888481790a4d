"""The token endpoint (`POST /auth/token`): an access token for a client that proves itself with its own key.

OAuth 2.0 client credentials (RFC 6749 4.4) with private_key_jwt, as SMART Backend Services asks
(https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html). Errors have OAuth's own form; `error_description`
says what was wrong with the assertion and repeats nothing of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.intake import client_store
from services.intake.assertion import Rules
from services.intake.client_store import Client
from services.intake.token_key import TokenKeys
from shared.access.jose import JoseRefused
from shared.access.scopes import ScopeError, Scopes, parse_scopes
from shared.access.tokens import KIND, LIFETIME_S
from shared.audit.act import Act, Asker, Interaction, Word, record
from shared.audit.denials import STRANGER, Denials
from shared.postgres import Pool, tenant_transaction, unavailable

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM = "application/x-www-form-urlencoded"
MOST_BYTES = 32 * 1024
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}

log = logging.getLogger(__name__)
Form = Mapping[str, str]


class OAuthError(Exception):
    """An error of RFC 6749 5.2."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.description, self.status = error, description, status


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Grants access tokens. `issuer` is the public address; `now` is in seconds since 1970."""

    pool: Pool
    rules: Rules
    keys: TokenKeys
    issuer: str
    denials: Denials
    v1_scopes: bool = False
    now: Callable[[], float] = time.time

    async def answer(self, request: Request) -> Response:
        """One request for a token."""
        address = request.client.host if request.client else None
        asker = Asker(STRANGER, address, getattr(request.state, "request_id", None))
        try:
            form = await read_form(request)
            return await run_in_threadpool(self._answer, form, asker)
        except OAuthError as error:
            if error.status in (400, 401):
                await run_in_threadpool(self.denials.note, asker, Word.TOKEN_DENIED)
            body = {"error": error.error, "error_description": _plain(error.description)}
            extra = {"Retry-After": "2"} if error.status == 503 else {}
            return JSONResponse(body, error.status, headers={**NO_STORE, **extra})

    def _answer(self, form: Form, asker: Asker) -> Response:
        try:
            client = self._client(form)
            scopes = granted(client, form.get("scope", ""), v1=self.v1_scopes)
            with tenant_transaction(self.pool, client.tenant) as connection:
                act = Act(Interaction.LOGIN, word=Word.TOKEN_ISSUED)
                record(connection, client.tenant, act, replace(asker, agent=client.id))
        except OAuthError:
            raise
        except Exception as error:
            if not unavailable(error):
                raise
            raise OAuthError("temporarily_unavailable", "The database does not answer now. Try again.", 503) from None
        log.info("access token granted", extra={"client": client.id})
        body = {
            "access_token": self._token(client, scopes),
            "token_type": "bearer",
            "expires_in": LIFETIME_S,
            "scope": str(scopes),
        }
        return JSONResponse(body, headers=NO_STORE)

    def _client(self, form: Form) -> Client:
        """Who asks; from here on its assertion is used up. Raises OAuthError."""
        if form.get("grant_type") != "client_credentials":
            raise OAuthError("unsupported_grant_type", "grant_type must be client_credentials.")
        if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
            raise OAuthError(
                "invalid_client",
                f"Send client_assertion, a signed JWT, and client_assertion_type={ASSERTION_TYPE}.",
                401,
            )
        try:
            proven = self.rules.proven(form["client_assertion"], client_id=form.get("client_id"))
        except JoseRefused as refused:
            raise _invalid(refused.reason) from None
        with self.pool.connection() as connection:
            first = client_store.use_assertion(connection, proven.client.id, proven.jti, expires=proven.until)
        if not first:
            raise _invalid("its jti was used before. Make a new assertion for each request")
        return proven.client

    def _token(self, client: Client, scopes: Scopes) -> str:
        now = int(self.now())
        claims = {
            "iss": self.issuer,
            "aud": f"{self.issuer}/fhir",
            "sub": client.id,
            "client_id": client.id,
            "tenant": str(client.tenant),
            "scope": str(scopes),
            "iat": now,
            "exp": now + LIFETIME_S,
            "jti": str(uuid4()),
        }
        return self.keys.sign(claims, kind=KIND)


def granted(client: Client, wanted: str, *, v1: bool) -> Scopes:
    """The scopes asked for, if the registration covers each of them. Raises OAuthError."""
    try:
        scopes = parse_scopes(wanted, v1=v1)
    except ScopeError as error:
        raise OAuthError("invalid_scope", str(error)) from None
    registered = parse_scopes(client.scopes)
    beyond = [str(scope) for scope in scopes.granted if not registered.covers(scope)]
    if beyond:
        raise OAuthError(
            "invalid_scope", f"Your registration does not include {' '.join(beyond)}. It includes {registered}."
        )
    return scopes


async def read_form(request: Request) -> Form:
    """The fields of the form, each of which may come once. Raises OAuthError."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise OAuthError("invalid_request", f"Send the fields as {FORM}.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise OAuthError("invalid_request", f"The form is larger than {MOST_BYTES} bytes.", 413)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError:
        raise OAuthError("invalid_request", "The form cannot be read.") from None
    form = {name: value for name, value in pairs if value}
    if len({name for name, _ in pairs}) != len(pairs):
        raise OAuthError("invalid_request", "A field is there twice.")
    return form


def _invalid(reason: str) -> OAuthError:
    return OAuthError("invalid_client", f"The client assertion is refused: {reason}.", 401)


def _plain(text: str) -> str:
    """Only what RFC 6749 5.2 allows in a description."""
    return "".join(one if one.isascii() and one.isprintable() and one not in '"\\' else "'" for one in text)
