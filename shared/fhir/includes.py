"""`_include` and `_revinclude`: what goes along with a page of a search, from this service and from its neighbours.

https://hl7.org/fhir/R4/search.html#include. A reference that names a version brings that version. What cannot be had is
said in words, never left out in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

import orjson

from shared.fhir import resources
from shared.fhir.client import NeighbourUnavailable
from shared.fhir.neighbours import Caller, Neighbours
from shared.fhir.resources import Stored
from shared.fhir.search import Include, Search
from shared.fhir.search_parameters import PARAMETERS
from shared.postgres import DictConnection
from shared.problems import Category, Problem, Severity

MOST_INCLUDED = 1000
"""Most resources that are included in one page by one parameter, where they refer to it."""
PAGE = "200"
"""How many a neighbour is asked for at once."""

Target: TypeAlias = tuple[str, str, str]
"""Type, id, and version ('' for the current one)."""


@dataclass(slots=True)
class Included:
    """What was found, in order: resources of ours, and the bytes of those that others hold."""

    ours: dict[Target, Stored] = field(default_factory=dict)
    theirs: dict[Target, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    asked: dict[str, list[Target]] = field(default_factory=dict)
    """Targets that a neighbour holds, by type."""
    searches: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    """(type, parameter, references) to be searched at a neighbour."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where includes are looked for: what this service holds, what the caller may see, and who else may be asked."""

    held: frozenset[str]
    allowed: frozenset[str] | None
    base: str
    neighbours: Neighbours

    def may_see(self, resource_type: str) -> bool:
        """Whether the caller may."""
        return self.allowed is None or resource_type in self.allowed


def from_here(
    connection: DictConnection, tenant: UUID, search: Search, found: Sequence[Stored], scope: Scope
) -> Included:
    """What this service includes, and the questions that are left for neighbours (`from_neighbours`)."""
    included = Included()
    page = [(stored.type, stored.id) for stored in found]
    for include in search.includes:
        if not page:
            break
        if include.reverse:
            _referring(connection, tenant, include, page, scope, included)
        elif include.source == search.resource_type:
            _referred(connection, tenant, include, page, scope, included)
    for stored in found:
        included.ours.pop((stored.type, stored.id, ""), None)
        included.ours.pop((stored.type, stored.id, str(stored.version_id)), None)
    return included


def from_neighbours(included: Included, scope: Scope, caller: Caller) -> None:
    """Ask the neighbours what is left; a silent one costs its resources, and is named."""
    for resource_type, targets in included.asked.items():
        try:
            for target, content in _fetched(resource_type, targets, scope.neighbours, caller):
                included.theirs[target] = content
        except NeighbourUnavailable:
            included.problems.append(_silent(resource_type))
    for resource_type, parameter, wanted in included.searches:
        asked = {parameter: ",".join(wanted), "_count": PAGE}
        try:
            found, more = scope.neighbours.search(resource_type, asked, caller, most=MOST_INCLUDED)
        except NeighbourUnavailable:
            included.problems.append(_silent(resource_type))
            continue
        included.theirs |= {(resource_type, resource_id, ""): content for resource_id, content in found.items()}
        if more:
            included.problems.append(_too_many(resource_type))


def _referred(
    connection: DictConnection,
    tenant: UUID,
    include: Include,
    page: Sequence[tuple[str, str]],
    scope: Scope,
    included: Included,
) -> None:
    ids = [resource_id for _, resource_id in page]
    targets: dict[str, list[Target]] = {}
    for reference, version in resources.references(
        connection, tenant, include.source, include.parameter.stored_as, ids
    ):
        resource_type, _, resource_id = reference.removeprefix(f"{scope.base}/").partition("/")
        if "/" not in resource_id and include.target in (None, resource_type):
            targets.setdefault(resource_type, []).append((resource_type, resource_id, version))
    for resource_type, wanted in targets.items():
        if not scope.may_see(resource_type):
            included.problems.append(_hidden(resource_type))
        elif resource_type in scope.held:
            for target, stored in _read(connection, tenant, resource_type, wanted):
                included.ours[target] = stored
        elif resource_type in scope.neighbours:
            included.asked.setdefault(resource_type, []).extend(wanted)
        elif resource_type in PARAMETERS:
            included.problems.append(_silent(resource_type))


