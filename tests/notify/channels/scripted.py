"""A server that says what a test tells it to say, byte for byte, and can hang, drip or hang up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Scripted:
    """A listening server; `received` is what clients sent, one entry per connection."""

    port: int
    received: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when the test is over: who hangs may stop."""


Talk = Callable[[Scripted, socket.socket], None]
"""One conversation. What goes wrong with the connection in it is of no interest."""


@contextmanager
def a_server_that(talks: Talk) -> Iterator[Scripted]:
    """Serves each connection in a thread of its own."""
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Scripted(listener.getsockname()[1])

        def one(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                talks(server, connection)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    thread = threading.Thread(target=one, args=(listener.accept()[0],))
                    threads.append(thread)
                    thread.start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            server.ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *threads):
                thread.join(10)


def hangs(server: Scripted, _connection: socket.socket) -> None:
    """Takes the connection and says nothing."""
    server.ended.wait(60)


def drips(server: Scripted, connection: socket.socket, *, begun: bytes, drop: bytes) -> None:
    """Begins an answer, and goes on with it a few bytes at a time for as long as anybody listens."""
    connection.sendall(begun)
    while not server.ended.wait(0.05):
        connection.sendall(drop)


def smtp_until_data(server: Scripted, connection: socket.socket) -> bytes:
    """Takes a mail as far as its last line, and gives it, without the answer that would confirm it."""
    lines = connection.makefile("rb")
    connection.sendall(b"220 mail.example\r\n")
    for line in lines:
        if line.upper().startswith(b"DATA"):
            connection.sendall(b"354 go on\r\n")
            break
        connection.sendall(b"250 OK\r\n")
    mail = b""
    for line in lines:
        if line == b".\r\n":
            break
        mail += line
    server.received.append(mail)
    return mail
