"""What a search includes from other services: asked of the neighbour over FHIR, on behalf of whoever asked us.

The caller's own token goes along, so the neighbour gives exactly what it would give to the caller. Resources come back
as the bytes that the neighbour sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

import httpx
import orjson

from shared.fhir.client import TIMEOUT_S, NeighbourUnavailable, next_query
from shared.fhir.identity import array_items, top_level_members
from shared.fhir.search_parameters import OWNERS

_FORWARDED: Final = ("authorization", "x-request-id")
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/fhir+json"}


@dataclass(frozen=True, slots=True)
class Caller:
    """The headers that say for whom a neighbour is asked."""

    headers: Mapping[str, str]

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Caller:
        """Whoever sent a request with these headers."""
        return cls({name: headers[name] for name in _FORWARDED if name in headers})


class Neighbours:
    """The other services of this base by the types that they hold. Thread-safe; `close` gives the connections back."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        """`addresses`: service to URL; an empty one is not known."""
        self._http = {
            resource_type: client
            for service, url in addresses.items()
            if url
            for client in [httpx.Client(base_url=f"{url.rstrip('/')}/fhir/", timeout=TIMEOUT_S, trust_env=False)]
            for resource_type in OWNERS[service]
        }

    def __contains__(self, resource_type: str) -> bool:
        return resource_type in self._http

    def close(self) -> None:
        """Give the connections back."""
        for client in self._http.values():
            client.close()

    def search(
        self, resource_type: str, parameters: Mapping[str, str], caller: Caller, *, most: int
    ) -> tuple[dict[str, bytes], bool]:
        """What a search finds on all its pages, `most` of it, by id and as its bytes, and whether there is more.

        Raises NeighbourUnavailable.
        """
        headers = _FORM | dict(caller.headers)
        found: dict[str, bytes] = {}
        asked: str | None = resource_type
        while asked is not None and len(found) < most:
            try:
                answer = self._http[resource_type].post(f"{asked}/_search", data=parameters, headers=headers)
            except httpx.HTTPError as error:
                raise NeighbourUnavailable(f"{resource_type}: {type(error).__name__}") from None
            if answer.status_code != 200:
                raise NeighbourUnavailable(f"{resource_type}: answered {answer.status_code}")
            bundle = top_level_members(answer.content)
            found |= {str(orjson.loads(content)["id"]): content for content in _matches(bundle)}
            links = orjson.loads(bundle["link"][1]) if "link" in bundle else []
            asked, parameters = next_query(resource_type, {"link": links})
        return dict(islice(found.items(), most)), asked is not None or len(found) > most

    def vread(self, resource_type: str, resource_id: str, version: str, caller: Caller) -> bytes | None:
        """One version, or None when the neighbour does not have it. Raises NeighbourUnavailable."""
        path = f"{resource_type}/{resource_id}/_history/{version}"
        try:
            answer = self._http[resource_type].get(path, headers=dict(caller.headers))
        except httpx.HTTPError as error:
            raise NeighbourUnavailable(f"{resource_type}: {type(error).__name__}") from None
        if answer.status_code not in (200, 404, 410):
            raise NeighbourUnavailable(f"{resource_type}: answered {answer.status_code}")
        return answer.content if answer.status_code == 200 else None


def _matches(bundle: Mapping[str, tuple[tuple[int, int], bytes]]) -> list[bytes]:
    entries = bundle.get("entry")
    if entries is None:
        return []
    members = [top_level_members(entry) for entry in array_items(entries[1])]
    return [entry["resource"][1] for entry in members if b'"outcome"' not in entry["search"][1]]
