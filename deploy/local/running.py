"""What a running system leaves in its data folder so that `status`, `down` and a second `up` find it.

The lock says whether a supervisor lives; the file beside it says which one and what it runs. A process number
alone is never believed.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import IO

from deploy.local.errors import StartError
from deploy.local.folder import DataFolder, write_whole
from deploy.local.process import try_lock, wait_for_lock, wait_until

STOP_S = 60.0
PROBE_S = 0.5  # `status` holds the lock for a moment when it looks


@dataclass(frozen=True, slots=True)
class Process:
    """One process as the supervisor last started it; times are ISO 8601 in UTC."""

    name: str
    pid: int
    started: str
    restarts: int


@dataclass(frozen=True, slots=True)
class Running:
    """A supervisor and its processes."""

    pid: int
    port: int
    started: str
    processes: Sequence[Process] = ()
    mode: str = "sandbox"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def take_over(data: DataFolder) -> IO[str] | None:
    """The lock that makes us the folder's supervisor; None when there is one already."""
    return wait_for_lock(data.state / "supervisor.lock", timeout_s=PROBE_S)


def announce(data: DataFolder, running: Running) -> None:
    """Say what runs. Only the holder of the lock does."""
    write_whole(data.state / "supervisor.json", json.dumps(asdict(running)))


def find(data: DataFolder) -> Running | None:
    """The running system of this folder; None when none runs."""
    lock_file, described = data.state / "supervisor.lock", data.state / "supervisor.json"
    if not lock_file.exists():
        return None
    if lock := try_lock(lock_file):
        lock.close()
        return None
    wait_until(described.exists, timeout_s=PROBE_S)
    facts = json.loads(described.read_text())
    processes = [Process(**process) for process in facts.pop("processes")]
    return Running(**facts, processes=processes)


def stop(data: DataFolder) -> bool:
    """Stop the running system and wait until nothing of it is left. False when none runs.

    Raises StartError when it does not end in time.
    """
    running = find(data)
    if running is None:
        return False
    os.kill(running.pid, signal.SIGTERM)
    if not wait_until(lambda: find(data) is None, timeout_s=STOP_S):
        raise StartError(
            f"The supervisor (process {running.pid}) did not stop within {STOP_S:.0f} seconds.",
            f"See {data.log('supervisor')}, then end it and its processes with `kill -9 {running.pid}`.",
        )
    return True


def now() -> str:
    """The time as it is written here."""
    return datetime.now(UTC).isoformat(timespec="seconds")
