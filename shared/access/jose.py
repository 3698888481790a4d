"""Signed tokens (JWS, RFC 7515) read as strictly as can be: the one door for the JOSE library.

Which algorithms count is written here and never taken from a token or a key. A token brings no key and no address of a
key along, names no extension that must be understood, and is not longer than 8 kB before anything of it is decoded.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

MOST_CHARACTERS = 8192
SMALLEST_RSA_BITS, LARGEST_RSA_BITS = 2048, 8192
SMART = ("RS384", "ES384")
"""What SMART Backend Services asks of every server."""
OF_ISSUERS = ("RS384", "ES384", "RS256", "ES256")
"""What other issuers sign access tokens with; all asymmetric."""
OURS = "ES384"
CURVES = {"ES384": "P-384", "ES256": "P-256"}
_CARRIED_KEYS = ("jwk", "x5u", "x5c")
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")


class JoseRefused(Exception):
    """A token or key that proves nothing. `reason` is part of a sentence, and holds nothing of the token."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Unproven:
    """What a token says of itself; true only after `proven`."""

    text: str = field(repr=False)
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def algorithm(self) -> str:
        """One of the algorithms that it was read with."""
        return str(self.header["alg"])

    @property
    def kid(self) -> str | None:
        """The name of the key, if it has one."""
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) else None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key of a set, good for signatures with the algorithms it names."""

    kid: str | None
    algorithms: tuple[str, ...]
    key: RSAKey | ECKey = field(repr=False)


def read_token(text: str, *, algorithms: Collection[str], types: Collection[str]) -> Unproven:
    """Take a token apart without believing it. Raises JoseRefused.

    `types`: what `typ` may be, in lower case; '' when it may be missing.
    """
    if len(text) > MOST_CHARACTERS:
        raise JoseRefused(f"it is longer than {MOST_CHARACTERS} characters")
    parts = text.split(".")
    if len(parts) != 3 or not all(parts):
        raise JoseRefused("it is not a signed JWT of three parts")
    header, claims = _json(parts[0], "header"), _json(parts[1], "payload")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise JoseRefused(f"its algorithm is not one of {', '.join(algorithms)}")
    if "crit" in header:
        raise JoseRefused("its header has crit, and no extension is understood here")
    if any(name in header for name in _CARRIED_KEYS):
        raise JoseRefused("its header brings a key along (jwk, x5u or x5c)")
    if str(header.get("typ", "")).lower().removeprefix("application/") not in types:
        wanted = " or ".join(sorted(kind for kind in types if kind))
        raise JoseRefused(f"its typ is not {wanted}")
    return Unproven(text, header, claims)


def prove(token: Unproven, keys: Iterable[PublicKey], *, jku: str | None = None) -> None:
    """Check the signature with those of the keys that the token names and that fit. Raises JoseRefused.

    `jku`: the only address of keys that the token may name, as that is where the keys are from anyway.
    """
    if "jku" in token.header and (jku is None or token.header["jku"] != jku):
        raise JoseRefused("its header names another place for keys (jku) than the registered one")
    named = [key for key in keys if token.kid is None or key.kid == token.kid]
    if not named:
        raise JoseRefused("no registered key has its kid")
    fitting = [key for key in named if token.algorithm in key.algorithms]
    if not fitting:
        raise JoseRefused("the key that it names is not one for its algorithm")
    if not any(_signed_by(token, key) for key in fitting):
        raise JoseRefused("its signature was not made with the registered key")


def _signed_by(token: Unproven, key: PublicKey) -> bool:
    algorithm = token.algorithm
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = MOST_CHARACTERS
    try:
        jws.deserialize_compact(token.text, key.key, algorithms=[algorithm], registry=registry)
    except (JoseError, ValueError, TypeError):
        return False
    return True


def public_keys(jwks: object) -> list[PublicKey]:
    """The keys of a JSON Web Key Set (RFC 7517) that can prove signatures; other kinds of keys are passed over.

    Raises JoseRefused for what is no key set, holds a private key, a key that is too small, or none that can be used.
    """
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, Sequence) or isinstance(keys, str) or not all(isinstance(key, Mapping) for key in keys):
        raise JoseRefused("it is no JSON Web Key Set (an object with an array `keys`)")
    if any(name in key for key in keys for name in _PRIVATE):
        raise JoseRefused("it holds a private or symmetric key. Make a new pair, and give out the public half only")
    found = [public for key in keys if (public := _public_key(key)) is not None]
    if not found:
        raise JoseRefused(f"it holds no signing key for {' or '.join(SMART)} (RSA of 2048 bits or more, EC on P-384)")
    return found


def _public_key(key: Mapping[str, Any]) -> PublicKey | None:
    if key.get("use", "sig") != "sig" or "verify" not in key.get("key_ops", ["verify"]):
        return None
    kid = key.get("kid")
    plain = {str(name): value for name, value in key.items() if name in ("kty", "n", "e", "crv", "x", "y")}
    try:
        if key.get("kty") == "RSA":
            if not SMALLEST_RSA_BITS <= _bits(plain["n"]) <= LARGEST_RSA_BITS:
                raise JoseRefused(f"it holds an RSA key of fewer than {SMALLEST_RSA_BITS} bits, or a giant one")
            return PublicKey(kid, _narrowed(("RS384", "RS256"), key), RSAKey.import_key(plain))
        if key.get("kty") == "EC":
            curve = ECKey.import_key(plain)
            return PublicKey(kid, _narrowed([a for a, name in CURVES.items() if name == curve.curve_name], key), curve)
    except (JoseError, ValueError, TypeError, KeyError, binascii.Error):
        raise JoseRefused("it holds a key that cannot be read") from None
    return None


def _bits(modulus: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4)), "big").bit_length()


def _narrowed(algorithms: Iterable[str], key: Mapping[str, Any]) -> tuple[str, ...]:
    """The algorithms that the key's own `alg` leaves."""
    return tuple(name for name in algorithms if key.get("alg", name) == name)


