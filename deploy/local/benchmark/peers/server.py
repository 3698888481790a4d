"""A peer, or our own intake, as a process of its own: started, asked, and what it and the database took."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.benchmark.outside import outside
from deploy.local.benchmark.peers.catalogue import PORT, Candidate
from deploy.local.folder import CHECKOUT, free_port

START_S = 120.0
TYPE = "application/fhir+json"


class NotStartedError(Exception):
    """Why a peer is not measured, in a sentence."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it takes posts, and its process."""

    port: int
    path: str
    pid: int

    def post(self, body: bytes) -> int:
        """The status with which it answers one post."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", self.path, body, {"Content-Type": TYPE})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()


def processor_s(pid: int) -> float:
    """Processor time of a process and of all its descendants until now, as /proc says (Linux)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(processor_s(int(child)) for child in children)


@contextmanager
def our_intake(variables: Mapping[str, str]) -> Iterator[Server]:
    """Intake as it is, with a migrated database of its own."""
    command = [sys.executable, "-P", "-m", "services.intake", "serve"]
    port = free_port()
    ours = {**outside(), **variables, "SURAL_PORT": str(port), "PYTHONPATH": str(CHECKOUT)}
    with _running(command, CHECKOUT, ours, port, "/fhir/QuestionnaireResponse") as server:
        yield server


@contextmanager
def peer(candidate: Candidate, folder: Path, database_url: str) -> Iterator[Server]:
    """An installed peer, with a database where it wants one. Raises NotStartedError."""
    port = free_port()
    program, *words = candidate.command
    command = [str(folder / program) if "/" in program else program, *(word.replace(PORT, str(port)) for word in words)]
    variables = {**outside(), **candidate.variables, "PEERS_DATABASE_URL": database_url}
    with _running(command, folder, variables, port, candidate.path) as server:
        yield server


@contextmanager
def _running(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], port: int, path: str
) -> Iterator[Server]:
    with subprocess.Popen(
        command,
        cwd=folder,
        env=dict(variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            server = Server(port, path, process.pid)
            _wait_for(server, process)
            yield server
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotStartedError(f"it ended at once with status {process.returncode}")
        try:
            server.post(b"{}")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise NotStartedError(f"it did not answer within {START_S:.0f} s")
