"""The real worker process: a message on the broker becomes an alert that people get, in a moment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.notify.settings import NotifySettings
from shared.broker import Publisher, make_celery
from shared.canary import check_worker, task_name
from shared.events import NOTIFY_URGENT
from tests.conftest import Database, Servers
from tests.notify.conftest import SECRET
from tests.notify.neighbours import MailServer, Receiver, Triage, an_assessment
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def publisher(servers: Servers) -> Iterator[Publisher]:
    publisher = Publisher(make_celery(servers.redis_url))
    yield publisher
    publisher.close()


@pytest.fixture
def worker(settings: NotifySettings, database: Database, servers: Servers, tmp_path: Path) -> Iterator[Path]:
    """`python -m services.notify worker urgent`; gives its log."""
    with a_worker(settings, database, servers, tmp_path / "worker.log") as log:
        yield log


@contextmanager
def a_worker(settings: NotifySettings, database: Database, servers: Servers, log: Path, **more: str) -> Iterator[Path]:
    """The same, with further variables."""
    assert settings.smtp_url is not None
    assert settings.webhook_url is not None
    environment = {
        "PATH": os.environ["PATH"],
        "SURAL_MODE": "sandbox",
        "SURAL_NOTIFY_DATABASE_URL": database.notify_url,
        "SURAL_REDIS_URL": servers.redis_url,
        "SURAL_TRIAGE_URL": settings.triage_url,
        "SURAL_SMTP_URL": settings.smtp_url.get_secret_value(),
        "SURAL_SMTP_FROM": settings.smtp_from,
        "SURAL_ALERT_RECIPIENTS": settings.alert_recipients,
        "SURAL_WEBHOOK_URL": settings.webhook_url.get_secret_value(),
        "SURAL_WEBHOOK_SECRET": SECRET,
        **more,
    }
    command = [sys.executable, "-m", "services.notify", "worker", "urgent"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        yield log
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_message_becomes_an_alert_that_people_get(
    worker: Path,
    publisher: Publisher,
    triage: Triage,
    mail: MailServer,
    receiver: Receiver,
    database: Database,
    rows: Callable[..., list[dict[str, object]]],
) -> None:
    publisher.send(task_name(NOTIFY_URGENT), f"{NOTIFY_URGENT}.canary", {"v": 1})
    eventually(lambda: check_worker(database.notify_url, "notify", NOTIFY_URGENT) is None, within_s=30)

    publisher(NOTIFY_URGENT, [triage.publish(an_assessment())])

    eventually(lambda: mail.mails and receiver.requests, within_s=30)
    eventually(lambda: rows("SELECT state FROM alert") == [{"state": "received"}])
    assert rows("SELECT kind FROM job WHERE kind LIKE 'raise%'") == [{"kind": "raise.urgent"}]
    assert "Wrenfield" not in worker.read_text()


@pytest.mark.requirement("REQ-10")
def test_of_an_assessment_that_kills_its_worker_the_attempts_are_counted(
    settings: NotifySettings,
    publisher: Publisher,
    triage: Triage,
    database: Database,
    servers: Servers,
    rows: Callable[..., list[dict[str, object]]],
    tmp_path: Path,
) -> None:
    with a_worker(
        settings, database, servers, tmp_path / "worker.log", SURAL_FAILPOINT="notify.raise.before_commit:exit"
    ):
        publisher(NOTIFY_URGENT, [triage.publish(an_assessment())])

        eventually(lambda: rows("SELECT kind FROM job WHERE kind = 'raise.urgent' AND attempts > 0"), within_s=30)

    assert rows("SELECT * FROM alert") == []
