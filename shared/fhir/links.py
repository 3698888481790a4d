"""References and contained resources in FHIR R4: what can be judged without fetching anything.

https://hl7.org/fhir/R4/references.html. Each function yields faults relative to the object that it was given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_LITERAL = re.compile(r"(?:https?://\S+/)?([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_WAYS = frozenset(("reference", "identifier", "display", "extension", "_reference", "_display"))
_FORBIDDEN_META = (("versionId", "dom-4"), ("lastUpdated", "dom-4"), ("security", "dom-5"))


class Fault(NamedTuple):
    """A problem whose place is a segment of a path (".type", or "" for the object itself)."""

    segment: str
    code: str
    message: str
    issue_code: str


def contained_types(resource: dict[str, Any]) -> dict[str, str]:
    """Contained id -> resource type."""
    pairs = ((each.get("id"), each.get("resourceType")) for each in _contained(resource))
    return {own_id: name for own_id, name in pairs if isinstance(own_id, str) and isinstance(name, str)}


def local_references(resource: dict[str, Any]) -> set[str]:
    """The ids that any string of the resource names as '#id'; not looked for where nothing is contained."""
    ids: set[str] = set()
    waiting: list[Any] = [resource] if _contained(resource) else []
    while waiting:
        value = waiting.pop()
        if type(value) is dict:
            waiting.extend(value.values())
        elif type(value) is list:
            waiting.extend(value)
        elif type(value) is str and value.startswith("#"):
            ids.add(value[1:])
    return ids


def contained_ids(resource: dict[str, Any]) -> Counter[str]:
    """How many contained resources have each id."""
    return Counter(own_id for each in _contained(resource) if isinstance(own_id := each.get("id"), str))


def contained_faults(node: dict[str, Any], ids: Mapping[str, int], referenced: set[str]) -> Iterator[Fault]:
    """The rules for one contained resource: dom-2 to dom-5 and an id of its own.

    `ids` as contained_ids counts them for the resource around it.
    """
    own_id = node.get("id")
    if type(own_id) is not str:
        yield Fault("", "missing-element", "A contained resource needs an 'id'; add one.", "required")
    elif own_id not in referenced:
        message = "The contained resource is referenced from nowhere; refer to it as '#id', or leave it out."
        yield Fault("", "dom-3", message, "invariant")
    if isinstance(own_id, str) and ids.get(own_id, 0) > 1:
        yield Fault(".id", "duplicate-id", "Contained resources need different ids; rename one.", "invariant")
    if "contained" in node:
        yield Fault(".contained", "dom-2", "A contained resource must not contain resources.", "invariant")
    meta = node.get("meta")
    for name, key in _FORBIDDEN_META:
        if isinstance(meta, dict) and name in meta:
            message = f"A contained resource must not have meta.{name}; remove it."
            yield Fault(f".meta.{name}", key, message, "invariant")


def reference_faults(
    node: dict[str, Any],
    *,
    targets: frozenset[str] | None,
    contained: Mapping[str, str],
    container: str,
    known_types: frozenset[str],
) -> Iterator[Fault]:
    """At least one way to find the target, in a readable form, of a type that the element allows.

    `targets` None allows all types; `contained` maps ids to types; `container` is the type that '#' means.
    """
    if not node.keys() & _WAYS:
        message = "The reference names nothing; give it 'reference', 'identifier' or 'display'."
        yield Fault("", "empty-reference", message, "structure")
    declared, literal = node.get("type"), node.get("reference")
    target = _target(literal, contained, container, known_types) if type(literal) is str else None
    if type(literal) is str and target is None:
        if literal.startswith("#"):
            message = "The reference points to a contained resource that is not there; correct the id."
            yield Fault("", "ref-1", message, "invariant")
        elif _ABSOLUTE.fullmatch(literal) is None:
            message = "'reference' is neither an absolute URI, nor Type/id with a type of FHIR R4, nor '#id'."
            yield Fault(".reference", "invalid-format", message, "value")
    if type(declared) is str and ":" not in declared:
        if target is not None and declared != target:
            message = "'type' and 'reference' name different types; correct one of them."
            yield Fault(".type", "reference-type", message, "value")
        target = target or declared
    if target is not None and targets is not None and target not in targets:
        shown = target if target in known_types else "something else"
        message = f"The reference points to {shown}, expected {' or '.join(sorted(targets))}."
        yield Fault("", "reference-target", message, "value")


def _target(literal: str, contained: Mapping[str, str], container: str, known_types: frozenset[str]) -> str | None:
    """The type that a literal reference points to, where it can be told: relative, absolute or contained."""
    if literal.startswith("#"):
        return container if literal == "#" else contained.get(literal[1:])
    match = _LITERAL.fullmatch(literal)
    return match[1] if match and match[1] in known_types else None


def _contained(resource: Any) -> list[dict[str, Any]]:
    value = resource.get("contained") if type(resource) is dict else None
    return [each for each in value if type(each) is dict] if type(value) is list else []
