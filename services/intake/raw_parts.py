"""Resources inside a resource, as the bytes that came: what stands in a Bundle or in Parameters is stored as sent."""

from __future__ import annotations

import json
from typing import Final

from shared.fhir.identity import top_level_members
from shared.fhir.parse import parse_resource
from shared.problems import ProblemError

_READER: Final = json.JSONDecoder(parse_float=str, parse_int=str)
_BETWEEN: Final = " \t\n\r,"


def members(body: bytes) -> dict[str, bytes]:
    """The text of each member of a well-formed JSON object."""
    return {name: text for name, (_, text) in top_level_members(body).items()}


def elements(body: bytes) -> list[bytes]:
    """The text of each element of a well-formed JSON array."""
    text = body.decode("latin-1")  # one character per byte, so that places in the text are places in the body
    found: list[bytes] = []
    at = text.index("[") + 1
    while True:
        while text[at] in _BETWEEN:
            at += 1
        if text[at] == "]":
            return found
        end = _READER.raw_decode(text, at)[1]
        found.append(body[at:end])
        at = end


def parameters(body: bytes) -> dict[str, dict[str, bytes]]:
    """Of a Parameters resource each parameter by its name: the text of its members. Of a repeated one the last.

    Raises ProblemError (400) for what is wrong outside of the resources in it; these are judged on their own.
    """
    try:
        parse_resource(body, resource_type="Parameters")
    except ProblemError as found:
        if outside := [each for each in found.problems if ".resource" not in (each.expression or "")]:
            raise ProblemError(outside) from None
    named: dict[str, dict[str, bytes]] = {}
    for element in elements(members(body).get("parameter", b"[]")):
        parts = members(element)
        named[json.loads(parts["name"])] = parts
    return named


def type_of(resource: bytes) -> str:
    """The resourceType of a well-formed JSON text, '' where it has none."""
    content = json.loads(resource)
    kind = content.get("resourceType") if isinstance(content, dict) else None
    return kind if isinstance(kind, str) else ""
