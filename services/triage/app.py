"""Composition root of triage's web process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

from services.triage import api, store
from services.triage.settings import TriageSettings
from shared.fhir import identity
from shared.fhir.capability import capability_statement, parts_of
from shared.fhir.http import FhirResponse, ResourceApi, install_error_handlers
from shared.ids import DEFAULT_TENANT
from shared.operations import Gauge, Metrics, check_database, install_operations, measure_work
from shared.postgres import Pool, open_pool
from shared.version import VERSION


def create_app(settings: TriageSettings, *, metrics: Metrics | None = None) -> FastAPI:
    """The ASGI application of triage. Opens its pool at once and closes it at shutdown."""
    pool = open_pool(
        settings.triage_database_url.get_secret_value(), schema="triage", size=settings.pool_size, name="web"
    )
    resources = ResourceApi(pool, settings.public_url, DEFAULT_TENANT, identity.as_stored)
    started = datetime.now(UTC)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        pool.close()

    app = FastAPI(title="Sural triage", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    install_error_handlers(app)
    install_operations(
        app,
        service="triage",
        checks={"database": check_database(pool)},
        measure=lambda: measure(pool),
        version=VERSION,
        metrics=metrics,
    )
    app.include_router(api.routes(resources))

    @app.get("/fhir/metadata")
    def metadata() -> Response:
        parts = parts_of(api.CAPABILITIES)
        return FhirResponse(capability_statement(parts, url=resources.base, version=VERSION, published=started))

    @app.get("/capability/triage", include_in_schema=False)
    def capability() -> Response:
        return JSONResponse({"resource": parts_of(api.CAPABILITIES)})

    return app


def measure(pool: Pool) -> Iterable[Gauge]:
    """Work in hand, assessments by urgency, and what had to be put right."""
    yield from measure_work(pool, "triage")
    with pool.connection() as connection:
        urgencies = connection.execute(store.QUERIES["by_urgency"]).fetchall()
        repairs = connection.execute(store.QUERIES["repairs"]).fetchall()
    for row in urgencies:
        labels = {"urgency": row["urgency"]}
        yield Gauge("sural_assessments", "Current assessments by urgency.", labels, float(row["number"]))
    for row in repairs:
        labels = {"service": "triage", "kind": row["kind"]}
        yield Gauge("sural_reconciler_repairs", "What the reconciler put right.", labels, float(row["number"]))