def parse_key_set(text: str | bytes) -> list[PublicKey]:
    """`public_keys` of a JSON text. Raises JoseRefused."""
    try:
        return public_keys(_strictly(text))
    except (ValueError, RecursionError):
        raise JoseRefused("it is no JSON") from None


def sign(claims: Mapping[str, Any], *, private_jwk: Mapping[str, Any], kind: str) -> str:
    """A token of that `typ`, signed with ES384 by a private key on P-384."""
    key = ECKey.import_key(dict(private_jwk))
    header = {"alg": OURS, "typ": kind, "kid": private_jwk["kid"]}
    return jws.serialize_compact(header, json.dumps(claims, separators=(",", ":")), key, algorithms=[OURS])


def sign_es256(claims: Mapping[str, Any], *, private_pem: str) -> str:
    """A token signed with ES256 by a private key on P-256 in PEM: what Web Push asks for (RFC 8292)."""
    key = ECKey.import_key(private_pem)
    payload = json.dumps(claims, separators=(",", ":"))
    return jws.serialize_compact({"alg": "ES256", "typ": "JWT"}, payload, key, algorithms=["ES256"])


def new_key() -> dict[str, Any]:
    """A new private key for ES384 as a JSON Web Key. Its `kid` is its thumbprint (RFC 7638)."""
    key = ECKey.generate_key("P-384", private=True)
    return {**key.as_dict(private=True), "kid": key.thumbprint(), "alg": OURS, "use": "sig"}


def read_pem(text: str) -> dict[str, Any]:
    """A private key in PEM as a JSON Web Key. Raises ValueError."""
    key = ECKey.import_key(text)
    return {**key.as_dict(private=True), "kid": key.thumbprint(), "alg": OURS, "use": "sig"}


def public_half(private_jwk: Mapping[str, Any]) -> dict[str, Any]:
    """The same key as everybody may see it."""
    return {name: value for name, value in private_jwk.items() if name not in _PRIVATE}


def _json(part: str, what: str) -> dict[str, Any]:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        value = _strictly(raw)
    except (ValueError, RecursionError):
        raise JoseRefused(f"its {what} is no JSON object in base64url") from None
    if "=" in part or not isinstance(value, dict):
        raise JoseRefused(f"its {what} is no JSON object in base64url")
    return value


def _strictly(text: str | bytes) -> Any:
    """JSON without a name given twice and without NaN, which compares with no moment. Raises ValueError."""
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)


def _no_number(word: str) -> Any:
    raise ValueError(word)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found
