"""A search as R4 means it: parsed strictly, unknown parameters refused or named, never ignored in silence.

https://hl7.org/fhir/R4/search.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from shared.fhir.search_conditions import (
    RESOURCE_ID,
    Chained,
    Condition,
    ReferredTo,
    Updated,
    condition_of,
)
from shared.fhir.search_parameters import HELD, PARAMETERS, Parameter, parameters_of
from shared.fhir.search_place import Place, place_of
from shared.problems import Category, Problem, ProblemError, Severity

__all__ = ["RESOURCE_ID", "Include", "Search", "SortKey", "parse_search", "searched", "types_asked"]

DEFAULT_COUNT, MAX_COUNT = 50, 200
MAX_INCLUDES: Final = 20
TOTALS: Final = ("none", "estimate", "accurate")
SUMMARIES: Final = ("true", "text", "data", "count", "false")
CONTROL: Final = ("_count", "_sort", "_total", "_summary", "_elements", "_include", "_revinclude")
"""What shapes the answer and selects nothing."""
_TOLERATED: Final = frozenset({"_format", "_pretty"})
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class SortKey:
    """What the answer is ordered by; resources without the value come last."""

    parameter: Parameter
    descending: bool

    @property
    def kind(self) -> type:
        """What a row is compared by."""
        if self.parameter.name == "_lastUpdated":
            return datetime
        return float if self.parameter.type in ("date", "number") else str


@dataclass(frozen=True, slots=True)
class Include:
    """`source:parameter[:target]`: the targets go along, or (`reverse`) the sources that refer to what was found."""

    source: str
    parameter: Parameter
    target: str | None
    reverse: bool


BY_CHANGE: Final = (SortKey(parameters_of("")["_lastUpdated"], descending=False),)
"""The order when none is asked for: what changed last comes last, so that pages grow at their end."""


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed search of one resource type."""

    resource_type: str
    conditions: tuple[Condition, ...] = ()
    sort: tuple[SortKey, ...] = BY_CHANGE
    count: int = DEFAULT_COUNT
    after: Place | None = None
    """Where the page begins: after this place in the order."""
    total: str = "none"
    summary: str = "false"
    elements: tuple[str, ...] | None = None
    includes: tuple[Include, ...] = ()
    used: tuple[tuple[str, str], ...] = ()
    """The parameters that were understood, in their order: what the self link repeats."""
    ignored: tuple[Problem, ...] = ()
    """What was not understood, for the Bundle's OperationOutcome (lenient handling)."""


class _Unknown(Exception):
    """The parameter is not one of ours: ignored, or with strict handling refused."""


@dataclass(slots=True)
class _Reading:
    """A search while its query string is read."""

    resource_type: str
    held: frozenset[str]
    base: str
    conditions: list[Condition] = field(default_factory=list)
    sort: tuple[SortKey, ...] | None = None
    mark: str | None = None
    includes: list[Include] = field(default_factory=list)
    single: dict[str, str] = field(default_factory=dict)


def parse_search(
    resource_type: str,
    pairs: Iterable[tuple[str, str]],
    *,
    held: Iterable[str] = (),
    base: str = "",
    strict: bool = False,
) -> Search:
    """Parse a query string's (name, value) pairs.

    `held`: types in the same service, for chains. `base`: our FHIR base as clients see it. Raises ProblemError for a
    value that cannot be read; for an unknown parameter only with `strict` (Prefer: handling=strict).
    """
    reading = _Reading(resource_type, frozenset(held) | {resource_type}, base)
    problems: list[Problem] = []
    used: list[tuple[str, str]] = []
    ignored: list[Problem] = []
    for name, value in pairs:
        try:
            if "\x00" in value:
                raise ValueError("the value holds a NUL character; take it out")
            _read(reading, name, value)
            if name != "_page" and name not in _TOLERATED:
                used.append((name, value))
        except _Unknown:
            ignored.append(_unknown(name, resource_type))
        except ValueError as error:
            problems.append(_bad_value(name, str(error)))
    if strict:
        problems += [replace(problem, severity=Severity.ERROR) for problem in ignored]
    if problems:
        raise ProblemError(problems)
    return _finished(reading, used, ignored)


