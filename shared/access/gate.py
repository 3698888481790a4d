"""The gate before every route: what is public, what needs a token, and which pages there are.

In the sandbox everybody may do everything. Elsewhere a request below /fhir needs a Bearer token (RFC 6750) whose scopes
cover it, before anything is looked up: whoever may not ask does not learn what exists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from shared.access.limits import Limits
from shared.access.needs import needed, require, stores_nothing
from shared.access.service_token import is_service_credential, service_principal
from shared.ids import DEFAULT_TENANT, WATCHDOG_TENANT
from shared.principal import SANDBOX, Principal
from shared.problems import Category, Problem, ProblemError

PUBLIC = frozenset(
    {
        "/",
        "/livez",
        "/readyz",
        "/metrics",
        "/auth/token",
        "/docs",
        "/openapi.json",
        "/submission/style.css",
        "/fhir/metadata",
        "/fhir/.well-known/smart-configuration",
    }
)
PUBLIC_BELOW = ("/.well-known/", "/capability/", "/worklist/assets/", "/questionnaire/")
"""Below /questionnaire/ a form opens with a ticket of its own, and shows nobody else's answers."""
REALM = 'Bearer realm="sural"'


class Refusal(ProblemError):
    """A request that is not let in, with the header that says how it would be (RFC 6750)."""

    def __init__(self, problem: Problem, headers: Mapping[str, str], principal: Principal | None = None) -> None:
        """`principal`: who asked, where that is known."""
        super().__init__(problem)
        self.headers = dict(headers)
        self.principal = principal


class TokenRefused(Exception):
    """An access token that proves nothing. `reason` is a sentence without any part of the token."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Tokens(Protocol):
    """Whoever can say on whose behalf an access token speaks."""

    def known(self, token: str) -> Principal | None:
        """Its principal when it was verified before and still holds, at once; else None."""

    def verify(self, token: str) -> Principal:
        """Its principal. May ask for keys over HTTP. Raises TokenRefused."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Who is let in. `tokens` None: everybody, as in the sandbox.

    `pages`: below these addresses are pages whose own routes find out who looks; any other page stays closed.
    `service_secret`: with it our services sign their calls. `limits`: how much a client may ask.
    """

    tokens: Tokens | None = None
    service_secret: SecretStr | None = None
    pages: tuple[str, ...] = ()
    limits: Limits | None = None

    def closes(self, path: str) -> bool:
        """Whether this is a page that nobody is shown."""
        if self.tokens is None or is_public(path) or is_fhir(path):
            return False
        return not any(path == page or path.startswith(f"{page}/") for page in self.pages)

    async def admit(self, request: Request) -> Principal | None:
        """Who asks, if they may ask this; None for what is public. Raises Refusal (401, 403)."""
        path: str = request.scope["path"]
        service = self._service(request)
        if self.tokens is None:
            return service or SANDBOX
        if is_public(path):
            return None
        if not is_fhir(path):
            return service or Principal("page", DEFAULT_TENANT)
        principal = service or await self._client(self.tokens, request)
        if service is not None and stores_nothing(request.method, path):
            return service
        needs = needed(request.method, path)
        try:
            require(principal, needs)
        except ProblemError as error:
            scope = " ".join(str(need) for need in needs)
            challenge = {"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{scope}"'}
            raise Refusal(error.problems[0], challenge, principal) from None
        if service is None and self.limits is not None:
            _throttle(self.limits.wait_s(principal, request.method, path))
        return principal

    def _service(self, request: Request) -> Principal | None:
        """The service of ours that signed this request; None when nobody claims to be one."""
        authorization = request.headers.get("authorization")
        if self.service_secret is None or not is_service_credential(authorization):
            return None
        if (principal := service_principal(authorization, self.service_secret)) is None:
            raise _sign_in(
                "This credential of a service is not valid (any more). Compare SURAL_SERVICE_TOKEN and the clocks.",
                "not valid",
            )
        return principal

    async def _client(self, tokens: Tokens, request: Request) -> Principal:
        """What a client sends for the watchdog's tenant would be told to nobody: it is refused, whatever it is."""
        token = bearer_token(request.headers.getlist("authorization"))
        try:
            principal = tokens.known(token)
            if principal is None:
                principal = await run_in_threadpool(tokens.verify, token)
            if principal.tenant == WATCHDOG_TENANT:
                raise TokenRefused("it is for the tenant of the watchdog, for which no client speaks")
        except TokenRefused as refused:
            raise _sign_in(f"The access token is refused: {refused.reason}.", refused.reason) from None
        return principal


def is_public(path: str) -> bool:
    """What anybody may ask: what we are, where tokens come from, whether we are alive. Nothing about anybody."""
    return path in PUBLIC or path.startswith(PUBLIC_BELOW)


def is_fhir(path: str) -> bool:
    """Whether the path belongs to the FHIR base."""
    return path == "/fhir" or path.startswith("/fhir/")


def bearer_token(headers: list[str]) -> str:
    """The token of the one Authorization header. Raises Refusal."""
    if len(headers) != 1:
        raise _sign_in(
            "No access token. Send Authorization: Bearer and a token from the token endpoint, which is named "
            "in /.well-known/smart-configuration."
        )
    scheme, _, token = headers[0].partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or not token.isascii():
        raise _sign_in("The Authorization header holds no Bearer token.", "no Bearer token")
    return token


def _throttle(wait_s: float) -> None:
    """Raises Refusal 429 when there is something to wait for."""
    if wait_s > 0:
        seconds = math.ceil(wait_s)
        problem = Problem(
            Category.UNAVAILABLE,
            "throttled",
            f"Too many requests. Send the same request again in {seconds} s.",
            issue_code="throttled",
            status=429,
        )
        raise Refusal(problem, {"Retry-After": str(seconds)})


def _sign_in(message: str, description: str = "") -> Refusal:
    challenge = REALM + (f', error="invalid_token", error_description="{description}"' if description else "")
    problem = Problem(Category.FORBIDDEN, "token", message, issue_code="login", status=401)
    return Refusal(problem, {"WWW-Authenticate": challenge})


PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
CLOSED = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Closed · Sural</title></head><body>
<h1>This page is closed</h1>
<p>Either there is no such page, or this installation shows pages to nobody (SURAL_PAGES=closed). Alerts are then
acknowledged from your own system: update the Task with an access token.</p>
</body></html>
"""


def closed_page() -> Response:
    """What is shown instead of a page that is closed."""
    return HTMLResponse(CLOSED, status_code=403, headers=PAGE_HEADERS)
