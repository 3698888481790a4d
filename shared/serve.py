"""Running a service's processes: the web server, and loops until told to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence

import uvicorn
from starlette.types import ASGIApp

Loop = tuple[str, Callable[[threading.Event], None]]


def serve(app: ASGIApp, *, host: str, port: int) -> None:
    """Answer HTTP until SIGTERM or SIGINT; requests in hand get ten seconds to end."""
    uvicorn.run(
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


def run_loops(loops: Sequence[Loop]) -> None:
    """Run each loop in a thread of its own until SIGTERM or SIGINT, then let all of them end."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [threading.Thread(target=run, args=(stop,), name=name) for name, run in loops]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(timeout=15)
