"""Subscriptions, what happened, and what each subscriber is to hear of it: rows and queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from services.notify.subscriptions.document import DELETED, Resource, Wanted
from services.notify.subscriptions.filters import Filter
from services.notify.subscriptions.notification import Event, Standing
from services.notify.subscriptions.topics import TOPICS, Topic
from shared.fhir import resources
from shared.fhir.client import exact_digits
from shared.fhir.resources import NewVersion, Stored
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
TYPE = "Subscription"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A row of `subscription`: what was asked for, and how far it has come."""

    tenant_id: UUID
    id: UUID
    client: str
    state: str
    version: int
    topic: Topic
    filters: tuple[Filter, ...]
    endpoint: str
    headers: tuple[str, ...]
    content: str
    heartbeat_s: int | None
    timeout_s: int
    max_count: int
    created_at: datetime
    ends_at: datetime | None
    events: int
    sent: int
    attempts: int
    failing_since: datetime | None
    answer: str | None
    last_contact_at: datetime | None
    errored_at: datetime | None
    due_at: datetime | None
    lease_token: UUID | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The subscription in a row."""
        filters = tuple((name, tuple(values)) for name, values in row["filters"])
        read = {"topic": TOPICS[row["topic"]], "filters": filters, "headers": tuple(row["headers"])}
        return cls(**({name: row[name] for name in cls.__dataclass_fields__} | read))

    @property
    def standing(self) -> Standing:
        """What a status says of it."""
        return Standing(self.id, self.state, self.topic, self.events, self.answer)


@dataclass(frozen=True, slots=True)
class Happened:
    """A row of `topic_event`. `synthetic`: a test of the watchdog."""

    ref_id: str
    ref_version: int
    at: datetime
    synthetic: bool = False


def insert(
    connection: DictConnection,
    tenant: UUID,
    subscription_id: UUID,
    client: str,
    wanted: Wanted,
    state: str,
    now: datetime,
) -> None:
    """A new subscription, of which something is due at once."""
    more = {"client": client, "topic": wanted.topic.id, "created_at": now}
    connection.execute(QUERIES["insert"], _columns(tenant, subscription_id, wanted, state, 1) | more)


def change(connection: DictConnection, held: Subscription, wanted: Wanted, state: str, version: int) -> None:
    """Asked for anew. Nothing has failed yet."""
    connection.execute(QUERIES["change"], _columns(held.tenant_id, held.id, wanted, state, version))


def _columns(tenant: UUID, subscription_id: UUID, wanted: Wanted, state: str, version: int) -> dict[str, Any]:
    return {
        "tenant_id": tenant,
        "id": subscription_id,
        "state": state,
        "version": version,
        "filters": Jsonb(wanted.filters),
        "endpoint": wanted.endpoint,
        "headers": list(wanted.headers),
        "content": wanted.content,
        "heartbeat_s": wanted.heartbeat_s,
        "timeout_s": wanted.timeout_s,
        "max_count": wanted.max_count,
        "ends_at": wanted.ends_at,
    }


def read(connection: DictConnection, tenant: UUID, subscription_id: UUID) -> Subscription | None:
    """A subscription, deleted ones too, or None."""
    return _one(connection, "one", tenant, subscription_id)


def lock(connection: DictConnection, tenant: UUID, subscription_id: UUID) -> Subscription | None:
    """The same, locked."""
    return _one(connection, "lock_one", tenant, subscription_id)


def _one(connection: DictConnection, query: str, tenant: UUID, subscription_id: UUID) -> Subscription | None:
    row = connection.execute(QUERIES[query], {"tenant_id": tenant, "id": subscription_id}).fetchone()
    return Subscription.of(row) if row else None


def of_client(
    connection: DictConnection,
    tenant: UUID,
    client: str | None,
    *,
    ids: Sequence[str] | None = None,
    states: Sequence[str] | None = None,
) -> list[Subscription]:
    """What a client has, or (None) everybody, the oldest first; at most 1000."""
    parameters = {"tenant_id": tenant, "client": client, "ids": ids, "states": states}
    return [Subscription.of(row) for row in connection.execute(QUERIES["of_client"], parameters).fetchall()]


def tenants_with_subscriptions(connection: DictConnection) -> list[UUID]:
    """Tenants in which somebody listens to something."""
    return [row["tenant"] for row in connection.execute(QUERIES["tenants_with_subscriptions"]).fetchall()]


def all_listening(connection: DictConnection, tenant: UUID) -> list[Subscription]:
    """Whoever may still hear something, of any topic."""
    rows = connection.execute(QUERIES["all_listening"], {"tenant_id": tenant}).fetchall()
    return [Subscription.of(row) for row in rows]


def living(connection: DictConnection, tenant: UUID, client: str) -> int:
    """How many subscriptions of a client may still hear something; until the transaction ends nobody adds one."""
    connection.execute(QUERIES["lock_client"], {"key": f"subscriptions of {tenant}/{client}"})
    row = connection.execute(QUERIES["living"], {"tenant_id": tenant, "client": client}).fetchone()
    assert row is not None
    return int(row["number"])


def settle(connection: DictConnection, held: Subscription, state: str, version: int, answer: str | None = None) -> None:
    """Move to a state in which nothing was tried yet."""
    parameters = {"tenant_id": held.tenant_id, "id": held.id, "state": state, "version": version, "answer": answer}
    connection.execute(QUERIES["settle"], parameters)
    plan(connection, held.tenant_id, [held.id])


def delete(connection: DictConnection, held: Subscription) -> None:
    """Neither found nor read any more."""
    settle(connection, held, DELETED, held.version)
    for query in ("retire", "unindex"):
        connection.execute(QUERIES[query], {"tenant_id": held.tenant_id, "id": str(held.id)})


def taken(connection: DictConnection, held: Subscription, sent: int) -> bool:
    """Note that everything up to this event was taken; False when the lease was lost."""
    done = connection.execute(QUERIES["taken"], _leased(held) | {"sent": sent}).rowcount == 1
    if done:
        plan(connection, held.tenant_id, [held.id])
    return done


def failed(connection: DictConnection, held: Subscription, answer: str, pause_s: float) -> float | None:
    """Note a failure; returns for how many seconds nothing was taken, or None when the lease was lost."""
    parameters = _leased(held) | {"answer": answer, "pause_s": pause_s}
    row = connection.execute(QUERIES["failed"], parameters).fetchone()
    return float(row["failing_s"]) if row else None


def release(connection: DictConnection, held: Subscription) -> None:
    """Give the lease back, as nothing was to be done."""
    connection.execute(QUERIES["release"], _leased(held))
    plan(connection, held.tenant_id, [held.id])


def give_back(connection: DictConnection, held: Subscription, pause_s: float) -> None:
    """Try later what could not be tried now."""
    connection.execute(QUERIES["give_back"], _leased(held) | {"pause_s": pause_s})


def _leased(held: Subscription) -> dict[str, Any]:
    return {"tenant_id": held.tenant_id, "id": held.id, "token": held.lease_token}


def plan(connection: DictConnection, tenant: UUID, ids: Sequence[UUID]) -> None:
    """Decide when something is to be done next for these."""
    connection.execute(QUERIES["plan"], {"tenant_id": tenant, "ids": list(ids)})


def due(connection: DictConnection, *, failing: bool, most: int = 20) -> list[tuple[UUID, UUID]]:
    """Tenant and id of subscriptions with something to do, of all tenants: those that failed lately, or the others."""
    rows = connection.execute(QUERIES["due"], {"failing": failing, "most": most}).fetchall()
    return [(row["tenant_id"], row["id"]) for row in rows]


def claim(connection: DictConnection, tenant: UUID, subscription_id: UUID, *, lease_s: float) -> Subscription | None:
    """A due subscription with a lease, or None when it is not due any more or somebody else has it."""
    parameters = {"tenant_id": tenant, "id": subscription_id, "lease_s": lease_s}
    row = connection.execute(QUERIES["claim"], parameters).fetchone()
    return Subscription.of(row) if row else None


def over(connection: DictConnection, held: Subscription) -> tuple[bool, bool]:
    """Whether it has come to its end, and whether it was in error for too long, by the database's clock."""
    row = connection.execute(QUERIES["over"], {"tenant_id": held.tenant_id, "id": held.id}).fetchone()
    assert row is not None
    return row["ended"], row["given_up"]


