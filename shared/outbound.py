"""The one door for requests to addresses that somebody registered: key sets of clients and issuers, webhooks.

Whoever can register an address could make us ask what only we can reach (SSRF). So: https outside the sandbox, only
hosts that are allowed, a name is looked up once and we connect to the very address that was checked (a second look-up
could lead elsewhere), no redirects, no proxy of the environment, ten seconds for all of it, and not more than 64 kB of
answer.
See https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpcore

TOTAL_S = 10.0
MOST_BYTES = 64 * 1024
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
        """One request on a connection of its own."""
        host = _split(url, self)
        deadline = time.monotonic() + self.total_s
        backend = _CheckedBackend(self, host, deadline)
        context = self.ssl_context or trusting()
        sent = {"Accept-Encoding": "identity", "User-Agent": "sural", **headers}
        left = dict.fromkeys(("connect", "read", "write", "pool"), self.total_s)
        try:
            with (
                httpcore.ConnectionPool(ssl_context=context, network_backend=backend) as pool,
                pool.stream(
                    method, url, headers=list(sent.items()), content=body or None, extensions={"timeout": left}
                ) as response,
            ):
                read = _read(response.iter_stream()) if reads else b""
                return Answer(response.status, _lower(response.headers), read)
        except httpcore.TimeoutException:
            raise OutboundFailed("timeout") from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise OutboundFailed(type(error).__name__) from None


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
    """Connects to addresses that were checked, and to nothing else, until the deadline."""

    def __init__(self, rules: Outbound, host: str, deadline: float) -> None:
        self._rules, self._host, self._deadline = rules, host, deadline
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
                stream = self._sockets.connect_tcp(address, port, _left(self._deadline), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                return _TimedStream(stream, self._deadline)
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
    """A stream on which everything has to end before one moment, however slowly it drips."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secure = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _TimedStream(secure, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("deadline")
    return left
