"""Composition root of notify's web process: settings, pool, FHIR routes, pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

from fastapi import FastAPI

from services.notify import api, store
from services.notify.acts import api as act_api
from services.notify.acts import pages as act_pages
from services.notify.context import plan, ways
from services.notify.detail import pages as detail_pages
from services.notify.detail.neighbours import PATIENCE_S
from services.notify.detail.neighbours import Neighbours as LookingAt
from services.notify.fatigue import measures
from services.notify.fatigue import pages as measures_pages
from services.notify.on_call import pages as on_call
from services.notify.on_call.watch import gauges as on_call_gauges
from services.notify.page import asset_routes, no_other_pages
from services.notify.push import pages as devices
from services.notify.settings import NotifySettings
from services.notify.sign_in.door import door_of
from services.notify.sign_in.opening import sign_in_routes
from services.notify.subscriptions import api as subscriptions
from services.notify.subscriptions import store as subscription_store
from services.notify.subscriptions.register import Desk
from services.notify.subscriptions.send import Sender
from services.notify.watchdog.measure import measure_watchdog
from services.notify.worklist import pages
from services.notify.write_back.store import behind as write_backs_behind
from shared.access.opening import gate_of, outbound_of
from shared.access.service_token import signer
from shared.fhir import identity
from shared.fhir.client import FhirClient
from shared.fhir.neighbours import Neighbours
from shared.fhir.rest import ResourceApi
from shared.operations import Gauge, Metrics, measure_work
from shared.postgres import Pool, open_pool
from shared.service_app import service_app


def create_app(settings: NotifySettings, *, metrics: Metrics | None = None, patience_s: float = PATIENCE_S) -> FastAPI:
    """The ASGI application of notify. Opens its pool at once and closes it at shutdown.

    `patience_s`: how long a page waits for triage and intake.
    """
    url = settings.notify_database_url.get_secret_value()
    pool = open_pool(url, schema=store.SCHEMA, size=settings.pool_size, name="web")
    resources = ResourceApi(
        pool,
        settings.public_url,
        identity.as_stored,
        frozenset(capability.type for capability in api.ALERTING),  # includes bring no Subscription: each has an owner
        Neighbours({"triage": settings.triage_url}),
    )
    triage = FhirClient(settings.triage_url, token=signer(settings.service_token, "notify"))
    looking = detail_neighbours(settings, patience_s)
    app = service_app(
        "notify",
        resources,
        api.CAPABILITIES,
        measure=lambda: chain(measure(pool), measure_watchdog(pool, wanted=settings.watchdog_every_s > 0)),
        metrics=metrics,
        close=lambda: close_all(triage.close, looking.close),
        allowed_hosts=settings.allowed_hosts,
        gate=gate_of(settings, pages=("/worklist", "/a")),
    )
    app.state.door = door = door_of(settings, pool)
    app.include_router(api.routes(resources, plan(settings)))
    app.include_router(asset_routes())
    outbound = outbound_of(settings)
    sender = Sender(pool, triage, outbound, resources.base, registrations=None)  # whoever asks here shows a token
    app.include_router(subscriptions.routes(resources, Desk(pool, outbound), sender))
    for router in sign_in_routes(settings, pool, door):
        app.include_router(router)
    app.include_router(
        detail_pages.routes(
            pool,
            plan(settings),
            looking,
            public_url=settings.public_url,
            sandbox=settings.sandbox,
            patient_link=settings.patient_link,
        )
    )
    app.include_router(act_api.routes(pool, settings.receivers))
    app.include_router(act_pages.routes(pool, public_url=settings.public_url, sandbox=settings.sandbox))
    app.include_router(pages.routes(pool, plan(settings), public_url=settings.public_url, sandbox=settings.sandbox))
    app.include_router(
        on_call.routes(pool, public_url=settings.public_url, sandbox=settings.sandbox, ways=ways(settings))
    )
    app.include_router(
        devices.routes(
            pool,
            public_url=settings.public_url,
            sandbox=settings.sandbox,
            vapid=settings.vapid,
            door=outbound,
        )
    )
    app.include_router(measures_pages.routes(pool, public_url=settings.public_url, sandbox=settings.sandbox))
    app.include_router(no_other_pages(public_url=settings.public_url, sandbox=settings.sandbox))
    return app


def close_all(*closings: Callable[[], None]) -> None:
    """Give back what the pages and subscriptions asked with."""
    for close in closings:
        close()


def detail_neighbours(settings: NotifySettings, patience_s: float) -> LookingAt:
    """Triage and intake for the pages, which wait for neither of them for long."""
    token = signer(settings.service_token, "notify")
    return LookingAt(
        FhirClient(settings.triage_url, token=token, timeout_s=patience_s),
        FhirClient(settings.intake_url, token=token, timeout_s=patience_s),
        patience_s=patience_s,
    )


def measure(pool: Pool) -> Iterable[Gauge]:
    """Work in hand, alerts that nobody acknowledged, deliveries of the last day, and what had to be put right."""
    yield from measure_work(pool, "notify")
    with pool.connection() as connection:
        alerts = connection.execute(store.QUERIES["measure_alerts"]).fetchall()
        deliveries = connection.execute(store.QUERIES["measure_deliveries"]).fetchall()
        subscriptions_now = connection.execute(subscription_store.QUERIES["measure"]).fetchall()
        repairs = connection.execute(store.QUERIES["repairs"]).fetchall()
        unwritten = write_backs_behind(connection)
        unreached = connection.execute(store.QUERIES["measure_unreached"]).fetchone()
    yield from on_call_gauges(pool)
    yield from measures.gauges(pool)
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
    for row in subscriptions_now:
        labels = {"state": row["state"]}
        yield Gauge("sural_subscriptions", "FHIR Subscriptions.", labels, float(row["number"]))
        yield Gauge("sural_subscription_events_waiting", "Events not yet taken.", labels, row["waiting"])
        yield Gauge("sural_subscription_failing_seconds", "Longest time without success.", labels, row["failing_s"])
    yield Gauge("sural_write_back_waiting", "Resources not yet on the EHR's server.", {}, float(unwritten["number"]))
    yield Gauge("sural_write_back_given_up", "Of these, given up after 72 h.", {}, float(unwritten["given_up"]))
    yield Gauge("sural_write_back_failing_seconds", "Longest time without success.", {}, unwritten["failing_s"])
    nobody = float(unreached["number"]) if unreached else 0.0
    yield Gauge("sural_steps_that_reached_nobody", "Steps of alerts in 24 hours that no channel took.", {}, nobody)
    for row in repairs:
        labels = {"service": "notify", "kind": row["kind"]}
        yield Gauge("sural_reconciler_repairs", "What the reconciler put right.", labels, float(row["number"]))
