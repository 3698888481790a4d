"""Composition root of notify's web process: settings, pool, FHIR routes, pages, operations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

from services.notify import api, pages, store
from services.notify.settings import NotifySettings
from shared.fhir import identity
from shared.fhir.capability import capability_statement, parts_of
from shared.fhir.http import FhirResponse, ResourceApi, install_error_handlers
from shared.ids import DEFAULT_TENANT
from shared.operations import Gauge, Metrics, check_database, install_operations, measure_work
from shared.postgres import Pool, open_pool
from shared.version import VERSION


def create_app(settings: NotifySettings, *, metrics: Metrics | None = None) -> FastAPI:
    """The ASGI application of notify. Opens its pool at once and closes it at shutdown."""
    url = settings.notify_database_url.get_secret_value()
    pool = open_pool(url, schema=store.SCHEMA, size=settings.pool_size, name="web")
    resources = ResourceApi(pool, settings.public_url, DEFAULT_TENANT, identity.as_stored)
    started = datetime.now(UTC)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        pool.close()

    app = FastAPI(title="Sural notify", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    install_error_handlers(app)
    install_operations(
        app,
        service="notify",
        checks={"database": check_database(pool)},
        measure=lambda: measure(pool),
        version=VERSION,
        metrics=metrics,
    )
    app.include_router(api.routes(resources))
    app.include_router(pages.routes(pool, DEFAULT_TENANT, public_url=settings.public_url, sandbox=settings.sandbox))

    @app.get("/fhir/metadata")
    def metadata() -> Response:
        parts = parts_of(api.CAPABILITIES)
        return FhirResponse(capability_statement(parts, url=resources.base, version=VERSION, published=started))

    @app.get("/capability/notify", include_in_schema=False)
    def capability() -> Response:
        return JSONResponse({"resource": parts_of(api.CAPABILITIES)})

    return app


def measure(pool: Pool) -> Iterable[Gauge]:
    """Work in hand, alerts that nobody acknowledged, deliveries of the last day, and what had to be put right."""
    yield from measure_work(pool, "notify")
    with pool.connection() as connection:
        alerts = connection.execute(store.QUERIES["measure_alerts"]).fetchall()
        deliveries = connection.execute(store.QUERIES["measure_deliveries"]).fetchall()
        repairs = connection.execute(store.QUERIES["repairs"]).fetchall()
    for row in alerts:
        labels = {"urgency": row["urgency"], "state": row["state"]}
        yield Gauge("sural_alerts_open", "Alerts that nobody has acknowledged.", labels, float(row["number"]))
    oldest = max((row["oldest_s"] for row in alerts), default=0.0)
    overdue = max((row["overdue_s"] for row in alerts), default=0.0)
    yield Gauge("sural_alert_oldest_unacknowledged_seconds", "Age of the oldest open alert.", {}, oldest)
    yield Gauge("sural_alert_overdue_seconds", "How late the next step of an alert is.", {}, overdue)
    for row in deliveries:
        labels = {"channel": row["channel"], "state": row["state"]}
        yield Gauge("sural_deliveries", "Deliveries of the last 24 hours.", labels, float(row["number"]))
    for row in repairs:
        labels = {"service": "notify", "kind": row["kind"]}
        yield Gauge("sural_reconciler_repairs", "What the reconciler put right.", labels, float(row["number"]))
