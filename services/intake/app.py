"""Composition root of intake's web process: settings, pool, catalogue, routes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from fastapi import FastAPI

from services.intake import (
    api,
    bundle_api,
    follow_up_api,
    operations_api,
    pages,
    quarantine_api,
    quarantine_store,
    questionnaire_api,
    registrations_api,
    signing_in,
    who_looks,
)
from services.intake.catalogue import Catalogue
from services.intake.context import IntakeContext
from services.intake.definitions import api as definitions_api
from services.intake.form import pages as form_pages
from services.intake.form.tablet import Invitations, tablets_of
from services.intake.metadata import NeighbourParts
from services.intake.neighbours import neighbours as neighbours_of
from services.intake.safety_net import SafetyNet
from services.intake.settings import IntakeSettings
from services.intake.together import Together
from shared.access.keys import GivenKeys
from shared.access.opening import gate_of
from shared.events import TRIAGE
from shared.failpoint import reach
from shared.fhir import identity
from shared.fhir.capability import parts_of
from shared.fhir.neighbours import Neighbours
from shared.fhir.rest import ResourceApi
from shared.loop_waker import LoopWaker
from shared.operations import Gauge, Metrics, measure_work
from shared.outbox import Waker
from shared.postgres import Pool, connect, open_pool
from shared.service_app import service_app

SCHEMA = "intake"


def create_app(settings: IntakeSettings, *, metrics: Metrics | None = None) -> FastAPI:
    """The ASGI application of intake. Opens its pool at once and closes it at shutdown."""
    url = settings.intake_database_url.get_secret_value()
    pool = open_pool(url, schema=SCHEMA, size=settings.pool_size, name="web")
    together = Together(partial(connect, url, schema=SCHEMA))
    beside = partial(connect, url, schema=SCHEMA)
    waker = LoopWaker(beside, SCHEMA, Waker(beside, SCHEMA))
    addresses = {"triage": settings.triage_url, "notify": settings.notify_url}
    resources = ResourceApi(
        pool,
        settings.public_url,
        identity.as_received,
        frozenset(capability.type for capability in api.CAPABILITIES),
        Neighbours(addresses),
    )
    neighbours = NeighbourParts(
        {name: f"{base.rstrip('/')}/capability/{name}" for name, base in addresses.items() if base}
    )
    asked = neighbours_of(settings)

    door = who_looks.door_of(settings)

    def stored() -> None:
        reach("intake.store.after_commit")
        waker.wake(TRIAGE)

    def close() -> None:
        together.close()
        waker.close()
        door.close()
        asked.close()

    keys = signing_in.token_keys(settings)
    app = service_app(
        "intake",
        resources,
        api.CAPABILITIES,
        measure=lambda: measure(pool),
        metrics=metrics,
        neighbours=neighbours.parts,
        audit_neighbours=addresses,
        system=api.WHOLE,
        close=close,
        allowed_hosts=settings.allowed_hosts,
        gate=gate_of(settings, GivenKeys(keys.public), pages=("/submission",)),
    )
    signing_in.install(app, settings, pool, keys, lambda: [*parts_of(api.CAPABILITIES), *neighbours.parts()])
    net = SafetyNet(pool, settings.quarantine_per_minute, waker.wake)
    app.include_router(quarantine_api.routes(pool, most=settings.quarantine_per_minute))
    app.include_router(registrations_api.routes(pool))
    context = IntakeContext(resources, Catalogue(pool), together, net, stored, asked.triage)
    app.include_router(follow_up_api.routes(resources, asked))
    number = settings.emergency_number
    tablets = tablets_of(settings)
    forms = form_pages.routes(context, tablets, public_url=settings.public_url, emergency_number=number)
    app.include_router(forms)
    invitations = Invitations(tablets, settings.form_patient_system, settings.public_url)
    staff = pages.routes(pool, asked, door, invitations, public_url=settings.public_url, sandbox=settings.sandbox)
    app.include_router(staff)
    for module in (operations_api, api, questionnaire_api):
        app.include_router(module.routes(context))
    api.install_create(app, context)
    own = frozenset({"metadata", *(capability.type for capability in api.CAPABILITIES)})
    app.include_router(bundle_api.routes(context, neighbours, own))
    app.include_router(definitions_api.routes(ResourceApi(pool, settings.public_url, identity.as_stored)))
    return app


def measure(pool: Pool) -> Iterable[Gauge]:
    """Work in hand, and refused submissions."""
    yield from measure_work(pool, "intake")
    with pool.connection() as connection:
        states = connection.execute(quarantine_store.QUERIES["measure"]).fetchall()
        turned_away = connection.execute(quarantine_store.QUERIES["turned_away"]).fetchone()
    for row in states:
        labels = {"state": row["state"]}
        yield Gauge("sural_quarantine", "Refused submissions of the last 24 hours.", labels, float(row["number"]))
    oldest = max((row["oldest_s"] for row in states if row["state"] == "waiting"), default=0.0)
    yield Gauge("sural_quarantine_oldest_waiting_seconds", "Age of the oldest that nobody looked at.", {}, oldest)
    if turned_away is not None:
        number = float(turned_away["number"])
        yield Gauge("sural_quarantine_turned_away", "Refused submissions that were NOT looked at.", {}, number)
