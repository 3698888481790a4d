"""Use case: tell a subscriber what waits for it: a handshake, its next events, or that we are alive.

One attempt at a time for each subscription, under a lease, so its events arrive in order. Between sending and recording
the process may die: then the same events go out again, under the same numbers. What is not taken is tried again for 72
hours, by rows that are due; after that the subscriber has to ask for it again, and loses nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Final
from uuid import UUID

import orjson

from services.notify.subscriptions import store
from services.notify.subscriptions.distribute import read_assessments
from services.notify.subscriptions.document import ACTIVE, ERROR, FULL, OFF, PAYLOAD, REQUESTED, Resource, header_parts
from services.notify.subscriptions.notification import EVENT, HANDSHAKE, HEARTBEAT, Event, notification
from services.notify.subscriptions.registrations import Registrations
from services.notify.subscriptions.store import Happened, Subscription
from services.notify.subscriptions.topics import ALERT
from shared.audit.act import Act, Asker, Interaction, Word, patient_of, record
from shared.failpoint import reach
from shared.fhir.client import FhirClient, NeighbourUnavailable, exact_digits
from shared.fhir.identity import instant
from shared.outbound import Outbound, OutboundFailed, OutboundRefused
from shared.postgres import DictConnection, Pool, database_now, tenant_transaction, unavailable

LEASE_S: Final = 60.0
"""Longer than reading, sending and recording can take."""
GRACE_S: Final = 2.0
GIVE_UP: Final = timedelta(hours=72)
PAUSES_S: Final = (5.0, 15.0, 60.0, 300.0, 900.0, 1800.0)
"""After the first failure, the second, and so on; the last one again and again."""
AWAY_S: Final = 2.0
GONE: Final = "http-410"
SERVICE: Final = Asker("service/notify")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sender:
    """What sending needs from outside. `base`: our FHIR base as clients see it.

    `registrations`: who may still be told; None: everybody, as in the sandbox.
    """

    pool: Pool
    triage: FhirClient
    outbound: Outbound
    base: str
    registrations: Registrations | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be posted, and which events are in it."""

    kind: str
    body: bytes
    events: Sequence[Event] = ()
    shown: Mapping[Event, Resource] | None = None


def send_due(sender: Sender, *, failing: bool) -> int:
    """Tell whoever is due, one after the other; returns how many were taken up.

    `failing`: those that failed lately, or all others. They have senders of their own, so that a dead one keeps nobody
    waiting who answers.
    """
    taken = 0
    while True:
        with sender.pool.connection() as connection:
            due = store.due(connection, failing=failing)
        done = [send_one(sender, tenant, subscription_id) for tenant, subscription_id in due]
        taken += done.count(True)
        if not any(done):
            return taken


def send_one(sender: Sender, tenant: UUID, subscription_id: UUID) -> bool:
    """Do what is due for one subscription; False when somebody else has it."""
    with tenant_transaction(sender.pool, tenant) as connection:
        held = store.claim(connection, tenant, subscription_id, lease_s=LEASE_S)
        if held is None:
            return False
        if any(store.over(connection, held)) or held.state not in (REQUESTED, ACTIVE):
            _end(connection, held)
            return True
    try:
        if reason := objection(sender, held):
            turn_off(sender.pool, held, reason)
            return True
        prepared = _prepare(sender, held)
    except NeighbourUnavailable:
        with tenant_transaction(sender.pool, tenant) as connection:
            store.give_back(connection, held, AWAY_S)
        return True
    except Exception as error:
        if unavailable(error):
            raise
        log.exception("notification not made", extra={"reference": str(held.id), "error": type(error).__name__})
        _record_failure(sender.pool, held, "not-made", HEARTBEAT)
        return True
    reach("subscription.before_send")
    answer = post(sender.outbound, held, prepared.body)
    reach("subscription.after_send")
    if answer is None:
        _record_taken(sender.pool, held, prepared)
    else:
        _record_failure(sender.pool, held, answer, prepared.kind)
    return True


def objection(sender: Sender, held: Subscription) -> str | None:
    """Why this subscriber may be told nothing more, or None. Raises NeighbourUnavailable where nobody knows."""
    return sender.registrations.objection(held) if sender.registrations is not None else None


