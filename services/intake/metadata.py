"""The CapabilityStatement of the whole base: intake's own part and its neighbours', with their last known copies."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

REFRESH_S = 30.0


@dataclass(slots=True)
class NeighbourParts:
    """What the neighbours offer, asked at most every half minute; a silent neighbour keeps its last answer."""

    urls: Mapping[str, str]
    """Service name to the address of its capability, for example `http://127.0.0.1:8000/capability/triage`."""
    _known: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _asked: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def parts(self) -> list[dict[str, Any]]:
        """The `rest.resource` entries of all neighbours that ever answered."""
        for name, url in self.urls.items():
            if name not in self._known or time.monotonic() - self._asked.get(name, -REFRESH_S) >= REFRESH_S:
                self._ask(name, url)
        return [part for name in self.urls for part in self._known.get(name, [])]

    def base_of(self, resource_type: str) -> str | None:
        """The address of the neighbour that owns this type, None when nobody is known to."""
        self.parts()
        for name, url in self.urls.items():
            if any(part.get("type") == resource_type for part in self._known.get(name, [])):
                return url.removesuffix(f"/capability/{name}")
        return None

    def _ask(self, name: str, url: str) -> None:
        try:
            answer = httpx.get(url, timeout=2.0, trust_env=False)
            answer.raise_for_status()
            parts = answer.json()["resource"]
        except (httpx.HTTPError, ValueError, KeyError):
            return
        with self._lock:
            self._known[name] = parts
            self._asked[name] = time.monotonic()
