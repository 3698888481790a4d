"""What the claims of a token (RFC 7519) must say: in time, for us."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from shared.access.jose import JoseRefused

LEEWAY_S = 30.0
"""How far the sender's clock may differ from ours."""


def in_time(claims: Mapping[str, Any], *, now: float, longest_s: float | None = None) -> float:
    """Until when the token holds, in seconds since 1970. `longest_s`: how far ahead that may be. Raises JoseRefused."""
    until = _moment(claims, "exp")
    if until is None:
        raise JoseRefused("it has no exp")
    if until <= now - LEEWAY_S:
        raise JoseRefused("it has expired (exp)")
    if longest_s is not None and until > now + longest_s + LEEWAY_S:
        raise JoseRefused(f"its exp is more than {longest_s:.0f} seconds ahead")
    for name in ("nbf", "iat"):
        moment = _moment(claims, name)
        if moment is not None and moment > now + LEEWAY_S:
            raise JoseRefused(f"it does not hold yet ({name})")
    return until


def meant_for(claims: Mapping[str, Any], audience: str) -> None:
    """That `aud`, a text or an array of texts, names this audience. Raises JoseRefused."""
    given = claims.get("aud")
    if audience not in (given if isinstance(given, list) else [given]):
        raise JoseRefused(f"its aud is not {audience}")


def text_of(claims: Mapping[str, Any], name: str, *, most: int = 256) -> str:
    """A claim that must be a text that is not empty. Raises JoseRefused."""
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
        raise JoseRefused(f"its {name} is missing or no text of at most {most} characters")
    return value


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise JoseRefused(f"its {name} is no number of seconds")
    return float(value)
