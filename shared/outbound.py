"""The one door for requests to addresses that somebody registered: key sets of clients and issuers, webhooks.

Whoever can register an address could make us ask what only we can reach (SSRF). So: https outside the sandbox, only
hosts that are allowed, a name is looked up once and we connect to the very address that was checked (a second look-up
could lead elsewhere), no redirects, no proxy of the environment, ten seconds for all of it, and not more than 64 kB of
answer. Whoever asks the same server often may keep the connections (`Connections`), for a minute at the most: a name
that leads elsewhere is noticed soon.
See https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpcore

from shared.idle import Idle

TOTAL_S = 10.0
MOST_BYTES = 64 * 1024
IDLE_S = 15.0
"""A kept connection that nobody needs is ended after this time."""
LASTS_S = 60.0
"""No connection is used for longer, however busy: then the name is looked up and the certificate checked anew."""
MOST_DRAINED, DRAINED_S = 4096, 0.1
"""A body that nobody reads: up to this length, and for so long, it is waited for to keep the connection."""
PORTS = {"https": 443, "http": 80}
Resolve = Callable[[str, int], list[str]]
"""Host and port to its addresses. Raises OSError."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",  # link-local, and the metadata service of most clouds
        "100.100.100.200/32",
        "192.0.0.192/32",
        "224.0.0.0/3",
        "::/128",
        "fd00:ec2::254/128",
        "fe80::/10",
        "ff00::/8",
    )
)
"""Not even for an allowed host: link-local, metadata services, multicast, reserved, unspecified."""
_TRANSLATED = tuple(ipaddress.ip_network(text) for text in ("::/96", "64:ff9b::/32", "2001::/32", "2002::/16"))
"""IPv6 addresses that stand for an IPv4 address behind a translator or a tunnel."""


class OutboundRefused(Exception):
    """This address is not asked. The text says why, and never what it resolved to."""


class OutboundFailed(Exception):
    """It was asked and did not answer as it should. The text is a word: timeout, too-large, or a class of error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def resolve(host: str, port: int) -> list[str]:
    """The addresses that the system's resolver knows."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@cache
def trusting() -> ssl.SSLContext:
    """TLS with the usual authorities; reading them takes a while."""
    return httpcore.default_ssl_context()


