"""Many senders that post what the workload draws, as EHR systems do: again and again until they are answered.

What was accepted goes into the ledger. What must never be answered is kept as a complaint.
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from deploy.local.faults.ledger import Accepted, Ledger, now
from deploy.local.faults.workload import Submission, Version

ANSWER_S = 15.0
PAUSE_S = 0.2
"""Between two attempts; a 503 asks for two seconds, and many senders do not listen."""
GIVES_UP_S = 180.0
HOLD_S = 0.1
REFUSED = (400, 422)
LOCATION = re.compile(rb"^location: \S*?/QuestionnaireResponse/([A-Za-z0-9.-]+)(?:/_history/([0-9]+))?", re.I | re.M)
LENGTH = re.compile(rb"^content-length: *([0-9]+)", re.I | re.M)
BEGINNING = b'{"resourceType":"QuestionnaireResponse",'


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    head: bytes


class Unanswered(Exception):
    """The connection failed or nothing came in time: nobody knows whether it was taken."""


class Line:
    """One connection that is kept, and made anew after each failure."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def send(self, method: str, path: str, body: bytes, *headers: str) -> None:
        """Send one request. Raises Unanswered."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}", *headers]
        lines += ["Content-Type: application/fhir+json", "Prefer: return=minimal", f"Content-Length: {len(body)}"]
        try:
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), ANSWER_S)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        except OSError as error:
            raise self._failed() from error

    def receive(self) -> Answer:
        """The answer to it. Raises Unanswered."""
        if self._socket is None:
            raise Unanswered
        data = b""
        try:
            while b"\r\n\r\n" not in data:
                data += self._more()
            head, _, rest = data.partition(b"\r\n\r\n")
            length = LENGTH.search(head)
            size = int(length[1]) if length else 0
            got = len(rest)
            while got < size:
                got += len(self._more())
        except OSError as error:
            raise self._failed() from error
        if b"connection: close" in head.lower():
            self.close()
        return Answer(int(head.split(b" ", 2)[1]), head + b"\r\n")

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None

    def _more(self) -> bytes:
        assert self._socket is not None
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionResetError
        return data

    def _failed(self) -> Unanswered:
        self.close()
        return Unanswered()


@dataclass(slots=True)
class Tally:
    """What the senders saw. `complaints`: answers that must never come, in words without health data.

    `gap_s`: the longest time without any acceptance in which somebody was turned away.
    """

    accepted: int = 0
    refused: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    gap_s: float = 0.0
    last_accepted: float = 0.0
    turned_away_since: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note_accepted(self) -> None:
        at = time.monotonic()
        with self.lock:
            self.accepted += 1
            if self.turned_away_since and self.last_accepted:
                self.gap_s = max(self.gap_s, at - self.last_accepted)
            self.last_accepted, self.turned_away_since = at, False

    def note_away(self, word: str) -> None:
        with self.lock:
            self.answers[word] += 1
            self.turned_away_since = True

    def complain(self, words: str) -> None:
        with self.lock:
            self.complaints.append(words)

    @property
    def posts(self) -> int:
        return self.accepted + self.refused


class Senders:
    """Threads that post from one line of submissions. Use as a context: leaving it waits until what was begun is
    answered; with `all_of_them` until all `most` are.

    `rate`: submissions a second for all of them together; None: as fast as they are answered.
    """

    def __init__(
        self,
        port: int,
        ledger: Ledger,
        line: Iterator[Submission],
        *,
        senders: int = 8,
        rate: float | None = None,
        most: int | None = None,
        all_of_them: bool = False,
    ) -> None:
        self._port, self._ledger, self._line = port, ledger, line
        self._rate, self._most, self._all = rate, most, all_of_them
        self._lock = threading.Lock()
        self._drawn = 0
        self._began = time.monotonic()
        self._stop = threading.Event()
        self.held_back = threading.Event()
        """While set nothing new is begun; the rate goes on from there."""
        self._threads = [threading.Thread(target=self._work, name="sender", daemon=True) for _ in range(senders)]
        self.tally = Tally()

    def __enter__(self) -> Senders:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None or not self._all:
            self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        lines: list[Line] = []
        while (one := self._next()) is not None:
            while len(lines) < one.copies:
                lines.append(Line(self._port))
            try:
                self._submit(lines, one)
            except Exception as error:
                self.tally.complain(f"a sender failed: {type(error).__name__}")
        for line in lines:
            line.close()

    def _next(self) -> Submission | None:
        with self._lock:
            held_since = time.monotonic()
            while self.held_back.is_set() and not self._stop.wait(HOLD_S):
                pass
            self._began += time.monotonic() - held_since
            if self._stop.is_set() or (self._most is not None and self._drawn >= self._most):
                return None
            self._drawn += 1
            number, one = self._drawn, next(self._line)
        if self._rate and self._stop.wait(max(self._began + number / self._rate - time.monotonic(), 0)):
            return None
        return one

    def _submit(self, lines: list[Line], one: Submission) -> None:
        """Send all versions of one form, each until it is answered."""
        response_id, first = None, one.versions[0]
        for line in lines[1 : one.copies]:
            with suppress(Unanswered):
                line.send("POST", "/fhir/QuestionnaireResponse", first.body)
        response_id = self._until_answered(lines[0], one, first, None, 1)
        for line in lines[1 : one.copies]:
            with suppress(Unanswered):
                self._take(line.receive(), one, first, response_id, 1, now())
        for number, version in enumerate(one.versions[1:], start=2):
            if response_id is not None:
                self._until_answered(lines[0], one, version, response_id, number)

    def _until_answered(
        self, line: Line, one: Submission, version: Version, response_id: str | None, number: int
    ) -> str | None:
        """The id under which a version was taken; None where it was refused, or nobody answers any more."""
        posted, give_up = now(), time.monotonic() + GIVES_UP_S
        while time.monotonic() < give_up:
            try:
                if response_id is None:
                    line.send("POST", "/fhir/QuestionnaireResponse", version.body)
                else:
                    path = f"/fhir/QuestionnaireResponse/{response_id}"
                    line.send("PUT", path, with_id(version.body, response_id), f'If-Match: W/"{number - 1}"')
                answer = line.receive()
            except Unanswered:
                self.tally.note_away("no answer")
            else:
                if answer.status not in (429, 503):
                    return self._take(answer, one, version, response_id, number, posted)
                self.tally.note_away(str(answer.status))
                if b"\r\nretry-after:" not in answer.head.lower():
                    self.tally.complain(f"{answer.status} without Retry-After")
            time.sleep(PAUSE_S)
        self.tally.complain(f"not answered within {GIVES_UP_S:.0f} s")
        return None

    def _take(
        self, answer: Answer, one: Submission, version: Version, response_id: str | None, number: int, posted: float
    ) -> str | None:
        """Note what an answer says, and complain of one that must not come."""
        with self.tally.lock:
            self.tally.answers[str(answer.status)] += 1
        if answer.status in (429, 503):
            return None
        if answer.status in REFUSED and not one.valid:
            with self.tally.lock:
                self.tally.refused += 1
            return None
        place = LOCATION.search(answer.head)
        if answer.status not in (200, 201) or not one.valid or (place is None and response_id is None):
            self.tally.complain(f"{answer.status} for a submission of the kind {one.kind}, version {number}")
            return None
        found = place[1].decode() if place else str(response_id)
        if response_id is not None and found != response_id:
            self.tally.complain("the same form was taken under two ids")
        body = version.body if number == 1 else with_id(version.body, found)
        digest = hashlib.sha256(body).hexdigest()
        self._ledger.record(Accepted(found, number, digest, version.urgency, one.alone, now(), posted))
        self.tally.note_accepted()
        return found


def with_id(body: bytes, response_id: str) -> bytes:
    """The body of an update: the same with the id in front."""
    return BEGINNING + f'"id":"{response_id}",'.encode() + body.removeprefix(BEGINNING)
