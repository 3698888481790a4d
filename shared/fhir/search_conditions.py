"""What one search parameter asks, read from its name and value: conditions on rows, refused where we cannot answer.

https://hl7.org/fhir/R4/search.html. Values of one parameter are alternatives; a modifier that is not listed here is
refused, never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from math import inf, nextafter
from typing import TypeAlias

from shared.fhir.canonicals import without_fragment
from shared.fhir.elements import resource_types
from shared.fhir.search_dates import Span, span
from shared.fhir.search_index import apart, fitted, folded
from shared.fhir.search_parameters import PARAMETERS, Parameter

MAX_VALUES = 200
RESOURCE_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""What an id can be in R4 (datatypes.html#id)."""
PREFIXES = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"})

_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_RELATIVE = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?")
_ABSOLUTE = re.compile(r"https?://.+/([A-Z][A-Za-z]{1,63})/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?")
_BETWEEN_COMMAS = re.compile(r"(?:\\.|[^\\,]|\\$)+", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")


@dataclass(frozen=True, slots=True)
class Ids:
    """One of these ids."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """A row with one of these (system, value), None for any; `negated`: no such row."""

    row: str
    values: tuple[tuple[str | None, str | None], ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Beginning:
    """A row whose value begins with one of these texts, or is one of `whole`."""

    row: str
    texts: tuple[str, ...]
    whole: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Containing:
    """A row whose value contains one of these texts."""

    row: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Within:
    """A row whose span stands in one of these relations (a FHIR prefix) to a span."""

    row: str
    spans: tuple[tuple[str, Span], ...]


@dataclass(frozen=True, slots=True)
class Updated:
    """When the resource was stored, in one of these relations to a span."""

    spans: tuple[tuple[str, Span], ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """No row at all (or, not `missing`, any row)."""

    row: str
    type: str
    missing: bool


@dataclass(frozen=True, slots=True)
class Chained:
    """A reference to a resource of a type of ours that meets a condition."""

    row: str
    target: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class ReferredTo:
    """A resource of `source` refers here by `row` and meets a condition (`_has`)."""

    source: str
    row: str
    condition: Condition


Condition: TypeAlias = Ids | OneOf | Beginning | Containing | Within | Updated | Missing | Chained | ReferredTo


def condition_of(parameter: Parameter, modifier: str, value: str, *, base: str) -> Condition:
    """What a parameter with this modifier ('' for none) asks. Raises ValueError with what is wrong and expected.

    `base`: our FHIR base as clients see it, so that an absolute reference to a resource of ours is known as one.
    """
    if modifier == "missing" and parameter.name not in ("_id", "_lastUpdated"):
        if value not in ("true", "false"):
            raise ValueError("expected true or false")
        return Missing(parameter.stored_as, parameter.type, value == "true")
    if parameter.name == "_id":
        _only(parameter, modifier)
        return Ids(tuple(_ids(value)))
    match parameter.type:
        case "token":
            _only(parameter, modifier, "not")
            tokens = tuple(map(_token, _values(value)))
            return OneOf(parameter.stored_as, tokens, negated=modifier == "not")
        case "reference" if modifier == "identifier":
            return OneOf(f"{parameter.stored_as}:identifier", tuple(map(_token, _values(value))))
        case "reference":
            if modifier and not _TYPE.fullmatch(modifier):
                _only(parameter, modifier, "identifier", "[type]")
            values = [each for text in _values(value) for each in _reference(parameter, modifier, text, base)]
            return OneOf(parameter.stored_as, tuple(values))
        case "string":
            return _string(parameter, modifier, [_plain(text) for text in _values(value)])
        case "uri":
            return _uri(parameter, modifier, [_plain(text) for text in _values(value)])
        case "date":
            _only(parameter, modifier)
            spans = tuple(_date(text) for text in _values(value))
            return Updated(spans) if parameter.name == "_lastUpdated" else Within(parameter.stored_as, spans)
        case "number":
            _only(parameter, modifier)
            return Within(parameter.stored_as, tuple(_number(text) for text in _values(value)))
    raise ValueError(f"the type {parameter.type} cannot be searched")


def _only(parameter: Parameter, modifier: str, *allowed: str) -> None:
    if modifier and modifier not in allowed:
        known = ", ".join(f":{name}" for name in (*allowed, *(() if parameter.name[0] == "_" else ("missing",))))
        raise ValueError(f"the modifier :{modifier[:40]} is not supported here; supported: {known or 'none'}")


def _values(value: str) -> list[str]:
    """The alternatives, still with their escapes (R4 search.html#escaping)."""
    values = _BETWEEN_COMMAS.findall(value)
    if not values:
        raise ValueError("the value is empty; leave the parameter out or give a value")
    if len(values) > MAX_VALUES:
        raise ValueError(f"{len(values)} values found, at most {MAX_VALUES} expected; ask in several searches")
    return values


def _plain(text: str) -> str:
    return re.sub(r"\\([\\,|$])", r"\1", text)


def _ids(value: str) -> Iterator[str]:
    """Ids as they are; what cannot be an id is none."""
    return (text for text in _values(value) if RESOURCE_ID.fullmatch(text))


def _token(text: str) -> tuple[str | None, str | None]:
    """`system|code`, `|code` (no system), `system|` (any code of it), `code` (any system)."""
    *systems, code = re.split(r"(?<!\\)\|", text, maxsplit=1)
    value = fitted(_plain(code)) if code else None
    if not systems:
        return None, value
    system = _plain(systems[0])
    if value is None and not system:
        raise ValueError("expected system|code, |code, system| or code")
    return fitted(system), value


def _reference(parameter: Parameter, wanted: str, text: str, base: str) -> Iterator[tuple[str | None, str]]:
    """Every way in which such a reference may be written in a resource: (version or None, target)."""
    text = _plain(text)
    if text.startswith(f"{base}/"):
        text = text.removeprefix(f"{base}/")
    if relative := _RELATIVE.fullmatch(text):
        _check_type(parameter, wanted, relative[1])
        target = f"{relative[1]}/{relative[2]}"
        yield from ((relative[3], target), (relative[3], fitted(f"{base}/{target}")))
    elif RESOURCE_ID.fullmatch(text):
        for resource_type in [wanted] if wanted else parameter.targets or PARAMETERS:
            _check_type(parameter, wanted, resource_type)
            yield from ((None, f"{resource_type}/{text}"), (None, fitted(f"{base}/{resource_type}/{text}")))
    else:
        if absolute := _ABSOLUTE.fullmatch(text):
            _check_type(parameter, wanted, absolute[1])
        version, target = apart(without_fragment(text) if parameter.canonical else text)
        yield version or None, target


def _check_type(parameter: Parameter, wanted: str, found: str) -> None:
    expected = [wanted] if wanted else parameter.targets
    if (wanted and wanted not in resource_types()) or (
        wanted and parameter.targets and wanted not in parameter.targets
    ):
        raise ValueError(f"{wanted} is not a type that {parameter.name} refers to")
    if expected and found not in expected and found in resource_types():
        raise ValueError(f"a reference to {found} found, expected one to {' or '.join(expected)}")


def _string(parameter: Parameter, modifier: str, texts: Sequence[str]) -> Condition:
    _only(parameter, modifier, "exact", "contains")
    match modifier:
        case "exact":
            return OneOf(parameter.stored_as, tuple((fitted(text), folded(text)) for text in texts))
        case "contains":
            return Containing(parameter.stored_as, tuple(map(folded, texts)))
    return Beginning(parameter.stored_as, tuple(map(folded, texts)))


def _uri(parameter: Parameter, modifier: str, texts: Sequence[str]) -> Condition:
    _only(parameter, modifier, "below")
    if modifier == "below":
        whole = tuple(text.rstrip("/") for text in texts)
        return Beginning(parameter.stored_as, tuple(f"{text}/" for text in whole), (*whole, *texts))
    return OneOf(parameter.stored_as, tuple((version or None, url) for version, url in map(apart, texts)))


def _prefixed(text: str) -> tuple[str, str]:
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def _date(text: str) -> tuple[str, Span]:
    prefix, rest = _prefixed(text)
    return prefix, span(rest.replace(" ", "+"))


def _number(text: str) -> tuple[str, Span]:
    """eq and ne look at as many digits as were given (2.0 is 1.95 to below 2.05), the others at the number itself."""
    prefix, digits = _prefixed(text)
    try:
        if not _NUMBER.fullmatch(digits):
            raise InvalidOperation
        number = Decimal(digits)
    except InvalidOperation:
        raise ValueError("expected a number, for example gt12.5") from None
    exact = float(number)
    match prefix:
        case "eq" | "ne":
            half = Decimal((0, (5,), int(number.as_tuple().exponent) - 1))
            return prefix, (float(number - half), nextafter(float(number + half), -inf))
        case "sa":
            return prefix, (exact, nextafter(exact, inf))
        case "eb":
            return prefix, (nextafter(exact, -inf), exact)
    return prefix, (exact, exact)
