"""A small OpenID Connect provider on the loopback address: real HTTP, real keys, codes that work once, PKCE checked.

A test may make it misbehave: `claims` are put over those of the ID token, `signer` makes the token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.access.keyring import b64, ec_key, jwks, public_jwk, rsa_key, signed
from tests.serving import served

CLIENT, SECRET = "sural", "a-secret-of-the-provider"
Claims = dict[str, Any]


@dataclass
class IdentityProvider:
    """`person` is who signs in; `claims` is put over what the ID token says of them."""

    url: str = ""
    algorithm: str = "RS256"
    person: Claims = field(default_factory=lambda: {"sub": "248289761001", "name": "Dr Osei", "roles": ["doctors"]})
    claims: Claims = field(default_factory=dict)
    public: bool = False
    token_host: str = "127.0.0.1"
    sends_back_to: str = ""
    """Where browsers are sent in place of the registered host: a test does not know its port before."""
    answers: Callable[[str], str] = field(default=lambda token: token)
    """The ID token as it leaves, of the one that is right."""
    asked: list[dict[str, str]] = field(default_factory=list)
    """The parameters with which browsers came, and the forms of the token endpoint."""
    key: Any = None
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.key = rsa_key() if self.algorithm.startswith("RS") else ec_key(self.algorithm)

    def configuration(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": self.url.replace("127.0.0.1", self.token_host) + "/token",
                "jwks_uri": f"{self.url}/keys",
                "end_session_endpoint": f"{self.url}/logout",
            }
        )

    def keys(self, _request: Request) -> Response:
        return Response(jwks(public_jwk(self.key, alg=self.algorithm)), media_type="application/json")

    def authorize(self, request: Request) -> Response:
        """Signs in whoever comes, and sends them back with a code."""
        given = dict(request.query_params)
        self.asked.append(given)
        assert (given["response_type"], given["code_challenge_method"]) == ("code", "S256")
        code = secrets.token_urlsafe(16)
        self._codes[code] = given
        back = (
            self.sends_back_to + urlsplit(given["redirect_uri"]).path if self.sends_back_to else given["redirect_uri"]
        )
        return RedirectResponse(f"{back}?{urlencode({'code': code, 'state': given['state']})}", 302)

    async def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        self.asked.append(form)
        begun = self._codes.pop(form.get("code", ""), None)
        challenge = b64(hashlib.sha256(form["code_verifier"].encode()).digest())
        if begun is None or begun["code_challenge"] != challenge or begun["redirect_uri"] != form["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        if not self._shown(request.headers.get("authorization", ""), form):
            return JSONResponse({"error": "invalid_client"}, 401)
        now = int(time.time())
        said = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": begun["nonce"],
            **self.person,
            **self.claims,
        }
        header = {"alg": self.algorithm, "kid": "k1", "typ": "JWT"}
        claims = {name: value for name, value in said.items() if value is not None}
        token = self.answers(signed(header, claims, self.key))
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": token})

    def _shown(self, header: str, form: dict[str, str]) -> bool:
        if self.public:
            return form.get("client_id") == CLIENT and not header
        name, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return (unquote(name), unquote(secret)) == (CLIENT, SECRET)


@contextmanager
def a_provider(**given: Any) -> Iterator[IdentityProvider]:
    """One that runs."""
    provider = IdentityProvider(**given)
    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", provider.configuration),
            Route("/keys", provider.keys),
            Route("/authorize", provider.authorize),
            Route("/token", provider.token, methods=["POST"]),
        ]
    )
    with served(app) as url:
        provider.url = url
        yield provider


def without_signature(token: str) -> str:
    """The same claims under `alg: none`."""
    header = b64(json.dumps({"alg": "none"}).encode())
    return f"{header}.{token.split('.')[1]}."
