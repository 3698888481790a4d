"""Links between the entries of a transaction: each becomes the address of what its entry became.

https://hl7.org/fhir/R4/http.html#trules: references, and elements of type uri and url. What names something is no link
and stays as sent: identifiers, systems, canonicals, the url of a definition; by these a form that is sent again is
known. So do answers in words, whatever they look like. Everything else keeps its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import orjson

from shared.fhir.elements import Element, Kind, kinds

LOCAL: Final = ("urn:uuid:", "urn:oid:")
"""How a fullUrl begins that means something in its Bundle only."""
_LINKS: Final = frozenset({"uri", "url"})
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]')

Path: TypeAlias = tuple[str | int, ...]
"""Names and indexes from the resource to a value."""


def with_links(resource: bytes, targets: Mapping[str, str]) -> bytes:
    """A resource, which is well-formed JSON, with its links replaced. `targets`: `Type/id` by fullUrl."""
    if not targets:
        return resource
    content = orjson.loads(resource)
    parts, done = [], 0
    for path, start, end in _strings(resource):
        target = targets.get(_text(resource[start:end]))
        if target is not None and _is_link(content, path):
            parts += [resource[done:start], orjson.dumps(target)]
            done = end
    return b"".join((*parts, resource[done:]))


def _strings(body: bytes) -> Iterator[tuple[Path, int, int]]:
    """Every string that is a value: its path, and where it begins and ends."""
    path: list[str | int | None] = []  # None: a name follows
    for token in _TOKEN.finditer(body):
        match token[0]:
            case b"{":
                path.append(None)
            case b"[":
                path.append(0)
            case b"}" | b"]":
                path.pop()
            case b",":
                path[-1] = path[-1] + 1 if isinstance(path[-1], int) else None
            case name if path[-1] is None:
                path[-1] = _text(name)
            case _:
                yield tuple(step for step in path if step is not None), *token.span()


def _text(token: bytes) -> str:
    text = orjson.loads(token)
    assert isinstance(text, str)
    return text


def _is_link(resource: Mapping[str, Any], path: Path) -> bool:
    """Whether the string at this path leads to a resource."""
    node: Any = resource
    kind, holder, element, name = kinds().get(str(resource.get("resourceType"))), None, None, ""
    for step in path:
        if isinstance(step, str):
            holder, name = kind, step
            element = holder.elements.get(name) if holder is not None else None
        node = node[step]
        if isinstance(node, dict):
            kind = _kind(node, name, element)
    if holder is None or holder.name == "Reference":
        return name == "reference"
    names_something = name == "system" or (holder.is_resource and name == "url")
    return element is not None and element.kind_name in _LINKS and not names_something


def _kind(node: Mapping[str, Any], name: str, element: Element | None) -> Kind | None:
    """What is known of an object in this element; None of types of resources that are not read here."""
    if name.startswith("_"):
        return kinds()["Element"]
    if element is None:
        return None
    return kinds().get(str(node.get("resourceType")) if element.kind_name == "Resource" else element.kind_name)
