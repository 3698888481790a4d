"""Key sets read from an address: how long they are kept, and that nobody makes us busy with invented names."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from shared.access.keys import DEFAULT_S, LONGEST_S, SHORTEST_S, UNKNOWN_KID_S, KeysUnavailable, RemoteKeys
from shared.outbound import Answer, OutboundFailed, OutboundRefused
from tests.access.keyring import ec_key, jwks, public_jwk
from tests.waiting import eventually

URL = "https://keys.example/jwks.json"
FIRST, SECOND = public_jwk(ec_key(), "first"), public_jwk(ec_key(), "second")


@dataclass
class Server:
    """An address with a clock beside it."""

    body: str = field(default_factory=lambda: jwks(FIRST))
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    error: Exception | None = None
    asked: int = 0
    clock: float = 1000.0

    def get(self, _url: str) -> Answer:
        self.asked += 1
        if self.error:
            raise self.error
        return Answer(self.status, self.headers, self.body.encode())

    def keys(self) -> RemoteKeys:
        return RemoteKeys(URL, self.get, lambda: self.clock)


def kids(keys: RemoteKeys, kid: str | None = "first") -> list[str | None]:
    return [key.kid for key in keys.named(kid)]


def test_a_set_is_read_once_and_kept() -> None:
    server = Server()
    keys = server.keys()

    assert kids(keys) == kids(keys) == ["first"]
    assert server.asked == 1


@pytest.mark.parametrize(
    ("header", "kept_s"),
    [
        ({}, DEFAULT_S),
        ({"cache-control": "public, max-age=60"}, 60),
        ({"cache-control": "max-age=999999"}, LONGEST_S),
        ({"cache-control": "max-age=0"}, SHORTEST_S),
        ({"cache-control": "no-store"}, SHORTEST_S),
    ],
)
def test_it_is_kept_as_long_as_the_answer_allows_within_bounds(header: dict[str, str], kept_s: float) -> None:
    server = Server(headers=header)
    keys = server.keys()
    kids(keys)

    server.clock += kept_s - 1
    kids(keys)
    assert server.asked == 1
    server.clock += 1
    kids(keys)
    assert server.asked == 2


def test_a_new_key_is_found_when_a_token_names_it() -> None:
    server = Server()
    keys = server.keys()
    kids(keys)
    server.body = jwks(SECOND, FIRST)

    server.clock += UNKNOWN_KID_S
    assert kids(keys, "second") == ["second", "first"]


def test_invented_names_do_not_make_us_ask_again_and_again() -> None:
    server = Server()
    keys = server.keys()

    for number in range(50):
        kids(keys, f"invented-{number}")
    assert server.asked == 1


def test_a_failure_keeps_the_known_keys_for_an_hour_and_no_longer() -> None:
    server = Server()
    keys = server.keys()
    kids(keys)
    server.error = OutboundFailed("timeout")

    server.clock += LONGEST_S - 1
    assert kids(keys) == ["first"]
    server.clock += 1
    with pytest.raises(KeysUnavailable, match="timeout"):
        kids(keys)


def test_a_failure_is_not_repeated_at_every_request() -> None:
    server = Server(error=OutboundFailed("timeout"))
    keys = server.keys()

    for _ in range(20):
        with pytest.raises(KeysUnavailable):
            kids(keys)
    assert server.asked == 1


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (Server(status=404), "404"),
        (Server(status=302), "302"),
        (Server(body="<html>"), "no JSON"),
        (Server(error=OutboundRefused("The host is not on the public network.")), "public network"),
    ],
)
def test_what_is_no_key_set_is_said(server: Server, reason: str) -> None:
    with pytest.raises(KeysUnavailable, match=reason):
        kids(server.keys())


def test_many_requests_at_once_read_the_set_once() -> None:
    asked, go = threading.Semaphore(0), threading.Event()
    server = Server()

    def slow(url: str) -> Answer:
        asked.release()
        go.wait(10)
        return server.get(url)

    keys = RemoteKeys(URL, slow, lambda: server.clock)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(kids(keys))) for _ in range(8)]
    for thread in threads:
        thread.start()
    asked.acquire(timeout=10)
    go.set()
    eventually(lambda: len(found) == 8)
    for thread in threads:
        thread.join(10)

    assert server.asked == 1
    assert found == [["first"]] * 8
