"""What a system holds while it runs for long, and whether it grows: memory, file handles, work that waits."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from deploy.local.faults.sandbox import children_of

MEMORY_GROWTH, MEMORY_SLACK_MB = 1.05, 30.0
HANDLES_GROWTH, HANDLES_SLACK = 1.10, 20.0
WAITING_SLACK = 300.0
"""Rows of work that may wait at any moment: five seconds of the load, after which the senders wait too."""


@dataclass(frozen=True, slots=True)
class Sample:
    """At one moment. Memory in MB."""

    seconds: float
    memory: float
    handles: float
    outbox: float
    jobs: float


def grown(samples: Sequence[Sample]) -> list[str]:
    """What the last quarter has more of than the second, beyond what chance explains."""
    if len(samples) < 8:
        return []
    quarter = len(samples) // 4
    before, after = samples[quarter : 2 * quarter], samples[-quarter:]
    found = []
    for name, factor, slack in (
        ("memory", MEMORY_GROWTH, MEMORY_SLACK_MB),
        ("handles", HANDLES_GROWTH, HANDLES_SLACK),
        ("outbox", 1.0, WAITING_SLACK),
        ("jobs", 1.0, WAITING_SLACK),
    ):
        then, now = (median(float(getattr(sample, name)) for sample in part) for part in (before, after))
        if now > then * factor + slack:
            found.append(f"{name} grew from {then:.0f} to {now:.0f}")
    return found


def usage(pids: Sequence[int]) -> tuple[float, float]:
    """Memory in MB (each shared page counted by its share) and file handles of these processes and their children."""
    memory = handles = 0.0
    for pid in {one for parent in pids for one in (parent, *children_of(parent))}:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    memory += int(line.split()[1]) / 1024
            handles += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return memory, handles
