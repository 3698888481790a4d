"""Child processes that never outlive the process that started them, and locks that tell whether one runs."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

CHILD = Path(__file__).with_name("child.py")
POLL_S = 0.01

StopSteps = Sequence[tuple[signal.Signals, float]]


@dataclass(frozen=True, slots=True)
class User:
    """The account that a program runs under."""

    name: str
    uid: int
    gid: int


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str],
    cwd: Path,
    death_signal: signal.Signals = signal.SIGTERM,
    user: User | None = None,
    keep_open: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program with its output appended to `log`; it gets `death_signal` when we die.

    The kernel watches the thread that calls this: call it from a thread that lives as long as the process.
    `keep_open` are file descriptors that the child inherits. It has its own session: a terminal's Ctrl-C
    reaches only us, and we decide in which order the children stop.
    """
    wrapper: list[str | Path] = [sys.executable, "-I", "-S", CHILD, str(os.getpid()), str(int(death_signal))]
    account = [str(user.uid), str(user.gid)] if user else ["-1", "-1"]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*wrapper, *account, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(env),
            cwd=cwd,
            pass_fds=tuple(keep_open),
            start_new_session=True,
        )


class Stoppable(Protocol):
    """What stopping needs of a process."""

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...


def stop_all(processes: Sequence[tuple[Stoppable, StopSteps]]) -> None:
    """End processes side by side: each gets its signals in turn, with so many seconds each, then SIGKILL."""
    for process, steps in processes:
        if steps and process.poll() is None:
            process.send_signal(steps[0][0])
    for process, steps in processes:
        for (_, patience_s), following in zip(steps, [*steps[1:], None], strict=True):
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience_s)
                break
            process.send_signal(following[0] if following else signal.SIGKILL)
        process.wait()


def wait_until(condition: Callable[[], bool], *, timeout_s: float) -> bool:
    """Poll until the condition holds. False when it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def try_lock(path: Path) -> IO[str] | None:
    """Take the lock of a file without waiting. None when another process holds it.

    The lock lasts until every copy of the descriptor is closed, so a child that inherits it holds it too.
    """
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def wait_for_lock(path: Path, *, timeout_s: float) -> IO[str] | None:
    """Take the lock of a file, waiting for a holder that is about to end. None when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while (lock := try_lock(path)) is None and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return lock
