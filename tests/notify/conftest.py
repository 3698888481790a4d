"""A notify service with real neighbours, and eyes on its database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from services.notify.context import Notify, open_notify
from services.notify.escalation import JOB_KINDS
from services.notify.hear import RAISE_ROUTINE, RAISE_URGENT, hear, raise_alerts
from services.notify.settings import NotifySettings
from shared import jobs
from shared.events import Ref
from tests.conftest import Database
from tests.notify.neighbours import MailServer, Receiver, Triage, a_mail_server, a_receiver, a_triage
from tests.notify.sending import deliver_due

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ON_CALL = "on-call@example.org"


@pytest.fixture
def triage() -> Iterator[Triage]:
    with a_triage() as running:
        yield running


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with a_mail_server() as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as running:
        yield running


@pytest.fixture
def settings(database: Database, triage: Triage, mail: MailServer, receiver: Receiver) -> NotifySettings:
    """Sandbox settings with one e-mail recipient and one webhook."""
    return NotifySettings.load(
        {
            "SURAL_MODE": "sandbox",
            "SURAL_NOTIFY_DATABASE_URL": database.notify_url,
            "SURAL_TRIAGE_URL": triage.url,
            "SURAL_SMTP_URL": mail.url,
            "SURAL_SMTP_FROM": "sural@clinic.example",
            "SURAL_ALERT_RECIPIENTS": ON_CALL,
            "SURAL_WEBHOOK_URL": receiver.url,
            "SURAL_WEBHOOK_SECRET": SECRET,
            "SURAL_PUBLIC_URL": "http://127.0.0.1:8123",
            "SURAL_CHANNEL_TIMEOUT_S": "20",
        }
    )


@dataclass(frozen=True)
class Service:
    """Notify's use cases as its processes call them, without the processes."""

    notify: Notify
    rows: Callable[..., list[dict[str, Any]]]

    def hears(self, *refs: Ref, kind: str = RAISE_URGENT) -> None:
        """What a worker does with a message."""
        hear(self.notify, kind, refs)

    def works(self) -> None:
        """What the background process does with what is left over."""
        for kind in (RAISE_URGENT, RAISE_ROUTINE):
            jobs.drain(self.notify.pool, kind, lambda claims: raise_alerts(self.notify, claims))

    def sends(self) -> int:
        return sum(deliver_due(self.notify, kind) for kind in JOB_KINDS)

    def alert(self) -> dict[str, Any]:
        """The only alert there is."""
        (alert,) = self.rows("SELECT * FROM alert")
        return alert

    def task(self, alert_id: object) -> dict[str, Any]:
        return self.resources("Task", str(alert_id))[0]

    def resources(self, resource_type: str, resource_id: str = "%") -> list[dict[str, Any]]:
        """Current versions."""
        found = self.rows(
            "SELECT convert_from(body, 'UTF8')::jsonb AS body FROM resource "
            "WHERE type = %s AND id LIKE %s AND is_current ORDER BY last_updated, id",
            resource_type,
            resource_id,
        )
        return [row["body"] for row in found]

    def events(self) -> list[str]:
        return [row["kind"] for row in self.rows("SELECT kind FROM alert_event ORDER BY id")]

    def everything_due(self) -> None:
        """Move the clock: whatever waits for a later time is due now."""
        self.rows("UPDATE job SET due_at = now() - interval '1 second' WHERE state = 'pending'")

    def alerts_due(self) -> None:
        self.rows("UPDATE alert SET due_at = now() - interval '1 second' WHERE due_at IS NOT NULL")


@pytest.fixture
def rows(database: Database) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """Run one statement in notify's schema; gives its rows."""
    with psycopg.connect(database.owner_url, autocommit=True, row_factory=dict_row) as connection:
        connection.execute("SET search_path = notify")

        def run(statement: str, *values: object) -> list[dict[str, Any]]:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def open_service(
    rows: Callable[..., list[dict[str, Any]]],
) -> Callable[[NotifySettings], AbstractContextManager[Service]]:
    """A service with settings of the test's own."""

    @contextmanager
    def opened(settings: NotifySettings) -> Iterator[Service]:
        notify = open_notify(settings, size=12, name="test")
        try:
            yield Service(notify, rows)
        finally:
            notify.close()

    return opened


@pytest.fixture
def service(
    settings: NotifySettings, open_service: Callable[[NotifySettings], AbstractContextManager[Service]]
) -> Iterator[Service]:
    with open_service(settings) as opened:
        yield opened
