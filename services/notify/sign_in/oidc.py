"""Sign-in by an OpenID Connect provider: code with PKCE (S256), state and nonce. The one door for authlib.

authlib speaks OAuth 2.0; every request goes through `shared.outbound`, so only the issuer's host and those of
SURAL_OUTBOUND_HOSTS are asked; the ID token is read by `shared.access.jose`. Nothing else of an answer counts.
"""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.client import OAuth2Client

from services.notify.sign_in.discovery import Discovery, NotDiscovered
from services.notify.sign_in.provider import Identity, Round, check_claims, identity_of
from services.notify.sign_in.visitor import Role
from shared.access.jose import OF_ISSUERS, JoseRefused, prove, read_token
from shared.access.keys import KeysUnavailable, RemoteKeys
from shared.outbound import Answer, Outbound, OutboundFailed, OutboundRefused

DID_NOT_WORK = "The sign-in with your organisation did not work. Try it again."
AWAY = "Your organisation's sign-in does not answer now. Try again in a minute."
AT_ONCE, PATIENCE_S = 4, 2.0
"""Codes that are with the provider at a time, and how long another waits: one that hangs holds up nobody else."""


class ProviderFailed(Exception):
    """Nobody was signed in. `sentence` is what the page says; the text is for the log, and holds no token."""

    def __init__(self, reason: str, sentence: str = DID_NOT_WORK) -> None:
        super().__init__(reason)
        self.sentence = sentence


@dataclass(slots=True)
class Provider:
    """One provider. `redirect_uri` is where it sends browsers back to."""

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    scope: str
    redirect_uri: str
    roles: Mapping[str, Role]
    roles_claim: str
    person_claim: str
    outbound: Outbound
    now: Callable[[], float] = time.time
    _discovery: Discovery = field(init=False)
    _keys: RemoteKeys | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _with_provider: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(AT_ONCE))

    def __post_init__(self) -> None:
        self._discovery = Discovery(self.issuer, self.outbound.get)

    def way_there(self, of: Round) -> str:
        """Where the browser is sent. Raises ProviderFailed."""
        url, _ = self._client().create_authorization_url(
            self._endpoint("authorization_endpoint"), state=of.state, code_verifier=of.verifier, nonce=of.nonce
        )
        return str(url)

    def who(self, of: Round, query: str) -> Identity:
        """Who came back with this query, of the browser that was sent there in this round. Raises ProviderFailed."""
        answer = parse_qs(query)
        given = {name: values[0] for name, values in answer.items() if len(values) == 1}
        if not hmac.compare_digest(given.get("state", "").encode(), of.state.encode()):
            raise ProviderFailed("another state")
        if given.get("iss", self.issuer) != self.issuer:
            raise ProviderFailed("an answer of another issuer (RFC 9207)")
        if "code" not in given:
            sentence = "Your organisation did not sign you in. Try it again, or ask them."
            raise ProviderFailed(f"error {given.get('error', '(none)')[:60]}", sentence)
        claims = self._proven(self._id_token(given["code"], of), of)
        try:
            return identity_of(claims, roles_claim=self.roles_claim, roles=self.roles, person_claim=self.person_claim)
        except JoseRefused as refused:
            raise ProviderFailed(refused.reason) from None

    def way_out(self, back: str) -> str | None:
        """Where the browser ends its session at the provider too (RP-Initiated Logout); None: nowhere."""
        try:
            found = self._discovered().get("end_session_endpoint")
        except ProviderFailed:
            return None
        if not isinstance(found, str) or urlsplit(found).scheme not in ("https", "http"):
            return None
        joined = "&" if urlsplit(found).query else "?"
        return found + joined + urlencode({"client_id": self.client_id, "post_logout_redirect_uri": back})

    def _id_token(self, code: str, of: Round) -> str:
        client, endpoint = self._client(), self._endpoint("token_endpoint")
        try:
            with self._turn():
                token = client.fetch_token(
                    endpoint, grant_type="authorization_code", code=code, code_verifier=of.verifier
                )
        except AuthlibBaseError as error:
            raise ProviderFailed(f"token endpoint: {str(error.error)[:60]}") from None
        except (OutboundFailed, OutboundRefused, ValueError) as error:
            raise ProviderFailed(f"token endpoint: {type(error).__name__}") from None
        if not isinstance(found := token.get("id_token"), str):
            raise ProviderFailed("no ID token")
        return found

    def _proven(self, text: str, of: Round) -> Mapping[str, Any]:
        try:
            token = read_token(text, algorithms=OF_ISSUERS, types={"", "jwt"})
            prove(token, self._key_set().named(token.kid))
            check_claims(token.claims, issuer=self.issuer, client_id=self.client_id, nonce=of.nonce, now=self.now())
        except JoseRefused as refused:
            raise ProviderFailed(f"ID token: {refused.reason}") from None
        except KeysUnavailable as error:
            raise ProviderFailed(str(error)) from None
        return token.claims

    def _client(self) -> OAuth2Client:
        return OAuth2Client(
            _Session(self.outbound),
            self.client_id,
            self.client_secret,
            token_endpoint_auth_method=self._authentication(),
            scope=self.scope,
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
        )

    def _authentication(self) -> str:
        """How we show who we are at the token endpoint: by Basic, unless the provider takes the form only."""
        if not self.client_secret:
            return "none"
        offered = self._discovered().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"

    def _endpoint(self, name: str) -> str:
        url = self._discovered().get(name)
        if not isinstance(url, str) or not url:
            raise ProviderFailed(f"its configuration has no {name}")
        return url

    def _key_set(self) -> RemoteKeys:
        url = self._endpoint("jwks_uri")
        with self._lock:
            if self._keys is None or self._keys.url != url:
                self._keys = RemoteKeys(url, self.outbound.get)
            return self._keys

    def _discovered(self) -> Mapping[str, Any]:
        """What the provider says of itself. Raises ProviderFailed."""
        try:
            return self._discovery.found()
        except NotDiscovered as error:
            raise ProviderFailed(f"discovery: {error}", AWAY) from None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One of the few that ask at a time. Raises ProviderFailed."""
        if not self._with_provider.acquire(timeout=PATIENCE_S):
            raise ProviderFailed("token endpoint: others wait for it already", AWAY)
        try:
            yield
        finally:
            self._with_provider.release()


class _Session:
    """What authlib sends by: `requests` in shape, `shared.outbound` in deed."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    def post(self, url: str, *, data: Mapping[str, str], headers: Mapping[str, str], auth: Any) -> _Response:
        """A form, with the client's credentials. Raises OutboundRefused or OutboundFailed."""
        url, sent, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        return _Response(self._outbound.ask(url, sent, body.encode()))


@dataclass(frozen=True, slots=True)
class _Response:
    answer: Answer

    @property
    def status_code(self) -> int:
        return self.answer.status

    def json(self) -> Any:
        """Raises ValueError."""
        return json.loads(self.answer.body)

    def raise_for_status(self) -> None:
        """Raises OutboundFailed."""
        if self.answer.status >= 400:
            raise OutboundFailed(f"status {self.answer.status}")
