"""Composition root of intake's web process: settings, pool, catalogue, routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

from services.intake import api
from services.intake.catalogue import Catalogue
from services.intake.metadata import NeighbourParts
from services.intake.settings import IntakeSettings
from shared.fhir import identity
from shared.fhir.capability import capability_statement, parts_of
from shared.fhir.http import FhirResponse, ResourceApi, install_error_handlers
from shared.ids import DEFAULT_TENANT
from shared.operations import Metrics, check_database, install_operations, measure_work
from shared.outbox import Waker
from shared.postgres import connect, open_pool
from shared.version import VERSION

SCHEMA = "intake"


def create_app(settings: IntakeSettings, *, metrics: Metrics | None = None) -> FastAPI:
    """The ASGI application of intake. Opens its pool at once and closes it at shutdown."""
    url = settings.intake_database_url.get_secret_value()
    pool = open_pool(url, schema=SCHEMA, size=settings.pool_size)
    catalogue = Catalogue(pool, DEFAULT_TENANT)
    waker = Waker(lambda: connect(url, schema=SCHEMA), SCHEMA)
    resources = ResourceApi(pool, settings.public_url, DEFAULT_TENANT, identity.as_received)
    neighbours = NeighbourParts(
        {
            name: f"{base.rstrip('/')}/capability/{name}"
            for name, base in (("triage", settings.triage_url), ("notify", settings.notify_url))
            if base
        }
    )
    started = datetime.now(UTC)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        waker.close()
        pool.close()

    app = FastAPI(title="Sural intake", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    install_error_handlers(app)
    install_operations(
        app,
        service="intake",
        checks={"database": check_database(pool)},
        measure=lambda: measure_work(pool, "intake"),
        version=VERSION,
        metrics=metrics,
    )
    app.include_router(api.routes(resources, catalogue, stored=waker.wake))

    @app.get("/fhir/metadata")
    def metadata() -> Response:
        parts = [*parts_of(api.CAPABILITIES), *neighbours.parts()]
        return FhirResponse(
            capability_statement(parts, url=resources.base, version=VERSION, published=started)
        )

    @app.get("/capability/intake", include_in_schema=False)
    def capability() -> Response:
        return JSONResponse({"resource": parts_of(api.CAPABILITIES)})

    return app
