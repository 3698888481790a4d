"""The whole system as `./sural up` runs it, for stories that cross all services."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.local import running
from deploy.local.demo import Row, fired_flags, run, urgency_of
from deploy.local.folder import CHECKOUT, DataFolder, free_port
from shared.fhir.codes import SID_RESPONSE, Urgency
from tests.waiting import eventually

RECOVERY_S = 60.0


@dataclass(frozen=True)
class System:
    """A running system on a data folder of its own."""

    folder: Path
    port: int

    @property
    def data(self) -> DataFolder:
        return DataFolder(self.folder)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def inbox_url(self) -> str:
        return f"http://127.0.0.1:{self.data.port('mail-inbox')}"

    @property
    def redis_url(self) -> str:
        return f"redis://:{self.data.secret('valkey')}@127.0.0.1:{self.data.port('valkey')}/0"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `sural` command on this system."""
        return subprocess.run(
            [sys.executable, "-m", "deploy.local", *arguments, "--data", str(self.folder)],
            cwd=CHECKOUT,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def up(self) -> None:
        started = self.command("up", "--detach", "--port", str(self.port))
        assert started.returncode == 0, started.stdout + started.stderr

    def process(self, name: str) -> running.Process:
        """The process of that name as it runs now."""
        found = running.find(self.data)
        assert found is not None
        [process] = [process for process in found.processes if process.name == name]
        return process

    def supervisor(self) -> int:
        found = running.find(self.data)
        assert found is not None
        return found.pid

    def kill(self, name: str) -> None:
        """SIGKILL to the process of that name, if it is not just being restarted."""
        with suppress(ProcessLookupError):
            os.kill(self.process(name).pid, signal.SIGKILL)

    def demo(self, at_each: Any = lambda _number: None) -> list[Row]:
        """The demonstration; `at_each` is called with the number of each example before it is posted."""
        number = iter(range(1000))
        return list(run(self.url, progress=lambda _title: at_each(next(number))))


@contextmanager
def a_system() -> Iterator[System]:
    """Start everything, and leave nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="sural-journey-"))
    folder.chmod(0o711)
    system = System(folder / "data", free_port())
    try:
        system.up()
        yield system
    finally:
        running.stop(system.data)
        shutil.rmtree(folder, ignore_errors=True)


def everything(client: httpx.Client, resource_type: str) -> list[dict[str, Any]]:
    """All current resources of a type, over all pages."""
    found: list[dict[str, Any]] = []
    url: str | None = f"/fhir/{resource_type}?_count=200"
    while url:
        bundle = client.get(url).raise_for_status().json()
        found += [entry["resource"] for entry in bundle.get("entry", [])]
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        url = httpx.URL(following[0]).raw_path.decode() if following else None
    return found


def unkept_promises(system: System) -> list[str]:
    """Accepted responses that do not have exactly one current assessment, and urgent ones without their alert."""
    with httpx.Client(base_url=system.url, timeout=20, trust_env=False) as client:
        responses = everything(client, "QuestionnaireResponse")
        assessments = everything(client, "RiskAssessment")
        told = {
            identifier["value"]
            for task in everything(client, "Task")
            for identifier in task.get("identifier", [])
            if identifier.get("system") == SID_RESPONSE
        }
    by_response: dict[str, list[dict[str, Any]]] = {}
    for assessment in assessments:
        for response_id in (i["value"] for i in assessment["identifier"] if i["system"] == SID_RESPONSE):
            by_response.setdefault(response_id, []).append(assessment)
    broken = []
    for response in responses:
        found = by_response.get(response["id"], [])
        if len(found) != 1:
            broken.append(f"{response['id']}: {len(found)} current assessments")
        elif (urgency := urgency_of(found[0])) and Urgency(urgency).alerts and response["id"] not in told:
            broken.append(f"{response['id']}: {urgency} ({', '.join(fired_flags(found[0]))}) without an alert")
    return broken


def settled(system: System) -> None:
    """Wait until every promise is kept."""

    def look() -> bool:
        broken = unkept_promises(system)
        assert broken == []
        return True

    eventually(look, within_s=RECOVERY_S)
