"""Stopping a server ends the answers that would go on for ever, also one that opens while it already stops."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import ExitStack

import httpx
from starlette.types import Receive, Scope, Send

from shared.closing import Closing
from tests.serving import served
from tests.waiting import eventually


def accepts(port: int) -> bool:
    """Whether anybody listens there."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def test_an_answer_that_opens_while_its_server_stops_hears_of_it() -> None:
    arrived, ended = threading.Event(), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        port = scope["server"][1]
        arrived.set()
        await asyncio.to_thread(eventually, lambda: not accepts(port), within_s=10)
        try:
            await asyncio.wait_for(Closing().wait(), timeout=5)
            ended.append("heard")
        except TimeoutError:
            ended.append("not heard")
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with ExitStack() as running:
        site = running.enter_context(served(app))
        asking = threading.Thread(target=httpx.get, args=(site,), kwargs={"timeout": 20, "trust_env": False})
        asking.start()
        assert arrived.wait(timeout=10)
        running.close()
        asking.join(timeout=20)

    assert ended == ["heard"]