def _read(reading: _Reading, name: str, value: str) -> None:
    """Add what one parameter says. Raises _Unknown, or ValueError with what is wrong and expected."""
    match name:
        case "_sort":
            reading.sort = tuple(_sort_key(reading.resource_type, text) for text in value.split(",") if text)
        case "_include" | "_revinclude":
            reading.includes.append(_include(value, reverse=name == "_revinclude"))
            if len(reading.includes) > MAX_INCLUDES:
                raise ValueError(f"at most {MAX_INCLUDES} includes are answered in one search")
        case "_page":
            reading.mark = value
        case "_count" | "_total" | "_summary" | "_elements":
            _check_control(name, value)
            reading.single[name] = value
        case _ if name in _TOLERATED:
            return
        case _ if name.startswith(("_include:", "_revinclude:")):
            raise ValueError("includes of included resources (:iterate, :recurse) are not answered; ask for them apart")
        case _ if name.startswith("_has:"):
            reading.conditions.append(_has(reading, reading.resource_type, name, value))
        case _:
            reading.conditions.append(_condition(reading, reading.resource_type, name, value))


def _finished(reading: _Reading, used: list[tuple[str, str]], ignored: list[Problem]) -> Search:
    single = reading.single
    count = min(int(single.get("_count", DEFAULT_COUNT)), MAX_COUNT)
    sort = reading.sort or BY_CHANGE
    try:
        after = place_of(reading.mark, [key.kind for key in sort]) if reading.mark is not None else None
    except ValueError as error:
        raise ProblemError(_bad_value("_page", str(error))) from None
    return Search(
        resource_type=reading.resource_type,
        conditions=tuple(reading.conditions),
        sort=sort,
        count=count,
        after=after,
        total=single.get("_total", "none"),
        summary="count" if count == 0 else single.get("_summary", "false"),
        elements=tuple(filter(None, single["_elements"].split(","))) if "_elements" in single else None,
        includes=tuple(dict.fromkeys(reading.includes)),
        used=tuple(used),
        ignored=tuple(ignored),
    )


def _check_control(name: str, value: str) -> None:
    match name:
        case "_count" if not _WHOLE_NUMBER.fullmatch(value) or not value.isascii():
            raise ValueError(f"expected a whole number from 0 to {MAX_COUNT}, for example _count=50")
        case "_total" if value not in TOTALS:
            raise ValueError(f"expected {', '.join(TOTALS)}")
        case "_summary" if value not in SUMMARIES:
            raise ValueError(f"expected {', '.join(SUMMARIES)}")
        case "_elements" if not value.strip(","):
            raise ValueError("the value is empty; name the elements, for example _elements=status,subject")


def _condition(reading: _Reading, resource_type: str, name: str, value: str) -> Condition:
    """One parameter of a type: plain, with a modifier, or chained."""
    head, dot, rest = name.partition(".")
    plain, _, modifier = head.partition(":")
    parameter = _known(resource_type, plain)
    if not dot:
        return condition_of(parameter, modifier, value, base=reading.base)
    if parameter.type != "reference":
        raise ValueError(f"{plain} is no reference, so nothing can be chained to it")
    if rest == "identifier" and (not modifier or modifier not in reading.held) and not _one_held(reading, parameter):
        return condition_of(parameter, "identifier", value, base=reading.base)
    target = modifier or _one_held(reading, parameter)
    if target is None:
        raise ValueError(f"name the type that is meant, for example {plain}:RiskAssessment.{rest}")
    if target not in reading.held:
        raise ValueError(
            f"{target} is held elsewhere; only {plain}.identifier can be asked, or {target} searched itself first"
        )
    return Chained(parameter.stored_as, target, _further(reading, target, rest, value))


