"""`./sural up`: one machine's whole system, in the foreground or detached."""

from __future__ import annotations

import os
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local import running
from deploy.local.children import PRELOAD, Child, children
from deploy.local.environment import HOST, SANDBOX, child_variables, server_variables
from deploy.local.errors import StartError
from deploy.local.folder import DataFolder, port_is_free
from deploy.local.process import wait_until
from deploy.local.servers import embedded_servers
from deploy.local.supervisor import Kept, StopRequested, Supervisor

PORT_FREE_S = 3.0  # the web process of a killed predecessor needs a moment to end
ANSWER_S = 2.0
TAIL_LINES = 5


def _migrate(variables: Mapping[str, str]) -> None:
    """Imported when the servers are already starting: the import takes longer than their start."""
    from deploy.local.migrate import migrate_all

    for service, done in migrate_all(variables).items():
        if done:
            _report(f"{service}: {', '.join(done)}")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run beside the servers, and how one sees that it is ready."""

    children: Callable[[Mapping[str, str], DataFolder], Sequence[Child]] = children
    migrate: Callable[[Mapping[str, str]], object] = _migrate
    preload: Sequence[str] = PRELOAD
    ready_path: str | None = "/readyz"


SURAL = Plan()


def run(data: DataFolder, *, port: int, ready: Callable[[], None], plan: Plan = SURAL) -> None:
    """Run until somebody asks for the end; calls `ready` once the system answers. Leaves nothing running.

    Raises StartError when it cannot start. Only from the main thread of a process without other threads.
    """
    lock = running.take_over(data)
    if lock is None:
        raise StartError(f"Sural already runs on the data in {data.path}.", "See `./sural status`.")
    started, mode = running.now(), os.environ.get("SURAL_MODE") or SANDBOX

    def changed(kept: Sequence[Kept]) -> None:
        processes = [running.Process(one.name, one.process.pid, one.since, one.restarts) for one in kept if one.process]
        running.announce(data, running.Running(os.getpid(), port, started, processes, mode))

    with lock, Supervisor(data, report=_report, changed=changed) as supervisor:
        try:
            changed([])
            _require_port(port)
            data.require_space()
            urls = supervisor.start_servers(embedded_servers(data.path, os.environ), plan.preload)
            servers = server_variables(os.environ, urls, data)
            environment = child_variables(os.environ, servers, data=data, port=port)
            plan.migrate(environment | servers)
            supervisor.start_children(plan.children(os.environ, data), environment)
            supervisor.wait_ready(lambda: plan.ready_path is None or _answers(port, plan.ready_path))
            ready()
            supervisor.watch()
        except StopRequested:
            _report("stopping")


def run_detached(data: DataFolder, *, port: int, plan: Plan = SURAL) -> None:
    """The same in the background; returns when the system is ready. Raises StartError when it fails to be."""
    listening, speaking = os.pipe()
    if first := os.fork():
        os.close(speaking)
        os.waitpid(first, 0)
        with os.fdopen(listening) as messages:
            said = messages.read()
        if said != "ready":
            raise _failed(said, data.log("supervisor"))
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    os.close(listening)
    code = 1
    try:
        _write_to(data.log_for_start("supervisor"))
        with os.fdopen(speaking, "w") as messages:
            try:
                run(data, port=port, plan=plan, ready=lambda: _say(messages.fileno(), "ready"))
            except StartError as error:
                _say(messages.fileno(), f"{error.message}\n{error.remedy}")
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _say(descriptor: int, message: str) -> None:
    """Tell the waiting caller once; closing the pipe is what wakes it."""
    os.write(descriptor, message.encode())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _failed(said: str, log: Path) -> StartError:
    message, newline, remedy = said.partition("\n")
    if newline:
        return StartError(message, remedy)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:]) if log.exists() else ""
    return StartError(f"Sural ended while it started. The last lines of its log:\n{tail}\n", f"See {log}.")


def _write_to(log: Path) -> None:
    """Send what this process prints to a file, and read nothing from the terminal."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)


def _require_port(port: int) -> None:
    if not wait_until(lambda: port_is_free(port), timeout_s=PORT_FREE_S):
        raise StartError(
            f"Port {port} is taken by another program.",
            f"Stop that program, or choose another port: ./sural up --port {port + 1}.",
        )


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=ANSWER_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _report(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
