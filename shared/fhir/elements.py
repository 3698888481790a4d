"""The element definitions of FHIR R4 4.0.1, compiled once from r4_elements.json for the structural walk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from shared.fhir.invariant import Invariant
from shared.fhir.invariants import INVARIANTS
from shared.fhir.primitives import PRIMITIVES, Check, found

_TYPE = re.compile(r"([@A-Za-z0-9.]+)(?:\(([A-Za-z,]+)\))?")
_LINE = re.compile(r"([01])\.\.(1|\*) ([^{]+)(?:\{(.+)\})?")
_MODIFIERS = ("modifierExtension", "implicitRules")


@dataclass(frozen=True, slots=True)
class Element:
    """One element under its JSON name. `name` is its name in FHIRPath: `value` for `valueString`.

    `check` judges one value of a primitive; other elements are judged by the Kind `kind_name`. `many` means
    that the JSON value is an array. `simple` marks the common primitive that needs nothing but `check`,
    `plain` the common object that needs nothing but its Kind. `bound` holds the codes of a required binding
    by their system, `targets` the types that a reference may point to (None: all).
    """

    json_name: str
    name: str
    kind_name: str
    required: bool
    check: Check
    primitive: bool
    many: bool
    bound: dict[str, list[str]]
    targets: frozenset[str] | None
    simple: bool
    plain: bool

    @property
    def expected(self) -> str:
        """The codes of the required binding, for a message."""
        codes = [code for listed in self.bound.values() for code in listed]
        return ", ".join(codes[:20]) + (", ..." if len(codes) > 20 else "")

    def has_bound_code(self, value: dict[str, Any]) -> bool:
        """True if a CodeableConcept or Coding holds a code, with its system, of the required value set."""
        codings = value.get("coding") if self.kind_name == "CodeableConcept" else [value]
        for each in codings if type(codings) is list else ():
            if type(each) is dict and each.get("code") in self.bound.get(str(each.get("system")), ()):
                return True
        return False

    @property
    def modifies(self) -> bool:
        """True if the element can change the meaning of what stands around it."""
        return self.json_name in _MODIFIERS

    @property
    def takes_sibling(self) -> bool:
        """True if `_name` may carry an id and extensions of this primitive."""
        return self.primitive and not self.kind_name.startswith("@")


@dataclass(frozen=True, slots=True)
class Choice:
    """An element with a choice of types, such as value[x]: its possible JSON names, siblings included."""

    name: str
    names: frozenset[str]
    required: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """A data type, a resource type or an inner element such as QuestionnaireResponse.item."""

    name: str
    is_resource: bool
    elements: dict[str, Element]
    required: tuple[str, ...]
    choices: tuple[Choice, ...]
    invariants: tuple[Invariant, ...]


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(files("shared.fhir").joinpath("r4_elements.json").read_text("utf-8"))
    return table


@cache
def resource_types() -> frozenset[str]:
    """The names of all resource types of FHIR R4."""
    return frozenset(_table()["resources"])


@cache
def kinds() -> dict[str, Kind]:
    """All types of the table by name, compiled on first use."""
    return {name: _kind(name, lines) for name, lines in _table()["types"].items()}


def _kind(name: str, lines: dict[str, str]) -> Kind:
    elements: dict[str, Element] = {}
    required: list[str] = []
    choices: list[Choice] = []
    for element_name, line in lines.items():
        compiled = tuple(_elements(element_name, line))
        elements.update((each.json_name, each) for each in compiled)
        if element_name.endswith("[x]"):
            names = {each.json_name for each in compiled}
            names |= {f"_{each.json_name}" for each in compiled if each.takes_sibling}
            choices.append(Choice(element_name[:-3], frozenset(names), compiled[0].required))
        elif compiled[0].required:
            required.append(element_name)
    is_resource = name in resource_types()
    if is_resource:
        elements["resourceType"] = Element(
            "resourceType", "resourceType", "@string", True, _anything, True, False, {}, None, True, False
        )
    return Kind(name, is_resource, elements, tuple(required), tuple(choices), INVARIANTS.get(name, ()))


def _elements(name: str, line: str) -> Iterator[Element]:
    """The elements that one line of the table stands for: several for a choice of types."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"r4_elements.json: cannot read {name}: {line}")
    many, modifies = match[2] == "*", name in _MODIFIERS
    systems = _table()["codes"][match[4]] if match[4] else {}
    for text in match[3].split("|"):
        kind = _TYPE.fullmatch(text)
        if kind is None:
            raise ValueError(f"r4_elements.json: cannot read the type of {name}: {text}")
        kind_name, targets = kind[1], kind[2]
        base = name.removesuffix("[x]")
        json_name = base if base == name else base + kind_name[0].upper() + kind_name[1:]
        primitive = kind_name in PRIMITIVES
        yield Element(
            json_name,
            base,
            kind_name,
            match[1] == "1",
            _bound_check(systems) if systems and kind_name == "code" else PRIMITIVES.get(kind_name, _anything),
            primitive,
            many,
            systems,
            frozenset(targets.split(",")) if targets and targets != "Any" else None,
            primitive and not many and not modifies,
            not (primitive or modifies or systems or kind_name in ("Reference", "Resource")),
        )


def _bound_check(systems: dict[str, list[str]]) -> Check:
    codes = frozenset(code for listed in systems.values() for code in listed)

    def check(value: Any) -> str | None:
        if type(value) is not str:
            return f"found {found(value)}, expected a code, as a string"
        return None if value in codes else "the code is not in the value set"

    return check


def _anything(_value: Any) -> str | None:
    return None
