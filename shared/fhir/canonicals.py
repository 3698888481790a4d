"""Search for canonical resources by what names them: url, version, name, title.

https://hl7.org/fhir/R4/search.html. Their number is small, so the entries are looked through here; the database is then
asked for the ids that answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from shared.problems import Category, Problem, ProblemError

Pair: TypeAlias = tuple[str, str]
PARAMETERS = frozenset({"url", "version", "name", "title"})
_BETWEEN_VALUES = re.compile(r"(?<!\\),")
_ESCAPED = re.compile(r"\\([\\,|$])")


@dataclass(frozen=True, slots=True)
class Canonical:
    """What names one published resource."""

    id: str
    url: str
    version: str
    name: str = ""
    title: str = ""


def apart(pairs: Iterable[Pair], allowed: Iterable[str]) -> tuple[list[Pair], list[Pair]]:
    """The (name, value) pairs of a query string that are answered here, and all others.

    A text takes the modifiers `:exact` and `:contains`.
    """
    known = {name for parameter in PARAMETERS.intersection(allowed) for name in (parameter, *_modified(parameter))}
    ours: list[Pair] = []
    others: list[Pair] = []
    for pair in pairs:
        (ours if pair[0] in known else others).append(pair)
    return ours, others


def answering(entries: Sequence[Canonical], pairs: Iterable[Pair]) -> tuple[str, ...]:
    """Ids of the entries that answer all of these parameters. Raises ProblemError for an empty value.

    Values of one parameter are alternatives. A url is compared exactly and may be `url|version`; a text matches from
    its beginning, whatever the case and the accents.
    """
    asked = [(name, _values(name, value)) for name, value in pairs]
    return tuple(entry.id for entry in entries if all(_answers(entry, name, values) for name, values in asked))


def _modified(parameter: str) -> tuple[str, ...]:
    return (f"{parameter}:exact", f"{parameter}:contains") if parameter in ("name", "title") else ()


def _values(name: str, value: str) -> list[str]:
    values = [_ESCAPED.sub(r"\1", part) for part in _BETWEEN_VALUES.split(value) if part]
    if not values:
        message = f"Search parameter {name}: the value is empty; leave the parameter out or give a value"
        raise ProblemError(Problem(Category.INCORRECT, "search-value", message, issue_code="value"))
    return values


def _answers(entry: Canonical, name: str, values: Sequence[str]) -> bool:
    match name:
        case "url":
            return any(value in (entry.url, f"{entry.url}|", f"{entry.url}|{entry.version}") for value in values)
        case "version":
            return any(value.removeprefix("|") == entry.version for value in values)
        case _:
            parameter, _, modifier = name.partition(":")
            return _matches(entry.name if parameter == "name" else entry.title, values, modifier)


def _matches(text: str, values: Sequence[str], modifier: str) -> bool:
    if modifier == "exact":
        return text in values
    compare: Callable[[str, str], bool] = str.__contains__ if modifier == "contains" else str.startswith
    return any(compare(_folded(text), _folded(value)) for value in values)


def _folded(text: str) -> str:
    """Without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character)).casefold()