def _referring(
    connection: DictConnection,
    tenant: UUID,
    include: Include,
    page: Sequence[tuple[str, str]],
    scope: Scope,
    included: Included,
) -> None:
    references = tuple(f"{resource_type}/{resource_id}" for resource_type, resource_id in page)
    if include.target not in (None, page[0][0]):
        return
    if not scope.may_see(include.source):
        included.problems.append(_hidden(include.source))
    elif include.source in scope.held:
        values = [*references, *(f"{scope.base}/{reference}" for reference in references)]
        row = include.parameter.stored_as
        ids = resources.referring(connection, tenant, include.source, row, values, limit=MOST_INCLUDED + 1)
        if len(ids) > MOST_INCLUDED:
            included.problems.append(_too_many(include.source))
        for stored in resources.read_current(connection, tenant, include.source, ids[:MOST_INCLUDED]):
            included.ours[(stored.type, stored.id, "")] = stored
    elif include.source in scope.neighbours:
        included.searches.append((include.source, include.parameter.name, references))
    else:
        included.problems.append(_silent(include.source))


def _read(
    connection: DictConnection, tenant: UUID, resource_type: str, targets: Sequence[Target]
) -> Iterator[tuple[Target, Stored]]:
    ids = list(dict.fromkeys(resource_id for _, resource_id, _ in targets))
    current = {stored.id: stored for stored in resources.read_current(connection, tenant, resource_type, ids)}
    for target in targets:
        _, resource_id, version = target
        stored = current.get(resource_id)
        if stored is not None and version.isdecimal() and int(version) != stored.version_id:
            stored = resources.vread(connection, tenant, resource_type, resource_id, int(version))
        if stored is not None:
            yield (resource_type, resource_id, str(stored.version_id)), stored


def _fetched(
    resource_type: str, targets: Sequence[Target], neighbours: Neighbours, caller: Caller
) -> Iterator[tuple[Target, bytes]]:
    ids = list(dict.fromkeys(resource_id for _, resource_id, _ in targets))
    current: dict[str, tuple[str, bytes]] = {}
    for start in range(0, len(ids), 200):
        asked = {"_id": ",".join(ids[start : start + 200]), "_count": PAGE}
        found, _ = neighbours.search(resource_type, asked, caller, most=200)
        for resource_id, content in found.items():
            current[resource_id] = (str(orjson.loads(content).get("meta", {}).get("versionId", "")), content)
    for _, resource_id, version in targets:
        held, content = current.get(resource_id, ("", b""))
        if version and version != held:
            old = neighbours.vread(resource_type, resource_id, version, caller)
            if old is not None:
                yield (resource_type, resource_id, version), old
        elif content:
            yield (resource_type, resource_id, held), content


def _silent(resource_type: str) -> Problem:
    message = f"The service that holds {resource_type} does not answer now: nothing of it is included. Ask again later."
    return _told("include-unavailable", message, "incomplete")


def _hidden(resource_type: str) -> Problem:
    message = f"Your token does not grant reading of {resource_type}: nothing of it is included."
    return _told("include-forbidden", message, "suppressed")


def _too_many(resource_type: str) -> Problem:
    message = f"More than {MOST_INCLUDED} {resource_type} refer to this page; the first are included. Ask for less."
    return _told("include-too-many", message, "incomplete")


def _told(code: str, message: str, issue_code: str) -> Problem:
    return Problem(Category.UNAVAILABLE, code, message, severity=Severity.WARNING, issue_code=issue_code)
