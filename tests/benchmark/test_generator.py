"""The load generator is honest: a slow server is slow for everybody who had to wait, and nobody is left out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest

from deploy.local.benchmark.bodies import ALL, NONE, TENTH, Mix
from deploy.local.benchmark.generator import Answered, Generator, Order


@dataclass
class Server:
    """A server that holds up its answers while `closed` is set; keeps what it got."""

    port: int = 0
    closed: threading.Event = field(default_factory=threading.Event)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    tokens: set[str | None] = field(default_factory=set)


@contextmanager
def a_server(stall_s: float = 0.0, *, status: int = 201) -> Iterator[Server]:
    """Answers at once, but for the first request, during whose `stall_s` nobody gets an answer."""
    server, lock = Server(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            server.connections += 1

        def do_POST(self) -> None:  # the name is the library's
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                if not server.bodies:
                    time.sleep(stall_s)
                server.bodies.append(orjson.loads(body))
                server.tokens.add(self.headers.get("Authorization"))
                number = len(server.bodies)
            self.send_response(status)
            self.send_header("Location", f"http://127.0.0.1/fhir/QuestionnaireResponse/r{number}/_history/1")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            return

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    server.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def send(server: Server, **more: Any) -> Answered:
    given = {"seconds": 0.5, "connections": 4} | more
    return Generator(Order(port=server.port, mark="t", **given)).run()


def waited(answered: Answered) -> list[float]:
    return [post.answered - post.due for post in sorted(answered.posts, key=lambda post: post.due)]


@pytest.mark.parametrize("connections", [1, 64])
def test_a_stall_is_seen_by_every_request_that_was_due_during_it(connections: int) -> None:
    with a_server(stall_s=0.4) as server:
        answered = send(server, per_second=50.0, seconds=0.6, connections=connections)
    times = waited(answered)

    assert len(times) == 30
    assert times[0] >= 0.4
    assert times[5] >= 0.4 - 5 / 50 - 0.01
    assert times[10] >= 0.4 - 10 / 50 - 0.01
    assert sum(time >= 0.1 for time in times) >= 14


def test_timed_from_the_sending_the_same_stall_would_be_nearly_hidden() -> None:
    with a_server(stall_s=0.4) as server:
        answered = send(server, per_second=50.0, seconds=0.6, connections=1)

    assert sum(post.answered - post.sent >= 0.1 for post in answered.posts) <= 3
    assert answered.most_late_s >= 0.3


def test_a_closed_loop_sends_only_what_was_asked_for_and_counts_every_answer() -> None:
    with a_server() as server:
        answered = send(server, number=25, seconds=30.0)

    assert len(answered.posts) == len(server.bodies) == 25
    assert {post.status for post in answered.posts} == {201}
    assert {post.id for post in answered.posts} == {f"r{number}" for number in range(1, 26)}
    assert server.connections == 4
    assert answered.processor_s > 0


def test_every_body_is_a_form_of_its_own_of_another_patient() -> None:
    with a_server() as server:
        send(server, number=25, seconds=30.0, token="abc")

    assert len({body["identifier"]["value"] for body in server.bodies}) == 25
    assert len({body["subject"]["reference"] for body in server.bodies}) == 25
    assert server.tokens == {"Bearer abc"}


def test_one_in_ten_is_an_emergency_or_each_or_none() -> None:
    def urgent(mix: Mix) -> int:
        return sum(is_urgent for _, is_urgent in mix.bodies(100))

    assert (urgent(TENTH), urgent(Mix(ALL)), urgent(Mix(NONE))) == (10, 100, 0)


def test_a_refusal_and_a_server_that_is_away_are_told_as_such() -> None:
    with a_server(status=503) as server:
        refused = send(server, number=5)
    assert {post.status for post in refused.posts} == {503}

    away = send(server, number=5, connections=2)
    assert {post.status for post in away.posts} == {0}
