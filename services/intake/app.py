"""Composition root of intake's web process: settings, pool, catalogue, routes."""

from __future__ import annotations

from fastapi import FastAPI

from services.intake import api
from services.intake.catalogue import Catalogue
from services.intake.metadata import NeighbourParts
from services.intake.settings import IntakeSettings
from shared.access.gate import Gate
from shared.fhir import identity
from shared.fhir.http import ResourceApi
from shared.ids import DEFAULT_TENANT
from shared.operations import Metrics, measure_work
from shared.outbox import Waker
from shared.postgres import connect, open_pool
from shared.service_app import service_app

SCHEMA = "intake"


def create_app(settings: IntakeSettings, *, metrics: Metrics | None = None) -> FastAPI:
    """The ASGI application of intake. Opens its pool at once and closes it at shutdown."""
    url = settings.intake_database_url.get_secret_value()
    pool = open_pool(url, schema=SCHEMA, size=settings.pool_size, name="web")
    waker = Waker(lambda: connect(url, schema=SCHEMA), SCHEMA)
    resources = ResourceApi(pool, settings.public_url, identity.as_received)
    addresses = {"triage": settings.triage_url, "notify": settings.notify_url}
    neighbours = NeighbourParts(
        {name: f"{base.rstrip('/')}/capability/{name}" for name, base in addresses.items() if base}
    )
    app = service_app(
        "intake",
        resources,
        api.CAPABILITIES,
        measure=lambda: measure_work(pool, "intake"),
        metrics=metrics,
        neighbours=neighbours.parts,
        close=waker.close,
        allowed_hosts=settings.allowed_hosts,
        gate=Gate(service_secret=settings.service_token),
    )
    app.include_router(api.routes(resources, Catalogue(pool, DEFAULT_TENANT), stored=waker.wake))
    return app
