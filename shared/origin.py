"""Whom a request is for and where it comes from: the Host and Origin that a browser cannot be made to forge.

A page of another site can have its own name lead to our address (DNS rebinding); the browser then takes us for that
site, and only the Host header tells. See https://www.w3.org/TR/fetch-metadata/ for Sec-Fetch-Site.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from shared.settings import is_loopback

HostCheck = Callable[[str], bool]
_SERVICE_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")


def host_check(public_url: str, allowed_hosts: str = "") -> HostCheck:
    """A check of Host headers: ours are the public one, `allowed_hosts` (comma list), loopback and names without a dot.

    Names without a dot are those that containers use among each other; nobody can register one. Ports do not matter. A
    request without Host comes from no browser and passes.
    """
    ours = {name.strip().lower() for name in allowed_hosts.split(",") if name.strip()} | {host_name(public_url)}

    @lru_cache(maxsize=256)
    def check(header: str) -> bool:
        if not header:
            return True
        name = host_name(f"//{header}")
        return name in ours or is_loopback(name) or _SERVICE_NAME.fullmatch(name) is not None

    return check


def host_name(url: str) -> str:
    """The host of a URL in lower case, without port and final dot; '' when it has none that can be read."""
    try:
        return (urlsplit(url).hostname or "").removesuffix(".")
    except ValueError:
        return ""


def from_elsewhere(headers: Mapping[str, str], public_url: str) -> bool:
    """True when a browser says that another site makes it send this. What is no browser says nothing: False."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return True
    if origin is None or (origin == "null" and site is not None):
        return False
    try:
        ours, theirs = urlsplit(public_url), urlsplit(origin)
    except ValueError:
        return True
    same = (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc)
    return not same and not (is_loopback(theirs.hostname or "") and theirs.netloc == headers.get("host"))
