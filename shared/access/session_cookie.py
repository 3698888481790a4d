"""The cookie of who is signed in to the pages: notify gives it, intake's pages read it and ask notify whose it is."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

SESSION = "session"
ACCOUNT_PREFIX = "account/"
"""Begins the id under which somebody with an account stands in the audit."""
HSTS = "max-age=63072000"
"""Browsers come back by https only, for two years."""


def is_https(public_url: str) -> bool:
    """Whether people reach us by https: cookies are then `__Host-` and Secure."""
    return urlsplit(public_url).scheme == "https"


def cookie_name(of: str, *, https: bool) -> str:
    """The full name of one of our cookies. Without `__Host-` only on http, which only the loopback address may use."""
    return f"__Host-sural-{of}" if https else f"sural-{of}"


def hashed(token: str) -> bytes:
    """What the database holds of a cookie's value, and what travels between our services."""
    return hashlib.sha256(token.encode()).digest()
