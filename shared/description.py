"""The base described for programs (/openapi.json) and for people (/docs), from its CapabilityStatement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.responses import HTMLResponse, JSONResponse, Response

from shared.docs_page import HEADERS, docs_page
from shared.fhir.openapi import openapi


def install_description(app: FastAPI, statement: Callable[[], dict[str, Any]], *, base: str, signed_in: bool) -> None:
    """Add /openapi.json and /docs. `statement`: the CapabilityStatement as it is now, over all services that answer."""

    @app.get("/openapi.json", include_in_schema=False)
    def description() -> Response:
        return JSONResponse(openapi(statement(), base=base))

    @app.get("/docs", include_in_schema=False)
    def page() -> Response:
        return HTMLResponse(docs_page(openapi(statement(), base=base), signed_in=signed_in), headers=HEADERS)