@dataclass(frozen=True, slots=True)
class Outbound:
    """What may be asked. `hosts`: only these names, which may have private addresses; empty: any public address.

    `sandbox`: http and the loopback address are allowed too. `resolve` and `ssl_context` are the edge of the world.
    """

    hosts: frozenset[str] = frozenset()
    sandbox: bool = False
    resolve: Resolve = resolve
    ssl_context: ssl.SSLContext | None = None
    total_s: float = TOTAL_S
    connections: Connections | None = field(default=None, repr=False, compare=False)
    """Where connections are kept; None: each request has its own."""

    def check(self, url: str) -> None:
        """What can be said without asking anybody. Raises OutboundRefused."""
        _split(url, self)

    def check_address(self, url: str) -> None:
        """Look the host up, and say whether it may be reached. Raises OutboundRefused; not for a name that is unknown.

        Asking later looks it up again and connects to nothing else than what was found good then.
        """
        host = _split(url, self)
        parts = urlsplit(url)
        with suppress(httpcore.ConnectError):
            _addresses(self, host, host, parts.port or PORTS[parts.scheme])

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET. Raises OutboundRefused or OutboundFailed."""
        return self._request("GET", url, headers or {}, b"", reads=True)

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """POST; the status of the answer, whose body is not read. Raises OutboundRefused or OutboundFailed."""
        return self.post(url, headers, body).status

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST; status and headers of the answer, whose body is not read. Raises OutboundRefused or OutboundFailed."""
        return self._request("POST", url, headers, body, reads=False)

    def ask(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST; the whole answer. Raises OutboundRefused or OutboundFailed."""
        return self._request("POST", url, headers, body, reads=True)

    def put(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """PUT; status and headers of the answer, whose body is not read. Raises OutboundRefused or OutboundFailed."""
        return self._request("PUT", url, headers, body, reads=False)

    def _request(self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, reads: bool) -> Answer:
        """One request, on a kept connection where there is one.

        A server may end that just when it is used. Where it answers nothing, the request is made again at once on a new
        one, as whoever asked would do later.
        """
        host = _split(url, self)
        end = time.monotonic() + self.total_s
        request = (method, url, [*{"Accept-Encoding": "identity", "User-Agent": "sural", **headers}.items()], body)
        try:
            if self.connections is not None and (kept := self.connections.take(url)) is not None:
                with suppress(httpcore.NetworkError, httpcore.RemoteProtocolError):
                    return self._ask(kept, end, request, reads=reads)
            backend = _CheckedBackend(self, host)
            context = self.ssl_context or trusting()
            new = httpcore.HTTPConnection(httpcore.URL(url).origin, ssl_context=context, network_backend=backend)
            return self._ask(_Open(new, backend), end, request, reads=reads)
        except httpcore.TimeoutException:
            raise OutboundFailed("timeout") from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise OutboundFailed(type(error).__name__) from None

    def _ask(self, used: _Open, end: float, request: _Request, *, reads: bool) -> Answer:
        method, url, headers, body = request
        used.backend.deadline = end
        left = dict.fromkeys(("connect", "read", "write", "pool"), self.total_s)
        try:
            with used.connection.stream(
                method, url, headers=headers, content=body or None, extensions={"timeout": left}
            ) as response:
                answer = Answer(response.status, _lower(response.headers), b"")
                if reads:
                    answer = replace(answer, body=_read(response.iter_stream()))
                elif self.connections is not None:
                    _drain(response, answer, used.backend)
        except BaseException:
            used.connection.close()
            raise
        if self.connections is not None and used.connection.is_idle():
            self.connections.put(url, used)
        else:
            used.connection.close()
        return answer


_Request = tuple[str, str, list[tuple[str, str]], bytes]
"""Method, URL, headers, body."""


@dataclass(frozen=True, slots=True, eq=False)
class _Open:
    connection: httpcore.HTTPConnection
    backend: _CheckedBackend
    since: float = field(default_factory=time.monotonic)


class Connections:
    """Connections that lie idle, by the server that they lead to. Threads may share them.

    `lasts_s`: how long after its beginning one may be used.
    """

    def __init__(self, *, lasts_s: float = LASTS_S) -> None:
        self._lasts_s = lasts_s
        self._idle: dict[str, Idle[_Open]] = {}

    def take(self, url: str) -> _Open | None:
        """One that the server has not ended and that is not too old, or None."""
        idle = self._to(url)
        while (kept := idle.take()) is not None:
            if kept.since > time.monotonic() - self._lasts_s and not kept.connection.has_expired():
                return kept
            kept.connection.close()
        return None

    def put(self, url: str, kept: _Open) -> None:
        """Keep this one."""
        self._to(url).put(kept)

    def close(self) -> None:
        """End all that lie idle."""
        for idle in list(self._idle.values()):
            idle.close()

    def _to(self, url: str) -> Idle[_Open]:
        return self._idle.setdefault(
            str(httpcore.URL(url).origin), Idle(lambda kept: kept.connection.close(), after_s=IDLE_S)
        )


def _drain(response: httpcore.Response, answer: Answer, backend: _CheckedBackend) -> None:
    """Take a short body off the connection, so that it can be used again. What takes longer than a moment is left."""
    length = "0" if answer.status == 204 else answer.headers.get("content-length", "")
    if length.isdigit() and int(length) <= MOST_DRAINED:
        backend.deadline = min(backend.deadline, time.monotonic() + DRAINED_S)
        with suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
            for _ in response.iter_stream():
                pass


def _read(chunks: Iterable[bytes]) -> bytes:
    taken = b""
    for chunk in chunks:
        taken += chunk
        if len(taken) > MOST_BYTES:
            raise OutboundFailed("too-large")
    return taken


def _lower(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _split(url: str, rules: Outbound) -> str:
    """The host of a URL that may be asked. Raises OutboundRefused."""
    if not url.isascii() or not url.isprintable() or any(mark in url for mark in ' \\"<>'):
        raise OutboundRefused("The address holds something that does not belong in a URL.")
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").lower().removesuffix("."), parts.port
    except ValueError:
        raise OutboundRefused("The address cannot be read as a URL.") from None
    if parts.scheme not in (PORTS if rules.sandbox else ("https",)):
        raise OutboundRefused("The address must start with https://.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise OutboundRefused("The address must hold no user, password or fragment.")
    if not host:
        raise OutboundRefused("The address names no host.")
    if rules.hosts and host not in rules.hosts:
        raise OutboundRefused("The host of this address is not allowed. Add it to SURAL_OUTBOUND_HOSTS.")
    return host


def is_public(address: Address) -> bool:
    """Whether everybody can reach it; False for what is private, shared, local, reserved, or stands for another."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not _is_never(address)


def _is_never(address: Address) -> bool:
    return any(address.version == network.version and address in network for network in _NEVER)


class _CheckedBackend(httpcore.NetworkBackend):
    """Connects to addresses that were checked, and to nothing else, until the deadline of the present request."""

    def __init__(self, rules: Outbound, host: str) -> None:
        self._rules, self._host = rules, host
        self.deadline = 0.0
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        """To the first address that answers, after all of them were found good."""
        failed: Exception = httpcore.ConnectError("no address")
        for address in _addresses(self._rules, self._host, host, port):
            try:
                stream = self._sockets.connect_tcp(address, port, _left(self.deadline), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                return _TimedStream(stream, self)
        raise failed


def _addresses(rules: Outbound, asked: str, host: str, port: int) -> list[str]:
    """What a name resolves to, if all of it may be reached for the host that was asked for."""
    try:
        found = rules.resolve(host, port)
    except OSError:
        raise httpcore.ConnectError("unknown host") from None
    for text in found:
        address = ipaddress.ip_address(text.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        if not _may_reach(rules, asked, mapped or address):
            raise OutboundRefused("The host of this address is not on the public network.")
    return found


def _may_reach(rules: Outbound, host: str, address: Address) -> bool:
    if rules.sandbox and address.is_loopback:
        return True
    return is_public(address) or (host in rules.hosts and not _is_never(address))


class _TimedStream(httpcore.NetworkStream):
    """A stream on which a request has to end before one moment, however slowly the answer drips."""

    def __init__(self, stream: httpcore.NetworkStream, backend: _CheckedBackend) -> None:
        self._stream, self._backend = stream, backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._backend.deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._backend.deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secure = self._stream.start_tls(ssl_context, server_hostname, _left(self._backend.deadline))
        return _TimedStream(secure, self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("deadline")
    return left
