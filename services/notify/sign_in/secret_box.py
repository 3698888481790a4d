"""TOTP secrets at rest: under the key of SURAL_ACCOUNT_KEY where it is set, so that a copy of the database is no use.

`v1:` and base64 of a nonce of 12 bytes and AES-256-GCM under the SHA-256 of the key, bound to the account's id; without
a key `plain:` and the secret. What was kept without a key stays readable once there is one.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

PLAIN, SEALED = "plain:", "v1:"


class CannotOpen(Exception):
    """A secret was kept under a key that is not set here, or is another one. Text: a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class SecretBox:
    """Closes and opens. `key` None: secrets are kept as they are."""

    key: bytes | None = field(repr=False)

    def close(self, secret: str, account: UUID) -> str:
        """What the database keeps."""
        if self.key is None:
            return PLAIN + secret
        nonce = os.urandom(12)
        closed = AESGCM(self.key).encrypt(nonce, secret.encode(), account.bytes)
        return SEALED + base64.b64encode(nonce + closed).decode()

    def open(self, kept: str, account: UUID) -> str:
        """The secret. Raises CannotOpen."""
        if kept.startswith(PLAIN):
            return kept.removeprefix(PLAIN)
        if self.key is None:
            raise CannotOpen("A second factor is kept under a key, and SURAL_ACCOUNT_KEY is not set.")
        raw = base64.b64decode(kept.removeprefix(SEALED))
        try:
            return AESGCM(self.key).decrypt(raw[:12], raw[12:], account.bytes).decode()
        except InvalidTag:
            raise CannotOpen("A second factor is kept under another key than SURAL_ACCOUNT_KEY.") from None


def box_of(key: SecretStr | None) -> SecretBox:
    """The box for this setting."""
    return SecretBox(hashlib.sha256(b"sural-account." + key.get_secret_value().encode()).digest() if key else None)
