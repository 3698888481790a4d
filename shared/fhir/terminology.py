"""Our CodeSystems and ValueSets, made from the tables beside this module and from what a caller knows.

Small and complete: every CodeSystem lists all its codes, and every ValueSet is given with its expansion.
https://hl7.org/fhir/R4/codesystem.html, https://hl7.org/fhir/R4/valueset.html
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from shared.fhir.definitions import Resource, canonical, definition
from shared.fhir.invariants import INVARIANTS

_FOLDER: Final = Path(__file__).parent


class Concept(NamedTuple):
    """One code. `more`: its properties and designations, as in a CodeSystem."""

    code: str
    display: str
    definition: str = ""
    more: Mapping[str, list[Resource]] = MappingProxyType({})


def code_system(
    resource_id: str, *, title: str, description: str, concepts: Iterable[Concept], **content: Any
) -> Resource:
    """A complete CodeSystem whose ValueSet of all codes has the same id."""
    listed = list(concepts)
    return definition(
        "CodeSystem",
        resource_id,
        title=title,
        description=description,
        **content,
        caseSensitive=True,
        valueSet=canonical("ValueSet", resource_id),
        content="complete",
        count=len(listed),
        concept=[_concept(one) for one in listed],
    )


def all_codes(system: Resource) -> Resource:
    """The ValueSet of all codes of a CodeSystem of ours."""
    return definition(
        "ValueSet",
        system["id"],
        title=system["title"],
        description=f"All codes of this CodeSystem. {system['description']}",
        version=system["version"],
        immutable=False,
        compose={"include": [{"system": system["url"]}]},
        expansion=_expansion(system["url"], system["concept"]),
    )


def listed_value_sets() -> list[Resource]:
    """The ValueSets of value_sets.toml."""
    table = tomllib.loads((_FOLDER / "value_sets.toml").read_text(encoding="utf-8"))
    return [_some_codes(name, **one) for name, one in table.items()]


def _some_codes(
    resource_id: str, *, title: str, description: str, system: str, concepts: Sequence[Sequence[str]]
) -> Resource:
    listed = [{"code": code, "display": display} for code, display in concepts]
    return definition(
        "ValueSet",
        resource_id,
        title=title,
        description=description,
        compose={"include": [{"system": system, "concept": listed}]},
        expansion=_expansion(system, listed),
    )


@cache
def issue_concepts() -> tuple[Concept, ...]:
    """Every issue code: those of the table, then the invariants of R4 by their keys."""
    table = tomllib.loads((_FOLDER / "issue_codes.toml").read_text(encoding="utf-8"))
    own = [Concept(code, *words) for group in table.values() for code, words in group.items()]
    told = {one.code for one in own}
    rules = {rule.key: rule.message for rules in INVARIANTS.values() for rule in rules if rule.key not in told}
    return (*own, *(Concept(key, key, rules[key]) for key in sorted(rules)))


@cache
def listed_concepts() -> dict[str, tuple[str, str, tuple[Concept, ...]]]:
    """The CodeSystems of code_systems.toml by id: title, description, concepts."""
    table = tomllib.loads((_FOLDER / "code_systems.toml").read_text(encoding="utf-8"))
    return {
        name: (one["title"], one["description"], tuple(Concept(*words) for words in one["concepts"]))
        for name, one in table.items()
    }


def shared_code_systems() -> list[Resource]:
    """The CodeSystems that no pack brings along, issue codes first."""
    systems = [
        code_system(
            "qr-issue",
            title="Issue",
            description="Why a request was refused, or what the sender should know: the reason of each issue.",
            concepts=issue_concepts(),
        )
    ]
    return systems + [
        code_system(name, title=title, description=description, concepts=concepts)
        for name, (title, description, concepts) in listed_concepts().items()
    ]


def _concept(concept: Concept) -> Resource:
    said: Resource = {"code": concept.code, "display": concept.display}
    return said | ({"definition": concept.definition} if concept.definition else {}) | dict(concept.more)


def _expansion(system: str, concepts: Sequence[Resource]) -> Resource:
    contains = [{"system": system, "code": one["code"], "display": one["display"]} for one in concepts]
    return {"total": len(contains), "contains": contains}
