"""What hostile bodies cost: each of malformed.py is posted to a real intake over a real socket."""

from __future__ import annotations

import http.client
import json
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from deploy.local.benchmark.measured_intake import MEMORY_KB, PROCESSOR_MS
from deploy.local.benchmark.outside import outside
from deploy.local.folder import CHECKOUT
from deploy.local.malformed import EXAMPLE, Input, malformed_inputs
from deploy.local.servers import EmbeddedPostgres
from services.intake.__main__ import migrate
from services.intake.settings import IntakeSettings

WARM_UP = 20
SUSPICIOUS_MS, AGAIN = 50.0, 4
STARTED_S = 30.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """One answer: processor time of the service, and by how much it grew at most."""

    name: str
    status: int
    is_outcome: bool
    processor_ms: float
    memory_mb: float

    @property
    def is_right(self) -> bool:
        """True for 4xx with an OperationOutcome."""
        return 400 <= self.status < 500 and self.is_outcome


@dataclass(frozen=True, slots=True)
class Hostile:
    """The answers to all bodies."""

    refusals: list[Refusal]

    def as_json(self) -> dict[str, object]:
        """For a program."""
        return {
            "inputs": len(self.refusals),
            "slowest_ms": max(each.processor_ms for each in self.refusals),
            "memory_mb": max(each.memory_mb for each in self.refusals),
            "wrongly_answered": [each.name for each in self.refusals if not each.is_right],
        }


def measure_hostile() -> Hostile:
    """Post all of them, one at a time, the dear ones several times.

    Starts a PostgreSQL of its own and one intake; both are gone afterwards.
    """
    inputs = malformed_inputs()
    with _intake() as port:
        for each in [Input("warm-up", "a sound response", EXAMPLE.read_bytes()), *inputs[:WARM_UP]]:
            _post(port, each)
        return Hostile([_judge(port, each) for each in inputs])


def _judge(port: int, sent: Input) -> Refusal:
    """What took long is sent again: the fastest of several is what it costs, the rest is the machine's doing."""
    first = _post(port, sent)
    if first.processor_ms < SUSPICIOUS_MS:
        return first
    fastest = min(_post(port, sent).processor_ms for _ in range(AGAIN))
    return replace(first, processor_ms=min(first.processor_ms, fastest))


def _post(port: int, sent: Input) -> Refusal:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent: the answer is there
        connection.request(sent.method, sent.path, sent.body, dict(sent.headers))
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return Refusal(
        f"{sent.family}: {sent.name}",
        answer.status,
        b"OperationOutcome" in body and json.loads(body).get("resourceType") == "OperationOutcome",
        float(answer.headers[PROCESSOR_MS]),
        int(answer.headers[MEMORY_KB]) / 1024,
    )


@contextmanager
def _intake() -> Iterator[int]:
    """A migrated intake in a process of its own; gives its port."""
    folder = Path(tempfile.gettempdir()) / f"sural-bench-{secrets.token_hex(4)}"
    try:
        with EmbeddedPostgres(folder) as postgres:
            login = conninfo_to_dict(postgres.url)
            url = f"postgresql://sural_intake:{secrets.token_hex(16)}@{login['host']}:{login['port']}/{login['dbname']}"
            variables = {"SURAL_MODE": "sandbox", "SURAL_INTAKE_DATABASE_URL": url}
            migrate(postgres.url, IntakeSettings.load(variables))
            with socket.create_server(("127.0.0.1", 0)) as free:
                port: int = free.getsockname()[1]
            command = [sys.executable, "-P", "-m", "deploy.local.benchmark.measured_intake", str(port)]
            environment = {**outside(), **variables, "PYTHONPATH": str(CHECKOUT)}
            with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as server:
                try:
                    _wait_for(port)
                    yield port
                finally:
                    server.terminate()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + STARTED_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"Intake did not start within {STARTED_S:.0f} s.")
