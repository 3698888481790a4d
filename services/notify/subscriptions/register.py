"""Use cases: a client asks to hear of a topic, changes what it asked for, asks again after an error, or leaves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NoReturn
from urllib.parse import urlsplit
from uuid import UUID

from services.notify.subscriptions import store
from services.notify.subscriptions.document import (
    ACTIVE,
    DELETED,
    ERROR,
    OFF,
    REQUESTED,
    Resource,
    Wanted,
    as_kept,
    read_subscription,
    with_secrets,
)
from services.notify.subscriptions.registrations import needs_to_see
from services.notify.subscriptions.store import Subscription
from shared.access.needs import require
from shared.access.scopes import EVERYTHING
from shared.audit.act import Act, Interaction, record
from shared.fhir.resources import Stored
from shared.ids import uuid7
from shared.outbound import Outbound, OutboundRefused
from shared.postgres import DictConnection, Pool, database_now, tenant_transaction
from shared.principal import Principal
from shared.problems import Category, Problem, ProblemError

MOST_PER_CLIENT = 50


@dataclass(frozen=True, slots=True)
class Desk:
    """Where subscriptions are made and changed. `outbound` says which endpoints may be asked."""

    pool: Pool
    outbound: Outbound

    def create(self, who: Principal, resource: Resource) -> Stored:
        """Store a new Subscription, `requested` until its endpoint took the handshake. Raises ProblemError."""
        wanted = self._wanted(who, resource)
        if wanted.status not in (REQUESTED, ACTIVE):
            _refuse("status", "A new Subscription has the status requested; it is active once its endpoint answered.")
        wanted = replace(wanted, headers=with_secrets(wanted.headers, ()))
        subscription_id = uuid7()
        with tenant_transaction(self.pool, who.tenant) as connection:
            if store.living(connection, who.tenant, who.id) >= MOST_PER_CLIENT:
                _refuse("", f"You have {MOST_PER_CLIENT} subscriptions. Turn off or delete those you do not need.")
            now = database_now(connection)
            _not_ended(wanted, now)
            store.insert(connection, who.tenant, subscription_id, who.id, wanted, REQUESTED, now)
            kept = as_kept(
                resource, subscription_id=str(subscription_id), client=who.id, status=REQUESTED, version=1, now=now
            )
            record(connection, who.tenant, Act(Interaction.CREATE, store.TYPE, id=str(subscription_id), version=1))
            return store.save(connection, who.tenant, kept, now)

    def update(self, who: Principal, subscription_id: str, resource: Resource, *, version: int) -> Stored:
        """Change it if `version` is still the current one. What makes it listen begins with a handshake.

        Raises ProblemError: unknown (404), deleted (410), changed meanwhile (412), not offered (422).
        """
        wanted = self._wanted(who, resource)
        with tenant_transaction(self.pool, who.tenant) as connection:
            held = find(connection, who, subscription_id, lock=True)
            if held.version != version:
                _changed_meanwhile(version, held.version)
            if wanted.topic != held.topic:
                _refuse("criteria", "A Subscription keeps its topic, as its events are numbered. Make a new one.")
            now = database_now(connection)
            state = next_state(wanted.status)
            if state != OFF:
                _not_ended(wanted, now)
            wanted = replace(wanted, headers=with_secrets(wanted.headers, _kept(held, wanted)))
            store.change(connection, held, wanted, state, version + 1)
            kept = as_kept(
                resource, subscription_id=str(held.id), client=held.client, status=state, version=version + 1, now=now
            )
            act = Act(Interaction.UPDATE, store.TYPE, id=str(held.id), version=version + 1)
            record(connection, who.tenant, act)
            return store.save(connection, who.tenant, kept, now)

    def delete(self, who: Principal, subscription_id: str) -> None:
        """Nothing is sent any more, and it is not found any more. Raises ProblemError (404); twice is once."""
        with tenant_transaction(self.pool, who.tenant) as connection:
            held = find(connection, who, subscription_id, lock=True, deleted=True)
            if held.state == DELETED:
                return
            store.delete(connection, held)
            act = Act(Interaction.DELETE, store.TYPE, id=str(held.id), version=held.version)
            record(connection, who.tenant, act)

    def _wanted(self, who: Principal, resource: Resource) -> Wanted:
        """What is asked for, if its address may be asked and the client may see what it would be sent."""
        wanted = read_subscription(resource)
        try:
            self.outbound.check(wanted.endpoint)
            self.outbound.check_address(wanted.endpoint)
        except OutboundRefused as refused:
            _refuse("channel.endpoint", str(refused))
        require(who, needs_to_see(wanted.topic, wanted.content, wanted.filters))
        return wanted


def next_state(sent: str) -> str:
    """The state after a client's update: it may stop, or ask to be told (again), which begins with a handshake."""
    if sent == ERROR:
        _refuse("status", "Only Sural sets the status error. Send requested to be told, off to be told nothing.")
    return OFF if sent == OFF else REQUESTED


def is_administrator(who: Principal) -> bool:
    """Whoever may do everything in the tenant (`system/*.cruds`) sees and changes the subscriptions of all clients."""
    return all(who.scopes.covers(scope) for scope in EVERYTHING.granted)


def find(
    connection: DictConnection, who: Principal, subscription_id: str, *, lock: bool = False, deleted: bool = False
) -> Subscription:
    """A subscription that this client may see. Raises ProblemError: 404, the same for what others have; 410."""
    held = None
    if (identifier := _uuid(subscription_id)) is not None:
        held = (store.lock if lock else store.read)(connection, who.tenant, identifier)
    if held is None or not (held.client == who.id or is_administrator(who)):
        message = f"Subscription/{subscription_id[:64]} is not known here."
        raise ProblemError(Problem(Category.NOT_FOUND, "not-found", message, issue_code="not-found"))
    if held.state == DELETED and not deleted:
        message = f"Subscription/{held.id} was deleted."
        raise ProblemError(Problem(Category.NOT_FOUND, "deleted", message, issue_code="deleted", status=410))
    return held


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text == str(UUID(text)) else None
    except ValueError:
        return None


def _kept(held: Subscription, wanted: Wanted) -> tuple[str, ...]:
    """The headers whose values may stay: none when they would go to another host than they were given for."""
    before, after = urlsplit(held.endpoint), urlsplit(wanted.endpoint)
    return held.headers if (before.scheme, before.netloc) == (after.scheme, after.netloc) else ()


def _not_ended(wanted: Wanted, now: datetime) -> None:
    if wanted.ends_at is not None and wanted.ends_at <= now:
        _refuse("end", "'end' has passed already; give a later time, or leave it out.")


def _changed_meanwhile(sent: int, current: int) -> NoReturn:
    message = f"If-Match names version {sent}, the current one is {current}. Read it again and decide anew."
    raise ProblemError(Problem(Category.CONFLICT, "version", message, issue_code="conflict", status=412))


def _refuse(place: str, message: str) -> NoReturn:
    expression = f"Subscription.{place}" if place else "Subscription"
    raise ProblemError(
        Problem(
            Category.UNPROCESSABLE,
            "subscription-not-offered",
            message,
            expression=expression,
            issue_code="business-rule",
        )
    )
