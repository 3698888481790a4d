"""Requests to one server, over connections that are kept: what our services ask each other for every response.

The client of the standard library and a list of open connections. General clients take two to three times as long for
one request, which was a fifth of what a single response cost triage. What is not needed between neighbours is left
out: no redirect is followed, no proxy of the environment asked, no cookie kept, nothing compressed.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import Lock
from urllib.parse import quote, urlencode, urlsplit

import httpx

from shared.postgres import has_news

IDLE_S = 5.0
"""A connection that nobody needed for so long is not used again: something between may have forgotten it."""
MOST_IDLE = 20


class Unanswered(Exception):
    """No whole answer came. The text is the class of the error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    content: bytes


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: str
    headers: Mapping[str, str]
    content: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    connection: HTTPConnection
    since: float

    def is_fresh(self) -> bool:
        return time.monotonic() - self.since < IDLE_S and not has_news(self.connection.sock.fileno())


class KeptHttp:
    """Requests to the server at one base address. Thread-safe: whoever finds no connection free makes another."""

    def __init__(self, base: str, *, headers: Mapping[str, str], timeout_s: float) -> None:
        """`headers` go with every request. `timeout_s`: longest wait for a connection, and for each part of an answer.

        Whoever is asked at an address that is not http or https never answers.
        """
        self.base = base
        self._parts = urlsplit(base)
        self._headers = dict(headers)
        self._timeout_s = timeout_s
        self._tls = _trusting() if self._parts.scheme == "https" else None
        self._idle: list[_Kept] = []
        self._lock = Lock()

    def close(self) -> None:
        """End the connections that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for kept in idle:
            kept.connection.close()

    def get(self, path: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """GET below the base. Where a kept connection ends without a word, it is asked once more. Raises Unanswered."""
        query = f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
        request = _Request("GET", self._target(path) + query, {**self._headers, **headers})
        if (kept := self._kept()) is not None:
            try:
                return self._ask(kept, request)
            except _EndedSilently:
                pass
        return self._ask(self._new(), request)

    def post(self, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """POST below the base, once. Raises Unanswered."""
        request = _Request("POST", self._target(path), {**self._headers, **headers}, content)
        return self._ask(self._kept() or self._new(), request)

    def _target(self, path: str) -> str:
        return self._parts.path + quote(path, safe="/$")

    def _kept(self) -> HTTPConnection | None:
        """A connection that is still open, as far as can be seen."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                kept = self._idle.pop()
            if kept.is_fresh():
                return kept.connection
            kept.connection.close()

    def _new(self) -> HTTPConnection:
        """One that connects when it is first asked."""
        host = self._parts.hostname
        try:
            if host and self._tls is not None:
                return HTTPSConnection(host, self._parts.port, timeout=self._timeout_s, context=self._tls)
            if host and self._parts.scheme == "http":
                return HTTPConnection(host, self._parts.port, timeout=self._timeout_s)
        except (HTTPException, ValueError) as error:
            raise Unanswered(type(error).__name__) from None
        raise Unanswered("UnsupportedProtocol")

    def _ask(self, connection: HTTPConnection, request: _Request) -> Answer:
        """Ask, and keep the connection for the next question if it can go on."""
        kept = False
        try:
            reply = _begin(connection, request)
            is_open_ended = reply.length is None and not reply.chunked
            answer = Answer(reply.status, reply.read())
            if is_open_ended and not answer.content:
                raise HTTPException("it ended, perhaps within its head")
            kept = not reply.will_close
        except (OSError, HTTPException, UnicodeError) as error:
            raise Unanswered(type(error).__name__) from None
        finally:
            if not (kept and self._keep(connection)):
                connection.close()
        return answer

    def _keep(self, connection: HTTPConnection) -> bool:
        with self._lock:
            if has_place := len(self._idle) < MOST_IDLE:
                self._idle.append(_Kept(connection, time.monotonic()))
        return has_place


class _EndedSilently(Unanswered):
    """The server ended the connection instead of answering: no part of an answer had come."""


def _begin(connection: HTTPConnection, request: _Request) -> HTTPResponse:
    """Ask, and read the head of the answer. Raises OSError and HTTPException."""
    try:
        connection.request(request.method, request.target, request.content, dict(request.headers))
        reply = connection.getresponse()
    except ConnectionError as error:
        raise _EndedSilently(type(error).__name__) from None
    if reply.status < 200:
        raise HTTPException("another protocol was begun")
    if reply.headers.get("Transfer-Encoding") and reply.headers.get("Content-Length"):
        raise HTTPException("two lengths were given")
    return reply


def _trusting() -> ssl.SSLContext:
    """TLS with the authorities that all our requests trust, whatever the environment says."""
    context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context
