"""Who used the processor, and who holds memory: all processes below one, by the kernel's own books (Linux, /proc).

Nobody is forgotten: what a process used that ended meanwhile is in the books of whoever waited for it, so the sum over
the living and what they inherited only grows. Processor time of the living is read to the nanosecond, the inherited in
ticks of the kernel (10 ms).
"""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SUPERVISOR = "supervisor"
CUT = {
    "sural-backgroun": "sural-background",
    "sural-notify-ro": "sural-notify-routine",
    "sural-notify-ur": "sural-notify-urgent",
}
"""The kernel keeps fifteen letters of a name."""
BACKEND = re.compile(rb"^postgres: (sural_\w+)")


@dataclass(frozen=True, slots=True)
class Used:
    """Processor time of one process in seconds: its own, and what it inherited of children that ended."""

    name: str
    parent: int
    own: float
    inherited: float = 0.0


Books = Mapping[int, Used]
"""By process id, at one moment."""


def read_books(root: int, *, without: Collection[int] = ()) -> dict[int, Used]:
    """All processes from this one down, but for those named."""
    everybody = dict(_everybody())
    below: dict[int, list[int]] = defaultdict(list)
    for pid, (parent, _, _) in everybody.items():
        below[parent].append(pid)
    books: dict[int, Used] = {}
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        waiting += below[pid]
        if pid in everybody and pid not in without:
            parent, name, inherited = everybody[pid]
            name = SUPERVISOR if pid == root else name
            own = processor_s(pid)
            if own is None:
                continue  # it ended just now; its parent has it in a moment
            books[pid] = Used(name, parent, own, inherited)
    return books


def processor_s(pid: int) -> float | None:
    """Seconds of processor time that this process used so far, all its threads included. None when there is none."""
    try:
        return time.clock_gettime(((~pid) << 3) | 2)  # the clock of a process, as clock_getcpuclockid(3) makes it
    except OSError:
        return None


def spent(before: Books, after: Books) -> dict[str, float]:
    """Seconds of processor time between two moments, by the name of the process, the dearest first.

    What a process used that ended in between is told under the name of the one that inherited it.
    """
    by_name: dict[str, float] = defaultdict(float)
    for pid, now in after.items():
        was = before.get(pid)
        by_name[now.name] += now.own + now.inherited - (was.own + was.inherited if was else 0.0)
    for pid, was in before.items():
        if pid not in after:
            heir = after.get(was.parent)
            by_name[heir.name if heir else was.name] -= was.own + was.inherited
    return dict(sorted(by_name.items(), key=lambda one: -one[1]))


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes (10^6 bytes) of the processes of one name: their share (PSS) and all that each holds (RSS)."""

    processes: int
    pss_mb: float
    rss_mb: float


def read_memory(root: int, *, without: Collection[int] = ()) -> dict[str, Memory]:
    """Memory of all processes from this one down, by name, the largest first."""
    found: dict[str, Memory] = {}
    for pid, used in read_books(root, without=without).items():
        try:
            text = (PROC / str(pid) / "smaps_rollup").read_text()
        except OSError:
            continue
        pss, rss = (_megabytes(text, word) for word in ("Pss", "Rss"))
        so_far = found.get(used.name, Memory(0, 0.0, 0.0))
        found[used.name] = Memory(so_far.processes + 1, so_far.pss_mb + pss, so_far.rss_mb + rss)
    return dict(sorted(found.items(), key=lambda one: -one[1].pss_mb))


def _megabytes(text: str, word: str) -> float:
    found = re.search(rf"^{word}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def _everybody() -> Iterator[tuple[int, tuple[int, str, float]]]:
    """Every process: parent, name, and what it inherited in seconds."""
    for folder in PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            stat = (folder / "stat").read_bytes()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        head, _, tail = stat.rpartition(b")")
        fields = tail.split()
        inherited = (int(fields[13]) + int(fields[14])) / TICKS_PER_S
        name = _name(head.partition(b"(")[2], command)
        yield int(folder.name), (int(fields[1]), name, inherited)


def _name(comm: bytes, command: bytes) -> str:
    """As people call it: backends of PostgreSQL by the role that they serve."""
    if comm == b"postgres":
        backend = BACKEND.match(command)
        return f"PostgreSQL {backend[1].decode()}" if backend else "PostgreSQL itself"
    name = comm.decode("utf-8", "replace")
    return CUT.get(name, name)
