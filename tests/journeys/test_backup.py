"""The runbook of docs/backup.md, as it stands there: a busy system is saved, lost, and brought back on an empty server.

What was pending goes on, what was acknowledged pages nobody, and nothing of what was saved is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from deploy.local import running, verify
from deploy.local.folder import CHECKOUT, free_port
from deploy.local.servers import EmbeddedPostgres
from deploy.local.verify.checking import connect_as_owner
from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection
from tests.builders import a_response
from tests.intake.ehr import post
from tests.journeys.system import System, a_system, settled
from tests.journeys.test_main_line import by_response
from tests.waiting import eventually

RUNBOOK = (CHECKOUT / "docs" / "backup.md").read_text(encoding="utf-8")
STEPS = dict(re.findall(r"<!-- (\w+) -->\n *```sh\n(.*?)\n *```", RUNBOOK, flags=re.DOTALL))
pytestmark = pytest.mark.timeout(400)


@dataclass
class Story:
    """What happened before the failure, what was kept, and the system that came back."""

    old: System
    new: System
    kept: Path
    ledger: list[verify.Accepted] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    open: str = ""
    pending: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    restored: dict[str, int] = field(default_factory=dict)
    back_s: float = 0.0
    """What whoever restores waits for: the step that restores, and from the start until all is assessed and told. What
    the test looks at in between is not in it, whatever else the machine does is."""

    def step(self, name: str, *, well: bool = True) -> str:
        """Run a step of the runbook; what it printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", STEPS[name]],
            cwd=CHECKOUT,
            env={
                **os.environ,
                "DATA": str(self.old.folder),
                "KEPT": str(self.kept),
                "NEW": str(self.new.folder),
                "PORT": str(self.new.port),
            },
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert (done.returncode == 0) == well, done.stdout + done.stderr
        return done.stdout + done.stderr

    def posts(self, client: httpx.Client, **answers: str) -> str:
        """Send a response, and note outside the system that it was accepted."""
        body = json.dumps(a_response(answers)).encode()
        answer = post(client, body)
        assert answer.status_code == 201, answer.text
        response_id, _, version = answer.headers["location"].split("/")[-3:]
        self.ledger.append(verify.Accepted(response_id, int(version), hashlib.sha256(body).hexdigest()))
        return str(response_id)


def client_of(system: System) -> httpx.Client:
    return httpx.Client(base_url=system.url, timeout=20, trust_env=False)


def mails(system: System) -> str:
    return httpx.get(f"{system.inbox_url}/messages", trust_env=False).text


def count(connection: DictConnection) -> dict[str, int]:
    """How many rows each table has."""
    connection.execute("SELECT set_config('sural.across_tenants', 'on', false)")
    tables = connection.execute(
        "SELECT schemaname || '.' || tablename AS name FROM pg_tables "
        "WHERE schemaname IN ('intake', 'triage', 'notify')"
    ).fetchall()
    return {
        row["name"]: connection.execute(f"SELECT count(*) AS number FROM {row['name']}".encode()).fetchall()[0][
            "number"
        ]
        for row in tables
    }


def owner(system: System) -> DictConnection:
    password, port = system.data.secret("postgres-owner"), system.data.port("postgres")
    return connect_as_owner(f"postgresql://sural_owner:{password}@127.0.0.1:{port}/sural")


def be_busy(story: Story) -> None:
    """Alerts that were acknowledged, one that is open and told, and work that nobody has done yet."""
    assert [row.problem for row in story.old.demo() if row.problem] == []
    with client_of(story.old) as client:
        tasks = client.get("/fhir/Task?_count=200").json()["entry"]
        story.acknowledged = [task["resource"]["id"] for task in tasks if task["resource"]["status"] == "accepted"]
        response_id = story.posts(client, chest_pain="Y")
        [task] = eventually(lambda: by_response(client, "Task", response_id), within_s=20)
        story.open = task["id"]
        eventually(lambda: story.open in mails(story.old), within_s=20)
        settled(story.old)
        stopped = [story.old.process(name).pid for name in ("background", "triage", "notify-urgent", "notify-routine")]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            story.pending = [
                story.posts(client, chest_pain="Y"),
                story.posts(client),
                story.posts(client, cough_blood="Y"),
            ]
            story.step("save")
            with owner(story.old) as connection:
                story.rows = count(connection)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    folder = Path(tempfile.mkdtemp(prefix="sural-restore-"))
    folder.chmod(0o711)
    try:
        (folder / "kept").mkdir()
        with a_system() as old:
            story = Story(old, System(folder / "new", free_port()), folder / "kept")
            be_busy(story)
            story.step("stop")
        begun = time.monotonic()
        assert "Restored." in story.step("restore")
        story.back_s = time.monotonic() - begun
        with EmbeddedPostgres(story.new.folder) as server, connect_as_owner(server.url) as connection:
            story.restored = count(connection)
        begun = time.monotonic()
        story.step("start")
        settled(story.new)
        story.back_s += time.monotonic() - begun
        yield story
    finally:
        running.stop(System(folder / "new", 0).data)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def client(story: Story) -> Iterator[httpx.Client]:
    with client_of(story.new) as client:
        yield client


