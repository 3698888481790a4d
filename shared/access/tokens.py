"""Access tokens: JWTs of `typ: at+jwt` (RFC 9068) from this installation or from an issuer that is trusted.

A token's tenant comes from its issuer alone: ours writes it down when it grants, a trusted one is mapped by settings.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.access.claims import in_time, meant_for, text_of
from shared.access.gate import TokenRefused
from shared.access.jose import OF_ISSUERS, OURS, JoseRefused, prove, read_token
from shared.access.keys import Keys, KeysUnavailable
from shared.access.scopes import ScopeError, parse_scopes
from shared.principal import Principal
from shared.problems import Category, Problem, ProblemError

KIND = "at+jwt"
LIFETIME_S = 300
MOST_REMEMBERED = 10_000

PrincipalOf = Callable[[Mapping[str, Any]], Principal]
"""Claims to who they speak for. Raises JoseRefused."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs access tokens that are taken here, and what they must say."""

    url: str
    audience: str
    keys: Keys
    principal: PrincipalOf
    algorithms: tuple[str, ...] = OF_ISSUERS


def own_issuer(public_url: str, keys: Keys) -> Issuer:
    """This installation's own token endpoint. Its tokens are good for the FHIR base."""
    url = public_url.rstrip("/")
    return Issuer(url, f"{url}/fhir", keys, _own_principal, (OURS,))


def _own_principal(claims: Mapping[str, Any]) -> Principal:
    try:
        return Principal(text_of(claims, "sub"), UUID(text_of(claims, "tenant")), parse_scopes(str(claims["scope"])))
    except (ValueError, KeyError, ScopeError):
        raise JoseRefused("its tenant or scope cannot be read") from None


class Verifier:
    """Says on whose behalf an access token speaks. Remembers what it verified until that ends, so a client that was
    disabled meanwhile may go on for as long as its last token holds."""

    def __init__(self, issuers: Sequence[Issuer], now: Callable[[], float] = time.time) -> None:
        self._issuers = {issuer.url: issuer for issuer in issuers}
        self._now = now
        self._lock = threading.Lock()
        self._remembered: dict[bytes, tuple[Principal, float]] = {}

    def known(self, token: str) -> Principal | None:
        """Its principal if it was verified before and still holds."""
        found = self._remembered.get(_digest(token))
        return found[0] if found and self._now() < found[1] else None

    def verify(self, token: str) -> Principal:
        """Its principal. Raises TokenRefused, and ProblemError 503 when the issuer's keys cannot be had."""
        try:
            principal, until = self._verified(token)
        except JoseRefused as refused:
            raise TokenRefused(refused.reason) from None
        except KeysUnavailable:
            raise ProblemError(
                Problem(
                    Category.UNAVAILABLE,
                    "issuer-keys",
                    "The keys of the issuer of your token cannot be had now. Send the same request again.",
                    issue_code="transient",
                )
            ) from None
        self._remember(_digest(token), principal, until)
        return principal

    def _verified(self, text: str) -> tuple[Principal, float]:
        token = read_token(text, algorithms=OF_ISSUERS, types={KIND})
        issuer = self._issuers.get(text_of(token.claims, "iss", most=2048))
        if issuer is None:
            raise JoseRefused("its issuer (iss) is not trusted here")
        if token.algorithm not in issuer.algorithms:
            raise JoseRefused(f"its algorithm is not one of {', '.join(issuer.algorithms)}")
        prove(token, issuer.keys.named(token.kid))
        until = in_time(token.claims, now=self._now())
        meant_for(token.claims, issuer.audience)
        return issuer.principal(token.claims), until

    def _remember(self, digest: bytes, principal: Principal, until: float) -> None:
        with self._lock:
            if len(self._remembered) >= MOST_REMEMBERED:
                now = self._now()
                held = {key: value for key, value in self._remembered.items() if value[1] > now}
                self._remembered = held if len(held) < MOST_REMEMBERED else {}
            self._remembered[digest] = (principal, until)


def _digest(token: str) -> bytes:
    """What is remembered of a token: not the token."""
    return hashlib.sha256(token.encode("ascii", "replace")).digest()
