"""Holds a resource against a profile of ours: cardinalities, slices, fixed values, patterns, bindings, extensions.

A small reading of StructureDefinition.differential, enough for the differentials that we publish: element ids without
re-slicing, discriminators by value, bindings to ValueSets of ours, which all have an expansion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from services.intake.definitions.structures import structure_definitions
from services.triage.knowledge.loader import PACKS, every_pack
from services.triage.terminology import terminology
from shared.fhir.codes import CANONICAL

Node = Any
TYPES = {"meta": "Meta", "relatedArtifact": "RelatedArtifact", "documentation": "RelatedArtifact"}
"""Name of an element to its type, where an extension of ours is at home in the type."""


@cache
def profiles() -> dict[str, dict[str, Any]]:
    """Every StructureDefinition of ours by url."""
    return {one["url"]: one for one in structure_definitions()}


@cache
def value_sets() -> dict[str, frozenset[str]]:
    """The codes of every ValueSet of ours by url."""
    resources = terminology(every_pack(PACKS).values())
    return {
        one["url"]: frozenset(entry["code"] for entry in one["expansion"]["contains"])
        for one in resources
        if one["resourceType"] == "ValueSet"
    }


@cache
def elements_of(url: str) -> dict[str, Mapping[str, Any]]:
    """The elements of a profile by id, each with the fixed values of its children by name under `children`."""
    elements = {one["id"]: {**one, "children": {}} for one in profiles()[url]["differential"]["element"]}
    for element_id, one in elements.items():
        parent_id, _, name = element_id.rpartition(".")
        if parent_id in elements and "fixedUri" in one:
            elements[parent_id]["children"][name] = one["fixedUri"]
    return elements


def departures(resource: Mapping[str, Any], *, profile: str | None = None) -> list[str]:
    """Everything in which a resource departs from the profiles that it names (or from this one); empty when nothing."""
    urls = [profile] if profile else resource.get("meta", {}).get("profile", [])
    if not urls:
        return [f"{resource['resourceType']} names no profile"]
    return [*extension_faults(resource), *(line for url in urls for line in _departs(resource, url))]


def extension_faults(resource: Mapping[str, Any]) -> list[str]:
    """Extensions under our base, wherever in the resource, that stand where or hold what they must not."""
    return list(_extensions(resource, resource["resourceType"]))


def _departs(node: Node, url: str) -> Iterator[str]:
    if url not in profiles():
        yield f"{url} is not published"
        return
    elements = elements_of(url)
    for element_id, element in elements.items():
        parent_id, _, step = element_id.rpartition(".")
        if not parent_id:
            continue
        for parent in _instances(node, parent_id.split(".")[1:], elements):
            found = list(_children(parent, step, f"{parent_id}.{step}", elements))
            faults = [*_judge(element, found), *_other_types(parent, step, element)]
            if element.get("slicing", {}).get("rules") == "closed":
                faults += ["in no slice" for one in found if not _in_any_slice(one, element_id, elements)]
            yield from (f"{url} {element_id}: {line}" for line in faults)


def _instances(node: Node, steps: list[str], elements: Mapping[str, Any]) -> Iterator[Node]:
    """The nodes that an element id stands for, slices taken into account."""
    reached = [node]
    walked = next(iter(elements))
    for step in steps:
        walked = f"{walked}.{step}"
        reached = [child for one in reached for child in _children(one, step, walked, elements)]
    yield from reached


def _children(parent: Node, step: str, element_id: str, elements: Mapping[str, Any]) -> Iterator[Node]:
    if not isinstance(parent, Mapping):
        return
    name, _, slice_name = step.partition(":")
    if name.endswith("[x]"):
        stem = name.removesuffix("[x]")
        values = [value for key, value in parent.items() if key.startswith(stem) and key[len(stem) :][:1].isupper()]
    else:
        value = parent.get(name, [])
        values = value if isinstance(value, list) else [value]
    yield from (each for each in values if not slice_name or _in_slice(each, element_id, elements))


def _in_any_slice(node: Node, element_id: str, elements: Mapping[str, Any]) -> bool:
    slices = [one for one in elements if one.startswith(f"{element_id}:") and "." not in one[len(element_id) :]]
    return any(_in_slice(node, one, elements) for one in slices)


def _in_slice(node: Node, element_id: str, elements: Mapping[str, Any]) -> bool:
    """By the url of the extension that the slice is, else by the fixed values of its children."""
    kinds = elements[element_id].get("type", [{}])
    if profile := kinds[0].get("profile"):
        return bool(node.get("url") == profile[0])
    return all(node.get(name) == value for name, value in elements[element_id]["children"].items())


def _judge(element: Mapping[str, Any], found: list[Node]) -> Iterator[str]:
    if len(found) < element.get("min", 0):
        yield f"{len(found)} found, at least {element['min']} expected"
    if element.get("max", "*") != "*" and len(found) > int(element["max"]):
        yield f"{len(found)} found, at most {element['max']} expected"
    for node in found:
        for key, wanted in element.items():
            if key.startswith("fixed") and node != wanted:
                yield "another value than the fixed one"
            if key.startswith("pattern") and not _holds(node, wanted):
                yield "the pattern does not hold"
        if "binding" in element and not _codes(node) & value_sets()[element["binding"]["valueSet"]]:
            yield f"{sorted(_codes(node))} not in {element['binding']['valueSet']}"
        for kind in element.get("type", []):
            for url in kind.get("profile", []):
                yield from _departs(node, url)


def _other_types(parent: Node, step: str, element: Mapping[str, Any]) -> Iterator[str]:
    """Values of a choice in a type that the profile does not leave."""
    if step.endswith("[x]") and "type" in element:
        stem = step.removesuffix("[x]")
        names = {f"{stem}{kind['code'][:1].upper()}{kind['code'][1:]}" for kind in element["type"]}
        given = {key for key in parent if key.startswith(stem) and key[len(stem) :][:1].isupper()}
        yield from (f"{name} found, expected {sorted(names)}" for name in given - names)


def _holds(node: Node, pattern: Node) -> bool:
    if isinstance(pattern, Mapping):
        return isinstance(node, Mapping) and all(_holds(node.get(name), part) for name, part in pattern.items())
    if isinstance(pattern, list):
        return isinstance(node, list) and all(any(_holds(each, part) for each in node) for part in pattern)
    return bool(node == pattern)


def _codes(node: Node) -> set[str]:
    """The codes of a code, a Coding or a CodeableConcept."""
    if isinstance(node, str):
        return {node}
    codings = node.get("coding", [node])
    return {one["code"] for one in codings if "code" in one}


def _extensions(node: Node, path: str) -> Iterator[str]:
    if isinstance(node, list):
        for part in node:
            yield from _extensions(part, path)
    elif isinstance(node, Mapping):
        for one in node.get("extension", []):
            if one["url"].startswith(CANONICAL):
                yield from _departs(one, one["url"])
                yield from _misplaced(one["url"], path)
        for name, part in node.items():
            yield from _extensions(part, f"{path}.{name}")


def _misplaced(url: str, path: str) -> Iterator[str]:
    """Whether the path is one of the contexts, or stands in an element of a type that is one."""
    contexts = [one["expression"] for one in profiles()[url]["context"]] if url in profiles() else []
    places = {path, path.replace(".action.action", ".action"), TYPES.get(path.rpartition(".")[2], "")}
    while ".action.action" in path:
        path = path.replace(".action.action", ".action")
        places.add(path)
    if not places & set(contexts):
        yield f"{url} at {path}, expected at {contexts}"
