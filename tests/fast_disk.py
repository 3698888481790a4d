"""Where the servers of a run keep their data: in memory where there is room for it.

Each commit waits until the disk has it, and waiting for the disk is most of what tests wait for. The servers are set as
everywhere else and still ask; memory answers at once. Whole systems (`tests/journeys`) keep their data on the disk.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from pathlib import Path

from deploy.local.process import try_lock

MEMORY = Path("/dev/shm")
ROOM_BYTES = 8 * 2**30
"""What must be free: each worker has a PostgreSQL of its own, whose log takes up to 1 GiB."""
PREFIX = "sural-test-"
FORGOTTEN_S = 3600.0
"""A folder that old, with no server in it, belongs to a run that was killed."""


def new_folder(memory: Path = MEMORY) -> Path:
    """The name of a folder that is not there yet."""
    roomy = memory.is_dir() and shutil.disk_usage(memory).free >= ROOM_BYTES
    if roomy:
        remove_forgotten(memory)
    return (memory if roomy else Path(tempfile.gettempdir())) / f"{PREFIX}{secrets.token_hex(4)}"


def remove_forgotten(memory: Path) -> None:
    """Give the memory back that killed runs left behind."""
    for folder in memory.glob(f"{PREFIX}*"):
        held = folder / "state" / "postgres.lock"
        if held.exists() and time.time() - held.stat().st_mtime > FORGOTTEN_S and (lock := try_lock(held)):
            with lock:
                shutil.rmtree(folder, ignore_errors=True)
