"""Giving a stored resource its id and meta without touching anything else of it.

What a client sent comes back byte for byte, decimals, order and unknown extensions included; only the top-level members
`id` and `meta` are the server's (R4 http.html, create). So they are cut out of the text and written in front.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import orjson

from shared.fhir.codes import CS_URGENCY, EXT_CONTENT_SHA256
from shared.fhir.resources import WITHOUT_BODY, Stored

_READER = json.JSONDecoder(parse_float=str, parse_int=str)
_SPACE = " \t\n\r"
_ESCAPED_LETTER = re.compile(rb"\\u00[67]")
"""Where a name could be `id` or `meta` in other characters: their letters are U+0061 to U+0074."""


def instant(moment: datetime) -> str:
    """A FHIR instant in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_received(stored: Stored) -> bytes:
    """A resource that a client sent, with our id and meta; all other bytes as they came."""
    meta: dict[str, Any] = {
        "versionId": str(stored.version_id),
        "lastUpdated": instant(stored.last_updated),
        "extension": [{"url": EXT_CONTENT_SHA256, "valueString": stored.sha256.hex()}],
    }
    rest = stored.body
    if b'"meta"' in rest or b'"id"' in rest or _ESCAPED_LETTER.search(rest):
        members = top_level_members(rest)
        if sent := members.get("meta"):
            meta = _merged(orjson.loads(sent[1]), meta)
        rest = without(rest, [members[name][0] for name in ("id", "meta") if name in members])
    head = orjson.dumps({"id": stored.id, "meta": meta})[:-1]
    opening = rest.index(b"{") + 1
    tail = rest[opening:]
    separator = b"" if tail.lstrip().startswith(b"}") else b","
    return rest[:opening] + head[1:] + separator + tail


def as_stored(stored: Stored) -> bytes:
    """A resource that we emitted: it carries its id and meta already."""
    return stored.body


def subset(stored: Stored, elements: tuple[str, ...], full: bytes) -> bytes:
    """`_elements`: the named top-level elements, with id, meta and the tag SUBSETTED (R4 search.html).

    `full` is the resource as it is shown; it is not looked at when `WITHOUT_BODY` holds all of them.
    """
    meta: dict[str, Any] = {
        "versionId": str(stored.version_id),
        "lastUpdated": instant(stored.last_updated),
        "tag": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}],
    }
    if stored.tag:
        meta["tag"].append({"system": CS_URGENCY, "code": stored.tag})
    head = orjson.dumps({"resourceType": stored.type, "id": stored.id, "meta": meta})
    wanted = [name for name in dict.fromkeys(elements) if name not in WITHOUT_BODY]
    if not wanted:
        return head
    members = top_level_members(full)
    kept = [orjson.dumps(name) + b":" + members[name][1] for name in wanted if name in members]
    return head[:-1] + b"".join(b"," + member for member in kept) + b"}"


def top_level_members(body: bytes) -> dict[str, tuple[tuple[int, int], bytes]]:
    """For each member of the outermost object: where it lies (name to end of value) and its value's text.

    `body` must be well-formed JSON with an object at the top. Names are compared as they are after decoding.
    """
    text = body.decode("latin-1")  # one character per byte, so that places in the text are places in the body
    members: dict[str, tuple[tuple[int, int], bytes]] = {}
    at = _after_space(text, text.index("{") + 1)
    while text[at] != "}":
        start = at
        at = _after_space(text, _READER.raw_decode(text, start)[1])
        name = orjson.loads(body[start:at])
        value_start = _after_space(text, at + 1)
        value_end = _READER.raw_decode(text, value_start)[1]
        at = _after_space(text, value_end)
        members[name] = ((start, at), body[value_start:value_end])
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return members


def array_items(body: bytes) -> list[bytes]:
    """The text of each element of a well-formed JSON array."""
    text = body.decode("latin-1")
    items: list[bytes] = []
    at = _after_space(text, text.index("[") + 1)
    while text[at] != "]":
        end = _READER.raw_decode(text, at)[1]
        items.append(body[at:end])
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return items


def _after_space(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at


def without(body: bytes, spans: list[tuple[int, int]]) -> bytes:
    """The text without these members and without the comma that each leaves behind."""
    for start, end in sorted(spans, reverse=True):
        before, after = body[:start], body[end:]
        if after.lstrip().startswith(b","):
            after = after.lstrip()[1:]
        elif before.rstrip().endswith(b","):
            before = before.rstrip()[:-1]
        body = before + after
    return body


def _merged(sent: Any, ours: dict[str, Any]) -> dict[str, Any]:
    """The sender's profile, security and tags stay; version, time and digest are the server's."""
    if not isinstance(sent, dict):
        return ours
    kept = [e for e in sent.get("extension", []) if isinstance(e, dict) and e.get("url") != EXT_CONTENT_SHA256]
    return {**sent, **ours, "extension": [*kept, *ours["extension"]]}
