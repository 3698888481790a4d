"""Neither a database that stands still nor bodies that never end fill the memory, or shut others out."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from services.intake import api
from shared.fhir import http
from tests.builders import a_response
from tests.conftest import Database
from tests.intake.ehr import POST, codes, post, stored
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


@contextmanager
def stopped_in_the_middle(ehr: httpx.Client, *, announced: int = 200, sent: int = 1) -> Iterator[socket.socket]:
    """A sender whose network goes away after so many characters of its body, which the service began to read."""
    head = (
        f"POST {POST} HTTP/1.1\r\nHost: {ehr.base_url.netloc.decode()}\r\nContent-Type: application/fhir+json\r\n"
        f"Content-Length: {announced}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((ehr.base_url.host, ehr.base_url.port or 80), timeout=10) as sender:
        sender.sendall(head.encode())
        assert sender.recv(1024).startswith(b"HTTP/1.1 100 ")
        sender.sendall(b"{" * sent)
        yield sender


def all_that_comes(connection: socket.socket) -> bytes:
    """What the service says until it closes the connection."""
    with connection.makefile("rb") as coming:
        return coming.read()


@pytest.mark.requirement("REQ-03")
def test_who_stops_in_the_middle_of_a_body_takes_no_place_from_others(
    ehr: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MOST_IN_HAND", 3)
    with ExitStack() as senders:
        for _ in range(3):
            senders.enter_context(stopped_in_the_middle(ehr))

        assert post(ehr, a_response()).status_code == 201


@pytest.mark.requirement("REQ-03")
def test_bodies_on_their_way_are_bounded_too_and_who_gives_up_makes_room(
    ehr: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MOST_COMING", 3)
    with ExitStack() as senders:
        for _ in range(3):
            senders.enter_context(stopped_in_the_middle(ehr))
        refused = post(ehr, a_response())

    assert (refused.status_code, codes(refused)) == (503, ["busy"])
    assert eventually(lambda: post(ehr, a_response()).status_code == 201)


@pytest.mark.requirement("REQ-03")
def test_bodies_are_bounded_by_their_bytes_too(ehr: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(a_response()).encode()
    monkeypatch.setattr(api, "MOST_BYTES", len(body) + 150)
    with ExitStack() as senders:
        senders.enter_context(stopped_in_the_middle(ehr, sent=100))
        assert post(ehr, body).status_code == 201
        senders.enter_context(stopped_in_the_middle(ehr, sent=100))
        refused = eventually(lambda: answer if (answer := post(ehr, body)).status_code != 200 else None)

    assert (refused.status_code, codes(refused)) == (503, ["busy"])
    assert eventually(lambda: post(ehr, body).status_code == 200)


@pytest.mark.requirement("REQ-03")
def test_what_a_sender_only_announces_takes_no_room_from_others(
    ehr: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(a_response()).encode()
    monkeypatch.setattr(api, "MOST_BYTES", len(body) + 150)
    with ExitStack() as senders:
        for _ in range(3):
            senders.enter_context(stopped_in_the_middle(ehr, announced=http.MAX_BODY))

        assert post(ehr, body).status_code == 201


@pytest.mark.requirement("REQ-03")
def test_a_body_that_does_not_end_in_time_is_given_up_and_its_connection_closed(
    ehr: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MOST_COMING", 3)
    monkeypatch.setattr(http, "BODY_S", 0.5)
    with ExitStack() as senders:
        stopped = [senders.enter_context(stopped_in_the_middle(ehr)) for _ in range(3)]
        answers = [all_that_comes(sender) for sender in stopped]

        assert post(ehr, a_response()).status_code == 201
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"body-too-slow" in answer
