"""Those to whom alerts go: a mail server and a webhook receiver that note what comes, and can be as unhelpful as any.

What they took is what a person can have read; each alert's first taking is the time at which somebody was told.
"""

from __future__ import annotations

import re
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Self

import orjson

from deploy.local.faults.ledger import now

ALERT = re.compile(rb"/worklist/alert/([0-9a-f-]{36})")
LINK = re.compile(rb"/a/([A-Za-z0-9_-]{20,})")
MESSAGE_ID = re.compile(rb"^Message-ID: *<([0-9a-f-]{36})@", re.I | re.M)
LARGE = 1_000_000
LONGEST_S = 60.0


class Manner(StrEnum):
    """How a receiver behaves."""

    TAKES = "takes"
    HANGS_UP = "hangs up"
    TEMPORARY = "says later"  # 451, 503
    PERMANENT = "says never"  # 550, 410
    TOO_MANY = "says too many"  # 421; 429 with Retry-After
    REDIRECTS = "redirects"  # webhook: to another address; mail: 551
    HANGS = "hangs"
    DROPS = "takes, and drops before it says so"
    DRIPS = "answers a byte a second"
    FLOODS = "answers a megabyte"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message that was taken. `notice`: it says what became of an alert, and asks for nothing."""

    channel: str
    alert: str
    delivery: str
    link: str | None
    notice: bool
    at: float


@dataclass(slots=True)
class Post:
    """Everything that came, by whichever channel; `heard` is called with each arrival."""

    heard: Callable[[Arrival], None] = lambda _arrival: None
    arrivals: list[Arrival] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, arrival: Arrival, text: bytes) -> None:
        """Note one message."""
        with self.lock:
            self.arrivals.append(arrival)
            self.texts.append(text)
        self.heard(arrival)


class Receiver:
    """A server on a loopback port, whose `manner` may change at any moment."""

    def __init__(self, channel: str, post: Post) -> None:
        self.channel, self.post = channel, post
        self.manner = Manner.TAKES
        self._ended = threading.Event()
        receiver = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = LONGEST_S

            def handle(self) -> None:
                with suppress(OSError):
                    receiver.talk(self)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads, request_queue_size = True, True, 128

            def handle_error(self, *_: Any) -> None:
                return

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name=channel, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    refusals: ClassVar[Mapping[Manner, bytes]]
    """What it says where it takes nothing."""
    thanks: ClassVar[bytes]
    """What it says where it took a message."""
    long_thanks: ClassVar[bytes]
    """The same, with a byte a second."""
    flood: ClassVar[bytes]
    """The same, in a megabyte."""

    def talk(self, client: socketserver.StreamRequestHandler) -> None:
        """One conversation."""
        raise NotImplementedError

    def take(self, client: socketserver.StreamRequestHandler, arrival: Arrival | None, text: bytes) -> bool:
        """Note a message, and say so in the manner of the moment; False where the conversation is over."""
        if arrival is not None:
            self.post.take(arrival, text)
        match self.manner:
            case Manner.DROPS:
                self.drop(client)
                return False
            case Manner.DRIPS:
                self.drip(client, self.long_thanks)
            case Manner.FLOODS:
                client.wfile.write(self.flood)
            case _:
                client.wfile.write(self.thanks)
        return True

    def hang(self) -> None:
        """Say nothing for a minute, or until the end."""
        self._ended.wait(LONGEST_S)

    def drip(self, client: socketserver.StreamRequestHandler, answer: bytes) -> None:
        """Say it, a byte a second."""
        for byte in answer:
            client.wfile.write(bytes([byte]))
            if self._ended.wait(1.0):
                return

    @staticmethod
    def drop(client: socketserver.StreamRequestHandler) -> None:
        """Reset the connection."""
        client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.connection.close()


class MailServer(Receiver):
    """SMTP, as far as a sender of one plain message needs it."""

    refusals: ClassVar[Mapping[Manner, bytes]] = {
        Manner.TEMPORARY: b"451 later",
        Manner.PERMANENT: b"550 never",
        Manner.TOO_MANY: b"421 too many",
        Manner.REDIRECTS: b"551 elsewhere",
    }
    thanks, long_thanks = b"250 taken\r\n", b"250 taken, at great length\r\n"
    flood = (b"250-" + b"x" * 500 + b"\r\n") * (LARGE // 506) + thanks

    def __init__(self, post: Post) -> None:
        super().__init__("email", post)

    def talk(self, client: socketserver.StreamRequestHandler) -> None:
        if self.manner is Manner.HANGS_UP:
            self.drop(client)
            return
        client.wfile.write(b"220 faults\r\n")
        while line := client.rfile.readline(2000):
            word = line[:4].upper().strip()
            if word in (b"EHLO", b"HELO"):
                client.wfile.write(b"250 faults\r\n")
            elif word == b"RCPT" and self.manner in self.refusals:
                client.wfile.write(self.refusals[self.manner] + b"\r\n")
            elif word == b"DATA":
                client.wfile.write(b"354 go on\r\n")
                if not self._read(client):
                    return
            elif word == b"QUIT":
                client.wfile.write(b"221 bye\r\n")
                return
            else:
                client.wfile.write(b"250 ok\r\n")

    def _read(self, client: socketserver.StreamRequestHandler) -> bool:
        """Read the text and answer; False where the conversation is over."""
        text = b""
        while (line := client.rfile.readline(10_000)) not in (b"", b".\r\n"):
            text += line
        if self.manner is Manner.HANGS:
            self.hang()
            return False
        return self.take(client, self._arrival(text), text)

    def _arrival(self, text: bytes) -> Arrival | None:
        """What a mail says; None for one that is not about an alert."""
        alert, delivery, link = ALERT.search(text), MESSAGE_ID.search(text), LINK.search(text)
        if not (alert and delivery):
            return None
        token = link[1].decode() if link else None
        return Arrival(self.channel, alert[1].decode(), delivery[1].decode(), token, token is None, now())


class WebhookServer(Receiver):
    """HTTP, as far as a sender of one POST needs it."""

    refusals: ClassVar[Mapping[Manner, bytes]] = {
        Manner.TEMPORARY: b"503 Later",
        Manner.PERMANENT: b"410 Never",
        Manner.TOO_MANY: b"429 Too many\r\nRetry-After: 3",
        Manner.REDIRECTS: b"302 Elsewhere\r\nLocation: http://127.0.0.1:1/",
    }
    thanks = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    long_thanks = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    flood = f"HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\nConnection: close\r\n\r\n".encode() + b"x" * LARGE

    def __init__(self, post: Post) -> None:
        super().__init__("webhook", post)

    def talk(self, client: socketserver.StreamRequestHandler) -> None:
        if self.manner is Manner.HANGS_UP:
            self.drop(client)
            return
        size, line = 0, b"-"
        while line not in (b"\r\n", b""):
            line = client.rfile.readline(10_000)
            if line.lower().startswith(b"content-length:"):
                size = int(line.split(b":")[1])
        body = client.rfile.read(size)
        if self.manner is Manner.HANGS:
            self.hang()
        elif refusal := self.refusals.get(self.manner):
            client.wfile.write(b"HTTP/1.1 " + refusal + b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        else:
            self.take(client, self._arrival(body), body)

    def _arrival(self, body: bytes) -> Arrival:
        data = orjson.loads(body)["data"]
        link = data.get("acknowledge")
        token = link.rpartition("/")[2] if link else None
        return Arrival(self.channel, data["alert"], data["delivery"], token, token is None, now())
