"""A TCP proxy that is as bad as a network can be: it refuses, delays, holds back, swallows, or cuts in mid-message.

Each direction has a behaviour of its own, which may change at any moment. One thread, one connection of its own to the
server for each client. `python -m deploy.local.faults.proxy PORT SERVER_PORT` runs one that is told what to do on its
standard input, a line of JSON each (`proxies.py`).
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Self

CHUNK = 65_536
MOST_WAITING = 1_000_000
"""Bytes of one direction that wait for a slow reader before its sender has to wait too."""
CONNECT_S = 2.0
LONGEST_WAIT_S = 1.0
RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Direction:
    """What happens to bytes that go one way.

    `delay_s`: each waits so long. `hold`: they wait until this is taken back, as where the other side is frozen.
    `drop`: they vanish, as on the way to a host that is gone; who lost some is cut off when it ends. `cut_after`: each
    connection is reset after so many bytes from now on, in the middle of whatever they are.
    """

    delay_s: float = 0.0
    hold: bool = False
    drop: bool = False
    cut_after: int | None = None


PASS = Direction()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the proxy does. `refuse`: nobody listens; connections that are there stay."""

    refuse: bool = False
    to_server: Direction = PASS
    to_client: Direction = PASS

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`."""
        directions = {name: Direction(**values.get(name, {})) for name in ("to_server", "to_client")}
        return cls(refuse=bool(values.get("refuse")), **directions)


GOOD = Behaviour()
HALF_OPEN = Behaviour(to_server=Direction(drop=True), to_client=Direction(drop=True))
FROZEN = Behaviour(to_server=Direction(hold=True), to_client=Direction(hold=True))


@dataclass(slots=True, eq=False)
class Flow:
    """One direction of one connection."""

    source: socket.socket
    target: socket.socket
    name: str
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)
    size: int = 0
    passed: int = 0
    lost: bool = False
    ended: bool = False
    shut: bool = False


@dataclass(slots=True, eq=False)
class Pair:
    """One connection: the client's socket, ours to the server, and what flows between them."""

    client: socket.socket
    server: socket.socket
    to_server: Flow
    to_client: Flow

    @property
    def flows(self) -> tuple[Flow, Flow]:
        return self.to_server, self.to_client


class Proxy:
    """Listens on a loopback port and passes on to another. `set` and `cut` may be called from any thread."""

    def __init__(self, server_port: int, *, port: int = 0) -> None:
        self._server_port = server_port
        self._behaviour = GOOD
        self._orders: deque[Behaviour | int | None] = deque()
        self._done = threading.Event()
        self._stopping = False
        self._pairs: set[Pair] = set()
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._listener = _listening(port)
        self.port: int = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._is_listening = True
        self._thread = threading.Thread(target=self.run, name="fault-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        with suppress(OSError):  # it has ended by itself
            self._waker.send(b"x")
        self._thread.join()

    def set(self, behaviour: Behaviour) -> None:
        """Behave like this from now on; returns when it does."""
        self._order(behaviour)

    def cut(self) -> None:
        """Reset every connection that there is; returns when that is done."""
        self._order(None)

    def lead_to(self, server_port: int) -> None:
        """Pass new connections on to another server."""
        self._order(server_port)

    def _order(self, order: Behaviour | int | None) -> None:
        self._done.clear()
        self._orders.append(order)
        self._waker.send(b"x")
        self._done.wait(5)

    def run(self) -> None:
        """Pass on until told to stop."""
        while not self._stopping:
            for key, events in self._selector.select(self._patience()):
                self._serve(key, events)
            self._send_due()
        self._cut_all()
        self._listener.close()
        self._selector.close()
        self._wake.close()
        self._waker.close()

    def _serve(self, key: selectors.SelectorKey, events: int) -> None:
        if key.fileobj is self._wake:
            self._wake.recv(1024)
            self._obey()
        elif key.data is None:
            self._accept()
        else:
            pair, incoming, outgoing = key.data
            if events & selectors.EVENT_READ and pair in self._pairs:
                self._read(pair, incoming)
            if events & selectors.EVENT_WRITE and pair in self._pairs:
                self._write(pair, outgoing)

    def _obey(self) -> None:
        while self._orders:
            order = self._orders.popleft()
            match order:
                case None:
                    self._cut_all()
                case int():
                    self._server_port = order
                case Behaviour():
                    self._change(order)
        self._done.set()

    def _change(self, behaviour: Behaviour) -> None:
        before, self._behaviour = self._behaviour, behaviour
        for pair in list(self._pairs):
            for flow in pair.flows:
                flow.passed = 0
                if flow.lost and self._of(before, flow).drop and not self._of(behaviour, flow).drop:
                    self._reset(pair)
                    break
        if behaviour.refuse and self._is_listening:
            self._selector.unregister(self._listener)
            self._listener.close()
        elif not behaviour.refuse and not self._is_listening:
            self._listener = _listening(self.port)
            self._selector.register(self._listener, selectors.EVENT_READ)
        self._is_listening = not behaviour.refuse
        for pair in list(self._pairs):
            self._watch(pair)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port), CONNECT_S)
        except OSError:
            _reset(client)
            return
        for end in (client, server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = Pair(client, server, Flow(client, server, "to_server"), Flow(server, client, "to_client"))
        self._pairs.add(pair)
        self._selector.register(client, selectors.EVENT_READ, (pair, pair.to_server, pair.to_client))
        self._selector.register(server, selectors.EVENT_READ, (pair, pair.to_client, pair.to_server))
        self._watch(pair)

    def _read(self, pair: Pair, flow: Flow) -> None:
        try:
            data = flow.source.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._reset(pair)
            return
        wanted = self._of(self._behaviour, flow)
        if not data:
            flow.ended = True
        elif wanted.drop:
            flow.lost = True
            return
        elif wanted.cut_after is not None and flow.passed + len(data) >= wanted.cut_after:
            with suppress(OSError):
                flow.target.send(data[: max(wanted.cut_after - flow.passed, 0)])
            self._reset(pair)
            return
        else:
            flow.passed += len(data)
            if not flow.waiting and not wanted.delay_s:
                data = data[_sent(flow.target, data) :]
            if data:
                flow.waiting.append((time.monotonic() + wanted.delay_s, data))
                flow.size += len(data)
                self._watch(pair)
                return
        if flow.ended:
            self._write(pair, flow)

    def _write(self, pair: Pair, flow: Flow) -> None:
        """Send what is due, then the end of the stream if it came."""
        now = time.monotonic()
        try:
            while flow.waiting and flow.waiting[0][0] <= now:
                due, data = flow.waiting.popleft()
                sent = flow.target.send(data)
                flow.size -= sent
                if sent < len(data):
                    flow.waiting.appendleft((due, data[sent:]))
                    break
            if flow.ended and not flow.waiting and not flow.shut:
                flow.shut = True
                flow.target.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            flow.waiting.appendleft((due, data))
        except OSError:
            self._reset(pair)
            return
        if all(each.shut for each in pair.flows):
            self._close(pair)
        else:
            self._watch(pair)

    def _watch(self, pair: Pair) -> None:
        """Ask the kernel for what this connection waits for now."""
        now = time.monotonic()
        for incoming, outgoing in ((pair.to_server, pair.to_client), (pair.to_client, pair.to_server)):
            events = 0
            if not (incoming.ended or self._of(self._behaviour, incoming).hold or incoming.size > MOST_WAITING):
                events |= selectors.EVENT_READ
            if outgoing.waiting and outgoing.waiting[0][0] <= now:
                events |= selectors.EVENT_WRITE
            end, data = incoming.source, (pair, incoming, outgoing)
            if end not in self._selector.get_map():
                if events:
                    self._selector.register(end, events, data)
            elif events:
                self._selector.modify(end, events, data)
            else:
                self._selector.unregister(end)

    def _patience(self) -> float:
        due = [flow.waiting[0][0] for pair in self._pairs for flow in pair.flows if flow.waiting]
        return max(0.0, min([LONGEST_WAIT_S, *(at - time.monotonic() for at in due)]))

    def _send_due(self) -> None:
        now = time.monotonic()
        for pair in list(self._pairs):
            for flow in pair.flows:
                if pair in self._pairs and flow.waiting and flow.waiting[0][0] <= now:
                    self._write(pair, flow)

    def _of(self, behaviour: Behaviour, flow: Flow) -> Direction:
        return behaviour.to_server if flow.name == "to_server" else behaviour.to_client

    def _cut_all(self) -> None:
        for pair in list(self._pairs):
            self._reset(pair)

    def _reset(self, pair: Pair) -> None:
        for end in (pair.client, pair.server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._close(pair)

    def _close(self, pair: Pair) -> None:
        self._pairs.discard(pair)
        for end in (pair.client, pair.server):
            with suppress(KeyError, ValueError):
                self._selector.unregister(end)
            end.close()


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(256)
    listener.setblocking(False)
    return listener


def _sent(target: socket.socket, data: bytes) -> int:
    """How many of these bytes the target took at once; what goes wrong is found at the next write."""
    try:
        return target.send(data)
    except OSError:
        return 0


def _reset(client: socket.socket) -> None:
    with suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


def order(wanted: Behaviour | int | None) -> str:
    """The line that tells a proxy in another process to behave like this, to lead to this port, or (None) to cut."""
    match wanted:
        case None:
            values: dict[str, Any] = {"cut": True}
        case int():
            values = {"lead_to": wanted}
        case Behaviour():
            values = asdict(wanted)
    return json.dumps(values) + "\n"


def main() -> None:
    """Run one until the end of the input; an answer on the output for each line obeyed."""
    port, server_port = int(sys.argv[1]), int(sys.argv[2])
    with Proxy(server_port, port=port) as proxy:
        print("listening", flush=True)
        for line in sys.stdin:
            values = json.loads(line)
            if values.get("cut"):
                proxy.cut()
            elif "lead_to" in values:
                proxy.lead_to(values["lead_to"])
            else:
                proxy.set(Behaviour.of(values))
            print("obeyed", flush=True)


if __name__ == "__main__":
    main()
