"""Every answer passes one place; who goes away before the end of a question gets none, and is no fault of ours."""

from __future__ import annotations

import asyncio
import logging
import threading

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from shared.answered import Answered, RequestNumbers
from shared.fhir.http import fault, read_body
from shared.operations import install_operations
from tests.serving import client_of

THREADS = 40
"""So many requests are worked on at a time (anyio's own limit)."""

POST: Scope = {
    "type": "http",
    "method": "POST",
    "path": "/fhir/QuestionnaireResponse",
    "query_string": b"",
    "headers": [(b"content-type", b"application/fhir+json"), (b"content-length", b"100")],
}


async def let_in(_request: Request) -> Response | None:
    return None


async def takes_a_body(scope: Scope, receive: Receive, send: Send) -> None:
    body = await read_body(Request(scope, receive))
    await Response(f"{len(body)}")(scope, receive, send)


def ask(*received: Message) -> tuple[list[Message], str]:
    """What was answered, and what was counted."""
    registry, answers, coming = CollectorRegistry(), list[Message](), iter(received)

    async def receive() -> Message:
        return next(coming)

    async def send(message: Message) -> None:
        answers.append(message)

    app = Answered(takes_a_body, service="intake", numbers=RequestNumbers(registry), guard=let_in, fault=fault)
    asyncio.run(app(dict(POST), receive, send))
    return answers, generate_latest(registry).decode()


def test_who_goes_away_in_the_middle_of_a_body_alarms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        answers, counted = ask({"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"})

    assert answers == []
    assert "5xx" not in counted
    assert [record.getMessage() for record in caplog.records] == []


def test_who_stays_is_answered_and_counted() -> None:
    answers, counted = ask({"type": "http.request", "body": b"{}", "more_body": False})

    assert answers[0]["status"] == 200
    assert 'status="2xx"} 1.0' in counted


def test_who_asks_whether_we_live_is_answered_while_every_thread_waits() -> None:
    app, busy, go = FastAPI(), threading.Semaphore(0), threading.Event()
    install_operations(app, service="test", checks={}, measure=lambda: (), version="0", guard=let_in, fault=fault)

    @app.get("/waits")
    def waits() -> Response:
        busy.release()
        go.wait(60)
        return Response()

    with client_of(app) as client:
        asking = [
            threading.Thread(
                target=httpx.get, args=(f"{client.base_url}/waits",), kwargs={"timeout": 60, "trust_env": False}
            )
            for _ in range(THREADS + 5)
        ]
        for one in asking:
            one.start()
        try:
            assert all(busy.acquire(timeout=20) for _ in range(THREADS))
            alive = client.get("/livez").json()["status"]
        finally:
            go.set()
            for one in asking:
                one.join()

    assert alive == "alive"
