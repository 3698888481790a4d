"""The load, in a process of its own: plain sockets that are kept open, one thread, one join for each body.

    python -m deploy.local.benchmark.generator

Reads one order a line (JSON of `Order`) and answers each with one line (JSON of `Answered`). Closed loop: each
connection sends as soon as its answer is there. Open loop: each request has a moment at which it is due, whatever
became of those before it, and its time counts from that moment; one that waits for a free connection is late, not
absent.
"""

from __future__ import annotations

import re
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import orjson

from deploy.local.benchmark.bodies import Mix

PATH = "/fhir/QuestionnaireResponse"
ANSWER_S = 30.0
"""A request without an answer is given up after this time."""
IDLE_S = 3.0
"""A connection that rested longer may have been closed by the server: it is not used again."""
AHEAD = 0.0005
"""So long before a request is due the kernel is no longer asked to wait."""
STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
LOCATION = re.compile(rb"\r\nlocation: [^\r]*/QuestionnaireResponse/([^/\r]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent: `per_second` None is a closed loop. At most `number`, and none begins after `seconds`."""

    port: int
    mark: str
    seconds: float
    connections: int
    number: int = 1_000_000
    per_second: float | None = None
    urgent_every: int = 10
    token: str = ""


@dataclass(frozen=True, slots=True)
class Post:
    """One request. Times are those of the machine's clock in seconds; status 0: no answer."""

    due: float
    sent: float
    answered: float
    status: int
    id: str
    urgent: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of an order, and what the generator itself took: processor time in seconds."""

    posts: list[Post]
    processor_s: float
    most_late_s: float
    """By how much the latest request was sent after its moment."""


@dataclass(slots=True, eq=False)
class _Line:
    """One connection and the request that is on it."""

    socket: socket.socket
    due: float = 0.0
    sent: float = 0.0
    urgent: bool = False
    read: bytes = b""
    rested: float = field(default_factory=time.time)

    def fileno(self) -> int:
        return self.socket.fileno()


class Generator:
    """One order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        bearer = f"Authorization: Bearer {order.token}\r\n" if order.token else ""
        self._head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{order.port}\r\nContent-Type: application/fhir+json\r\n"
            f"Prefer: return=minimal\r\n{bearer}Content-Length: "
        ).encode()
        self._busy: dict[int, _Line] = {}
        self._idle: list[_Line] = []
        self._posts: list[Post] = []
        pattern = Mix(order.urgent_every).bodies(840)  # a multiple of every way in which they take turns
        self._pattern = pattern
        self._sent = 0

    def run(self) -> Answered:
        """Send it all, and wait for the answers."""
        processor = time.process_time()
        (self._closed if self._order.per_second is None else self._open)()
        for line in [*self._idle, *self._busy.values()]:
            line.socket.close()
        late = max((post.sent - post.due for post in self._posts), default=0.0)
        return Answered(self._posts, time.process_time() - processor, late)

    def _closed(self) -> None:
        end = time.time() + self._order.seconds
        for _ in range(min(self._order.connections, self._order.number)):
            self._send(time.time())
        while self._busy:
            for _ in self._answers(1.0):
                now = time.time()
                if now < end and self._sent < self._order.number:
                    self._send(now)

    def _open(self) -> None:
        rate = self._order.per_second or 1.0
        number = min(self._order.number, round(rate * self._order.seconds))
        began = time.time() + 0.01
        waiting = deque(began + one / rate for one in range(number))
        while waiting or self._busy:
            while waiting and waiting[0] <= time.time() + AHEAD and len(self._busy) < self._order.connections:
                self._send(waiting.popleft())
            until = waiting[0] - time.time() if waiting else 1.0
            full = len(self._busy) >= self._order.connections
            for _ in self._answers(1.0 if full else max(until - AHEAD, 0.0)):
                pass

    def _send(self, due: float) -> None:
        body, urgent = self._pattern[self._sent % len(self._pattern)]
        self._sent += 1
        data = body.marked(f"{self._order.mark}-{self._sent}")
        try:
            line = self._line()
            line.due, line.urgent, line.read, line.sent = due, urgent, b"", time.time()
            line.socket.sendall(self._head + b"%d\r\n\r\n" % len(data) + data)
        except OSError:
            self._posts.append(Post(due, time.time(), time.time(), 0, "", urgent))
            return
        self._busy[line.fileno()] = line

    def _line(self) -> _Line:
        """A connection that rested but a moment, else a new one."""
        while self._idle:
            line = self._idle.pop()
            if time.time() - line.rested < IDLE_S:
                return line
            line.socket.close()
        connection = socket.create_connection(("127.0.0.1", self._order.port), timeout=ANSWER_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _Line(connection)

    def _answers(self, patience_s: float) -> Iterator[_Line]:
        """Those that were answered within this time, or that will never be."""
        if not self._busy:
            time.sleep(patience_s)
            return
        ready, _, _ = select.select(list(self._busy.values()), [], [], patience_s)
        now = time.time()
        for line in ready:
            if self._read(line):
                yield line
        for line in [line for line in self._busy.values() if now - line.sent > ANSWER_S]:
            self._end(line, 0, "")
            yield line

    def _read(self, line: _Line) -> bool:
        """True once the whole answer is there."""
        try:
            more = line.socket.recv(65536)
        except OSError:
            more = b""
        line.read += more
        head, blank, body = line.read.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if more and not (blank and len(body) >= (int(length[1]) if length else 0)):
            return False
        status, location = STATUS.match(head), LOCATION.search(head)
        whole = bool(more) and status is not None
        self._end(line, int(status[1]) if whole and status else 0, location[1].decode() if location else "")
        return True

    def _end(self, line: _Line, status: int, response_id: str) -> None:
        self._busy.pop(line.fileno(), None)
        now = time.time()
        self._posts.append(Post(line.due, line.sent, now, status, response_id, line.urgent))
        if status == 0:
            line.socket.close()
        else:
            line.rested = now
            self._idle.append(line)


def main() -> None:
    """Serve orders until there are no more."""
    for text in sys.stdin.buffer:
        answered = Generator(Order(**orjson.loads(text))).run()
        sys.stdout.buffer.write(orjson.dumps(asdict(answered)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
