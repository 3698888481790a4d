"""The proxy can be every kind of bad network that the faults need, on real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from deploy.local.faults.proxies import Passage
from deploy.local.faults.proxy import FROZEN, GOOD, HALF_OPEN, Behaviour, Direction, Proxy
from deploy.local.folder import free_port
from tests.waiting import eventually

MESSAGE = b"0123456789" * 1000
PATIENCE_S = 30
"""For what comes in any case, however loaded the machine is."""


@dataclass
class Echo:
    """A server that sends back what it gets: where it listens, and all that it got."""

    port: int
    heard: bytearray = field(default_factory=bytearray)


@contextmanager
def an_echo() -> Iterator[Echo]:
    listener = socket.create_server(("127.0.0.1", 0))
    running = Echo(listener.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(client,), daemon=True).start()

    def echo(client: socket.socket) -> None:
        with client:
            try:
                while data := client.recv(65_536):
                    running.heard += data
                    client.sendall(data)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield running
    finally:
        listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    with an_echo() as running:
        yield running


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.port) as running:
        yield running


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S)


def answered(client: socket.socket, message: bytes = MESSAGE) -> bytes:
    """What comes back for a message."""
    client.sendall(message)
    return received(client, len(message))


def received(client: socket.socket, size: int) -> bytes:
    """So many bytes, or fewer where the connection ends first."""
    got = b""
    while len(got) < size:
        data = client.recv(65_536)
        if not data:
            break
        got += data
    return got


def test_a_good_way_passes_everything_on_both_ways(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert answered(client) == MESSAGE
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b"", "the end of the stream is passed on too"


def test_more_than_any_buffer_holds_arrives_whole(proxy: Proxy) -> None:
    large = MESSAGE * 800
    with connected(proxy) as client:
        threading.Thread(target=client.sendall, args=(large,), daemon=True).start()
        assert received(client, len(large)) == large


def test_who_is_refused_finds_nobody_and_finds_the_server_again_afterwards(proxy: Proxy) -> None:
    proxy.set(Behaviour(refuse=True))
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
    proxy.set(GOOD)
    with connected(proxy) as client:
        assert answered(client) == MESSAGE


def test_one_direction_is_delayed_and_the_other_is_not(proxy: Proxy, echo: Echo) -> None:
    proxy.set(Behaviour(to_client=Direction(delay_s=0.3)))
    with connected(proxy) as client:
        began = time.monotonic()
        assert answered(client) == MESSAGE
        assert time.monotonic() - began >= 0.3

    echo.heard.clear()
    proxy.set(Behaviour(to_client=Direction(delay_s=60)))
    with connected(proxy) as client:
        client.sendall(MESSAGE)
        eventually(lambda: echo.heard == MESSAGE, within_s=30)


def test_what_is_held_back_arrives_once_it_is_let_go(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert answered(client) == MESSAGE
        proxy.set(FROZEN)
        client.sendall(MESSAGE)
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(PATIENCE_S)
        proxy.set(GOOD)
        assert received(client, len(MESSAGE)) == MESSAGE


@pytest.mark.parametrize("way", ["to_server", "to_client"])
def test_what_is_dropped_one_way_never_arrives_and_its_connection_ends_with_it(proxy: Proxy, way: str) -> None:
    with connected(proxy) as client:
        assert answered(client) == MESSAGE
        proxy.set(Behaviour(**{way: Direction(drop=True)}))
        client.sendall(MESSAGE)
        eventually(lambda: any(flow.lost for pair in list(proxy._pairs) for flow in pair.flows))
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(PATIENCE_S)
        proxy.set(GOOD)
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_connection_that_lost_nothing_survives_a_half_open_way(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert answered(client) == MESSAGE
        proxy.set(HALF_OPEN)
        proxy.set(GOOD)
        assert answered(client) == MESSAGE


@pytest.mark.parametrize("way", ["to_server", "to_client"])
def test_a_message_is_cut_in_its_middle(proxy: Proxy, way: str) -> None:
    proxy.set(Behaviour(**{way: Direction(cut_after=1234)}))
    with connected(proxy) as client, pytest.raises(ConnectionResetError):
        answered(client)
    with connected(proxy) as client:
        assert len(answered(client, MESSAGE[:1000])) == 1000, "what is shorter than that passes"


def test_all_connections_are_cut_at_once(proxy: Proxy) -> None:
    with connected(proxy) as one, connected(proxy) as other:
        assert answered(one) == answered(other) == MESSAGE
        proxy.cut()
        for client in (one, other):
            with pytest.raises(ConnectionResetError):
                client.recv(1)
    with connected(proxy) as client:
        assert answered(client) == MESSAGE


def test_a_server_that_is_away_is_seen_as_a_reset() -> None:
    with Proxy(free_port()) as proxy, pytest.raises(ConnectionResetError), connected(proxy) as client:
        client.recv(1)


def test_a_proxy_in_a_process_of_its_own_obeys() -> None:
    with an_echo() as echo:
        passage = Passage("echo").open(echo.port)
        try:
            with passage.being(Behaviour(refuse=True)), pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", passage.port), PATIENCE_S)
            with socket.create_connection(("127.0.0.1", passage.port), PATIENCE_S) as client:
                assert answered(client) == MESSAGE
                passage.cut()
                with pytest.raises(ConnectionResetError):
                    client.recv(1)
        finally:
            passage.close()
