"""Keys and signed tokens for tests, made with another JOSE library than the one that checks them, or by hand."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

ES = {"ES256": (ec.SECP256R1(), hashes.SHA256(), 32), "ES384": (ec.SECP384R1(), hashes.SHA384(), 48)}
RS = {"RS256": hashes.SHA256(), "RS384": hashes.SHA384()}
CRV = {"ES256": "P-256", "ES384": "P-384"}

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def ec_key(algorithm: str = "ES384") -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ES[algorithm][0])


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_jwk(key: PrivateKey, kid: str = "k1", **more: Any) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", "kid": kid, "n": number(numbers.n), "e": number(numbers.e), **more}
    point = key.public_key().public_numbers()
    size = (key.curve.key_size + 7) // 8
    curve = {256: "P-256", 384: "P-384"}[key.curve.key_size]
    return {"kty": "EC", "crv": curve, "kid": kid, "x": number(point.x, size), "y": number(point.y, size), **more}


def jwks(*keys: dict[str, Any]) -> str:
    return json.dumps({"keys": list(keys)})


def signed(header: dict[str, Any], claims: dict[str, Any] | str, key: PrivateKey | bytes) -> str:
    """A compact JWS; a key of bytes makes an HMAC, whatever the header says."""
    text = claims if isinstance(claims, str) else json.dumps(claims)
    payload = f"{b64(json.dumps(header).encode())}.{b64(text.encode())}"
    return f"{payload}.{b64(signature(header.get('alg', ''), payload.encode(), key))}"


def signature(algorithm: str, payload: bytes, key: PrivateKey | bytes) -> bytes:
    if isinstance(key, bytes):
        mac = hmac.HMAC(key, hashes.SHA256())
        mac.update(payload)
        return mac.finalize()
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(payload, padding.PKCS1v15(), RS.get(algorithm, hashes.SHA384()))
    _, digest, size = ES["ES256" if key.curve.key_size == 256 else "ES384"]
    r, s = utils.decode_dss_signature(key.sign(payload, ec.ECDSA(digest)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")
