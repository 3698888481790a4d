"""Case records, one JSON object a line: the facts that the engine may see, and the gold that it never sees."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.fhir.codes import Urgency

Fact = bool | Decimal | str | tuple[str, ...]
"""What a record says: true or false, a number, a code, or several codes."""

Facts = Mapping[str, Fact]


class CaseError(Exception):
    """A case file that cannot be used: one sentence for each fault, with its line."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class Gold(BaseModel):
    """What a clinician says about the case. `acceptable_urgency` always holds `urgency`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    diagnosis: str
    acceptable: tuple[str, ...]
    must_not_miss: bool
    urgency: Urgency
    acceptable_urgency: tuple[Urgency, ...]
    expected_red_flags: tuple[str, ...]
    expected_scores: Mapping[str, int | str]

    @property
    def tiers(self) -> frozenset[Urgency]:
        """Every urgency that counts as right."""
        return frozenset((self.urgency, *self.acceptable_urgency))


class _Record(BaseModel):
    """One line. What describes a case for people (its summary, its source) is not read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    facts: dict[str, Any]
    gold: Gold
    provenance: str = "constructed"
    source_grade: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One case. Only `facts` reach the engine; `published`, `grade_a` and `tags` are for breakdowns."""

    id: str
    facts: Facts
    gold: Gold
    published: bool = False
    grade_a: bool = False
    tags: frozenset[str] = frozenset()
    line: int = 0


def read_cases(path: Path) -> tuple[Case, ...]:
    """All cases of the file in order. Raises CaseError with every line that is not a case."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CaseError([f"{path} cannot be read: {error.strerror}."]) from error
    except UnicodeDecodeError as error:
        raise CaseError([f"{path} is not UTF-8 text."]) from error
    cases: list[Case] = []
    faults: list[str] = []
    known: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            case = _case(line, number)
        except CaseError as error:
            faults += error.faults
            continue
        if (earlier := known.setdefault(case.id, number)) != number:
            faults.append(f"line {number}: case {case.id} is already on line {earlier}.")
        cases.append(case)
    if not cases and not faults:
        faults.append(f"{path} holds no case.")
    if faults:
        raise CaseError(faults)
    return tuple(cases)


def _case(line: str, number: int) -> Case:
    try:
        raw = json.loads(line, parse_float=Decimal, parse_constant=_not_a_number, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise CaseError([f"line {number}: not JSON: {error}."]) from error
    if not isinstance(raw, dict):
        raise CaseError([f"line {number}: a case is a JSON object."])
    try:
        record = _Record.model_validate(raw)
    except ValidationError as error:
        raise CaseError([f"line {number}: {_misfit(dict(one))}" for one in error.errors()]) from error
    return Case(
        id=record.id,
        facts={name: _fact(value) for name, value in record.facts.items()},
        gold=record.gold,
        published=record.provenance == "published",
        grade_a=record.source_grade == "A",
        tags=frozenset(record.tags),
        line=number,
    )


def _fact(value: Any) -> Fact:
    """A JSON value as a fact; what is none of the kinds is kept as its text, which no fact allows."""
    if isinstance(value, bool | str | Decimal):
        return value
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, list):
        return tuple(each if isinstance(each, str) else json.dumps(each, default=str) for each in value)
    return json.dumps(value, default=str)


def _misfit(error: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"the field {where} is missing."
    return f"{where}: {error['msg']}, found {json.dumps(error['input'], default=str)[:60]}."


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)} is stated twice")
    return found


def _not_a_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def without_each_fact(case: Case) -> Iterator[tuple[str, Case]]:
    """The case without one of its facts, for each, beside the name of that fact."""
    for name in case.facts:
        yield name, replace(case, facts={other: value for other, value in case.facts.items() if other != name})
