"""Children that share what the supervisor has imported: a restarted worker is back in a tenth of a second.

Only for a parent without threads. Importing the libraries takes longer than all the rest of a start; done
once and shared by fork, it costs 1.5 s instead of the 2.7 s of separate interpreters on two cores.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deploy.local.child import end_with_parent, show_name
from shared import failpoint

POLL_S = 0.01
RESET = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class ForkedModule:
    """A Python module that runs as our child, as `python -m MODULE ARGUMENT...` would."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code (negative: the signal that ended it), None while it runs."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.returncode = 1
            else:
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(POLL_S)
        return code

    def send_signal(self, sig: int) -> None:
        """Send a signal; nothing happens when the child has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)


def fork_module(module: str, arguments: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path) -> ForkedModule:
    """Run a module in a child with its output appended to `log`. It and all that it forks die with us."""
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return ForkedModule(pid)
    code = 1
    try:
        os.setsid()
        _forget_parent(log)
        show_name(f"sural-{log.stem}")
        _die_with(parent)
        os.environ.clear()
        os.environ.update(env)
        failpoint.arm(env.get(failpoint.VARIABLE, ""))  # we have imported it with the environment of the parent
        os.chdir(cwd)
        sys.argv = [module, *arguments]
        for imported in (module, f"{module}.__main__"):
            sys.modules.pop(imported, None)
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ending:
        code = _exit_code(ending)
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(code)
    raise AssertionError("unreachable")


def _forget_parent(log: Path) -> None:
    """Default signals, output to the log, and none of the parent's files (its lock among them)."""
    signal.set_wakeup_fd(-1)
    for number in RESET:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def _die_with(parent: int) -> None:
    """Die when the supervisor dies; and what this child forks (a worker's pool) dies when this child does."""
    end_with_parent(parent, signal.SIGKILL)
    forker = os.getpid()

    def after_fork() -> None:
        nonlocal forker
        end_with_parent(forker, signal.SIGKILL)
        forker = os.getpid()

    os.register_at_fork(after_in_child=after_fork)


def _exit_code(ending: SystemExit) -> int:
    if ending.code is None or isinstance(ending.code, int):
        return ending.code or 0
    print(ending.code, file=sys.stderr)
    return 1


def _leave(code: int) -> None:
    """End without running what the supervisor registered for its own end."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    with suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code & 0xFF)
