"""What runs on this machine, read from /proc."""

from __future__ import annotations

import os
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits for its parent to notice does not."""
    try:
        return _fields(pid)[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descendants(pid: int) -> set[int]:
    """All living children of a process, their children, and so on."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and alive(int(entry.name)):
            try:
                parents[int(entry.name)] = int(_fields(int(entry.name))[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found: set[int] = set()
    front = {pid}
    while front:
        front = {child for child, parent in parents.items() if parent in front}
        found |= front
    return found


def named(name: str, among: set[int]) -> set[int]:
    """Those whose short name is this."""
    return {pid for pid in among if alive(pid) and _name(pid) == name}


def kill(pid: int, signal: int) -> None:
    """Send a signal."""
    os.kill(pid, signal)


def _name(pid: int) -> str | None:
    """The short name; None once the process is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _fields(pid: int) -> list[str]:
    """State and parent, after the name in brackets, which may hold blanks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
