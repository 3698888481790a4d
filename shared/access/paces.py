"""How often somebody of one name may ask: buckets in the memory of the process, for what has no client id."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.access.limits import Bucket

MOST_NAMES = 10_000


@dataclass(slots=True)
class Paces:
    """So many a second for each name, and so many at once. Thread-safe."""

    per_second: float
    at_once: float
    now: Callable[[], float] = time.monotonic
    _buckets: dict[str, Bucket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_s(self, name: str) -> int:
        """Count one more; 0 when it may be answered, else the seconds to wait."""
        with self._lock:
            now = self.now()
            if len(self._buckets) >= MOST_NAMES:
                self._buckets.clear()
            bucket = self._buckets.setdefault(name, Bucket(self.per_second, self.at_once, now, self.at_once))
            return math.ceil(bucket.take(now))
