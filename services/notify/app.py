"""Composition root of notify's web process: settings, pool, FHIR routes, pages."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import FastAPI

from services.notify import api, store
from services.notify.page import asset_routes, no_other_pages
from services.notify.settings import NotifySettings
from services.notify.sign_in.door import door_of
from services.notify.worklist import pages
from shared.access.opening import gate_of
from shared.fhir import identity
from shared.fhir.neighbours import Neighbours
from shared.fhir.rest import ResourceApi
from shared.operations import Gauge, Metrics, measure_work
from shared.postgres import Pool, open_pool
from shared.service_app import service_app


def create_app(settings: NotifySettings, *, metrics: Metrics | None = None) -> FastAPI:
    """The ASGI application of notify. Opens its pool at once and closes it at shutdown."""
    url = settings.notify_database_url.get_secret_value()
    pool = open_pool(url, schema=store.SCHEMA, size=settings.pool_size, name="web")
    resources = ResourceApi(
        pool,
        settings.public_url,
        identity.as_stored,
        frozenset(capability.type for capability in api.CAPABILITIES),
        Neighbours({"triage": settings.triage_url}),
    )
    app = service_app(
        "notify",
        resources,
        api.CAPABILITIES,
        measure=lambda: measure(pool),
        metrics=metrics,
        allowed_hosts=settings.allowed_hosts,
        gate=gate_of(settings, pages=("/worklist", "/a")),
    )
    app.state.door = door_of(settings, pool)
    app.include_router(api.routes(resources))
    app.include_router(asset_routes())
    app.include_router(pages.routes(pool, public_url=settings.public_url, sandbox=settings.sandbox))
    app.include_router(no_other_pages(public_url=settings.public_url, sandbox=settings.sandbox))
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
