"""Use case: what happened is given to everybody who listens, numbered for each without a gap.

Events are rows that nobody has given out yet, never "everything after the last one": transactions end in another order
than they began, and whoever remembers a last number passes over the slower ones.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.notify.subscriptions import store
from services.notify.subscriptions.filters import wants
from services.notify.subscriptions.store import Happened, Subscription
from services.notify.subscriptions.topics import ALERT, ASSESSMENT, TOPICS, Topic
from shared.events import Ref
from shared.fhir.client import Changed, FhirClient, NeighbourFault, NeighbourUnavailable
from shared.postgres import DictConnection, Pool, tenant_transaction

AT_ONCE = 100
Contents = Mapping[Happened, Mapping[str, Any] | None]
"""Resources as the events left them; None for one that cannot be read."""

log = logging.getLogger(__name__)


def note_assessments(connection: DictConnection, tenant: UUID, changed: Sequence[Changed]) -> None:
    """Note, in the caller's transaction, that these assessments are new or have a new version."""
    store.note(connection, tenant, ASSESSMENT, [(one.ref.id, one.ref.version, one.last_updated) for one in changed])


def distribute(pool: Pool, triage: FhirClient) -> int:
    """Give out what happened, by tenant and topic; returns how many events. One's trouble is not another's.

    Raises NeighbourUnavailable, after all that can be done without triage.
    """
    with pool.connection() as connection:
        tenants = store.tenants_with_events(connection)
    given, failed = 0, None
    for tenant in tenants:
        for topic in TOPICS.values():
            try:
                while some := _distribute_some(pool, triage, tenant, topic):
                    given += some
            except NeighbourUnavailable as error:
                failed = error
    if failed is not None:
        raise failed
    return given


def _distribute_some(pool: Pool, triage: FhirClient, tenant: UUID, topic: Topic) -> int:
    """The oldest events of a topic; returns how many.

    What somebody filters is read before anything is locked. Raises NeighbourUnavailable: then they wait.
    """
    with tenant_transaction(pool, tenant) as connection:
        found = store.waiting(connection, tenant, topic, most=AT_ONCE)
        filtered = found if found and store.is_filtered(connection, tenant, topic) else []
        read: Sequence[Mapping[str, Any] | None] = ()
        if topic == ALERT:
            read = [_task(connection, tenant, each) for each in filtered]
    if topic == ASSESSMENT:
        read = read_assessments(triage, tenant, filtered)
    contents = dict(zip(filtered, read, strict=True))
    with tenant_transaction(pool, tenant) as connection:
        if not store.lock_events(connection, tenant):
            return 0
        waiting = set(store.waiting(connection, tenant, topic, most=AT_ONCE))
        found = [each for each in found if each in waiting]
        news = [each for each in found if not each.synthetic]
        for subscription in store.listening(connection, tenant, topic):
            _give(connection, subscription, news, contents)
        store.done(connection, tenant, topic, found)
    return len(found)


def _give(connection: DictConnection, held: Subscription, news: Sequence[Happened], contents: Contents) -> None:
    """Number what this subscriber wants, and let it be sent."""
    wanted = [each for each in news if each.at >= held.created_at and wants(held.filters, contents.get(each))]
    if wanted and store.give(connection, held, wanted):
        store.plan(connection, held.tenant_id, [held.id])


def _task(connection: DictConnection, tenant: UUID, happened: Happened) -> Mapping[str, Any] | None:
    return store.version_of(connection, tenant, ALERT.resource_type, happened.ref_id, happened.ref_version)


def read_assessments(
    triage: FhirClient, tenant: UUID, wanted: Sequence[Happened]
) -> Sequence[Mapping[str, Any] | None]:
    """These versions of assessments, in their order; None for one over which triage stumbles, or that it has no more.

    Raises NeighbourUnavailable.
    """
    refs = [Ref(each.ref_id, each.ref_version, tenant) for each in wanted]
    try:
        found = triage.read_many(ASSESSMENT.resource_type, refs) if refs else {}
    except NeighbourFault:
        return [_one_assessment(triage, ref) for ref in refs]
    return [found.get(ref) for ref in refs]


def _one_assessment(triage: FhirClient, ref: Ref) -> Mapping[str, Any] | None:
    try:
        return triage.vread(ASSESSMENT.resource_type, ref)
    except NeighbourFault:
        log.warning("assessment cannot be read for its subscribers", extra={"assessment": ref.id})
        return None
