"""How long ago the newest full round of the watchdog began, as numbers for /metrics and `./sural status`."""

from __future__ import annotations

import math
from collections.abc import Iterator

from services.notify.watchdog import store
from shared.operations import Gauge
from shared.postgres import Pool

AGE = "sural_watchdog_age_seconds"


def measure_watchdog(pool: Pool, *, wanted: bool) -> Iterator[Gauge]:
    """Age and duration of the newest full round; an endless age before the first. Nothing where it is not wanted."""
    if not wanted:
        return
    with pool.connection() as connection:
        newest = store.full_round(connection)
    yield Gauge(
        AGE, "Seconds since the newest full round of the watchdog began.", {}, newest.age_s if newest else math.inf
    )
    if newest is not None:
        yield Gauge("sural_watchdog_round_seconds", "How long that round took.", {}, newest.took_s)
