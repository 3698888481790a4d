"""What every request passes first and every answer gets last: an id, the guard, a count, safe headers.

Plain ASGI: the framework's own kind of middleware starts two tasks and a stream for every request, which costs more
than all that is done here.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.ids import uuid7
from shared.telemetry import correlated

Guard = Callable[[Request], Awaitable[Response | None]]
DirectAnswer = Callable[[Scope, Receive, Send], Awaitable[bool]]
"""Answers a request, or says False before it read anything of its body: then it is for the framework."""
Direct = Mapping[tuple[str, str], DirectAnswer]
"""By method and path: what answers for itself. The framework's layers cost more than a good part of such an answer."""
Fault = Callable[[Request, Exception], Response]

NOTHING_DIRECT: Final[Direct] = MappingProxyType({})
REQUEST_ID: Final = b"x-request-id"
SAFE: Final = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
"""Headers of every answer that does not say otherwise."""


class RequestNumbers:
    """Requests by method and status class, never by path, as paths hold ids; and seconds until the answer began."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "sural_http_requests", "HTTP requests answered.", ("service", "method", "status"), registry=registry
        )
        self._seconds = Histogram(
            "sural_http_request_seconds", "Seconds until the answer.", ("service", "method"), registry=registry
        )
        self._of = lru_cache(maxsize=256)(self._labelled)

    def count(self, service: str, method: str, status: int, seconds: float) -> None:
        """One more request was answered."""
        requests, took = self._of(service, method, status // 100)
        requests.inc()
        took.observe(seconds)

    def _labelled(self, service: str, method: str, hundreds: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(service, method, f"{hundreds}xx"), self._seconds.labels(service, method)


class Answered:
    """Every request of a service: `guard` sees it first and may answer; `fault` answers for what nothing else caught.

    So every answer is counted and carries its request id. `direct`: what is answered without `app`, after the guard.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        numbers: RequestNumbers,
        guard: Guard,
        fault: Fault,
        direct: Direct = NOTHING_DIRECT,
    ) -> None:
        self._app, self._service, self._numbers, self._guard, self._fault = app, service, numbers, guard, fault
        self._direct = direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        identifier = request.state.request_id = _request_id(request.headers.get("x-request-id", ""))
        started = time.perf_counter()
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                self._numbers.count(self._service, scope["method"], message["status"], time.perf_counter() - started)
                message = {**message, "headers": _completed(message["headers"], identifier)}
            await send(message)

        with correlated(request=identifier):
            try:
                refusal = await self._guard(request)
                direct = self._direct.get((scope["method"], scope["path"])) if refusal is None else None
                if direct is None or not await direct(scope, receive, answer):
                    await (refusal or self._app)(scope, receive, answer)
            except ClientDisconnect:
                return  # in the middle of its body: nobody is left to be answered, and nothing is wrong with us
            except Exception as error:
                if begun:
                    raise
                await self._fault(request, error)(scope, receive, answer)


def _request_id(given: str) -> str:
    """What the sender calls the request, if that is a sensible name, else one of ours."""
    return given if 0 < len(given) <= 64 and given.isascii() and given.isprintable() else str(uuid7())


def _completed(headers: list[tuple[bytes, bytes]], identifier: str) -> list[tuple[bytes, bytes]]:
    names = {name for name, _ in headers}
    kept = [header for header in headers if header[0] != REQUEST_ID] if REQUEST_ID in names else headers
    return [*kept, (REQUEST_ID, identifier.encode()), *(header for header in SAFE if header[0] not in names)]
