"""Running a service's processes: the web server, and loops until told to stop."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from shared.closing import Server
from shared.garbage import look_seldom

START_FAILED = 3
"""Exit status of a server that never answered, as uvicorn's own."""
Loop = tuple[str, Callable[[threading.Event], None]]


def serve(app: ASGIApp, *, host: str, port: int) -> None:
    """Answer HTTP until SIGTERM or SIGINT; requests in hand get ten seconds to end, event streams end at once."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
        timeout_keep_alive=30,
    )
    server = Server(config)
    look_seldom()
    with suppress(KeyboardInterrupt):  # uvicorn raises it again once it has stopped
        server.run()
    if not server.started:
        sys.exit(START_FAILED)


WATCH_S = 1.0
END_S = 15.0
"""For all loops together. What one of them does then is as if the process had been killed: nothing is lost by that."""


def run_loops(loops: Sequence[Loop]) -> None:
    """Run each loop in a thread of its own until SIGTERM or SIGINT, then let all of them end.

    A loop that ended by itself ends the process with status 1: whoever started it starts it anew, whole. One that
    works on when its time is up holds up neither.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [threading.Thread(target=run, args=(stop,), name=name, daemon=True) for name, run in loops]
    for thread in threads:
        thread.start()
    lost = ""
    while not lost and not stop.wait(WATCH_S):
        lost = next((thread.name for thread in threads if not thread.is_alive()), "")
    stop.set()
    end = time.monotonic() + END_S
    for thread in threads:
        thread.join(timeout=max(end - time.monotonic(), 0))
    if lost:
        sys.exit(f"The loop {lost} ended.")