def _has(reading: _Reading, resource_type: str, name: str, value: str) -> Condition:
    """`_has:Type:reference:parameter`."""
    _, source, reference, rest = (*name.split(":", 3), "", "", "")[:4]
    if not rest or source not in PARAMETERS:
        raise ValueError("expected _has:Type:reference:parameter, for example _has:DetectedIssue:implicated:code")
    if source not in reading.held & HELD:
        raise ValueError(f"{source} is held elsewhere; search {source} itself, with _include")
    parameter = _known(source, reference)
    if parameter.type != "reference" or (parameter.targets and resource_type not in parameter.targets):
        raise ValueError(f"{source}.{reference} does not refer to {resource_type}")
    return ReferredTo(source, parameter.stored_as, _further(reading, source, rest, value))


def _further(reading: _Reading, resource_type: str, rest: str, value: str) -> Condition:
    """The condition at the other end of a chain."""
    if rest.startswith("_has:"):
        return _has(reading, resource_type, rest, value)
    condition = _condition(reading, resource_type, rest, value)
    if isinstance(condition, Updated):
        raise ValueError("_lastUpdated cannot be asked of another resource in a chain")
    return condition


def _one_held(reading: _Reading, parameter: Parameter) -> str | None:
    """The only type of this service that a reference may name, if it is just one."""
    held = [each for each in parameter.targets if each in reading.held]
    return held[0] if len(held) == 1 else None


def _known(resource_type: str, name: str) -> Parameter:
    if (parameter := parameters_of(resource_type).get(name)) is None:
        raise _Unknown
    return parameter


def _sort_key(resource_type: str, text: str) -> SortKey:
    name = text.removeprefix("-")
    parameter = _known(resource_type, name)
    if not parameter.single:
        raise _Unknown
    return SortKey(parameter, descending=text.startswith("-"))


def _include(value: str, *, reverse: bool) -> Include:
    source, _, rest = value.partition(":")
    name, _, target = rest.partition(":")
    if name == "*" or value == "*":
        raise ValueError("includes are named one by one, for example RiskAssessment:basis; * is not answered")
    if source in PARAMETERS and source not in HELD:
        raise ValueError(f"{source} does not go along with other resources; search {source} itself")
    parameter = parameters_of(source).get(name) if source in PARAMETERS else None
    if parameter is None or parameter.type != "reference":
        raise ValueError("expected Type:parameter or Type:parameter:Target with a parameter of type reference")
    return Include(source, parameter, target or None, reverse)


def _bad_value(name: str, message: str) -> Problem:
    return Problem(Category.INCORRECT, "search-value", f"Search parameter {name[:60]}: {message}.", issue_code="value")


def _unknown(name: str, resource_type: str) -> Problem:
    if name == "_sort":
        sortable = ", ".join(sorted(each.name for each in parameters_of(resource_type).values() if each.single))
        message = f"{resource_type} cannot be sorted by what _sort names; it was not used. Possible: {sortable}."
    else:
        known = ", ".join(sorted([*parameters_of(resource_type), *CONTROL, "_has"]))
        message = f"{resource_type} has no search parameter '{name[:40]}'; it was not used. Known: {known}."
    return Problem(
        Category.INCORRECT,
        "search-parameter-unknown",
        message,
        severity=Severity.WARNING,
        issue_code="not-supported",
    )


def types_asked(search: Search) -> frozenset[str]:
    """The other types that its chains look into."""
    found = set()
    for condition in search.conditions:
        further: Condition = condition
        while isinstance(further, Chained | ReferredTo):
            found.add(further.target if isinstance(further, Chained) else further.source)
            further = further.condition
    return frozenset(found)


def searched(resource_type: str, pairs: Sequence[tuple[str, str]]) -> Search:
    """A search of our own making: every parameter must be known."""
    return parse_search(resource_type, pairs, strict=True)
