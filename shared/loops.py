"""Loops that go on: a function every few seconds until stopped, whatever happens in between."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

MAX_WAIT_S = 5.0
"""Longest pause after failures: a database that came back must not wait longer for the alerts in it."""

log = logging.getLogger(__name__)


def run_every(name: str, interval_s: float, function: Callable[[], object], stop: threading.Event) -> None:
    """Call `function`, wait `interval_s`, and again, until `stop` is set. An exception never ends the loop.

    After failures the pauses double, up to five seconds (or the interval, where that is longer). The first failure of
    a series is logged with its places, the end of a series with its length.
    """
    failures = 0
    while not stop.is_set():
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
        stop.wait(pause_s(interval_s, failures))


def pause_s(interval_s: float, failures: int) -> float:
    """Seconds to wait after this many failures in a row."""
    return min(interval_s * 2.0 ** min(failures, 10), max(MAX_WAIT_S, interval_s))
