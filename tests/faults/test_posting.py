"""Senders insist until they are answered, and complain of every answer that must not come."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path

import pytest

from deploy.local.faults.ledger import Ledger
from deploy.local.faults.posting import Senders, Tally
from deploy.local.faults.workload import Submission, Version, submissions
from tests.waiting import eventually

FORM = b'{"resourceType":"QuestionnaireResponse","status":"completed"}'
PLACE = "Location: http://x/fhir/QuestionnaireResponse/{}/_history/{}"
Answers = Sequence[tuple[int, Sequence[str]]]


@contextmanager
def intake(answers: Answers) -> Iterator[int]:
    """Answers one request after the other like this, the last one for ever; gives its port."""
    left, lock = list(answers), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                status, headers = left.pop(0) if len(left) > 1 else left[0]
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            for header in headers:
                self.send_header(*header.split(": ", 1))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_PUT(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sent(tmp_path: Path, answers: Answers, one: Submission) -> tuple[Tally, Ledger]:
    with intake(answers) as port, Ledger(tmp_path / "ledger.jsonl") as ledger:
        with Senders(port, ledger, iter([one]), senders=1, most=1) as senders:
            pass
        return senders.tally, ledger


def a_form(*, copies: int = 1, valid: bool = True, versions: int = 1) -> Submission:
    return Submission("calm", [Version(FORM, "routine")] * versions, copies=copies, valid=valid)


TAKEN = (201, [PLACE.format("r-1", 1)])
LATER = (503, ["Retry-After: 2"])


def test_who_is_turned_away_or_not_answered_sends_again_until_it_is_taken(tmp_path: Path) -> None:
    tally, ledger = sent(tmp_path, [LATER, (0, []), TAKEN], a_form())
    assert (tally.accepted, tally.answers["503"], tally.answers["no answer"]) == (1, 1, 1)
    assert tally.complaints == []
    assert [(entry.id, entry.version) for entry in ledger.accepted] == [("r-1", 1)]


def test_a_second_version_is_an_update_of_the_first(tmp_path: Path) -> None:
    tally, ledger = sent(tmp_path, [TAKEN, (200, [PLACE.format("r-1", 2)])], a_form(versions=2))
    assert [(entry.id, entry.version) for entry in ledger.accepted] == [("r-1", 1), ("r-1", 2)]
    assert ledger.accepted[0].sha256 != ledger.accepted[1].sha256, "the second names its id"
    assert tally.complaints == []


@pytest.mark.parametrize(
    ("answers", "one", "complaint"),
    [
        ([(503, []), TAKEN], a_form(), "503 without Retry-After"),
        ([(500, [])], a_form(), "500 for a submission of the kind calm, version 1"),
        ([(422, [])], a_form(), "422 for a submission of the kind calm, version 1"),
        ([TAKEN], a_form(valid=False), "201 for a submission of the kind calm, version 1"),
        ([TAKEN, (201, [PLACE.format("r-2", 1)])], a_form(copies=2), "the same form was taken under two ids"),
    ],
)
def test_an_answer_that_must_not_come_is_complained_of(
    tmp_path: Path, answers: Answers, one: Submission, complaint: str
) -> None:
    tally, _ = sent(tmp_path, answers, one)
    assert tally.complaints == [complaint]


def test_a_refused_form_that_is_wrong_is_as_it_should_be(tmp_path: Path) -> None:
    tally, ledger = sent(tmp_path, [(422, [])], a_form(valid=False))
    assert (tally.refused, tally.complaints, ledger.accepted) == (1, [], [])


def test_a_rate_is_kept_and_what_was_begun_is_ended(tmp_path: Path) -> None:
    line = (one for one in islice(submissions(1), 1000) if len(one.versions) == 1 and one.valid and one.copies == 1)
    with intake([TAKEN]) as port, Ledger(tmp_path / "ledger.jsonl") as ledger:
        senders = Senders(port, ledger, line, senders=2, rate=50)
        began = time.monotonic()
        with senders:
            eventually(lambda: senders.tally.accepted >= 5, within_s=60)
        due = 50 * (time.monotonic() - began) + 2
        assert senders.tally.accepted <= due