@pytest.mark.requirement("REQ-42")
def test_everything_that_was_accepted_is_there_to_the_byte(story: Story) -> None:
    with owner(story.new) as connection:
        assert verify.check(connection, ledger=story.ledger, quiet_s=60) == []


GROWS = ("audit", "migration", "canary", "search_edition")
"""Tables that restoring and looking write to by themselves."""


@pytest.mark.requirement("REQ-42")
def test_every_row_of_every_table_was_saved(story: Story) -> None:
    different = {name for name, number in story.rows.items() if story.restored[name] != number}

    assert story.rows["intake.resource"] > 14
    assert {name for name in different if not any(part in name for part in GROWS)} == set()


@pytest.mark.requirement("REQ-42")
def test_what_was_pending_is_assessed(story: Story, client: httpx.Client) -> None:
    for response_id in story.pending:
        assert len(by_response(client, "RiskAssessment", response_id)) == 1


@pytest.mark.requirement("REQ-42")
def test_an_emergency_that_was_pending_is_told(story: Story, client: httpx.Client) -> None:
    [task] = by_response(client, "Task", story.pending[0])

    assert task["priority"] == "stat"
    eventually(lambda: task["id"] in mails(story.new), within_s=20)


@pytest.mark.requirement("REQ-42")
def test_nothing_that_was_acknowledged_pages_again(story: Story, client: httpx.Client) -> None:
    assert story.acknowledged
    told = mails(story.new)

    assert [task for task in story.acknowledged if task in told] == []
    for task in story.acknowledged:
        assert client.get(f"/fhir/Task/{task}").json()["status"] == "accepted"


@pytest.mark.requirement("REQ-42")
def test_an_open_alert_is_told_again_when_its_time_has_come(story: Story) -> None:
    with owner(story.new) as connection:
        connection.execute("SELECT set_config('sural.tenant', %s, false)", (str(DEFAULT_TENANT),))
        moved = connection.execute("UPDATE notify.alert SET due_at = now() WHERE id = %s", (story.open,)).rowcount
    assert moved == 1

    eventually(lambda: story.open in mails(story.new), within_s=20)


@pytest.mark.requirement("REQ-42")
def test_the_chain_of_the_audit_goes_on_where_it_was(story: Story) -> None:
    heads = (story.kept / "heads").read_text()
    assert "whole" in heads

    noted = [f"--head={line.split(' ')[0]}" for line in heads.splitlines() if ":" in line]
    done = story.new.command("audit", "verify", *noted)

    assert done.returncode == 0, done.stdout


@pytest.mark.requirement("REQ-41", "REQ-42")
def test_a_running_restored_system_breaks_no_invariant(story: Story) -> None:
    eventually(lambda: story.new.command("verify", "--all", "--quiet", "60").returncode == 0, within_s=60)


def test_it_is_back_within_two_minutes(story: Story) -> None:
    assert story.back_s < 120


@pytest.mark.requirement("REQ-42")
def test_a_restore_into_a_database_that_is_not_empty_is_refused(story: Story) -> None:
    running.stop(story.new.data)

    assert "is not empty" in story.step("restore", well=False)


def test_a_backup_is_never_overwritten(story: Story) -> None:
    done = story.new.command("backup", str(story.kept / "sural.dump"))

    assert done.returncode == 1
    assert "is there already" in done.stderr


def test_only_its_owner_can_read_a_backup(story: Story) -> None:
    assert (story.kept / "sural.dump").stat().st_mode & 0o777 == 0o600
