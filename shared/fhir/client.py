"""Reading a neighbour's resources over FHIR: many at once, exact versions, and what changed lately."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import orjson

from shared.access.service_token import ServiceToken
from shared.events import Ref
from shared.fhir.identity import instant
from shared.fhir.kept_http import KeptHttp, Unanswered
from shared.ids import DEFAULT_TENANT

PAGE = 100
HEADERS = {"Accept": "application/fhir+json", "Accept-Encoding": "identity", "Prefer": "handling=strict"}
"""Neighbours are near: to compress an answer and to open it again takes longer than to send it as it is."""
TIMEOUT_S = 5.0
AWAY = frozenset({401, 403, 429, 502, 503, 504})
"""Answers that say nothing about the question: the neighbour, or what stands before it, is not ready for us."""
UNKNOWN_TO_IT = frozenset({400, 405, 422, 501})
"""What a FHIR server answers to an operation that it does not have, besides 404."""
OVERLAP = timedelta(seconds=15)
"""How far a catch-up looks back behind what it has seen: longer than any write of a neighbour can take to commit."""
LOOK_BACK = timedelta(hours=25)
LOOK_BACK_EVERY = timedelta(minutes=1)
"""How far, and how often, a catch-up looks back whatever it has seen: a neighbour's clock may have been wrong."""


class NeighbourUnavailable(Exception):
    """The neighbour did not answer as a FHIR server; the same question may be answered later."""


class NeighbourFault(NeighbourUnavailable):
    """The neighbour is there, but what it answered to this question is a mistake; asking again may not help."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A resource that changed: its reference, its tag (urgency) if it has one, and when."""

    ref: Ref
    tags: frozenset[str]
    last_updated: datetime


