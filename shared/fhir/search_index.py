"""The rows by which a resource is found: what its elements say under each search parameter. Pure, and never raises.

https://hl7.org/fhir/R4/search.html. What cannot be read as the parameter's type makes no row; a value that is there but
has nothing to look for (a reference with a display alone) makes an empty one, so that `:missing` stays true to it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import orjson

from shared.fhir.canonicals import without_fragment
from shared.fhir.search_dates import Span, span_of
from shared.fhir.search_parameters import Parameter, indexed

MOST_BYTES = 1000
"""Longest text in a row, so that two of them fit into an index; a longer one is stood for by its hash."""

Value: TypeAlias = tuple[str, str]
"""(system, value), as they are stored."""

Steps: TypeAlias = tuple[tuple[str, str, str], ...]

_VERSIONED = re.compile(r"(.+)/_history/([A-Za-z0-9.-]{1,64})")
_STEP = re.compile(r"(\w+)(?:\[(\w+)=([\w-]+)\])?")


@dataclass(frozen=True, slots=True)
class Rows:
    """What is stored for one resource: (parameter, system, value) and (parameter, low, high)."""

    values: Sequence[tuple[str, str, str]]
    ranges: Sequence[tuple[str, float, float]]

    def plain(self) -> dict[str, Any]:
        """As the SQL functions take them; limits that are open have no number in JSON, so all are texts."""
        ranges = [(name, str(low), str(high)) for name, low, high in self.ranges]
        return {"values": self.values, "ranges": ranges}

    def as_json(self) -> str:
        """For the SQL function index_resource."""
        return orjson.dumps(self.plain()).decode()


def rows(resource: Mapping[str, Any]) -> Rows:
    """All rows of a resource."""
    values: dict[tuple[str, str, str], None] = {}
    ranges: dict[tuple[str, float, float], None] = {}
    for parameter, paths in _read_of(str(resource.get("resourceType"))):
        elements = _elements(resource, paths)
        if not elements:
            continue
        if parameter.type in ("date", "number"):
            read = span_of if parameter.type == "date" else number_of
            for span in map(read, elements):
                if span is not None:
                    ranges[parameter.name, *span] = None
        else:
            for suffix, system, value in _values(parameter, elements):
                values[parameter.name + suffix, system, value] = None
    if isinstance(version := resource.get("version"), str):
        values = _with_version(values, str(resource.get("url")), version)
    return Rows(tuple(values), tuple(ranges))


def elements_at(resource: Mapping[str, Any], path: str) -> Sequence[Any]:
    """All values at a path, lists opened."""
    return _elements(resource, (_steps(path),))


def _elements(resource: Mapping[str, Any], paths: Sequence[Steps]) -> list[Any]:
    """All values at any of these paths."""
    elements: list[Any] = []
    for steps in paths:
        if steps[0][0] not in resource:
            continue
        found: list[Any] = [resource]
        for name, member, wanted in steps:
            following: list[Any] = []
            for holder in found:
                value = holder.get(name) if type(holder) is dict or isinstance(holder, Mapping) else None
                if isinstance(value, list):
                    following += value
                elif value is not None:
                    following.append(value)
            if member:
                following = [each for each in following if isinstance(each, Mapping) and each.get(member) == wanted]
            found = following
        elements += found
    return [value for value in elements if value is not None] if None in elements else elements


def fitted(text: str) -> str:
    """The text, or its hash where it is too long for an index; rows and questions are shortened alike."""
    if len(text) * 4 <= MOST_BYTES:  # no letter takes more than four
        return text
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= MOST_BYTES else f"sha-256:{hashlib.sha256(encoded).hexdigest()}"


def folded(text: str) -> str:
    """Without case, accents and what is beyond the longest text in a row: how strings are compared."""
    decomposed = unicodedata.normalize("NFKD", text[:MOST_BYTES])
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold()
    return plain.encode("utf-8", "replace")[:MOST_BYTES].decode("utf-8", "ignore")


def apart(reference: str) -> Value:
    """(version, target) of a reference or canonical, with '' for no version."""
    if "/_history/" in reference and (versioned := _VERSIONED.fullmatch(reference)):
        return versioned[2], fitted(versioned[1])
    target, _, version = reference.partition("|")
    return fitted(version), fitted(target)


def number_of(value: Any) -> Span | None:
    """A number as the range from itself to itself; a Range as it is."""
    match value:
        case bool():
            return None
        case int() | float():
            return float(value), float(value)
        case {"low": {"value": int() | float() as low}, "high": {"value": int() | float() as high}}:
            return float(low), float(high)
    return None


@cache
def _steps(path: str) -> Steps:
    """(name, member, wanted value of the member) of each step."""
    matches = [_STEP.fullmatch(step) for step in path.split(".")]
    assert all(matches), path
    return tuple((match[1], match[2] or "", match[3] or "") for match in matches if match)


@cache
def _read_of(resource_type: str) -> tuple[tuple[Parameter, tuple[Steps, ...]], ...]:
    """The parameters of a type that rows are made for, with the steps of their paths."""
    return tuple((each, tuple(_steps(path) for path in each.paths)) for each in indexed(resource_type))


def _values(parameter: Parameter, elements: Sequence[Any]) -> list[tuple[str, str, str]]:
    """(suffix of the parameter's name, system, value): references by identifier have rows of their own."""
    made: list[tuple[str, str, str]] = []
    for element in elements:
        match parameter.type:
            case "reference":
                made += _reference(element)
            case "string":
                if isinstance(element, str):
                    made.append(("", fitted(element), folded(element)))
            case "uri":
                if isinstance(element, str):
                    made.append(("", "", fitted(element)))
            case _:
                made += [("", system, value) for system, value in _tokens(element, parameter.system)]
    return made or [("", "", "")]


def _reference(element: Any) -> list[tuple[str, str, str]]:
    if isinstance(element, str):
        return [("", *apart(without_fragment(element)))]
    if not isinstance(element, Mapping):
        return []
    made = []
    reference, identifier = element.get("reference"), element.get("identifier")
    if isinstance(reference, str) and not reference.startswith("#"):
        made.append(("", *apart(reference)))
    if isinstance(identifier, Mapping) and isinstance(identifier.get("value"), str):
        made.append((":identifier", fitted(str(identifier.get("system", ""))), fitted(identifier["value"])))
    return made


def _tokens(element: Any, system: str) -> list[Value]:
    """Code, boolean, Coding, CodeableConcept, Identifier or ContactPoint."""
    match element:
        case bool():
            return [(system, "true" if element else "false")]
        case str():
            return [(system, fitted(element))]
        case {"coding": list(codings)}:
            return [value for coding in codings for value in _tokens(coding, "")]
        case {"code": str(value)} | {"value": str(value)}:
            return [(fitted(str(element.get("system", ""))), fitted(value))]
    return []


def _with_version(
    values: Mapping[tuple[str, str, str], None], url: str, version: str
) -> dict[tuple[str, str, str], None]:
    """A canonical resource is found by `url|version` too, so its version stands beside its url."""
    naming = (("url", "", fitted(url)), ("system", "", fitted(url)))
    return {(row[0], fitted(version), row[2]) if row in naming else row: None for row in values}
