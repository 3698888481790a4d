"""Starts the servers and children in order, restarts whichever dies, and stops all in order.

One thread, no exceptions to that: children are forked from it, and the kernel ends them when it ends.
"""

from __future__ import annotations

import gc
import importlib
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Protocol, Self

from deploy.local import running
from deploy.local.children import Child
from deploy.local.embedded import EmbeddedServer
from deploy.local.errors import StartError
from deploy.local.folder import CHECKOUT, DataFolder
from deploy.local.fork import fork_module
from deploy.local.process import Stoppable, StopSteps, stop_all

STEADY_S = 5.0  # a child that lived this long is restarted at once
FIRST_DELAY_S, LONGEST_DELAY_S = 0.2, 10.0
GIVE_UP_AFTER = 3  # quick deaths of one child before the system has ever been ready
READY_S = 60.0
TICK_S = 0.5
SERVER_STAGE = 10


class StopRequested(BaseException):
    """Somebody asked us to stop (Ctrl-C, SIGTERM, a closed terminal)."""


class Running(Stoppable, Protocol):
    """What the supervisor needs of a process, forked or executed."""

    pid: int


@dataclass(slots=True)
class Kept:
    """One process that has to run, and what happened to it so far."""

    name: str
    launch: Callable[[], Running]
    stop_steps: StopSteps
    stop_stage: int
    process: Running | None = None
    started: float = 0.0
    since: str = ""
    quick_deaths: int = 0
    restarts: int = 0
    due: float = field(default=0.0)

    def start(self) -> None:
        self.process = self.launch()
        self.started = time.monotonic()
        self.since = running.now()


class Supervisor:
    """Keeps servers and children running until it is asked to stop.

    `report` gets one line for each thing that an operator should know; `changed` is called with all processes
    when one of them has been started.
    """

    def __init__(
        self, data: DataFolder, *, report: Callable[[str], None], changed: Callable[[Sequence[Kept]], None]
    ) -> None:
        self._data = data
        self._report = report
        self._changed = changed
        self._kept: list[Kept] = []

    def __enter__(self) -> Self:
        self._wake, waker = socket.socketpair()
        for end in (self._wake, waker):
            end.setblocking(False)
        self._waker = waker
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _notice)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, _request_stop)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything; a second request changes nothing, as this ends within a bounded time anyway."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for stage in sorted({kept.stop_stage for kept in self._kept}):
            stop_all(
                [
                    (kept.process, kept.stop_steps)
                    for kept in self._kept
                    if kept.stop_stage == stage and kept.process is not None
                ]
            )
        signal.set_wakeup_fd(-1)
        self._wake.close()
        self._waker.close()

    def start_servers(self, servers: Mapping[str, EmbeddedServer], preload: Sequence[str]) -> dict[str, str]:
        """Start the servers, import libraries meanwhile, and return the servers' URLs by variable name."""
        for server in servers.values():
            self._keep_server(server)
        for module in preload:
            # A module that cannot be imported says so in the log of the child that needs it.
            with suppress(Exception):
                importlib.import_module(module)
        urls = {name: server.wait_ready() for name, server in servers.items()}
        for kept, server in zip(self._kept, servers.values(), strict=True):
            kept.process = server.process  # it may have moved to another port meanwhile
        return urls

    def start_children(self, children: Sequence[Child], env: Mapping[str, str]) -> None:
        """Fork all children. What was imported until now stays where it is, so that they can share its memory."""
        gc.collect()
        gc.freeze()
        for child in children:
            kept = Kept(child.name, self._forking(child, env), child.stop_steps, child.stop_stage)
            self._kept.append(kept)
            kept.start()
        self._changed(self._kept)

    def wait_ready(self, is_ready: Callable[[], bool]) -> None:
        """Watch until the system answers. Raises StartError when it does not, or a child keeps ending."""
        deadline = time.monotonic() + READY_S
        while not is_ready():
            self._watch_once(0.02)
            for kept in self._kept:
                if kept.quick_deaths >= GIVE_UP_AFTER:
                    raise self._cannot_run(kept)
            if time.monotonic() > deadline:
                raise StartError(
                    f"Sural was not ready within {READY_S:.0f} seconds.",
                    f"See the logs in {self._data.path / 'logs'}.",
                )

    def watch(self) -> None:
        """Keep everything running; returns only by StopRequested."""
        while True:
            self._watch_once(TICK_S)

    def _keep_server(self, server: EmbeddedServer) -> None:
        def launch() -> Running:
            server.launch()
            return server.process

        kept = Kept(server.name, launch, server.stop_steps, SERVER_STAGE + len(self._kept))
        self._kept.append(kept)
        kept.start()

    def _forking(self, child: Child, env: Mapping[str, str]) -> Callable[[], Running]:
        def launch() -> Running:
            log = self._data.log_for_start(child.name)
            given = {**env, **self._data.failpoint(child.name)}
            return fork_module(child.module, child.arguments, log=log, env=given, cwd=CHECKOUT)

        return launch

    def _watch_once(self, patience_s: float) -> None:
        """Wait for a death or the time to pass, then restart whatever is due."""
        now = time.monotonic()
        waits = [kept.due - now for kept in self._kept if kept.process is None]
        select.select([self._wake], [], [], max(0.0, min([patience_s, *waits])))
        with suppress(BlockingIOError):
            self._wake.recv(4096)
        for kept in self._kept:
            if kept.process is not None and (code := kept.process.poll()) is not None:
                self._bury(kept, code)
            if kept.process is None and kept.due <= time.monotonic():
                self._revive(kept)

    def _bury(self, kept: Kept, code: int) -> None:
        kept.process = None
        lived_s = time.monotonic() - kept.started
        kept.quick_deaths = 0 if lived_s > STEADY_S else kept.quick_deaths + 1
        delay_s = 0.0
        if kept.quick_deaths > 1:
            delay_s = min(FIRST_DELAY_S * 2.0 ** min(kept.quick_deaths - 2, 10), LONGEST_DELAY_S)
        kept.due = time.monotonic() + delay_s
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        self._report(f"{kept.name} {how} after {lived_s:.0f} s; starting it again")

    def _revive(self, kept: Kept) -> None:
        kept.restarts += 1
        try:
            kept.start()
        except (StartError, OSError) as error:  # OSError: no memory for a process, no space for its log
            kept.quick_deaths += 1
            kept.due = time.monotonic() + LONGEST_DELAY_S
            self._report(f"{kept.name}: {error}")
        try:
            self._changed(self._kept)
        except OSError as error:
            self._report(f"What runs cannot be noted down: {error}")

    def _cannot_run(self, kept: Kept) -> StartError:
        log = self._data.log(kept.name)
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        said = lines[-1].strip() if lines else "it said nothing"
        return StartError(f"The process `{kept.name}` keeps ending ({said}).", f"See {log}.")


def _request_stop(number: int, frame: FrameType | None) -> None:
    raise StopRequested


def _notice(number: int, frame: FrameType | None) -> None:
    """A child ended; the byte on the wake-up socket has already told the loop."""
