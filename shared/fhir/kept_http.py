"""Requests to one server, over connections that are kept: what our services ask each other for every response.

A socket and the parser of our own web servers (httptools). General clients take three to eight times as long for one
request, which was a fifth of what a single response cost triage. What is not needed between neighbours is left out:
no redirect is followed, no proxy of the environment asked, no cookie kept, nothing compressed.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from urllib.parse import quote, urlencode, urlsplit

import httptools
import httpx

from shared.postgres import has_news

IDLE_S = 5.0
"""A connection that nobody needed for so long is not used again: something between may have forgotten it."""
MOST_IDLE = 20
READ_BYTES = 65_536
PORTS = {"http": 80, "https": 443}


class Unanswered(Exception):
    """No whole answer came. The text is the class of the error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    content: bytes


class KeptHttp:
    """Requests to the server at one base address. Thread-safe: whoever finds no connection free makes another."""

    def __init__(self, base: str, *, headers: Mapping[str, str], timeout_s: float) -> None:
        """`headers` go with every request. `timeout_s`: longest wait for a connection, and for each part of an answer.

        Whoever is asked at an address that is not http or https never answers.
        """
        parts = urlsplit(base)
        self.base = base
        self._timeout_s = timeout_s
        self._place = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
        self._tls = _trusting() if parts.scheme == "https" else None
        self._path = parts.path
        host = parts.netloc.rpartition("@")[2].encode("idna").decode()
        self._head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": host, **headers}.items())
        self._idle: list[_Connection] = []
        self._lock = Lock()

    def close(self) -> None:
        """End the connections that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def get(self, path: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """GET below the base. Where a kept connection ends without a word, it is asked once more. Raises Unanswered."""
        query = f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
        request = self._request("GET", quote(path, safe="/$") + query, headers, b"")
        if (kept := self._kept()) is not None:
            try:
                return self._ask(kept, request)
            except Unanswered:
                if not kept.ended_silently:
                    raise
        return self._ask(self._connected(), request)

    def post(self, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """POST below the base, once. Raises Unanswered."""
        request = self._request(
            "POST", quote(path, safe="/$"), {**headers, "Content-Length": str(len(content))}, content
        )
        return self._ask(self._kept() or self._connected(), request)

    def _request(self, method: str, target: str, headers: Mapping[str, str], content: bytes) -> bytes:
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{method} {self._path}{target} HTTP/1.1\r\n{self._head}{more}\r\n".encode("latin-1") + content

    def _kept(self) -> _Connection | None:
        """A connection that is still open, as far as can be seen."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.is_fresh():
                return connection
            connection.close()

    def _connected(self) -> _Connection:
        if not all(self._place):
            raise Unanswered("UnsupportedProtocol")
        try:
            plain = socket.create_connection(self._place, self._timeout_s)
        except (OSError, UnicodeError) as error:
            raise Unanswered(type(error).__name__) from None
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _Connection(self._tls.wrap_socket(plain, server_hostname=self._place[0]) if self._tls else plain)
        except BaseException as error:
            plain.close()
            if isinstance(error, OSError):
                raise Unanswered(type(error).__name__) from None
            raise

    def _ask(self, connection: _Connection, request: bytes) -> Answer:
        """Ask, and keep the connection for the next question if nothing is left on it."""
        kept = False
        try:
            reading = connection.ask(request)
            kept = reading.can_go_on
        except (OSError, EOFError, httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise Unanswered(type(error).__name__) from None
        finally:
            with self._lock:
                if kept := kept and len(self._idle) < MOST_IDLE:
                    self._idle.append(connection)
            if not kept:
                connection.close()
        return Answer(reading.status, b"".join(reading.parts))


class _Connection:
    """An open socket. `ended_silently`: the server ended it instead of answering, and no part of an answer had come."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._used_at = time.monotonic()
        self.ended_silently = False

    def is_fresh(self) -> bool:
        return time.monotonic() - self._used_at < IDLE_S and not has_news(self._socket.fileno())

    def close(self) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> _Reading:
        """Raises OSError, EOFError, or what the parser raises."""
        reading = _Reading()
        try:
            self._socket.sendall(request)
            part = self._socket.recv(READ_BYTES)
        except ConnectionError:
            self.ended_silently = True
            raise
        self.ended_silently = not part
        while part:
            reading.feed(part)
            if reading.is_over:
                break
            part = self._socket.recv(READ_BYTES)
        else:
            reading.end()
        self._used_at = time.monotonic()
        return reading


class _Reading:
    """An answer as it comes in; the parser calls the methods that begin with on_."""

    def __init__(self) -> None:
        self.status, self.parts = 0, list[bytes]()
        self.is_over = self.can_go_on = False
        self._is_open_ended = True
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, part: bytes) -> None:
        """Read what came. Raises what the parser raises."""
        self._parser.feed_data(part)

    def end(self) -> None:
        """The connection ended: so does an answer without a length of its own. Raises EOFError for any other."""
        if not (self.status >= 200 and self._is_open_ended):
            raise EOFError
        self.is_over = True

    def on_message_begin(self) -> None:
        if self.is_over:
            raise ValueError("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._is_open_ended = False

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        if self.status >= 200:  # before the answer there may be interim ones
            self.is_over, self.can_go_on = True, self._parser.should_keep_alive()


def _trusting() -> ssl.SSLContext:
    """TLS with the authorities that all our requests trust, whatever the environment says."""
    context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context
