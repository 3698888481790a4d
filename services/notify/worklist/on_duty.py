"""What the on-call document adds to the worklist: names, who is on call, and whom an alert tells next.

Without a document there is none of it. One that cannot be read is as none here; escalating says it loudly.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.notify.escalation import Place, Plan
from services.notify.on_call import store as on_call
from services.notify.on_call.document import Document
from services.notify.on_call.flaw import DocumentFlawed
from services.notify.on_call.rota import people_on_call
from services.notify.on_call.turn import Route, turn_at
from services.notify.on_call.words import NOBODY, ShownRota, listed, name_of, shown_rota
from services.notify.records import Alert
from services.notify.worklist.words import Surroundings
from shared.postgres import DictConnection

NEXT_SHIFTS = timedelta(days=7)
"""How far the handover looks for who comes next."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Duty:
    """The newest document, and those that the alerts of a page are stamped with, by version."""

    newest: Document | None
    stamped: dict[int, Document]


def duty(connection: DictConnection, tenant: UUID, alerts: Iterable[Alert]) -> Duty:
    """The documents that a page with these alerts needs, each read once."""
    newest = _read(connection, tenant, None)
    versions = {alert.policy_version for alert in alerts if alert.policy_version is not None}
    found = {version: _read(connection, tenant, version) for version in versions}
    return Duty(newest, {version: document for version, document in found.items() if document is not None})


def surroundings(held: Duty, alerts: Iterable[Alert], plan: Plan, now: datetime) -> Surroundings:
    """Names, who is on call, and who is told next of each alert that waits. Pure."""
    if (document := held.newest) is None:
        return Surroundings({}, {})
    names = {person.id: person.name for person in document.people} | {team.id: team.name for team in document.teams}
    following = {alert.id: _next(held, document, alert, plan) for alert in alerts if alert.due_at is not None}
    return Surroundings(names, following, _on_call(document, now))


def shifts(held: Duty, now: datetime) -> list[ShownRota]:
    """Who goes and who comes, of each rota. Pure."""
    document = held.newest
    return [shown_rota(document, rota, now, ahead=NEXT_SHIFTS) for rota in document.rotas] if document else []


def _next(held: Duty, document: Document, alert: Alert, plan: Plan) -> str:
    """Whom the next step tells, as the document stands now: who is on call may change until then."""
    if alert.policy_version is None or alert.due_at is None or not alert.state.is_open:
        return ""
    stamped = held.stamped.get(alert.policy_version, document)
    route = Route(
        policy=stamped.policy(alert.policy) if alert.policy else None,
        stamped=stamped,
        newest=document,
        urgency=alert.urgency,
        site=plan.recipients,
        repeat=plan.pause(alert.urgency),
    )
    turn = turn_at(route, route.chain.following(Place(alert.position, alert.round)), alert.due_at)
    people = dict.fromkeys(recipient.person for recipient in turn.told if recipient.person)
    told = listed(name_of(document, person) for person in people) or "the site's own addresses"
    return f"the fallback, {told}" if turn.exhausted else told


def _on_call(document: Document, now: datetime) -> list[tuple[str, str]]:
    """Each rota and the people whom it has on call."""
    return [
        (rota.name, listed(person.name for person in people_on_call(document, rota.id, now)) or NOBODY)
        for rota in document.rotas
    ]


def _read(connection: DictConnection, tenant: UUID, version: int | None) -> Document | None:
    try:
        if version is None:
            return on_call.current(connection, tenant)
        return on_call.at_version(connection, tenant, version)
    except DocumentFlawed as error:
        log.error("on-call document cannot be read", extra={"error": type(error).__name__, "number": version or 0})
        return None
