"""What an OpenID Connect provider says about somebody, and what it means here. Pure.

Everything that counts is in the ID token, which `oidc.py` has proven: https://openid.net/specs/openid-connect-core-1_0.html
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.notify.sign_in.session import new_token
from services.notify.sign_in.visitor import Role
from shared.access.claims import in_time, meant_for, text_of
from shared.access.jose import JoseRefused

LONGEST_S = 24 * 3600.0
"""How far ahead the end of an ID token may be."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is at the provider, and the roles that this gives them here (none: they are not let in)."""

    issuer: str
    subject: str
    name: str
    person: str | None
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Round:
    """What binds an answer of the provider to the browser that was sent there. Used once."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    next: str

    @classmethod
    def new(cls, way_back: str) -> Round:
        """A new one; `way_back` is a page of ours."""
        return cls(new_token(), new_token(), new_token(), way_back)


def parse_roles(text: str) -> dict[str, Role]:
    """SURAL_OIDC_ROLES: what a value of the claim means here. Raises ValueError with a sentence."""
    if not text.strip():
        return {}
    try:
        entries = json.loads(text)
        return {str(given): Role(role) for given, role in entries.items()}
    except (ValueError, AttributeError):
        roles = ", ".join(Role)
        raise ValueError(f'SURAL_OIDC_ROLES must be JSON like {{"their group": "clinician"}}, with {roles}.') from None


def check_claims(claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, now: float) -> None:
    """What OpenID Connect Core 3.1.3.7 asks of an ID token whose signature is good. Raises JoseRefused."""
    if text_of(claims, "iss", most=2048) != issuer:
        raise JoseRefused("its iss is not the provider")
    meant_for(claims, client_id)
    audience = claims.get("aud")
    if (isinstance(audience, list) and len(audience) > 1 and "azp" not in claims) or (
        "azp" in claims and claims["azp"] != client_id
    ):
        raise JoseRefused("it was issued to another party (azp)")
    in_time(claims, now=now, longest_s=LONGEST_S)
    if "iat" not in claims:
        raise JoseRefused("it has no iat")
    if not hmac.compare_digest(text_of(claims, "nonce").encode(), nonce.encode()):
        raise JoseRefused("its nonce is not that of this sign-in")


def identity_of(
    claims: Mapping[str, Any], *, roles_claim: str, roles: Mapping[str, Role], person_claim: str
) -> Identity:
    """Who it is. The name is the best that the token has. Raises JoseRefused."""
    subject = text_of(claims, "sub")
    names = (claims.get(name) for name in ("name", "preferred_username", "email"))
    name = next((" ".join(value.split())[:120] for value in names if isinstance(value, str) and value.strip()), subject)
    person = claims.get(person_claim) if person_claim else None
    return Identity(
        str(claims["iss"]),
        subject,
        name if name.isprintable() else subject,
        person if isinstance(person, str) and person else None,
        frozenset(roles[value] for value in _texts(claims, roles_claim) if value in roles),
    )


def _texts(claims: Mapping[str, Any], path: str) -> Iterable[str]:
    """The texts at a path of names with dots between: one, or those of an array; none where there is nothing."""
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    found = value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, str)]
