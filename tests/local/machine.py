"""A small supervised machine for tests: the real servers, and children that do little.

    python -m tests.local.machine DATA PORT [CHILD...]

Each CHILD is one of the modes of `tests.local.child`. Runs in the foreground until it is stopped.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from deploy.local.children import Child
from deploy.local.errors import StartError
from deploy.local.folder import DataFolder
from deploy.local.up import Plan, run

STOP = ((signal.SIGTERM, 1.0),)


def main(data: str, port: str, *modes: str) -> None:
    """Run with these children; prints `ready` when all have been started."""
    plan = Plan(
        children=lambda _given, _data: [Child(mode, "tests.local.child", [mode], STOP, 1) for mode in modes],
        migrate=lambda _variables: None,
        preload=(),
        ready_path="/livez" if "broken" in modes else None,
    )
    try:
        run(DataFolder.open(Path(data)), port=int(port), plan=plan, ready=say_ready)
    except StartError as error:
        sys.exit(str(error))


def say_ready() -> None:
    """Tell the test."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
