"""Which way an alert goes: stamped when its chain begins, and found again for every further step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

from services.notify.escalation import WATCHDOG, Place, Plan
from services.notify.on_call import store as on_call
from services.notify.on_call.document import Document, Kind, Target, team_for
from services.notify.on_call.flaw import DocumentFlawed
from services.notify.on_call.store import Mark
from services.notify.on_call.turn import Route, Turn, turn_at
from services.notify.records import Alert
from shared.postgres import DictConnection

HANDED_OVER = -1

log = logging.getLogger(__name__)


def first_turn(
    connection: DictConnection, plan: Plan, alert: Alert, now: datetime, *, owner_first: bool = False
) -> tuple[Alert, Turn]:
    """The alert stamped with team, policy and version of the newest document, and the first turn of its chain.

    Without a document there is nothing to stamp, and the addresses of the settings are told; of a synthetic alert its
    own recipient is, whatever any document says. `owner_first`: a person that the alert was handed to is told before
    the chain begins, a team in place of the one that it would go to.
    """
    document = None if alert.synthetic else _document(connection, alert.tenant_id)
    return _stamped(plan, alert, document, now, owner_first=owner_first)


def first_turn_of_new(
    connection: DictConnection, plan: Plan, alert: Alert, newest: Mark | None, now: datetime
) -> tuple[Alert, Turn]:
    """The same for a new alert, where the newest document is known by its mark."""
    document = None
    if newest is not None and not alert.synthetic:
        document = _read(partial(on_call.marked, connection, alert.tenant_id, newest), newest.version)
    return _stamped(plan, alert, document, now)


def _stamped(
    plan: Plan, alert: Alert, document: Document | None, now: datetime, *, owner_first: bool = False
) -> tuple[Alert, Turn]:
    team = first = None
    if document is not None:
        team = document.team(alert.owner) if owner_first and alert.owner else None
        # A team whose policy says nothing of this urgency is told as a person is: before the chain of the usual team.
        has_chain = team is not None and (own := document.policy(team.policy)) and own.steps(alert.urgency)
        first = team if team is not None and not has_chain else document.person(alert.owner or "")
        team = (team if has_chain else None) or team_for(document, pathway=alert.pathway, urgency=alert.urgency)
    alert = replace(
        alert,
        policy=team.policy if team else None,
        policy_version=document.version if document else None,
        team=team.id if team else None,
        exhausted_at=None,
    )
    place = Place(HANDED_OVER if owner_first and first is not None else 0)
    route = _between(plan, alert, document, document) if document else None
    turn = _turn(route, plan, alert, place, now)
    return at_turn(alert, turn, now), turn


def next_turn(connection: DictConnection, plan: Plan, alert: Alert, now: datetime) -> Turn:
    """The turn that follows when nobody acknowledged in time."""
    route = _route(connection, plan, alert)
    place = Place(alert.position, alert.round)
    return _turn(route, plan, alert, route.chain.following(place) if route else place, now)


def at_turn(alert: Alert, turn: Turn, now: datetime) -> Alert:
    """The alert once this turn was taken."""
    exhausted_at = (alert.exhausted_at or now) if turn.exhausted else None
    place = turn.place
    return replace(
        alert, position=place.position, round=place.round, exhausted_at=exhausted_at, due_at=now + turn.pause
    )


def chain_length(connection: DictConnection, tenant: UUID, policy: str, version: int, urgency: str) -> int:
    """How many steps the chain of this stamped policy has; 0 where it cannot be found."""
    held = _document(connection, tenant, version)
    found = held.policy(policy) if held else None
    return len(found.steps(urgency)) if found else 0


def _turn(route: Route | None, plan: Plan, alert: Alert, place: Place, now: datetime) -> Turn:
    if route is None:
        told = (WATCHDOG,) if alert.synthetic else plan.recipients
        return Turn(place, told, plan.pause(alert.urgency))
    try:
        return turn_at(route, place, now)
    except Exception as error:  # pure: what fails once fails always, and an alert must not wait for a program's fault
        log.error("who is on call cannot be worked out", extra={"error": type(error).__name__}, exc_info=error)
        return Turn(place, plan.recipients, plan.pause(alert.urgency), exhausted=True)


def _route(connection: DictConnection, plan: Plan, alert: Alert) -> Route | None:
    """None where no document was there when the chain began.

    A stamped version or policy that cannot be found leaves the fallback: never nobody.
    """
    if alert.policy_version is None:
        return None
    nothing = Document(alert.policy_version, "UTC", (), (), (), (), ())
    stamped = _document(connection, alert.tenant_id, alert.policy_version) or nothing
    return _between(plan, alert, stamped, _document(connection, alert.tenant_id) or stamped)


def _between(plan: Plan, alert: Alert, stamped: Document, newest: Document) -> Route:
    """The alert's route by the document that it is stamped with and the newest one."""
    return Route(
        policy=stamped.policy(alert.policy) if alert.policy else None,
        stamped=stamped,
        newest=newest,
        urgency=alert.urgency,
        site=plan.recipients,
        repeat=plan.pause(alert.urgency),
        first=Target(Kind.PERSON if newest.person(alert.owner) else Kind.TEAM, alert.owner) if alert.owner else None,
    )


def _document(connection: DictConnection, tenant: UUID, version: int | None = None) -> Document | None:
    """The newest document, or this version."""
    if version is None:
        return _read(partial(on_call.current, connection, tenant), 0)
    return _read(partial(on_call.at_version, connection, tenant, version), version)


def _read(how: Callable[[], Document | None], version: int) -> Document | None:
    """A document that cannot be read any more counts as not there, loudly."""
    try:
        return how()
    except DocumentFlawed as error:
        log.error("on-call document cannot be read", extra={"error": type(error).__name__, "number": version})
        return None
