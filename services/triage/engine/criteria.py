"""Criteria as data: what a parsed criterion is made of, and what it asks about.

A criterion is three-valued (Kleene): `All` is no if one part is no, `AnyOf` is yes if one part is yes,
otherwise one unknown part makes the whole unknown. How it is computed is in `compile.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias


class Operator(StrEnum):
    """Comparisons of a quantity with a number, or (``=``, ``!=``) of a choice with a code."""

    AT_LEAST = ">="
    AT_MOST = "<="
    MORE = ">"
    LESS = "<"
    EQUAL = "="
    NOT_EQUAL = "!="


@dataclass(frozen=True, slots=True)
class Fact:
    """``x``: yes when the fact is present."""

    name: str


@dataclass(frozen=True, slots=True)
class OrUnknown:
    """``x~``: yes when the fact is present or unknown; never itself unknown."""

    part: Fact


@dataclass(frozen=True, slots=True)
class Not:
    """``!x``: yes when the part is no. Unknown stays unknown."""

    part: Criterion


@dataclass(frozen=True, slots=True)
class All:
    """``a & b``."""

    parts: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """``a | b``."""

    parts: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """``x>=7``, ``x=code``. Unknown stays unknown; a value that does not apply gives no, also for ``!=``."""

    name: str
    operator: Operator
    literal: Decimal | str


Criterion: TypeAlias = Fact | OrUnknown | Not | All | AnyOf | Compare


def names_in(criterion: Criterion) -> Iterator[str]:
    """Names of all facts that the criterion mentions, in reading order, repeats included."""
    match criterion:
        case Fact(name) | Compare(name):
            yield name
        case OrUnknown(part) | Not(part):
            yield from names_in(part)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from names_in(part)


def comparisons_in(criterion: Criterion) -> Iterator[Compare]:
    """All comparisons that the criterion makes itself, in reading order."""
    match criterion:
        case Compare():
            yield criterion
        case Not(part):
            yield from comparisons_in(part)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from comparisons_in(part)