def note(connection: DictConnection, tenant: UUID, topic: Topic, happened: Sequence[tuple[str, int, datetime]]) -> int:
    """Note events (id, version, time) in the caller's transaction; returns how many somebody listens to and are new."""
    return connection.execute(
        QUERIES["note"],
        {
            "tenant_id": tenant,
            "topic": topic.id,
            "ids": [ref_id for ref_id, _, _ in happened],
            "versions": [version for _, version, _ in happened],
            "times": [at for _, _, at in happened],
        },
    ).rowcount


def tenants_with_events(connection: DictConnection) -> list[UUID]:
    """Tenants with events that were not given out."""
    return [row["tenant"] for row in connection.execute(QUERIES["tenants_with_events"]).fetchall()]


def lock_events(connection: DictConnection, tenant: UUID) -> bool:
    """Whether the caller alone gives out events of this tenant, until the transaction ends."""
    row = connection.execute(QUERIES["lock_events"], {"tenant_id": tenant}).fetchone()
    return row is not None and bool(row["mine"])


def waiting(connection: DictConnection, tenant: UUID, topic: Topic, *, most: int) -> list[Happened]:
    """Events of a topic that were not given out, in their order."""
    parameters = {"tenant_id": tenant, "topic": topic.id, "most": most}
    return [Happened(**row) for row in connection.execute(QUERIES["waiting"], parameters).fetchall()]


