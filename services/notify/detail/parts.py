"""Reading what a neighbour wrote, part after part: what cannot be read is left out and named, and stops nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from shared.fhir.codes import Urgency

Element = Mapping[str, Any]
Parts = Mapping[str, list[Any]]
Read = TypeVar("Read")
NOT_AS_EXPECTED = (KeyError, TypeError, ValueError, AttributeError, IndexError)
"""What reading raises when something else stands there than our triage writes."""


class Reading:
    """Collects the names of parts that could not be read, each once, for the page to say so."""

    def __init__(self) -> None:
        self._unreadable: dict[str, None] = {}

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Names of parts of which at least one element could not be read, in the order in which they were met."""
        return tuple(self._unreadable)

    def each(self, name: str, elements: Any, read: Callable[[Any], Read]) -> tuple[Read, ...]:
        """Those elements that can be read."""
        found = []
        given: list[Any] = self.one(name, lambda: list(elements), [])
        for element in given:
            try:
                found.append(read(element))
            except NOT_AS_EXPECTED:
                self._unreadable[name] = None
        return tuple(found)

    def one(self, name: str, read: Callable[[], Read], otherwise: Read) -> Read:
        """What is read, or `otherwise`."""
        try:
            return read()
        except NOT_AS_EXPECTED:
            self._unreadable[name] = None
            return otherwise


def extensions(element: Element, url: str) -> Iterator[Element]:
    """The extensions of this url."""
    return (one for one in element.get("extension", ()) if one["url"] == url)


def parts_of(extension: Element) -> Parts:
    """The parts of a complex extension by url, in their order: simple ones as their value, complex ones as they are."""
    found: dict[str, list[Any]] = {}
    for part in extension["extension"]:
        found.setdefault(part["url"], []).append(part if "extension" in part else value_of(part))
    return found


def value_of(element: Element) -> Any:
    """The `value[x]`. Raises ValueError where there is none."""
    for name, value in element.items():
        if name.startswith("value"):
            return value
    raise ValueError("no value")


def first(parts: Parts, name: str) -> Any | None:
    """The first part of that name, or None."""
    return next(iter(parts.get(name, ())), None)


def texts(parts: Parts, name: str) -> tuple[str, ...]:
    """All parts of that name as text."""
    return tuple(str(value) for value in parts.get(name, ()))


def urgency_or_none(code: Any) -> Urgency | None:
    """The urgency of that code; None where none is given. Raises ValueError for a code that is not ours."""
    return None if code is None else Urgency(code)


def codings(concept: Element) -> Iterable[Element]:
    """The codings of a CodeableConcept."""
    found: Iterable[Element] = concept.get("coding", ())
    return found
