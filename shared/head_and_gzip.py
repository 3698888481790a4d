"""HEAD wherever GET is, and FHIR answers compressed for who can read them (R4 http.html; RFC 9110)."""

from __future__ import annotations

from typing import Final

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MINIMUM_BYTES: Final = 1024
"""Below this, compressing costs more than it saves."""
LEVEL: Final = 5


class CompressFhir:
    """gzip for answers under /fhir when Accept-Encoding asks; pages, which may hold secrets of a session, never."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._gzip = GZipMiddleware(app, minimum_size=MINIMUM_BYTES, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        fhir = scope["type"] == "http" and str(scope["path"]).startswith("/fhir")
        await (self._gzip if fhir else self._plain)(scope, receive, send)


def compressed(response: Response) -> ASGIApp:
    """An answer of a FHIR address, sent as `CompressFhir` would send it."""
    if len(response.body) < MINIMUM_BYTES:
        return response
    return GZipMiddleware(response, minimum_size=MINIMUM_BYTES, compresslevel=LEVEL)


class HeadAsGet:
    """Answers HEAD as GET, with the same headers and no body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, without_body)
