"""What notify does beside its workers: repeating what nobody acknowledged, catching up, and doing what nobody did.

Together these loops are the path that needs no broker: every step of it is a row that is due.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from services.notify import store
from services.notify.catch_up import catch_up
from services.notify.context import Notify, open_notify, ways
from services.notify.deliver import deliver_to, due_recipients
from services.notify.escalate import repeat_due
from services.notify.escalation import JOB_KINDS
from services.notify.fatigue.send_digests import send_digests
from services.notify.hear import RAISE_ROUTINE, RAISE_URGENT, raise_alerts
from services.notify.lanes import Lanes
from services.notify.on_call.watch import look_ahead
from services.notify.reconcile import reconcile
from services.notify.settings import NotifySettings
from services.notify.subscriptions.crew import Crew
from services.notify.subscriptions.distribute import distribute
from services.notify.subscriptions.send import end_unregistered
from services.notify.subscriptions.store import forget as forget_events
from services.notify.watchdog import store as watchdog_store
from services.notify.watchdog.rounds import Watchdog, look
from services.notify.write_back.store import name_target
from services.notify.write_back.write import write_due
from shared import jobs
from shared.access.service_token import signer
from shared.audit.chain import run_sealing
from shared.broker import Publisher, make_celery
from shared.canary import run_heartbeat, send_canaries
from shared.events import NOTIFY_ROUTINE, NOTIFY_URGENT
from shared.fhir.client import FhirClient
from shared.loops import run_every
from shared.watchdog import EVERY_S as FORGET_S
from shared.watchdog import forget_rounds

EVENTS_S, REGISTRATIONS_S = 0.5, 5.0
ANSWERING_SENDERS, FAILING_SENDERS = 4, 2
CATCH_UP_S, TICK_S, SWEEP_S, RECONCILE_S, PRUNE_S = 2.0, 1.0, 1.0, 5.0, 60.0
CATCH_UP_SHARE, CATCH_UP_MOST_S = 0.1, 8.0
"""A look at triage reads everything that is new several times over; under load it comes seldom, but never later."""
LOOK_AHEAD_S = 600.0
"""How often the on-call documents are looked at, 30 days ahead. What is found is told once a day."""
DIGEST_S = 60.0
TARGET_S = 3600.0
"""How often it is noted whose Tasks are kept on the EHR's server: it changes with the settings only."""
WORKER_GRACE_S = 1.0
"""Due work younger than this is left to the workers."""
POOL_SIZE = 20
CLOSING_S = 8.0

Loop = tuple[str, Callable[[threading.Event], None]]


def loops(settings: NotifySettings) -> list[Loop]:
    """Named loops; each runs until its event is set."""
    notify = open_notify(settings, size=POOL_SIZE, name="background")
    publisher = Publisher(make_celery(settings.redis_url.get_secret_value()))
    every: list[tuple[str, float, Callable[[], object]]] = [
        ("notify-tick", TICK_S, lambda: repeat_due(notify.pool, notify.plan)),
        ("notify-reconcile", RECONCILE_S, lambda: reconcile(notify.pool, notify.plan)),
        ("notify-on-call", LOOK_AHEAD_S, partial(look_ahead, notify, ways(settings))),
        ("notify-digest", DIGEST_S, partial(send_digests, notify, settings.digest_at)),
        ("notify-prune", PRUNE_S, lambda: prune(notify)),
        ("notify-watchdog-forget", FORGET_S, lambda: forget_rounds(notify.pool, store.SCHEMA, watchdog_store.forget)),
    ]
    if (watchdog := open_watchdog(settings, notify)) is not None:
        every.append(("notify-watchdog", TICK_S, partial(look, watchdog)))
    every += [(f"notify-{kind}", SWEEP_S, partial(sweep, notify, kind)) for kind in (RAISE_URGENT, RAISE_ROUTINE)]
    every += subscription_loops(notify)
    every += write_back_loops(notify, settings)
    running: list[Loop] = [
        (name, partial(run_every, name, interval_s, function)) for name, interval_s, function in every
    ]
    queues = (NOTIFY_URGENT, NOTIFY_ROUTINE)
    return [
        *running,
        ("notify-catch-up", partial(catch_up_sparingly, notify)),
        ("notify-send", partial(send_due, notify)),
        ("notify-canary", lambda stop: send_canaries(publisher, queues, stop)),
        ("notify-audit", lambda stop: run_sealing(notify.pool, store.SCHEMA, stop)),
        ("notify-subscribers-answering", partial(tell_subscribers, notify, failing=False)),
        ("notify-subscribers-failing", partial(tell_subscribers, notify, failing=True)),
        ("notify-heartbeat", lambda stop: run_heartbeat(notify.pool, store.SCHEMA, stop)),
    ]


