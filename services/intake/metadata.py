"""The CapabilityStatement of the whole base: intake's own part and its neighbours', with their last known copies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Final, TypeAlias

import httpx

REFRESH_S: Final = 30.0
AGAIN_S: Final = 5.0
"""When a neighbour of which nothing is known yet is asked again."""
TIMEOUT_S: Final = 2.0

Parts: TypeAlias = list[dict[str, Any]]


def ask(url: str) -> Parts | None:
    """What the neighbour at this address offers, None where it does not say so in time."""
    try:
        answer = httpx.get(url, timeout=TIMEOUT_S, trust_env=False)
        answer.raise_for_status()
        parts: Parts = answer.json()["resource"]
    except (httpx.HTTPError, ValueError, KeyError):
        return None
    return parts


class NeighbourParts:
    """What the neighbours offer, asked at most every half minute; a silent neighbour keeps its last answer.

    One thread asks a neighbour, and the others go on with what it offered before. Only the very first time they wait,
    so that nobody is told too little while the services start.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        ask: Callable[[str], Parts | None] = ask,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`urls`: service name to the address of its capability, as `http://127.0.0.1:8000/capability/triage`."""
        self._neighbours = {name: _Neighbour(url, ask, now) for name, url in urls.items()}

    def parts(self) -> Parts:
        """The `rest.resource` entries of all neighbours that ever answered."""
        return [part for neighbour in self._neighbours.values() for part in neighbour.parts()]

    def base_of(self, resource_type: str) -> str | None:
        """The address of the neighbour that owns this type, None when nobody is known to."""
        for name, neighbour in self._neighbours.items():
            if any(part.get("type") == resource_type for part in neighbour.parts()):
                return neighbour.url.removesuffix(f"/capability/{name}")
        return None


class _Neighbour:
    """One of them, with its last answer."""

    def __init__(self, url: str, ask: Callable[[str], Parts | None], now: Callable[[], float]) -> None:
        self.url, self._ask, self._now = url, ask, now
        self._known: Parts | None = None
        self._next = -inf
        """When it is asked again."""
        self._tried = False
        self._asking = threading.Lock()

    def parts(self) -> Parts:
        if not (self._tried and self._is_soon()) and self._asking.acquire(blocking=not self._tried):
            try:
                self._refresh()
            finally:
                self._asking.release()
        return self._known or []

    def _is_soon(self) -> bool:
        return self._now() < self._next

    def _refresh(self) -> None:
        if self._is_soon():
            return  # another asked while this one waited
        self._next = self._now() + (AGAIN_S if self._known is None else REFRESH_S)
        try:
            found = self._ask(self.url)
        finally:
            self._tried = True
        if found is not None:
            self._known, self._next = found, self._now() + REFRESH_S
