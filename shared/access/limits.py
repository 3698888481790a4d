"""How many requests a client and a tenant may send, and why answers of patients are not among what is refused.

Token buckets in the memory of each web process: a limit that keeps one client from crowding out the others need not be
exact over processes, and must neither cost a write nor depend on the database. What may bring a patient's answers is
counted but refused only above a hard limit far higher, which stands for "this machine cannot take more": to turn away
an emergency is worse than to be slow for everybody.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.access.needs import RESPONSE
from shared.principal import Principal

BURST_S = 10.0
"""A bucket holds what is allowed in this time."""
MOST_BUCKETS = 10_000

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Bucket:
    """So many requests a second, and for a short time more: ten seconds' worth, or `at_once`."""

    per_second: float
    level: float
    filled_at: float
    at_once: float | None = None

    def take(self, now: float) -> float:
        """0 when one more is allowed (then it is counted), else the seconds until it is."""
        most = self.per_second * BURST_S if self.at_once is None else self.at_once
        self.level = min(self.level + (now - self.filled_at) * self.per_second, most)
        self.filled_at = now
        if self.level < 1.0:
            return (1.0 - self.level) / self.per_second
        self.level -= 1.0
        return 0.0


@dataclass(slots=True)
class Limits:
    """Requests a second for a client, for a tenant, and for everything that brings answers. Thread-safe."""

    per_client: float
    per_tenant: float
    answers: float
    now: Callable[[], float] = time.monotonic
    refused: dict[str, int] = field(default_factory=lambda: {"client": 0, "tenant": 0, "answers": 0})
    """How many were refused since the start, by the limit that was reached."""
    _buckets: dict[tuple[str, str], Bucket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_s(self, principal: Principal, method: str, path: str) -> float:
        """0 when this request may pass, else the seconds after which it may be sent again."""
        with self._lock:
            now = self.now()
            waits = {
                "client": self._bucket("client", principal.id, self.per_client, now).take(now),
                "tenant": self._bucket("tenant", str(principal.tenant), self.per_tenant, now).take(now),
            }
            if may_bring_answers(method, path):
                waits = {"answers": self._bucket("answers", "", self.answers, now).take(now)}
            reached, wait_s = max(waits.items(), key=lambda one: one[1])
            if wait_s > 0:
                self.refused[reached] += 1
        if wait_s > 0 and reached == "answers":
            log.error("answers of patients turned away: the hard limit is reached", extra={"client": principal.id})
        return wait_s

    def _bucket(self, kind: str, name: str, per_second: float, now: float) -> Bucket:
        bucket = self._buckets.get((kind, name))
        if bucket is None:
            if len(self._buckets) >= MOST_BUCKETS:
                self._buckets.clear()
            bucket = self._buckets[kind, name] = Bucket(per_second, per_second * BURST_S, now)
        return bucket


def may_bring_answers(method: str, path: str) -> bool:
    """Whether this request may hold answers that a person has to see: a response, or a batch that may hold one."""
    if method not in ("POST", "PUT", "PATCH"):
        return False
    below = path.removeprefix("/fhir").strip("/")
    if below.endswith(("/_search", "/$validate", "/$triage")):
        return False
    return not below or below.partition("/")[0] == RESPONSE or below.endswith("/$process-response")
