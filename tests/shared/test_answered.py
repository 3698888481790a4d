"""Every answer passes one place; who goes away before the end of a question gets none, and is no fault of ours."""

from __future__ import annotations

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from shared.answered import Answered, RequestNumbers
from shared.fhir.http import fault, read_body

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
