"""Does a resource have the shape that FHIR R4 4.0.1 demands? All problems at once, in document order.

https://hl7.org/fhir/R4/json.html and the element definitions (elements.py). What the walk finds is told with
a FHIRPath that has indexes and with the linkId of the nearest item; values of the resource are never
repeated, except a wrong code of a closed list that looks like a code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from shared.fhir.elements import Choice, Element, Kind, kinds, resource_types
from shared.fhir.links import contained_faults, contained_ids, contained_types, local_references, reference_faults
from shared.fhir.primitives import found
from shared.problems import Category, Problem

Frame: TypeAlias = "tuple[Frame | None, str, int | None, Any]"
"""Where the walk is: the enclosing frame, the name of the element, its index in an array, its JSON value."""

MOST_PROBLEMS = 1000
"""A resource with more problems than this is not read to its end."""

_ELEMENT_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9_]{0,39}")


def check_structure(resource: dict[str, Any], *, resource_type: str) -> list[Problem]:
    """All structural problems of one resource, in document order; an empty list if it is sound.

    Expects JSON values with a nesting of at most 100 levels, as parse_resource returns them. Elements that
    change the meaning and that this system does not know (modifierExtension, implicitRules) are refused with
    Category.UNPROCESSABLE; everything else is Category.INCORRECT. Stops after MOST_PROBLEMS.
    """
    walk = _Walk()
    try:
        walk.resource(resource, (None, resource_type, None, resource), expected=resource_type)
    except _EnoughError:
        walk.problems.append(
            Problem(
                Category.INCORRECT,
                "too-many-problems",
                f"Checking stopped after {MOST_PROBLEMS} problems; correct these and send it again.",
                expression=resource_type,
                issue_code="structure",
            )
        )
    return walk.problems


def is_sound(value: Any, kind_name: str) -> bool:
    """True if the same walk finds no problem in one value of a data type, such as a Quantity."""
    walk = _Walk()
    try:
        walk.node(walk.kinds[kind_name], value, (None, kind_name, None, value))
    except _EnoughError:
        return False
    return not walk.problems


class _EnoughError(Exception):
    """So many problems were found that looking for more helps nobody."""


class _Walk:
    """One walk through one resource; `contained` and `inside` describe the resource that is being read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.kinds = kinds()
        self.resource_types = resource_types()
        self.contained: dict[str, str] = {}
        self.contained_ids: Mapping[str, int] = {}
        self.referenced: set[str] = set()
        self.container = ""
        self.inside = False

    def resource(self, node: Any, frame: Frame, *, expected: str | None = None) -> None:
        """Check a resource that stands on its own: the root, an entry of a Bundle, a parameter."""
        if not self._is_resource(node, frame, expected):
            return
        outer = self.contained, self.contained_ids, self.referenced, self.container, self.inside
        self.contained, self.contained_ids = contained_types(node), contained_ids(node)
        self.referenced = local_references(node)
        self.container, self.inside = node["resourceType"], False
        self._content(node, frame)
        self.contained, self.contained_ids, self.referenced, self.container, self.inside = outer

    def _contained_resource(self, node: Any, frame: Frame) -> None:
        if not self._is_resource(node, frame, None):
            return
        self.inside = True
        for fault in contained_faults(node, self.contained_ids, self.referenced):
            self._report(frame, *fault)
        self._content(node, frame)
        self.inside = False

    def _is_resource(self, node: Any, frame: Frame, expected: str | None) -> bool:
        if type(node) is not dict:
            self._report(frame, "", "wrong-json-type", f"Found {found(node)}, expected a resource.", "structure")
            return False
        name = node.get("resourceType")
        if name is None:
            self._report(frame, "", "missing-element", "'resourceType' is missing; add it.", "required")
        elif type(name) is not str or name not in self.resource_types:
            self._report(frame, "", "unknown-resource-type", "'resourceType' is not a type of FHIR R4.", "value")
        elif expected is not None and name != expected:
            self._report(frame, "", "wrong-resource-type", f"Found a {name}, expected a {expected}; send one.", "value")
        else:
            return True
        return False

    def _content(self, node: dict[str, Any], frame: Frame) -> None:
        kind = self.kinds.get(node["resourceType"])
        if kind is None:
            self._generic(node, frame)
        else:
            self.node(kind, node, frame)

    def node(self, kind: Kind, node: Any, frame: Frame) -> None:
        """Check one object against the elements of its type."""
        if type(node) is not dict:
            self._report(frame, "", "wrong-json-type", f"Found {found(node)}, expected an object.", "structure")
            return
        if not node:
            self._report(frame, "", "empty", "The object is empty; leave it out, or give it content.", "structure")
            return
        start = len(self.problems)
        for name in kind.required:
            if name not in node:
                self._missing(name, node, frame)
        for choice in kind.choices:
            chosen = node.keys() & choice.names
            if len(chosen) > 1 or (choice.required and not chosen):
                self._choice(choice, chosen, frame)
        if len(node) == 1 and "id" in node and not kind.is_resource:
            self._report(frame, "", "ele-1", "The element holds an id and nothing else; give it content.", "invariant")
        elements = kind.elements
        for name, value in node.items():
            element = elements.get(name)
            if element is None:
                self._sibling(kind, node, name, value, frame)
            elif element.simple:
                why = element.check(value)
                if why is not None:
                    self._bad_value(element, value, why, f".{element.name}", frame)
            elif not element.plain:
                self._visit(element, node, value, frame)
            elif not element.many:
                self.node(self.kinds[element.kind_name], value, (frame, element.name, None, value))
            elif type(value) is list and value:
                inner = self.kinds[element.kind_name]
                for index, entry in enumerate(value):
                    self.node(inner, entry, (frame, element.name, index, entry))
            else:
                self._bad_array(element, value, frame)
        for each in kind.invariants:
            if not each.holds(node):
                self.problems.insert(start, _problem(frame, "", each.key, each.message, "invariant"))
                start += 1
        if len(self.problems) >= MOST_PROBLEMS:
            raise _EnoughError

    def _visit(self, element: Element, node: dict[str, Any], value: Any, frame: Frame) -> None:
        """Check an array of primitives, a resource, or an element that has a rule of its own."""
        segment = f".{element.name}"
        if element.modifies:
            self._report(
                frame,
                segment,
                "not-supported",
                f"'{element.name}' may change the meaning of the content in a way that this system does not "
                "know; send the content without it.",
                "not-supported",
                Category.UNPROCESSABLE,
            )
        if not element.many:
            self._entry(element, value, None, frame)
            return
        if type(value) is not list or not value:
            self._bad_array(element, value, frame)
            return
        siblings = _entries(node, f"_{element.json_name}") if element.primitive else []
        for index, entry in enumerate(value):
            if entry is None and index < len(siblings) and siblings[index] is not None:
                continue
            self._entry(element, entry, index, frame)

    def _bad_array(self, element: Element, value: Any, frame: Frame) -> None:
        segment = f".{element.name}"
        if type(value) is list:
            self._report(frame, segment, "empty", "The array is empty; leave the element out.", "structure")
        else:
            message = f"Found {found(value)}, expected an array."
            self._report(frame, segment, "wrong-json-type", message, "structure")

    def _entry(self, element: Element, value: Any, index: int | None, frame: Frame) -> None:
        if element.primitive:
            why = element.check(value)
            if why is not None:
                self._bad_value(element, value, why, _segment(element.name, index), frame)
            return
        inner: Frame = (frame, element.name, index, value)
        if element.kind_name == "Resource":
            if element.name == "contained":
                if not self.inside:
                    self._contained_resource(value, inner)
            else:
                self.resource(value, inner)
        else:
            self.node(self.kinds[element.kind_name], value, inner)
            if type(value) is not dict:
                return
            if element.bound and not element.has_bound_code(value):
                message = f"'{element.json_name}' has no code of its value set; expected one of {element.expected}."
                self._report(inner, "", "unknown-code", message, "code-invalid")
            if element.kind_name == "Reference" and value:
                for fault in reference_faults(
                    value,
                    targets=element.targets,
                    contained=self.contained,
                    container=self.container,
                    known_types=self.resource_types,
                ):
                    self._report(inner, *fault)

    def _bad_value(self, element: Element, value: Any, why: str, segment: str, frame: Frame) -> None:
        name = element.json_name
        if type(value) is list and not element.many:
            self._report(frame, segment, "cardinality", f"'{name}': found an array, expected one value.", "structure")
        elif element.bound and type(value) is str:
            message = f"'{name}': the value is not one of {element.expected}."
            self._report(frame, segment, "unknown-code", message, "code-invalid")
        else:
            code = "wrong-json-type" if why.startswith("found") else "invalid-format"
            self._report(frame, segment, code, f"'{name}': {why}.", "value")

    def _missing(self, name: str, node: dict[str, Any], frame: Frame) -> None:
        if f"_{name}" in node:
            self._report(
                frame,
                f".{name}",
                "missing-value",
                f"'{name}' has an extension and no value; this system needs the value, send it.",
                "required",
                Category.UNPROCESSABLE,
            )
        else:
            self._report(
                frame,
                f".{name}",
                "missing-element",
                f"The required element '{name}' is missing; add it.",
                "required",
            )

    def _choice(self, choice: Choice, chosen: set[str], frame: Frame) -> None:
        names = sorted({name.lstrip("_") for name in chosen})
        if not names:
            self._report(
                frame,
                f".{choice.name}",
                "missing-element",
                f"The required element '{choice.name}[x]' is missing; add it with one of its types.",
                "required",
            )
        elif len(names) > 1:
            self._report(
                frame,
                f".{choice.name}",
                "multiple-choice-values",
                f"Found {' and '.join(names)}, expected at most one of them; keep the one that is meant.",
                "structure",
            )

    def _sibling(self, kind: Kind, node: dict[str, Any], name: str, value: Any, frame: Frame) -> None:
        """An element that the type does not list: `_x` beside a primitive x, or something unknown."""
        element = kind.elements.get(name[1:]) if name.startswith("_") else None
        if element is None or not element.takes_sibling:
            shown = f"'{name}'" if _ELEMENT_NAME.fullmatch(name) else "an element whose name is not one of FHIR"
            self._report(
                frame,
                f".{name}" if _ELEMENT_NAME.fullmatch(name) else "",
                "unknown-element",
                f"Found {shown}, which is no element of {kind.name} in R4; remove it or correct its name.",
                "structure",
            )
            return
        segment = f".{element.name}"
        if not element.many:
            self.node(self.kinds["Element"], value, (frame, element.name, None, value))
            return
        if type(value) is not list or not value:
            self._report(
                frame,
                segment,
                "wrong-json-type",
                f"'{name}' must be an array beside the values.",
                "structure",
            )
            return
        values = node.get(element.json_name, [None] * len(value))
        if type(values) is list and len(values) != len(value):
            self._report(
                frame,
                segment,
                "misaligned",
                f"'{name}' and '{name[1:]}' differ in length; align them.",
                "structure",
            )
            return
        for index, entry in enumerate(value):
            place: Frame = (frame, element.name, index, entry)
            if entry is not None:
                self.node(self.kinds["Element"], entry, place)
            elif element.json_name not in node:
                self._report(place, "", "empty", "Neither a value nor an extension; remove the entry.", "structure")

    def _generic(self, node: Any, frame: Frame) -> None:
        """A contained resource whose elements are not listed here: ids and the rules of JSON in FHIR only."""
        if type(node) is dict:
            own_id = node.get("id")
            if not node:
                self._report(frame, "", "empty", "The object is empty; leave it out.", "structure")
            elif "resourceType" in node and own_id is not None:
                element = self.kinds["Basic"].elements["id"]
                why = element.check(own_id)
                if why is not None:
                    self._bad_value(element, own_id, why, ".id", frame)
            for name, value in node.items():
                self._generic(value, (frame, name if _ELEMENT_NAME.fullmatch(name) else "", None, value))
        elif type(node) is list:
            if not node:
                self._report(frame, "", "empty", "The array is empty; leave the element out.", "structure")
            for index, value in enumerate(node):
                if value is not None:
                    self._generic(value, (frame, "", index, value))
        elif node is None or (type(node) is str and not node.strip()):
            self._report(frame, "", "empty", "The value is empty; leave the element out.", "structure")

    def _report(
        self,
        frame: Frame,
        segment: str,
        code: str,
        message: str,
        issue_code: str,
        category: Category = Category.INCORRECT,
    ) -> None:
        self.problems.append(_problem(frame, segment, code, message, issue_code, category))
        if len(self.problems) >= MOST_PROBLEMS:
            raise _EnoughError


def _problem(
    frame: Frame,
    segment: str,
    code: str,
    message: str,
    issue_code: str,
    category: Category = Category.INCORRECT,
) -> Problem:
    segments, link_id = [segment], None
    place: Frame | None = frame
    while place is not None:
        place, name, index, node = place
        segments.append(_segment(name, index) if place else name)
        if link_id is None and name == "item" and type(node) is dict:
            link_id = node.get("linkId")
    return Problem(
        category,
        code,
        message,
        expression="".join(reversed(segments)),
        link_id=link_id if type(link_id) is str else None,
        issue_code=issue_code,
    )


def _segment(name: str, index: int | None) -> str:
    return (f".{name}" if name else "") + (f"[{index}]" if index is not None else "")


def _entries(node: dict[str, Any], name: str) -> list[Any]:
    value = node.get(name)
    return value if type(value) is list else []