def end_unregistered(sender: Sender) -> None:
    """Turn off what nobody may be told of any more, whether or not there is something to tell.

    One tenant's trouble is not another's. Raises what went wrong last, after all that can be done: those of whom nobody
    knows (NeighbourUnavailable) stay as they are.
    """
    if sender.registrations is None:
        return
    with sender.pool.connection() as connection:
        tenants = store.tenants_with_subscriptions(connection)
    failed: Exception | None = None
    for tenant in tenants:
        try:
            _end_unregistered_of(sender, tenant)
        except NeighbourUnavailable as error:
            failed = error
        except Exception as error:
            log.exception(
                "registrations not looked at", extra={"reference": str(tenant), "error": type(error).__name__}
            )
            failed = error
    if failed is not None:
        raise failed


def _end_unregistered_of(sender: Sender, tenant: UUID) -> None:
    with tenant_transaction(sender.pool, tenant) as connection:
        listening = store.all_listening(connection, tenant)
    failed = None
    for held in listening:
        try:
            if reason := objection(sender, held):
                turn_off(sender.pool, held, reason)
        except NeighbourUnavailable as error:
            failed = error
    if failed is not None:
        raise failed


def turn_off(pool: Pool, held: Subscription, reason: str) -> None:
    """Send nothing more, and say why. Whoever sends at this moment loses the lease.

    What its client or somebody else changed meanwhile is left as it is, to be looked at anew.
    """
    with tenant_transaction(pool, held.tenant_id) as connection:
        current = store.lock(connection, held.tenant_id, held.id)
        if current is None or (current.state, current.version) != (held.state, held.version):
            return
        _note(connection, current, Word.DELIVERY_GIVEN_UP)
        _move(connection, current, OFF, answer=reason)
    log.warning("subscription turned off", extra={"reference": str(held.id), "state": OFF})


def _prepare(sender: Sender, held: Subscription) -> Prepared:
    """What waits for this subscriber. Raises NeighbourUnavailable when it cannot be read now."""
    with tenant_transaction(sender.pool, held.tenant_id) as connection:
        now = database_now(connection)
        events = []
        if held.state == ACTIVE and held.events > held.sent:
            events = store.events(connection, held, held.sent + 1, held.events, most=held.max_count)
    kind = EVENT if events else HANDSHAKE if held.state == REQUESTED else HEARTBEAT
    shown = contents(sender, held, events) if held.content == FULL else {}
    standing = replace(held.standing, error=None)
    bundle = notification(sender.base, standing, kind, now, events=events, content=held.content, resources=shown)
    return Prepared(kind, orjson.dumps(bundle, default=exact_digits), events, shown)


def contents(sender: Sender, held: Subscription, events: Sequence[Event]) -> dict[Event, Resource]:
    """The resources of these events as the events left them, where they can be read. Raises NeighbourUnavailable."""
    kind, tenant = held.topic.resource_type, held.tenant_id
    if held.topic == ALERT:
        with tenant_transaction(sender.pool, tenant) as connection:
            read = [store.version_of(connection, tenant, kind, each.ref_id, each.ref_version) for each in events]
    else:
        happened = [Happened(each.ref_id, each.ref_version, each.at) for each in events]
        found = read_assessments(sender.triage, tenant, happened)
        read = [dict(each) if each is not None else None for each in found]
    return {event: resource for event, resource in zip(events, read, strict=True) if resource is not None}


def post(outbound: Outbound, held: Subscription, body: bytes) -> str | None:
    """Post a notification once; None when it was taken, else the class of what went wrong."""
    headers = dict(header_parts(header) for header in held.headers)
    headers["Content-Type"] = PAYLOAD
    door = replace(outbound, total_s=float(held.timeout_s))
    return within(held.timeout_s + GRACE_S, lambda: _post(door, held.endpoint, headers, body))


def _post(door: Outbound, endpoint: str, headers: Mapping[str, str], body: bytes) -> str | None:
    try:
        status = door.send(endpoint, headers, body)
    except OutboundRefused:
        return "address-refused"
    except OutboundFailed as failed:
        return str(failed)
    return None if 200 <= status < 300 else f"http-{status}"


