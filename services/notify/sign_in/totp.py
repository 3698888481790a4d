"""The second factor: codes of six digits that change every 30 seconds (RFC 6238), each good once. One door for pyotp.

A code counts in its own 30 seconds and in those before and after; a step that was used before, and any older, never
again. Recovery codes stand in for the telephone on the day it is lost.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import re
import secrets
from collections.abc import Sequence
from datetime import datetime

import pyotp
import segno

STEP_S = 30
DRIFT = 1
"""Steps that the telephone's clock may differ."""
RECOVERY_CODES = 10
ISSUER = "Sural"
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_SPACES = re.compile(r"[\s-]+")


def new_secret() -> str:
    """160 random bits in base32 (RFC 4226, 4)."""
    return pyotp.random_base32()


def step_of(secret: str, code: str, *, now: datetime, after: int) -> int | None:
    """The step whose code this is, if it is near `now` and later than the step `after`; None for any other code."""
    digits = _SPACES.sub("", code)
    if not re.fullmatch(r"[0-9]{6}", digits):
        return None
    present = int(now.timestamp()) // STEP_S
    found = None
    for step in range(present - DRIFT, present + DRIFT + 1):
        if hmac.compare_digest(pyotp.HOTP(secret).at(step), digits) and step > after:
            found = step
    return found


def address_of(secret: str, login: str) -> str:
    """What the QR code says to an authenticator app (otpauth://)."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def picture_of(secret: str, login: str) -> bytes:
    """The QR code as SVG, black on white with its quiet zone, so that it can be read on a dark page too."""
    out = io.BytesIO()
    segno.make(address_of(secret, login), error="m").save(out, kind="svg", scale=5, border=4, light="#fff")
    return out.getvalue()


def readable(secret: str) -> str:
    """The secret in groups of four, for those who type it."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))


def new_recovery_codes() -> Sequence[str]:
    """Ten codes of 80 random bits, in groups of four."""
    codes = ("".join(secrets.choice(_ALPHABET) for _ in range(16)) for _ in range(RECOVERY_CODES))
    return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in codes]


def recovery_hash(code: str) -> bytes:
    """What the database holds of a recovery code, however it was typed."""
    return hashlib.sha256(b"sural-recovery." + _SPACES.sub("", code).upper().encode()).digest()
