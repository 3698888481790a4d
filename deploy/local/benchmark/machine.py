"""Where and of what something was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.folder import CHECKOUT


@dataclass(frozen=True, slots=True)
class Machine:
    """What a figure depends on beside the code. `load`: runnable processes, mean of a minute, when it began."""

    processor: str
    cores: int
    memory_gb: float
    kernel: str
    python: str
    postgresql: str
    commit: str
    date: str
    load: float

    def __str__(self) -> str:
        return (
            f"{self.date[:16]}Z, commit {self.commit}; {self.processor}, {self.cores} cores, {self.memory_gb:.0f} GB, "
            f"Linux {self.kernel}, Python {self.python}, PostgreSQL {self.postgresql}; "
            f"load at the start {self.load:.1f}"
        )


def this_machine(postgresql: str = "-") -> Machine:
    """This one, now. `postgresql`: the version of the server that was measured."""
    return Machine(
        processor=_of_file(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        kernel=platform.release(),
        python=platform.python_version(),
        postgresql=postgresql,
        commit=commit(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        load=os.getloadavg()[0],
    )


def commit() -> str:
    """The commit of this checkout, with a `+` when something in it was changed; `unknown` where git cannot say."""
    try:
        name = _git("rev-parse", "--short=10", "HEAD")
        return name + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _of_file(path: Path, word: str) -> str | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(word)), None)