def open_watchdog(settings: NotifySettings, notify: Notify) -> Watchdog | None:
    """The watchdog, where it is wanted and its calls can be signed: an unsigned one would not be for its tenant."""
    token = signer(settings.service_token, store.SCHEMA)
    if not settings.watchdog_every_s or token is None:
        return None
    return Watchdog(
        pool=notify.pool,
        intake=FhirClient(settings.intake_url, token=token),
        every=timedelta(seconds=settings.watchdog_every_s),
        url=settings.watchdog_url.get_secret_value() if settings.watchdog_url else "",
        sandbox=settings.sandbox,
    )


def subscription_loops(notify: Notify) -> list[tuple[str, float, Callable[[], object]]]:
    """Give events out, and forget them when nobody can ask for them any more."""

    def forget() -> None:
        with notify.pool.connection() as connection:
            forget_events(connection)

    return [
        ("notify-events", EVENTS_S, lambda: distribute(notify.pool, notify.triage)),
        ("notify-registrations", REGISTRATIONS_S, lambda: end_unregistered(notify.sender)),
        ("notify-events-prune", PRUNE_S, forget),
    ]


def tell_subscribers(notify: Notify, stop: threading.Event, *, failing: bool) -> None:
    """A few threads for whoever answers, and others for whoever does not: a dead one keeps nobody else waiting."""
    crew = Crew(notify.sender, failing=failing, most=FAILING_SENDERS if failing else ANSWERING_SENDERS)
    run_every(f"notify-subscribers-{'failing' if failing else 'answering'}", EVENTS_S, crew.look, stop)
    crew.close(CLOSING_S)


def write_back_loops(notify: Notify, settings: NotifySettings) -> list[tuple[str, float, Callable[[], object]]]:
    """Keep Tasks and Communications on the EHR's server, where there is one: two senders, as one write may hang."""
    ehr = notify.ehr
    tenant = settings.ehr_tenant if ehr else None

    def name() -> None:
        name_target(notify.pool, tenant)

    loops: list[tuple[str, float, Callable[[], object]]] = [("notify-ehr", TARGET_S, name)]
    if ehr is not None:
        loops += [(f"notify-ehr-{at}", EVENTS_S, partial(write_due, notify.pool, ehr)) for at in (1, 2)]
    return loops


def catch_up_sparingly(notify: Notify, stop: threading.Event) -> None:
    """Catch up until stopped, with most of the time left to others."""
    look = partial(look_at_triage, notify)
    run_every("notify-catch-up", CATCH_UP_S, look, stop, share=CATCH_UP_SHARE, most_s=CATCH_UP_MOST_S)


def look_at_triage(notify: Notify) -> None:
    """Catch up. What it finds was not told by a message in time, so it is counted."""
    if new := catch_up(notify.pool, notify.triage):
        with notify.pool.connection() as connection:
            store.count_repair(connection, "assessment_without_message", new)


def sweep(notify: Notify, kind: str) -> None:
    """Let assessments have their effect that no worker took."""
    if taken := jobs.drain(notify.pool, kind, partial(raise_alerts, notify), min_age_s=WORKER_GRACE_S):
        with notify.pool.connection() as connection:
            store.count_repair(connection, "assessment_without_worker", taken)


def send_due(notify: Notify, stop: threading.Event) -> None:
    """Send what is due: first attempts that no worker made, all repeats and all further attempts."""
    lanes = Lanes(
        JOB_KINDS,
        find=lambda: due_recipients(notify, min_age_s=WORKER_GRACE_S),
        work=lambda kind, stopped: deliver_to(notify, kind, min_age_s=WORKER_GRACE_S, stopped=stopped)[1],
    )
    while not stop.wait(SWEEP_S):
        lanes.wake()
    lanes.close(CLOSING_S)


def prune(notify: Notify) -> None:
    """Forget finished jobs after a week."""
    with notify.pool.connection() as connection:
        connection.execute(jobs.QUERIES["prune"])
