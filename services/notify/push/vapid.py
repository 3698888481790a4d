"""Who sends: VAPID (RFC 8292). A push service learns our public key and how to reach us, and nothing of patients."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from services.notify.push.encryption import public_point
from shared.access.jose import sign_es256

LIFETIME_S = 12 * 3600
"""Of a signed token; a push service takes none that lives longer than a day."""


@dataclass(frozen=True, slots=True)
class Vapid:
    """Our key and our contact (mailto: or https:), which a push service asks when something is wrong."""

    key: str = field(repr=False)
    contact: str

    @property
    def public(self) -> str:
        """What browsers are given when they subscribe: base64url of the public point."""
        return base64url(public_point(_read(self.key).public_key()))

    def authorization(self, endpoint: str) -> str:
        """The Authorization header of a request to this address, good for its origin."""
        url = urlsplit(endpoint)
        claims = {
            "aud": f"{url.scheme}://{url.netloc}",
            "exp": int(time.time()) + LIFETIME_S,
            "sub": self.contact,
        }
        return f"vapid t={sign_es256(claims, private_pem=self.key)}, k={self.public}"


def check_vapid(key: str, contact: str) -> None:
    """Raises ValueError with a sentence that holds neither."""
    try:
        _read(key)
    except ValueError:
        raise ValueError("SURAL_PUSH_KEY is no private key on P-256 in PEM.") from None
    if not contact.startswith(("mailto:", "https://")):
        raise ValueError("SURAL_PUSH_CONTACT must start with mailto: or https://.")


def new_key() -> str:
    """A new private key in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def base64url(raw: bytes) -> str:
    """Without padding, as everything in Web Push is written."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The other way round, padding allowed. Raises ValueError."""
    bare = text.rstrip("=")
    return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)


def _read(pem: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise ValueError("encrypted") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("another kind of key")
    return key
