"""A push service on the loopback address, and the browser behind it: checks who sends, and reads what only it can read.

The reading is written from RFC 8188 and RFC 8291 for this test, with primitives of `cryptography` and HMAC only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.notify.neighbours import serving


def unpadded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def hkdf(salt: bytes, material: bytes, info: bytes, length: int) -> bytes:
    """HKDF of one block (RFC 5869)."""
    extracted = hmac.new(salt, material, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()[:length]


@dataclass
class Browser:
    """One that subscribed: its keys, and where its push service is."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = field(default_factory=lambda: os.urandom(16))

    @property
    def point(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def form(self, **more: str) -> dict[str, str]:
        """What the page sends when the button was pressed."""
        return {"endpoint": self.endpoint, "p256dh": unpadded(self.point), "auth": unpadded(self.auth), **more}

    def read(self, body: bytes) -> bytes:
        salt, size, length = body[:16], int.from_bytes(body[16:20]), body[20]
        theirs, sealed = body[21 : 21 + length], body[21 + length :]
        assert len(sealed) <= size
        sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs)
        shared = self.key.exchange(ec.ECDH(), sender)
        material = hkdf(self.auth, shared, b"WebPush: info\x00" + self.point + theirs, 32)
        key = hkdf(salt, material, b"Content-Encoding: aes128gcm\x00", 16)
        nonce = hkdf(salt, material, b"Content-Encoding: nonce\x00", 12)
        record = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\x00")
        assert record.endswith(b"\x02")
        return record[:-1]


@dataclass
class PushService:
    """Answers `status` (by path, else 201), and keeps what it was sent."""

    url: str = ""
    statuses: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def browser(self, name: str) -> Browser:
        return Browser(f"{self.url}/wpush/{name}")

    def bodies(self, browser: Browser) -> list[bytes]:
        return [body for path, _, body in self.requests if path == urlsplit(browser.endpoint).path]

    def shown(self, browser: Browser) -> list[dict[str, Any]]:
        """What this browser could read of what was sent to it."""
        return [json.loads(browser.read(body)) for body in self.bodies(browser)]


@contextmanager
def a_push_service() -> Iterator[PushService]:
    service = PushService()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            service.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(service.statuses.get(self.path, 201))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with serving(Handler) as url:
        service.url = url
        yield service


def prove_sender(authorization: str) -> tuple[dict[str, Any], str]:
    """What a push service does with the header `Authorization` (RFC 8292): claims and key of whoever signed."""
    scheme, _, rest = authorization.partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    point = raw(parts["k"])
    key = ECKey.import_key({"kty": "EC", "crv": "P-256", "x": unpadded(point[1:33]), "y": unpadded(point[33:])})
    assert scheme == "vapid"
    return jwt.decode(parts["t"], key, algorithms=["ES256"]).claims, parts["k"]
