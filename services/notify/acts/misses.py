"""How many wrong one-time links somebody may try. A link that holds is never refused: it may be the acknowledgement."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.access.limits import BURST_S, Bucket

PER_SECOND = 1.0
MOST_ADDRESSES = 10_000


@dataclass(slots=True)
class Misses:
    """Wrong links by network address: ten at once, then one a second. Thread-safe, in the memory of the process."""

    now: Callable[[], float] = time.monotonic
    _buckets: dict[str, Bucket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_s(self, address: str) -> int:
        """Count one more; 0 when it may be answered, else the seconds to wait."""
        with self._lock:
            now = self.now()
            if len(self._buckets) >= MOST_ADDRESSES:
                self._buckets.clear()
            bucket = self._buckets.setdefault(address, Bucket(PER_SECOND, PER_SECOND * BURST_S, now))
            return math.ceil(bucket.take(now))
