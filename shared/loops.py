"""Loops that go on: a function every few seconds until stopped, whatever happens in between."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

MAX_WAIT_S = 5.0
"""Longest pause after failures: a database that came back must not wait longer for the alerts in it."""

log = logging.getLogger(__name__)


def run_every(
    name: str,
    interval_s: float,
    function: Callable[[], object],
    stop: threading.Event,
    *,
    share: float = 1.0,
    most_s: float = 0.0,
) -> None:
    """Call `function`, wait `interval_s`, and again, until `stop` is set. An exception never ends the loop.

    `share`: of the time that it may work; what took long is called again later, but after `most_s` at the latest.
    After failures the pauses double, up to five seconds (or the interval, where that is longer). The first failure of a
    series is logged with its places, the end of a series with its length.
    """
    failures = 0
    while not stop.is_set():
        begun = time.monotonic()
        try:
            function()
        except Exception as error:
            failures += 1
            if failures == 1:
                log.exception("loop failed", extra={"kind": name, "error": type(error).__name__})
        else:
            if failures:
                log.info("loop works again", extra={"kind": name, "attempts": failures})
            failures = 0
        rest_s = sparing_s(time.monotonic() - begun, share, most_s)
        stop.wait(max(rest_s, pause_s(interval_s, failures)))


def pause_s(interval_s: float, failures: int) -> float:
    """Seconds to wait after this many failures in a row."""
    return min(interval_s * 2.0 ** min(failures, 10), max(MAX_WAIT_S, interval_s))


def sparing_s(took_s: float, share: float, most_s: float) -> float:
    """Seconds to wait after work that took so long, so that it takes this share of the time; `most_s` at the most."""
    return min(took_s * (1 / share - 1), most_s)
