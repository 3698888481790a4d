"""A message that only one browser can read: Web Push encryption (RFC 8291) in the coding aes128gcm (RFC 8188). Pure.

One record, with a key pair and a salt of its own for every message.
"""

from __future__ import annotations

import os
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD_BYTES = 4096
LONGEST_BYTES = 3000
"""Of a message. Push services take 4096 bytes, of which 103 are overhead."""
KEY_BYTES, SECRET_BYTES, SALT_BYTES = 65, 16, 16
_LAST_RECORD = b"\x02"


def public_point(key: ec.EllipticCurvePublicKey) -> bytes:
    """A public key as Web Push writes it: the uncompressed point, 65 bytes."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def read_point(point: bytes) -> ec.EllipticCurvePublicKey:
    """The other way round. Raises ValueError for what is no uncompressed point on P-256."""
    if len(point) != KEY_BYTES or point[0] != 4:
        raise ValueError("no uncompressed point on P-256")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def encrypt(
    text: bytes,
    *,
    receiver: bytes,
    secret: bytes,
    padded_to: int = 0,
    sender: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """The body of the request to a push service. `receiver`, `secret`: what the browser gave, p256dh and auth.

    `padded_to`: bytes that shorter texts are filled up to, so that the length says nothing. `sender`, `salt`: for tests
    with known values only. Raises ValueError for keys that are none, or a text that is too long.
    """
    if len(text) > LONGEST_BYTES:
        raise ValueError("too long for a push message")
    theirs = read_point(receiver)
    ours = sender or ec.generate_private_key(ec.SECP256R1())
    salt = salt or os.urandom(SALT_BYTES)
    point = public_point(ours.public_key())
    shared = ours.exchange(ec.ECDH(), theirs)
    material = _derived(shared, salt=secret, info=b"WebPush: info\x00" + receiver + point, length=32)
    key = _derived(material, salt=salt, info=b"Content-Encoding: aes128gcm\x00", length=16)
    nonce = _derived(material, salt=salt, info=b"Content-Encoding: nonce\x00", length=12)
    record = text + _LAST_RECORD + bytes(max(padded_to - len(text), 0))
    head = salt + struct.pack("!LB", RECORD_BYTES, len(point)) + point
    return head + AESGCM(key).encrypt(nonce, record, None)


def _derived(material: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(material)