class FhirClient:
    """A neighbour's FHIR base. Thread-safe; decimals are read as Decimal.

    Searches are strict (R4 search.html): a parameter that the neighbour does not know is a fault, where a lenient one
    would give out everybody's resources as if all of them had been meant.

    Each call is for one tenant and is signed for it by `token`; without one (a sandbox, another FHIR server) calls are
    unsigned, and the neighbour gives what it gives to everybody.
    """

    def __init__(self, url: str, *, token: ServiceToken | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """`timeout_s`: longest wait for the next part of an answer."""
        self._token = token
        self._http = KeptHttp(f"{url.rstrip('/')}/fhir/", headers=HEADERS, timeout_s=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def read_many(self, resource_type: str, refs: Sequence[Ref], *, digits: bool = True) -> dict[Ref, dict[str, Any]]:
        """The exact versions asked for; what the neighbour does not have is missing from the answer.

        One search for all of a tenant; a version that is not the current one costs one vread. `digits`: False for
        whoever looks at no decimals, and has what is read in half the time. Raises NeighbourUnavailable.
        """
        found: dict[Ref, dict[str, Any]] = {}
        for tenant in dict.fromkeys(ref.tenant for ref in refs):
            wanted = {ref.id: ref for ref in refs if ref.tenant == tenant}
            ids = sorted(wanted)
            for start in range(0, len(ids), PAGE):
                page = ids[start : start + PAGE]
                bundle = self._get(resource_type, {"_id": ",".join(page), "_count": str(PAGE)}, tenant, digits=digits)
                for resource in _matches(bundle):
                    ref = wanted.get(str(resource.get("id")))
                    if ref is not None and resource.get("meta", {}).get("versionId") == str(ref.version):
                        found[ref] = resource
        for ref in refs:
            if ref not in found:
                old = self.vread(resource_type, ref)
                if old is not None:
                    found[ref] = old
        return found

    def vread(self, resource_type: str, ref: Ref) -> dict[str, Any] | None:
        """One version, or None when the neighbour does not know it."""
        return self._get_or_none(f"{resource_type}/{ref.id}/_history/{ref.version}", {}, ref.tenant)

    def find(
        self, resource_type: str, parameters: dict[str, str], *, tenant: UUID = DEFAULT_TENANT
    ) -> list[dict[str, Any]]:
        """The first page of a search."""
        return list(_matches(self._get(resource_type, parameters, tenant)))

    def find_all(
        self, resource_type: str, parameters: dict[str, str], *, most: int, tenant: UUID = DEFAULT_TENANT
    ) -> tuple[list[dict[str, Any]], bool]:
        """What a search finds on all its pages, `most` of it, and whether there is more. Each resource once."""
        found: dict[str, dict[str, Any]] = {}
        path: str | None = resource_type
        while path is not None and len(found) < most:
            bundle = self._get(path, parameters, tenant)
            found |= {str(resource["id"]): resource for resource in _matches(bundle)}
            path, parameters = next_query(resource_type, bundle)
        return list(found.values())[:most], path is not None or len(found) > most

    def post(self, path: str, resource: dict[str, Any], *, tenant: UUID = DEFAULT_TENANT) -> tuple[int, dict[str, Any]]:
        """Post a resource to an operation: status below 500 and the answer ({} where it has none).

        Raises NeighbourUnavailable.
        """
        headers = {"Content-Type": "application/fhir+json"} | self._signed(tenant)
        try:
            response = self._http.post(path, orjson.dumps(resource, default=exact_digits), headers)
        except Unanswered as error:
            raise NeighbourUnavailable(f"{self._http.base}: {error}") from None
        if response.status in AWAY or response.status >= 500:
            kind = NeighbourUnavailable if response.status in AWAY else NeighbourFault
            raise kind(f"{self._http.base} answered {response.status}")
        try:
            return response.status, json.loads(response.content, parse_float=Decimal) if response.content else {}
        except ValueError:
            raise NeighbourFault(f"{self._http.base} answered with something that is no JSON") from None

    def changed_since(self, resource_type: str, since: datetime, *, tenant: UUID = DEFAULT_TENANT) -> Iterator[Changed]:
        """A tenant's current versions that changed at or after `since` (less an overlap), oldest first, by pages."""
        parameters = {
            "_lastUpdated": f"ge{instant(since - OVERLAP)}",
            "_elements": "id,meta",
            "_count": "200",
        }
        path: str | None = resource_type
        while path is not None:
            bundle = self._get(path, parameters, tenant)
            for resource in _matches(bundle):
                meta = resource["meta"]
                yield Changed(
                    ref=Ref(resource["id"], int(meta["versionId"]), tenant),
                    tags=frozenset(tag.get("code", "") for tag in meta.get("tag", [])),
                    last_updated=datetime.fromisoformat(meta["lastUpdated"]),
                )
            path, parameters = next_query(resource_type, bundle)

    def tenants_changed_since(self, resource_type: str, since: datetime) -> list[UUID]:
        """Tenants with resources of this type that changed at or after `since` (less an overlap).

        A neighbour that does not say so (another FHIR server, a sandbox without a shared secret) has one tenant.
        """
        asked = {"_since": instant(since - OVERLAP)}
        answer = self._get_or_none(f"{resource_type}/$changed-tenants", asked, DEFAULT_TENANT, knows_it=False)
        tenants = (answer or {}).get("tenants")
        return [UUID(tenant) for tenant in tenants] if isinstance(tenants, list) else [DEFAULT_TENANT]

    def _signed(self, tenant: UUID) -> dict[str, str]:
        return {"Authorization": self._token.authorization(tenant)} if self._token else {}

    def _get(self, path: str, parameters: dict[str, str], tenant: UUID, *, digits: bool = True) -> dict[str, Any]:
        resource = self._get_or_none(path, parameters, tenant, digits=digits)
        if resource is None:
            raise NeighbourUnavailable(f"{self._http.base} does not serve {path.partition('/')[0]}")
        return resource

    def _get_or_none(
        self, path: str, parameters: dict[str, str], tenant: UUID, *, knows_it: bool = True, digits: bool = True
    ) -> dict[str, Any] | None:
        """What is at this address; None for 404 and 410, and for a question that it may not know and refuses."""
        try:
            response = self._http.get(path, parameters, self._signed(tenant))
        except Unanswered as error:
            raise NeighbourUnavailable(f"{self._http.base}: {error}") from None
        if response.status in (404, 410) or (not knows_it and response.status in UNKNOWN_TO_IT):
            return None
        if response.status != 200:
            kind = NeighbourUnavailable if response.status in AWAY else NeighbourFault
            raise kind(f"{self._http.base} answered {response.status}")
        try:
            resource: dict[str, Any] = (
                json.loads(response.content, parse_float=Decimal) if digits else orjson.loads(response.content)
            )
        except ValueError:
            raise NeighbourFault(f"{self._http.base} answered with something that is no JSON") from None
        return resource


def exact_digits(number: object) -> orjson.Fragment:
    """A Decimal as the digits that it was read from. Raises TypeError for anything else."""
    if isinstance(number, Decimal):
        return orjson.Fragment(str(number))
    raise TypeError


def _matches(bundle: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for entry in bundle.get("entry", []):
        if entry.get("search", {}).get("mode", "match") == "match":
            yield entry["resource"]


def next_query(resource_type: str, bundle: Mapping[str, Any]) -> tuple[str | None, dict[str, str]]:
    """The next page, asked of the same neighbour that we know: only the query of its link is used."""
    for link in bundle.get("link", []):
        if link.get("relation") == "next":
            return resource_type, dict(parse_qsl(urlsplit(link["url"]).query, keep_blank_values=True))
    return None, {}
