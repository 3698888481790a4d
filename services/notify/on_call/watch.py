"""Looks 30 days ahead, again and again: rotas age. A hole that comes near is told to the fallback once a day."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from services.notify.channels import GAP, Answer, Message
from services.notify.context import Notify
from services.notify.escalation import EMAIL, Place, Plan, Recipient
from services.notify.on_call import store
from services.notify.on_call.check import find_flaws, gap_hours
from services.notify.on_call.document import Document
from services.notify.on_call.flaw import DocumentFlawed
from services.notify.on_call.store import Watch
from services.notify.on_call.turn import Route, turn_at
from services.notify.push.store import people_with_devices
from services.notify.send import GRACE_S, send_within
from shared.fhir.codes import Urgency
from shared.ids import uuid7
from shared.operations import Gauge
from shared.postgres import Pool, database_now, tenant_transaction

TELL_EVERY = timedelta(days=1)

log = logging.getLogger(__name__)


def look_ahead(notify: Notify, ways: Collection[str]) -> int:
    """Look at every tenant's newest document; returns how many leave somebody unheard.

    What is found is kept for /metrics, and told to the fallback by e-mail, once a day while it lasts.
    """
    with notify.pool.connection() as connection:
        tenants = store.tenants(connection)
    return sum(_look(notify, tenant, ways) for tenant in tenants)


def _look(notify: Notify, tenant: UUID, ways: Collection[str]) -> bool:
    with tenant_transaction(notify.pool, tenant) as connection:
        before = store.watch(connection, tenant)
        now = database_now(connection)
        version = store.newest(connection, tenant)
        try:
            document = store.at_version(connection, tenant, version)
        except DocumentFlawed:
            document = None
        found = _found(document, version, now, ways, people_with_devices(connection, tenant))
        told_at = before.told_at if before and found.flaws else None
        store.save_watch(connection, tenant, replace(found, told_at=told_at))
    if not found.flaws:
        return False
    log.error("on-call document leaves somebody unheard", extra={"number": found.flaws})
    if (told_at is None or now - told_at >= TELL_EVERY) and _tell(notify, document, now):
        with tenant_transaction(notify.pool, tenant) as connection:
            store.save_watch(connection, tenant, replace(found, told_at=now))
    return True


def _found(
    document: Document | None, version: int, now: datetime, ways: Collection[str], devices: Collection[str]
) -> Watch:
    """A document that cannot be read any more is one flaw, and thirty days without anybody."""
    if document is None:
        return Watch(version, now, 30 * 24.0, 1, now)
    hours, first = gap_hours(document, now)
    return Watch(version, now, hours, len(find_flaws(document, now, ways=ways, devices=devices)), first)


def _tell(notify: Notify, document: Document | None, now: datetime) -> bool:
    """Send the fallback a mail that says so; True when at least one was taken."""
    channel = notify.channels.get(EMAIL)
    addresses = sorted({one.address for one in _whom(notify.plan, document, now)})
    if channel is None:
        return False
    taken = False
    for address in addresses:
        message = Message(
            delivery_id=uuid7(),
            alert_id=uuid7(),
            urgency=Urgency.SAME_DAY,
            step=1,
            opened_at=now,
            recipient=address,
            public_url=notify.public_url,
            sandbox=notify.sandbox,
            notice=GAP,
        )
        result = send_within(notify.channel_timeout_s + GRACE_S, channel, message)
        taken = taken or result.answer is Answer.SENT
    return taken


def _whom(plan: Plan, document: Document | None, now: datetime) -> Iterable[Recipient]:
    """The fallback's e-mail addresses, and those of the settings."""
    if document is None:
        return [one for one in plan.recipients if one.channel == EMAIL]
    route = Route(None, document, document, Urgency.SAME_DAY, plan.recipients, TELL_EVERY)
    told = turn_at(route, Place(), now).told
    named = [one for one in told if one.channel == EMAIL]
    return named or [one for one in plan.recipients if one.channel == EMAIL]


def gauges(pool: Pool) -> Iterable[Gauge]:
    """What the last look found, and alerts whose chain has ended while nobody acknowledged."""
    with pool.connection() as connection:
        (gaps,) = connection.execute(store.QUERIES["measure_gaps"]).fetchall()
        exhausted = connection.execute(store.QUERIES["measure_exhausted"]).fetchall()
    about = "Hours of the next 30 days for which a rota has nobody, of the worst tenant."
    yield Gauge("sural_on_call_gap_hours", about, {}, float(gaps["gap_hours"]))
    about = "What the check of the on-call documents finds, of all tenants."
    yield Gauge("sural_on_call_flaws", about, {}, float(gaps["flaws"]))
    numbers = dict.fromkeys(("emergency", "same_day"), 0) | {row["urgency"]: row["number"] for row in exhausted}
    for urgency, number in numbers.items():
        about = "Alerts that nobody acknowledged although their escalation has ended: the fallback is told."
        yield Gauge("sural_alerts_exhausted", about, {"urgency": urgency}, float(number))
