"""What a client has to know before it has a token: where to ask for one, and which keys sign it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from shared.access.jose import SMART

LETTERS = {
    "create": "c",
    "read": "r",
    "vread": "r",
    "history-instance": "r",
    "update": "u",
    "patch": "u",
    "delete": "d",
    "search-type": "s",
}
Parts = Callable[[], Sequence[dict[str, Any]]]
"""The `rest.resource` entries of the whole base."""


def smart_configuration(public_url: str, parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The document at `/.well-known/smart-configuration` (SMART App Launch 2.2, conformance)."""
    url = public_url.rstrip("/")
    return {
        "issuer": url,
        "jwks_uri": f"{url}/.well-known/jwks.json",
        "token_endpoint": f"{url}/auth/token",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(SMART),
        "scopes_supported": supported_scopes(parts),
        "code_challenge_methods_supported": ["S256"],  # the field is required; there is no authorization endpoint
        "capabilities": ["client-confidential-asymmetric", "permission-v2"],
    }


def supported_scopes(parts: Iterable[dict[str, Any]]) -> list[str]:
    """The widest scope of each type that is offered, and the one for looking at everything."""
    found = []
    for part in parts:
        given = {LETTERS.get(interaction["code"], "") for interaction in part.get("interaction", [])}
        letters = "".join(letter for letter in "cruds" if letter in given)
        if letters:
            found.append(f"system/{part['type']}.{letters}")
    return ["system/*.rs", *sorted(found)]
