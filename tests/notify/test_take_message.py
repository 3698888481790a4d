"""A message is given to one sender at a time, and never past somebody who acknowledges its alert just now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest

from services.notify import store
from services.notify.acts.links import LASTS, hashed, new_token
from services.notify.deliver import deliver, deliver_to, due_recipients
from services.notify.records import Taken
from shared import jobs
from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection
from tests.conftest import Database
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Triage, an_assessment


@pytest.fixture
def kind(service: Service, triage: Triage) -> str:
    """The kind of the job of the one mail that is due."""
    service.hears(triage.publish(an_assessment()))
    [kind] = [kind for kinds in due_recipients(service.notify).values() for kind in kinds if "email" in kind]
    return kind


def take(connection: DictConnection, kind: str) -> Taken | None:
    return store.take_message(connection, kind, link=hashed(new_token()), lasts=LASTS)


@contextmanager
def somebody_changes(database: Database, statement: str) -> Iterator[None]:
    """A transaction of another process that has locked this and goes on until the block ends."""
    with psycopg.connect(database.notify_url, options="-c search_path=notify") as other:
        other.execute("SELECT set_config('sural.tenant', %s, true)", (str(DEFAULT_TENANT),))
        other.execute(statement.encode())
        yield
        other.rollback()


@pytest.mark.requirement("REQ-11")
def test_a_message_that_one_sender_has_taken_is_given_to_no_other(service: Service, kind: str) -> None:
    with service.notify.pool.connection() as connection:
        assert take(connection, kind) is not None
        assert take(connection, kind) is None


@pytest.mark.requirement("REQ-11")
def test_a_message_that_another_sender_takes_at_this_moment_is_left_to_it_at_once(
    service: Service, kind: str, database: Database
) -> None:
    with (
        somebody_changes(database, f"SELECT FROM job WHERE kind = '{kind}' FOR UPDATE"),
        service.notify.pool.connection() as connection,
    ):
        connection.execute("SET lock_timeout = '1ms'")
        assert take(connection, kind) is None


@pytest.mark.requirement("REQ-14")
@pytest.mark.parametrize("change", ["SELECT FROM alert FOR UPDATE", "UPDATE alert SET task_version = task_version + 1"])
def test_a_message_whose_alert_somebody_acknowledges_at_this_moment_is_not_sent_on_what_was_before(
    service: Service, kind: str, database: Database, change: str
) -> None:
    with (
        somebody_changes(database, change),
        service.notify.pool.connection() as connection,
    ):
        taken = take(connection, kind)

    assert taken is not None
    assert taken.alert is None, "the sender waits for the lock and looks again"


@pytest.mark.requirement("REQ-12")
def test_a_message_whose_sender_died_is_given_to_another_once_its_lease_is_over(
    service: Service, kind: str, mail: MailServer
) -> None:
    with service.notify.pool.connection() as connection:
        assert take(connection, kind) is not None
    assert deliver_to(service.notify, kind) == (0, True)
    service.rows("UPDATE job SET lease_until = now() - interval '1 second' WHERE state = 'running'")

    assert deliver_to(service.notify, kind) == (1, True)

    assert len(mail.mails) == 1


@pytest.mark.requirement("REQ-11")
def test_a_message_is_ours_for_as_long_whenever_the_transaction_that_takes_it_began(
    service: Service, kind: str
) -> None:
    """Whoever opens an alert may have waited for seconds before it takes the message: nobody else sends it as well."""
    with service.notify.pool.connection() as connection, connection.transaction():
        before = connection.execute("SELECT clock_timestamp() AS now").fetchone()
        assert take(connection, kind) is not None
    [job] = service.rows("SELECT lease_until FROM job WHERE state = 'running'")

    assert before is not None
    assert job["lease_until"] - before["now"] >= timedelta(seconds=jobs.LEASE_S)


@pytest.mark.requirement("REQ-12")
@pytest.mark.parametrize("refusal", ["", "550 No such user", "451 Later"], ids=["taken", "refused", "failed"])
def test_a_sender_that_lost_its_lease_records_nothing(
    service: Service, kind: str, mail: MailServer, refusal: str
) -> None:
    mail.refusal = refusal
    with service.notify.pool.connection() as connection:
        taken = take(connection, kind)
    assert taken is not None
    service.rows("UPDATE job SET lease_token = gen_random_uuid() WHERE state = 'running'")

    deliver(service.notify, taken, new_token())

    assert service.rows("SELECT state FROM job WHERE kind = %s", kind) == [{"state": "running"}]
    assert service.rows("SELECT state, attempts FROM delivery WHERE channel = 'email'") == [
        {"state": "pending", "attempts": 0}
    ]
    assert service.resources("Communication") == []
    assert service.alert()["state"] == "requested"
