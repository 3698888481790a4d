"""What a client prefers: the header `Prefer` (RFC 7240; R4 http.html#ops) and conditions of a read (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from shared.fhir.resources import Stored

_ENTITY_TAG = re.compile(r'\s*(?:W/)?"([^"]*)"\s*')


def preferred(headers: Mapping[str, str], name: str) -> str:
    """The value of one preference, for example of `return` or `handling`; '' when it is not given."""
    for part in re.split(r"[,;]", headers.get("prefer", "")):
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return ""


def is_strict(headers: Mapping[str, str]) -> bool:
    """Whether unknown search parameters are to be refused (`handling=strict`)."""
    return preferred(headers, "handling") == "strict"


def has_already(headers: Mapping[str, str], stored: Stored) -> bool:
    """Whether the client says that it has this version: then the answer is 304.

    If-None-Match counts more than If-Modified-Since, whose times go to the second only.
    """
    if (tags := headers.get("if-none-match")) is not None:
        return tags.strip() == "*" or str(stored.version_id) in _ENTITY_TAG.findall(tags)
    try:
        since = parsedate_to_datetime(headers.get("if-modified-since", ""))
    except ValueError:
        return False
    moment = since if since.tzinfo is not None else since.replace(tzinfo=UTC)
    return stored.last_updated.replace(microsecond=0) <= moment
