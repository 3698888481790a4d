"""Notifications and statuses as FHIR: a history Bundle whose first entry is the status.

Pure. Profiles backport-subscription-notification-r4 and -status-r4 of Subscriptions R5 Backport 1.1.0,
https://hl7.org/fhir/uv/subscriptions-backport/notifications.html. R4 asks that every entry of a history has a
request and a response (bdl-3, bdl-4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from services.notify.subscriptions.document import BACKPORT, EMPTY
from services.notify.subscriptions.topics import Topic
from shared.fhir.identity import instant

Resource = dict[str, Any]

HANDSHAKE, HEARTBEAT, EVENT = "handshake", "heartbeat", "event-notification"
QUERY_STATUS, QUERY_EVENT = "query-status", "query-event"
STATUS_PROFILE: Final = f"{BACKPORT}/StructureDefinition/backport-subscription-status-r4"
BUNDLE_PROFILE: Final = f"{BACKPORT}/StructureDefinition/backport-subscription-notification-r4"


@dataclass(frozen=True, slots=True)
class Event:
    """One numbered event of a subscription: which version of which resource."""

    number: int
    ref_id: str
    ref_version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subscription stands: what every status says. `events`: number of the newest event."""

    id: UUID
    status: str
    topic: Topic
    events: int
    error: str | None = None


def status_parameters(
    base: str, standing: Standing, kind: str, *, events: Sequence[Event] = (), content: str = EMPTY
) -> Resource:
    """The status of a subscription. With content `empty` it names neither the topic nor a resource."""
    parameters: list[Resource] = [
        {"name": "subscription", "valueReference": {"reference": f"{base}/Subscription/{standing.id}"}},
    ]
    if content != EMPTY:
        parameters.append({"name": "topic", "valueCanonical": standing.topic.url})
    parameters += [
        {"name": "status", "valueCode": standing.status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(standing.events)},
    ]
    parameters += [_event(base, standing.topic, event, content) for event in events]
    if standing.error is not None:
        parameters.append({"name": "error", "valueCodeableConcept": {"text": standing.error}})
    return {
        "resourceType": "Parameters",
        "id": str(uuid4()),
        "meta": {"profile": [STATUS_PROFILE]},
        "parameter": parameters,
    }


def _event(base: str, topic: Topic, event: Event, content: str) -> Resource:
    part: list[Resource] = [
        {"name": "event-number", "valueString": str(event.number)},
        {"name": "timestamp", "valueInstant": instant(event.at)},
    ]
    if content != EMPTY:
        reference = {"reference": f"{base}/{topic.resource_type}/{event.ref_id}"}
        part.append({"name": "focus", "valueReference": reference})
    return {"name": "notification-event", "part": part}


def notification(
    base: str,
    standing: Standing,
    kind: str,
    now: datetime,
    *,
    events: Sequence[Event] = (),
    content: str = EMPTY,
    resources: Mapping[Event, Resource] | None = None,
) -> Resource:
    """A notification Bundle. `resources`: what is given out in full; an event without one says that it is not."""
    status = status_parameters(base, standing, kind, events=events, content=content)
    entries = [
        {
            "fullUrl": f"urn:uuid:{status['id']}",
            "resource": status,
            "request": {"method": "GET", "url": f"Subscription/{standing.id}/$status"},
            "response": {"status": "200"},
        }
    ]
    if content != EMPTY:
        entries += _entries(base, standing.topic, events, resources or {})
    return {
        "resourceType": "Bundle",
        "id": str(uuid4()),
        "meta": {"profile": [BUNDLE_PROFILE], "lastUpdated": instant(now)},
        "type": "history",
        "timestamp": instant(now),
        "entry": entries,
    }


def _entries(
    base: str, topic: Topic, events: Sequence[Event], resources: Mapping[Event, Resource]
) -> Iterator[Resource]:
    """What each event did to its resource, as a request and its answer."""
    for event in events:
        place = f"{topic.resource_type}/{event.ref_id}"
        new = event.ref_version == 1
        entry: Resource = {"fullUrl": f"{base}/{place}"}
        if event in resources:
            entry["resource"] = resources[event]
        entry["request"] = {"method": "POST", "url": topic.resource_type} if new else {"method": "PUT", "url": place}
        entry["response"] = {
            "status": "201" if new else "200",
            "etag": f'W/"{event.ref_version}"',
            "lastModified": instant(event.at),
        }
        yield entry


def statuses(base: str, standings: Sequence[Standing], address: str) -> Resource:
    """The answer of `$status`: a searchset with one status for each subscription."""
    found = [status_parameters(base, standing, QUERY_STATUS, content="id-only") for standing in standings]
    entries = [
        {"fullUrl": f"urn:uuid:{status['id']}", "resource": status, "search": {"mode": "match"}} for status in found
    ]
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(entries),
        "link": [{"relation": "self", "url": address}],
    }
    return bundle | ({"entry": entries} if entries else {})