def listening(connection: DictConnection, tenant: UUID, topic: Topic) -> list[Subscription]:
    """Whoever listens to a topic, locked."""
    rows = connection.execute(QUERIES["listening"], {"tenant_id": tenant, "topic": topic.id}).fetchall()
    return [Subscription.of(row) for row in rows]


def is_filtered(connection: DictConnection, tenant: UUID, topic: Topic) -> bool:
    """Whether somebody wants only some of the events of a topic."""
    row = connection.execute(QUERIES["filters_of"], {"tenant_id": tenant, "topic": topic.id}).fetchone()
    return row is not None and bool(row["any"])


def give(connection: DictConnection, held: Subscription, events: Iterable[Happened]) -> int:
    """Number these events for a locked subscription, without a gap; returns how many were new to it."""
    number = held.events
    for happened in events:
        parameters = {
            "tenant_id": held.tenant_id,
            "id": held.id,
            "number": number + 1,
            "ref_id": happened.ref_id,
            "ref_version": happened.ref_version,
            "at": happened.at,
        }
        number += connection.execute(QUERIES["number"], parameters).rowcount
    connection.execute(QUERIES["count_events"], {"tenant_id": held.tenant_id, "id": held.id, "events": number})
    return number - held.events


def done(connection: DictConnection, tenant: UUID, topic: Topic, events: Sequence[Happened]) -> None:
    """These were given to everybody who listens."""
    connection.execute(
        QUERIES["done"],
        {
            "tenant_id": tenant,
            "topic": topic.id,
            "ids": [happened.ref_id for happened in events],
            "versions": [happened.ref_version for happened in events],
        },
    )


def events(connection: DictConnection, held: Subscription, since: int, until: int, *, most: int) -> list[Event]:
    """Events of a subscription from one number to another, both included, the first `most` of them."""
    parameters = {"tenant_id": held.tenant_id, "id": held.id, "since": since, "until": until, "most": most}
    return [Event(**row) for row in connection.execute(QUERIES["events"], parameters).fetchall()]


def save(connection: DictConnection, tenant: UUID, content: Resource, now: datetime) -> Stored:
    """Store a Subscription as the version that its meta names."""
    version = NewVersion(
        type=TYPE,
        id=content["id"],
        version_id=int(content["meta"]["versionId"]),
        last_updated=now,
        body=orjson.dumps(content, default=exact_digits),
    )
    resources.save(connection, tenant, [version])
    stored = resources.read(connection, tenant, TYPE, content["id"])
    assert stored is not None
    return stored


def current(connection: DictConnection, held: Subscription) -> Resource:
    """The Subscription as it is given back."""
    stored = resources.read(connection, held.tenant_id, TYPE, str(held.id))
    assert stored is not None
    content: Resource = orjson.loads(stored.body)
    return content


def version_of(
    connection: DictConnection, tenant: UUID, resource_type: str, ref_id: str, version: int
) -> Resource | None:
    """One version of a resource that notify holds, or None."""
    stored = resources.vread(connection, tenant, resource_type, ref_id, version)
    return orjson.loads(stored.body) if stored else None


def forget(connection: DictConnection) -> None:
    """Delete events that nobody can ask for any more."""
    connection.execute(QUERIES["forget"])
