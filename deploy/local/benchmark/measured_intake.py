"""Intake as it is, in a process of its own, that says with each answer what the answer cost. For `sural bench` only.

    python -m deploy.local.benchmark.measured_intake PORT

Processor time is that of the whole process from the request to the head of the answer. Memory is by how much the
process grew at its largest moment meanwhile (Linux: VmHWM, which is set back before).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from shared.serve import serve

PROCESSOR_MS, MEMORY_KB = "x-bench-processor-ms", "x-bench-memory-kb"
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Measured:
    """An application with two more headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _RESET.write_text("5")
        memory, began = resident_kb("VmRSS"), time.process_time_ns()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                spent = (time.process_time_ns() - began) / 1e6
                more = [(PROCESSOR_MS, f"{spent:.3f}"), (MEMORY_KB, f"{resident_kb('VmHWM') - memory}")]
                message["headers"] = [*message["headers"], *((n.encode(), v.encode()) for n, v in more)]
            await send(message)

        await self._app(scope, receive, measured)


def resident_kb(name: str) -> int:
    """VmRSS, what the process holds in memory now, or VmHWM, the most that it held."""
    line = next(each for each in _STATUS.read_text("ascii", "replace").splitlines() if each.startswith(f"{name}:"))
    return int(line.split()[1])


if __name__ == "__main__":
    serve(Measured(create_app(IntakeSettings.load(os.environ))), host="127.0.0.1", port=int(sys.argv[1]))
