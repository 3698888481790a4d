"""A slash too many at the end of a FHIR address means the same address: no answer is lost for it."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class WithoutTrailingSlash:
    """`/fhir/QuestionnaireResponse/` is `/fhir/QuestionnaireResponse`, for the gate and for every route.

    It is not redirected: a body must not follow to another address.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        path = str(scope.get("path", ""))
        if scope["type"] == "http" and path.startswith("/fhir/") and path.endswith("/"):
            scope = {**scope, "path": path[:-1]}
        await self._app(scope, receive, send)
