"""The data of a killed run are removed from memory, and those of a running one never."""

from __future__ import annotations

import os
import time
from pathlib import Path

from deploy.local.process import try_lock
from tests.fast_disk import FORGOTTEN_S, PREFIX, new_folder, remove_forgotten


def a_run(memory: Path, name: str, *, ended_s_ago: float) -> Path:
    """The lock in the folder of a run that began so long ago."""
    lock = memory / f"{PREFIX}{name}" / "state" / "postgres.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    at = time.time() - ended_s_ago
    os.utime(lock, (at, at))
    return lock


def test_only_what_is_old_and_has_no_server_is_removed(tmp_path: Path) -> None:
    killed = a_run(tmp_path, "killed", ended_s_ago=FORGOTTEN_S + 60)
    long = a_run(tmp_path, "long", ended_s_ago=FORGOTTEN_S + 60)
    starting = a_run(tmp_path, "starting", ended_s_ago=0)
    someone_elses = tmp_path / "else" / "state"
    someone_elses.mkdir(parents=True)
    running = try_lock(long)
    assert running is not None

    with running:
        remove_forgotten(tmp_path)

    assert not killed.parents[1].exists()
    assert long.exists()
    assert starting.exists()
    assert someone_elses.exists()


def test_without_such_a_place_the_data_are_on_the_disk(tmp_path: Path) -> None:
    assert not new_folder(tmp_path / "none").is_relative_to(tmp_path / "none")
