"""The keys with which this installation signs access tokens: the first signs, all are published.

To change the key, put a new one in front (`token-key --rotate`) and restart intake: tokens that the old one signed hold
until they end, as its public half stays published. The third from the front is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.access.jose import OURS, JoseRefused, PublicKey, new_key, public_half, public_keys, read_pem, sign

ALIVE = 2
"""How many keys are published at a time."""


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """Private keys on P-384, as JSON Web Keys; the first signs."""

    private: Sequence[Mapping[str, Any]] = field(repr=False)

    def sign(self, claims: Mapping[str, Any], *, kind: str) -> str:
        """A token of that `typ`."""
        return sign(claims, private_jwk=self.private[0], kind=kind)

    @property
    def jwks(self) -> dict[str, Any]:
        """What everybody may see."""
        return {"keys": [public_half(key) for key in self.private]}

    @property
    def public(self) -> list[PublicKey]:
        """What proves our own tokens."""
        return public_keys(self.jwks)

    def rotated(self) -> TokenKeys:
        """With a new key in front."""
        return TokenKeys((new_key(), *self.private)[:ALIVE])

    def as_text(self) -> str:
        """What the key file holds."""
        return json.dumps({"keys": list(self.private)}, indent=1) + "\n"


def new_token_keys() -> TokenKeys:
    """One new key."""
    return TokenKeys((new_key(),))


def read_token_keys(text: str) -> TokenKeys:
    """The content of a key file: a JSON Web Key Set, or one key in PEM. Raises ValueError, with nothing of the key."""
    try:
        keys = [read_pem(text)] if text.lstrip().startswith("-----BEGIN") else json.loads(text)["keys"]
        if not keys or any("d" not in key or "kid" not in key for key in keys):
            raise ValueError
        found = TokenKeys(tuple(keys))
        if not all(OURS in key.algorithms for key in found.public):
            raise ValueError
        found.sign({}, kind="test")
    except (ValueError, KeyError, TypeError, JoseRefused):
        raise ValueError("SURAL_TOKEN_KEY is no JSON Web Key Set of private keys on P-384 with a kid each.") from None
    return found
