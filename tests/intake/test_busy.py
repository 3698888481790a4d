"""A database that stands still fills no memory: who comes when too many wait is asked to come again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from services.intake import api
from tests.builders import a_response
from tests.conftest import Database
from tests.intake.ehr import codes, post, stored
from tests.waiting import eventually

MOST, SENT = 12, 30


@contextmanager
def standing_still(database: Database) -> Iterator[None]:
    """No process of the database server does anything inside the block: connections stand, nothing answers."""
    with psycopg.connect(database.intake_url, autocommit=True) as connection:
        ours = "SELECT pid FROM pg_stat_activity WHERE usename = current_user"
        backends = [pid for (pid,) in connection.execute(ours).fetchall()]
        server = int(Path(f"/proc/{connection.info.backend_pid}/stat").read_text().rpartition(")")[2].split()[1])
    try:
        for pid in (server, *backends):
            with_signal(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in (server, *backends):
            with_signal(pid, signal.SIGCONT)


def with_signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # our own connection ended meanwhile
        os.kill(pid, number)


@pytest.mark.requirement("REQ-03")
def test_who_comes_when_too_many_wait_is_asked_to_come_again_and_then_all_are_stored_once(
    ehr: httpx.Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MOST_IN_HAND", MOST)
    post(ehr, a_response(identifier="so that the questionnaire is known"))
    forms = [a_response(identifier=f"form-{number}") for number in range(SENT)]
    with ThreadPoolExecutor(SENT) as threads:
        with standing_still(database):
            answers = [threads.submit(post, ehr, form) for form in forms]
            eventually(lambda: sum(answer.done() for answer in answers) >= SENT - MOST, within_s=8)
            refused = [answer.result() for answer in answers if answer.done()]
        waited = [answer.result() for answer in answers if answer.result() not in refused]

    assert len(refused) == SENT - MOST
    for answer in refused:
        assert (answer.status_code, codes(answer), answer.headers["retry-after"]) == (503, ["busy"], "2")
    assert {answer.status_code for answer in waited} <= {201, 503}

    again = [post(ehr, form) for form in forms]
    assert {answer.status_code for answer in again} <= {200, 201}
    assert stored(ehr) == SENT + 1
