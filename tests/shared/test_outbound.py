"""Requests to registered addresses: only public ones, only the one that was checked, and never for long."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.outbound import MOST_BYTES, Outbound, OutboundFailed, OutboundRefused, is_public

NAME = "keys.example"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: max-age=60\r\n\r\nok"
Serve = Callable[[ssl.SSLSocket | socket.socket], None]


@dataclass
class Server:
    """A server on the loopback address that notes what it was sent."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)


@contextmanager
def serving(answer: bytes | Serve, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1])
        if context is not None:
            context.sni_callback = lambda _socket, name, _context: server.names.append(name)

        def run() -> None:
            while True:
                try:
                    connection: socket.socket | ssl.SSLSocket = listener.accept()[0]
                except OSError:
                    return
                try:
                    if context is not None:
                        connection = context.wrap_socket(connection, server_side=True)
                    server.requests.append(connection.recv(65536))
                    if callable(answer):
                        answer(connection)
                    else:
                        connection.sendall(answer)
                except OSError:
                    pass
                finally:
                    connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def to_loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of NAME with its key, in one file; it is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_it_connects_to_the_checked_address_with_the_name_in_tls_and_host(certificate: Path) -> None:
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate)
    ours = ssl.create_default_context(cafile=str(certificate))
    with serving(OK, theirs) as server:
        door = Outbound(frozenset({NAME}), resolve=to_loopback, ssl_context=ours)
        answer = door.get(f"https://{NAME}:{server.port}/jwks.json")

    assert (answer.status, answer.body, answer.headers["cache-control"]) == (200, b"ok", "max-age=60")
    assert server.names == [NAME]
    assert f"Host: {NAME}:{server.port}".encode() in server.requests[0]


def test_a_certificate_of_another_name_is_not_trusted(certificate: Path) -> None:
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate)
    ours = ssl.create_default_context(cafile=str(certificate))
    with serving(OK, theirs) as server:
        door = Outbound(frozenset({"other.example"}), resolve=to_loopback, ssl_context=ours)
        with pytest.raises(OutboundFailed):
            door.get(f"https://other.example:{server.port}/")

    assert server.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::1",
        "::",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "fd00:ec2::254",
    ],
)
def test_a_name_that_leads_to_a_place_that_is_not_public_is_refused(address: str) -> None:
    door = Outbound(resolve=lambda _host, _port: [address])

    with pytest.raises(OutboundRefused) as refused:
        door.get("https://innocent.example/jwks.json")
    assert address not in str(refused.value)


def test_one_bad_address_among_good_ones_is_enough_to_refuse() -> None:
    door = Outbound(resolve=lambda _host, _port: ["93.184.215.14", "10.0.0.1"])

    with pytest.raises(OutboundRefused):
        door.get("https://innocent.example/")


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8"])
def test_what_everybody_can_reach_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_the_name_is_looked_up_once_so_a_second_answer_leads_nowhere() -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    with serving(OK) as server:
        door = Outbound(sandbox=True, resolve=lambda _host, _port: next(answers))
        assert door.get(f"http://rebinding.example:{server.port}/").body == b"ok"

    assert next(answers) == ["10.0.0.1"]


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://0x7f.1/"])
def test_an_address_written_as_a_number_is_checked_like_a_name(url: str) -> None:
    with pytest.raises(OutboundRefused):
        Outbound().get(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://keys.example/",
        "file:///etc/passwd",
        "ftp://keys.example/",
        "gopher://keys.example/",
        "https://user@keys.example/",
        "https://user:password@keys.example/",
        "https://keys.example/#part",
        "https:///nohost",
        "https://keys.example:port/",
        "https://keys.example\\@other.example/",
        "https://keys.example/\r\nX: y",
        "https://keys.example/ x",
        "https://k\u00e9ys.example/",
        "keys.example",
        "",
    ],
)
def test_what_is_no_plain_https_address_is_refused_before_anything_is_asked(url: str) -> None:
    def never(_host: str, _port: int) -> list[str]:
        raise AssertionError("asked")

    with pytest.raises(OutboundRefused):
        Outbound(resolve=never).get(url)


def test_with_a_list_only_its_hosts_are_asked() -> None:
    with pytest.raises(OutboundRefused, match="SURAL_OUTBOUND_HOSTS"):
        Outbound(frozenset({"keys.example"})).check("https://other.example/")
    Outbound(frozenset({"keys.example"})).check("https://KEYS.example./")


def test_an_allowed_host_may_be_private_but_never_the_metadata_service() -> None:
    with serving(OK) as server:
        inside = Outbound(frozenset({"keys.internal"}), resolve=to_loopback)
        with pytest.raises(OutboundFailed):  # it speaks no TLS, but it was asked
            inside.get(f"https://keys.internal:{server.port}/")
    metadata = Outbound(frozenset({"keys.internal"}), resolve=lambda _host, _port: ["169.254.169.254"])
    with pytest.raises(OutboundRefused):
        metadata.get("https://keys.internal/")


def test_in_the_sandbox_only_the_loopback_address_is_allowed_beside_public_ones() -> None:
    with pytest.raises(OutboundRefused):
        Outbound(sandbox=True, resolve=lambda _host, _port: ["10.0.0.1"]).get("http://keys.example/")


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    elsewhere = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"
    with serving(elsewhere) as server:
        answer = Outbound(sandbox=True).get(f"http://127.0.0.1:{server.port}/")

    assert answer.status == 302
    assert len(server.requests) == 1


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(OK) as server, serving(OK) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        Outbound(sandbox=True).get(f"http://127.0.0.1:{server.port}/")

    assert proxy.requests == []


@pytest.mark.parametrize("declared", [True, False])
def test_an_answer_that_is_too_large_is_cut_off(declared: bool) -> None:
    length = f"Content-Length: {MOST_BYTES * 4}\r\n" if declared else ""
    large = f"HTTP/1.1 200 OK\r\n{length}\r\n".encode() + b"x" * (MOST_BYTES * 4)
    with serving(large) as server, pytest.raises(OutboundFailed, match="too-large"):
        Outbound(sandbox=True).get(f"http://127.0.0.1:{server.port}/")


def test_of_what_is_sent_only_the_status_comes_back() -> None:
    large = b"HTTP/1.1 202 Accepted\r\n\r\n" + b"x" * (MOST_BYTES * 4)
    with serving(large) as server:
        status = Outbound(sandbox=True).send(f"http://127.0.0.1:{server.port}/hook", {"X-Id": "1"}, b"news")

    assert status == 202
    assert server.requests[0].startswith(b"POST /hook HTTP/1.1")
    assert b"X-Id: 1" in server.requests[0]


def test_an_answer_that_drips_ends_at_the_deadline() -> None:
    stop = threading.Event()

    def drip(connection: ssl.SSLSocket | socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not stop.wait(0.05):
            connection.sendall(b"X: y\r\n")

    with serving(drip) as server:
        try:
            with pytest.raises(OutboundFailed, match="timeout"):
                Outbound(sandbox=True, total_s=0.5).get(f"http://127.0.0.1:{server.port}/")
        finally:
            stop.set()


def test_a_host_that_nobody_knows_is_a_failure_and_no_fault() -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(OutboundFailed):
        Outbound(resolve=unknown).get("https://nowhere.example/")
