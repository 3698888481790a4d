"""Read, vread, history and search of the resource types that a service owns, as R4 asks (http.html).

A route and its claim come from one object: `add_routes` registers what a ResourceCapability says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.access.needs import require
from shared.access.scopes import READ, SEARCH, Scope
from shared.audit.act import Interaction
from shared.audit.reading import record_history, record_reading, record_search
from shared.fhir import resources
from shared.fhir.bundle import history_bundle, searchset
from shared.fhir.capability import ResourceCapability
from shared.fhir.history import parse_history
from shared.fhir.http import FhirResponse, form_body, refuse, version_headers
from shared.fhir.includes import Included, from_here, from_neighbours
from shared.fhir.includes import Scope as IncludeScope
from shared.fhir.neighbours import Caller, Neighbours
from shared.fhir.preferences import has_already, is_strict
from shared.fhir.resources import Stored
from shared.fhir.search import RESOURCE_ID, SUMMARIES, parse_search, types_asked
from shared.fhir.search_parameters import PARAMETERS
from shared.fhir.subset import shown
from shared.postgres import DictConnection, Pool, tenant_transaction
from shared.principal import Principal, principal_of
from shared.problems import Category

Present: TypeAlias = Callable[[Stored], bytes]
Pairs: TypeAlias = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ResourceApi:
    """The resources of one service, as its clients see them.

    `present`: a stored resource as it is given out. `types`: what this service holds. `neighbours`: who holds the rest.
    """

    pool: Pool
    public_url: str
    present: Present
    types: frozenset[str] = frozenset()
    neighbours: Neighbours = field(default_factory=lambda: Neighbours({}))

    @property
    def base(self) -> str:
        """The FHIR base as clients see it."""
        return f"{self.public_url.rstrip('/')}/fhir"

    def read(self, request: Request, resource_type: str, resource_id: str) -> Response:
        """The current version, 304 when the client has it already, 404 when there is none."""
        stored = None
        if RESOURCE_ID.fullmatch(resource_id):
            tenant = principal_of(request).tenant
            with tenant_transaction(self.pool, tenant) as connection:
                stored = resources.read(connection, tenant, resource_type, resource_id)
                record_reading(connection, tenant, Interaction.READ, stored)
        return self._one(request, stored, f"{resource_type}/{resource_id}")

    def vread(self, request: Request, resource_type: str, resource_id: str, version_id: str) -> Response:
        """One version."""
        stored = None
        if RESOURCE_ID.fullmatch(resource_id) and resources.VERSION.fullmatch(version_id):
            tenant = principal_of(request).tenant
            with tenant_transaction(self.pool, tenant) as connection:
                stored = resources.vread(connection, tenant, resource_type, resource_id, int(version_id))
                record_reading(connection, tenant, Interaction.VREAD, stored)
        return self._one(request, stored, f"{resource_type}/{resource_id}/_history/{version_id}")

    def _one(self, request: Request, stored: Stored | None, name: str) -> Response:
        if stored is None:
            refuse(Category.NOT_FOUND, "not-found", f"{name[:150]} is not known here.", issue_code="not-found")
        headers = version_headers(stored)
        if has_already(request.headers, stored):
            return Response(status_code=304, headers=headers)
        summary, elements = _asked_of_one(request)
        body = shown(stored, self.present(stored), summary=summary, elements=elements)
        return FhirResponse(body, headers=headers)

    def history(self, request: Request, resource_type: str, resource_id: str | None = None) -> Response:
        """The versions of one resource, or of all of a type, the newest first; 404 for a resource that is not known."""
        asked = parse_history(request.query_params.multi_items(), strict=is_strict(request.headers))
        tenant = principal_of(request).tenant
        with tenant_transaction(self.pool, tenant) as connection:
            if resource_id is not None and not _known(connection, tenant, resource_type, resource_id):
                self._one(request, None, f"{resource_type}/{resource_id}")
            found = resources.history(connection, tenant, resource_type, resource_id, asked)
            record_history(connection, tenant, resource_type, resource_id, found)
        place = f"{resource_type}/{resource_id}" if resource_id is not None else resource_type
        return FhirResponse(history_bundle(self.base, place, asked, found, self.present))

    def search(self, request: Request, resource_type: str, pairs: Pairs | None = None) -> Response:
        """A searchset Bundle. `pairs`: the parameters, where they are not those of the address."""
        given = request.query_params.multi_items() if pairs is None else pairs
        search = parse_search(resource_type, given, held=self.types, base=self.base, strict=is_strict(request.headers))
        principal = principal_of(request)
        require(principal, [Scope(each, SEARCH) for each in types_asked(search)])
        scope = IncludeScope(self.types, _visible(principal), self.base, self.neighbours)
        with tenant_transaction(self.pool, principal.tenant) as connection:
            page = resources.find(connection, principal.tenant, search)
            record_search(connection, principal.tenant, resource_type, search.used)
            included = Included()
            if search.includes:
                included = from_here(connection, principal.tenant, search, page.found, scope)
        if included.asked or included.searches:
            from_neighbours(included, scope, Caller.of(request.headers))
        return FhirResponse(searchset(self.base, search, page, included, self.present))


def add_routes(router: APIRouter, api: ResourceApi, capability: ResourceCapability) -> None:
    """Register read, vread, history and search of a type, as far as its capability claims them."""
    resource_type = capability.type

    def search(request: Request) -> Response:
        return api.search(request, resource_type)

    def search_by_form(request: Request, body: bytes = Depends(form_body)) -> Response:
        return api.search(request, resource_type, [*request.query_params.multi_items(), *_pairs(body)])

    def read(request: Request, resource_id: str) -> Response:
        return api.read(request, resource_type, resource_id)

    def vread(request: Request, resource_id: str, version_id: str) -> Response:
        return api.vread(request, resource_type, resource_id, version_id)

    def history(request: Request, resource_id: str) -> Response:
        return api.history(request, resource_type, resource_id)

    def type_history(request: Request) -> Response:
        return api.history(request, resource_type)

    routes: Iterable[tuple[str, str, str, Callable[..., Response]]] = (
        ("search-type", "GET", "", search),
        ("search-type", "POST", "/_search", search_by_form),
        ("history-type", "GET", "/_history", type_history),
        ("read", "GET", "/{resource_id}", read),
        ("history-instance", "GET", "/{resource_id}/_history", history),
        ("vread", "GET", "/{resource_id}/_history/{version_id}", vread),
    )
    for interaction, method, path, answer in routes:
        if interaction in capability.interactions:
            router.add_api_route(f"/{resource_type}{path}", answer, methods=[method])


def _known(connection: DictConnection, tenant: UUID, resource_type: str, resource_id: str) -> bool:
    return (
        RESOURCE_ID.fullmatch(resource_id) is not None
        and resources.read(connection, tenant, resource_type, resource_id) is not None
    )


def _visible(principal: Principal) -> frozenset[str]:
    """The types that includes may bring to this caller."""
    return frozenset(
        each for each in PARAMETERS if principal.scopes.allows(each, READ) and principal.scopes.allows(each, SEARCH)
    )


def _asked_of_one(request: Request) -> tuple[str, tuple[str, ...] | None]:
    """`_summary` and `_elements` of a read."""
    summary = request.query_params.get("_summary", "false")
    if summary not in SUMMARIES or summary == "count":
        refuse(
            Category.INCORRECT,
            "search-value",
            "_summary of a read can be true, text, data or false.",
            issue_code="value",
        )
    elements = request.query_params.get("_elements", "").strip(",")
    return summary, tuple(filter(None, elements.split(","))) if elements else None


def _pairs(body: bytes) -> Pairs:
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=500, strict_parsing=bool(body))
    except ValueError:
        refuse(Category.INCORRECT, "form", "The body is no form. Send name=value pairs, joined by &.")
