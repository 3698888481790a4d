"""What the web process of every service has: errors as FHIR, operations, and a statement of what it offers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

from shared.fhir.capability import ResourceCapability, capability_statement, parts_of
from shared.fhir.http import FhirResponse, ResourceApi, install_error_handlers
from shared.operations import Measure, Metrics, check_database, install_operations
from shared.version import VERSION

Neighbours = Callable[[], Sequence[dict[str, Any]]]
"""The `rest.resource` entries that other services of the same base offer."""


def service_app(
    service: str,
    resources: ResourceApi,
    capabilities: Sequence[ResourceCapability],
    *,
    measure: Measure,
    metrics: Metrics | None,
    neighbours: Neighbours = tuple,
    close: Callable[[], None] = lambda: None,
) -> FastAPI:
    """A FastAPI application on `resources.pool`, which it closes (after `close`) at shutdown.

    It has /livez, /readyz, /metrics, /fhir/metadata and /capability/SERVICE; the caller adds the service's own routes.
    """
    started = datetime.now(UTC)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        close()
        resources.pool.close()

    app = FastAPI(title=f"Sural {service}", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    install_error_handlers(app)
    checks = {"database": check_database(resources.pool)}
    install_operations(app, service=service, checks=checks, measure=measure, version=VERSION, metrics=metrics)

    @app.get("/fhir/metadata")
    def metadata() -> Response:
        parts = [*parts_of(capabilities), *neighbours()]
        return FhirResponse(capability_statement(parts, url=resources.base, version=VERSION, published=started))

    @app.get(f"/capability/{service}", include_in_schema=False)
    def capability() -> Response:
        return JSONResponse({"resource": parts_of(capabilities)})

    return app
