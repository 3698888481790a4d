"""Composition root of triage's web process."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from fastapi import FastAPI

from services.triage import api, operations_api, store, terminology_api
from services.triage.assess_response import open_assessor
from services.triage.dry_run import DryRun
from services.triage.settings import TriageSettings
from shared.access.opening import gate_of
from shared.fhir import identity
from shared.fhir.neighbours import Neighbours
from shared.fhir.rest import ResourceApi
from shared.operations import Gauge, Metrics, measure_work
from shared.postgres import Pool, open_pool
from shared.service_app import service_app


def create_app(settings: TriageSettings, *, metrics: Metrics | None = None) -> FastAPI:
    """The ASGI application of triage. Opens its pool at once and closes it at shutdown."""
    url = settings.triage_database_url.get_secret_value()
    pool = open_pool(url, schema="triage", size=settings.pool_size, name="web")
    resources = ResourceApi(
        pool,
        settings.public_url,
        identity.as_stored,
        frozenset(capability.type for capability in api.CAPABILITIES),
        Neighbours({"intake": settings.intake_url, "notify": settings.notify_url}),
    )
    dry_run = cache(lambda: DryRun(open_assessor(settings, pool)))

    def close() -> None:
        if dry_run.cache_info().currsize:
            dry_run().assessor.client.close()

    app = service_app(
        "triage",
        resources,
        api.CAPABILITIES,
        measure=lambda: measure(pool),
        metrics=metrics,
        close=close,
        allowed_hosts=settings.allowed_hosts,
        gate=gate_of(settings),
    )
    app.include_router(terminology_api.routes(pool))
    app.include_router(operations_api.routes(dry_run))
    app.include_router(api.routes(resources))
    return app


def measure(pool: Pool) -> Iterable[Gauge]:
    """Work in hand, assessments by urgency, and what had to be put right."""
    yield from measure_work(pool, "triage")
    with pool.connection() as connection:
        urgencies = connection.execute(store.QUERIES["by_urgency"]).fetchall()
        repairs = connection.execute(store.QUERIES["repairs"]).fetchall()
    for row in urgencies:
        labels = {"urgency": row["urgency"]}
        yield Gauge("sural_assessments", "Assessments of the last 24 hours by urgency.", labels, float(row["number"]))
    for row in repairs:
        labels = {"service": "triage", "kind": row["kind"]}
        yield Gauge("sural_reconciler_repairs", "What the reconciler put right.", labels, float(row["number"]))