def within(seconds: float, work: Callable[[], str | None]) -> str | None:
    """What this work says, or `timeout`: looking a name up has no limit of its own."""
    answers: SimpleQueue[str | None] = SimpleQueue()

    def run() -> None:
        try:
            answers.put(work())
        except Exception as error:
            log.error("notification failed unexpectedly", extra={"error": type(error).__name__}, exc_info=error)
            answers.put(type(error).__name__)

    threading.Thread(target=run, name="subscriber", daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except Empty:
        return "timeout"


def _record_taken(pool: Pool, held: Subscription, prepared: Prepared) -> None:
    """The receiver took it. Nothing is recorded when the lease was lost meanwhile: then it is sent again."""
    with tenant_transaction(pool, held.tenant_id) as connection:
        newest = prepared.events[-1].number if prepared.events else held.sent
        if not store.taken(connection, held, newest):
            return
        if prepared.kind == HANDSHAKE:
            _move(connection, held, ACTIVE)
        if prepared.events:
            _note(connection, held, Word.DELIVERED)
        for event, resource in (prepared.shown or {}).items():
            _note_shown(connection, held, event, resource)
    log.info("subscriber told", extra={"reference": str(held.id), "kind": prepared.kind, "number": newest})


def _record_failure(pool: Pool, held: Subscription, answer: str, kind: str) -> None:
    """It was not taken: later again, or, after 72 hours, or when the handshake failed, not before it is asked for."""
    with tenant_transaction(pool, held.tenant_id) as connection:
        pause_s = PAUSES_S[min(held.attempts, len(PAUSES_S) - 1)]
        failing_s = store.failed(connection, held, answer, pause_s)
        if failing_s is None:
            return
        _note(connection, held, Word.DELIVERY_FAILED)
        if kind == HANDSHAKE or answer == GONE or failing_s >= GIVE_UP.total_seconds():
            _note(connection, held, Word.DELIVERY_GIVEN_UP)
            _move(connection, held, ERROR, answer=reason(answer, kind))
    log.warning("subscriber not told", extra={"reference": str(held.id), "kind": kind, "state": answer})


def reason(answer: str, kind: str) -> str:
    """What Subscription.error says."""
    what = "the handshake" if kind == HANDSHAKE else "a notification"
    if answer == "timeout":
        said = f"Your endpoint did not answer {what} in time."
    elif answer == "address-refused":
        said = "The address of your endpoint may not be asked: it does not lead to a host that is allowed."
    elif answer.startswith("http-"):
        said = f"Your endpoint answered {what} with HTTP {answer.removeprefix('http-')}."
    else:
        said = f"Your endpoint could not be reached with {what} ({answer})."
    return f"{said} Nothing is lost: put it right, then update this Subscription with the status requested."


def _end(connection: DictConnection, held: Subscription) -> None:
    """Its end has come, or nobody asked for it again for thirty days."""
    ended, given_up = store.over(connection, held)
    if ended:
        _move(connection, held, OFF)
    elif given_up:
        _move(connection, held, OFF, answer="It was in error for 30 days and nobody asked for it again.")
    else:
        store.release(connection, held)


def _move(connection: DictConnection, held: Subscription, state: str, *, answer: str | None = None) -> None:
    """A new version of the Subscription in this state, under the lock that our update of its row took."""
    now = database_now(connection)
    content = store.current(connection, held)
    content.pop("error", None)
    version = held.version + 1
    content |= {"status": state} | ({"error": answer} if answer else {})
    content["meta"] |= {"versionId": str(version), "lastUpdated": instant(now)}
    store.settle(connection, held, state, version, answer)
    store.save(connection, held.tenant_id, content, now)
    act = Act(Interaction.UPDATE, store.TYPE, id=str(held.id), version=version)
    record(connection, held.tenant_id, act, SERVICE)


def _note(connection: DictConnection, held: Subscription, word: Word) -> None:
    act = Act(Interaction.UPDATE, store.TYPE, id=str(held.id), version=held.version, word=word)
    record(connection, held.tenant_id, act, SERVICE)


def _note_shown(connection: DictConnection, held: Subscription, event: Event, resource: Resource) -> None:
    """What was sent in full was read by the client, as if it had asked for it."""
    act = Act(
        Interaction.READ,
        held.topic.resource_type,
        id=event.ref_id,
        version=event.ref_version,
        patient=patient_of(resource),
    )
    record(connection, held.tenant_id, act, Asker(held.client))
