"""Neighbours are asked over connections that are kept: answers come whole or not at all, and nothing is sent twice."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from ssl import create_default_context

import pytest

from deploy.local.folder import free_port
from shared.fhir import kept_http
from shared.fhir.kept_http import Answer, KeptHttp, Unanswered
from shared.postgres import has_news
from tests.notify.channels.certificates import certify
from tests.notify.channels.scripted import Scripted, Talk, a_server_that, drips, hangs
from tests.waiting import eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Asked = Callable[[KeptHttp], Answer]


@contextmanager
def client_of(server: Scripted, *, timeout_s: float = 30, scheme: str = "http") -> Iterator[KeptHttp]:
    client = KeptHttp(f"{scheme}://127.0.0.1:{server.port}/fhir/", headers={"X-All": "1"}, timeout_s=timeout_s)
    try:
        yield client
    finally:
        client.close()


def got(client: KeptHttp) -> Answer:
    return client.get("Task", {}, {})


def posted(client: KeptHttp) -> Answer:
    return client.post("Task", b"{}", {})


def request_on(connection: socket.socket) -> bytes:
    """The next request; what is posted here is `{}`."""
    asked = connection.recv(65536)
    while asked.startswith(b"POST") and not asked.endswith(b"{}") and (more := connection.recv(65536)):
        asked += more
    return asked


def answers(*texts: bytes) -> Talk:
    """Takes one request after the other, gives these answers, and hangs up."""

    def talk(server: Scripted, connection: socket.socket) -> None:
        for text in texts:
            if not (asked := request_on(connection)):
                return
            server.received.append(asked)
            connection.sendall(text)

    return talk


def keeps_answering(server: Scripted, connection: socket.socket) -> None:
    while asked := request_on(connection):
        server.received.append(asked)
        connection.sendall(OK)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\ntransfer-ENCODING: chunked\r\n\r\n2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000, b"x" * 200_000),
    ],
    ids=["length", "chunks", "open-ended", "empty-1.0", "no-content", "interim-answer", "long"],
)
def test_an_answer_comes_whole_however_it_says_where_it_ends(text: bytes, content: bytes) -> None:
    with a_server_that(answers(text)) as server, client_of(server) as client:
        answer = client.get("Task", {"_id": "a,b"}, {"X-One": "2"})
        assert (answer.status // 100, answer.content) == (2, content)

    head, *rest = server.received[0].decode().split("\r\n")
    assert head == "GET /fhir/Task?_id=a%2Cb HTTP/1.1"
    assert {f"Host: 127.0.0.1:{server.port}", "X-All: 1", "X-One: 2"} <= set(rest)
    assert rest[-2:] == ["", ""]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ],
    ids=[
        *("nothing", "no-http", "half-a-header", "cut-short", "a-chunk-missing", "interim-only"),
        *("two-lengths", "another-protocol"),
    ],
)
@pytest.mark.parametrize("ask", [got, posted])
def test_what_is_no_whole_answer_is_none(text: bytes, ask: Asked) -> None:
    with a_server_that(answers(text)) as server, client_of(server) as client, pytest.raises(Unanswered):
        ask(client)


def test_one_connection_serves_one_question_after_the_other() -> None:
    with a_server_that(answers(OK, OK)) as server, client_of(server) as client:
        got(client)
        posted(client)

        assert server.received[1].startswith(b"POST /fhir/Task HTTP/1.1\r\n")
        assert b"\r\nContent-Length: 2\r\n" in server.received[1]


@pytest.mark.parametrize("ask", [got, posted])
def test_a_connection_that_the_server_ended_meanwhile_is_not_used(ask: Asked) -> None:
    with a_server_that(answers(OK)) as server, client_of(server) as client:
        got(client)
        (kept,) = client._idle
        eventually(lambda: has_news(kept.connection.sock.fileno()), within_s=30)

        assert ask(client).content == b"ok"
        assert len(server.received) == 2


@pytest.mark.parametrize("ask", [got, posted])
def test_a_connection_that_nobody_needed_for_long_is_not_used(ask: Asked) -> None:
    with a_server_that(keeps_answering) as server, client_of(server) as client:
        got(client)
        (kept,) = client._idle
        client._idle[:] = [replace(kept, since=kept.since - kept_http.IDLE_S)]

        ask(client)

        assert [one.connection for one in client._idle] != [kept.connection]
        assert kept.connection.sock is None


def test_a_read_that_a_kept_connection_swallowed_is_asked_once_more_and_a_write_is_not() -> None:
    """Whether the server did it before it hung up, nobody knows: a write goes to whoever sends it again knowingly."""
    with a_server_that(answers(OK, b"")) as server, client_of(server) as client:
        got(client)
        assert got(client).content == b"ok"
        assert len(server.received) == 3, "asked, swallowed, asked again"

    with a_server_that(answers(OK, b"")) as server, client_of(server) as client:
        got(client)
        with pytest.raises(Unanswered, match="RemoteDisconnected"):
            posted(client)
        assert [asked[:4] for asked in server.received] == [b"GET ", b"POST"]


def test_a_read_is_not_asked_again_once_an_answer_had_begun_or_was_waited_for() -> None:
    with a_server_that(answers(OK, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")) as server:
        with client_of(server) as client:
            got(client)
            with pytest.raises(Unanswered, match="IncompleteRead"):
                got(client)
        assert len(server.received) == 2

    def then_hangs(server: Scripted, connection: socket.socket) -> None:
        server.received.append(connection.recv(65536))
        connection.sendall(OK)
        server.received.append(connection.recv(65536))
        hangs(server, connection)

    with a_server_that(then_hangs) as server, client_of(server) as client:
        got(client)
        (kept,) = client._idle
        kept.connection.sock.settimeout(0.3)
        with pytest.raises(Unanswered, match="TimeoutError"):
            got(client)
        assert len(server.received) == 2


@pytest.mark.parametrize(
    "talks", [hangs, partial(drips, begun=b"HTTP/1.1 200 OK\r\nContent-", drop=b"")], ids=["hangs", "begins-only"]
)
@pytest.mark.parametrize("ask", [got, posted])
def test_who_says_nothing_is_not_waited_for_longer_than_was_said(talks: Talk, ask: Asked) -> None:
    with a_server_that(talks) as server, client_of(server, timeout_s=0.2) as client:
        with pytest.raises(Unanswered, match="TimeoutError"):
            ask(client)
        assert client._idle == []


def test_nobody_there_is_no_answer() -> None:
    for address in (
        f"http://127.0.0.1:{free_port()}/",
        "http://nobody.invalid/",
        "ftp://127.0.0.1/",
        "http://a:b/",
        "127.0.0.1",
        "",
    ):
        with pytest.raises(Unanswered):
            got(KeptHttp(address, headers={}, timeout_s=2))


def test_a_redirect_is_an_answer_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the environment names no proxy for our own neighbours."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    there = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
    with a_server_that(answers(there)) as server, client_of(server) as client:
        assert got(client) == Answer(307, b"")


def test_nothing_in_an_id_can_begin_another_request() -> None:
    evil = "x y\r\nHost: z\r\n\r\nDELETE /fhir/é?a#b"
    with a_server_that(answers(OK, OK)) as server, client_of(server) as client:
        client.get(f"Task/{evil}", {"_id": evil}, {})

    head, host, *_ = server.received[0].decode("ascii").split("\r\n")
    quoted = "x%20y%0D%0AHost%3A%20z%0D%0A%0D%0ADELETE%20/fhir/%C3%A9%3Fa%23b"
    assert head == f"GET /fhir/Task/{quoted}?_id={quoted.replace('/', '%2F')} HTTP/1.1"
    assert host == f"Host: 127.0.0.1:{server.port}"


def test_threads_each_get_their_own_answer_and_few_connections_are_kept() -> None:
    def echoes(server: Scripted, connection: socket.socket) -> None:
        while asked := connection.recv(65536):
            name = asked.split(b" ")[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name))

    with a_server_that(echoes) as server, client_of(server) as client, ThreadPoolExecutor(30) as threads:
        names = [f"Task/{number}" for number in range(300)]
        found = list(threads.map(lambda name: client.get(name, {}, {}).content.decode(), names))

        assert found == [f"/fhir/{name}" for name in names]
        assert 1 <= len(client._idle) <= kept_http.MOST_IDLE


def test_only_a_certificate_that_somebody_vouches_for_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certified = certify(tmp_path)

    def greets(server: Scripted, connection: socket.socket) -> None:
        with certified.server.wrap_socket(connection, server_side=True) as secure:
            keeps_answering(server, secure)

    with a_server_that(greets) as server:
        with client_of(server, scheme="https") as client, pytest.raises(Unanswered, match="SSLCertVerificationError"):
            got(client)
        assert server.received == []

        monkeypatch.setattr(kept_http, "_trusting", lambda: create_default_context(cadata=certified.authority))
        with client_of(server, scheme="https") as client:
            assert [got(client).content, posted(client).content] == [b"ok", b"ok"]
