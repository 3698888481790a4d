"""A notify service with subscribers, and hands to move its clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from services.notify.app import create_app
from services.notify.settings import NotifySettings
from services.notify.subscriptions.distribute import distribute
from services.notify.subscriptions.document import (
    BACKPORT,
    EXT_CONTENT,
    EXT_FILTER,
    EXT_HEARTBEAT,
    EXT_MAX_COUNT,
    EXT_TIMEOUT,
)
from services.notify.subscriptions.send import send_due
from shared.fhir.codes import CANONICAL
from tests.notify.conftest import Service
from tests.notify.subscriptions.subscriber import Subscriber, a_subscriber
from tests.serving import client_of

FHIR = {"Content-Type": "application/fhir+json"}
ALERTS = f"{CANONICAL}/SubscriptionTopic/alert"
ASSESSMENTS = f"{CANONICAL}/SubscriptionTopic/assessment"


def a_subscription(
    endpoint: str,
    *,
    topic: str = ALERTS,
    filters: tuple[str, ...] = (),
    content: str = "id-only",
    heartbeat: int | None = None,
    timeout: int | None = None,
    max_count: int | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A Subscription as a client writes it."""
    numbers = (
        (EXT_HEARTBEAT, "valueUnsignedInt", heartbeat),
        (EXT_TIMEOUT, "valueUnsignedInt", timeout),
        (EXT_MAX_COUNT, "valuePositiveInt", max_count),
    )
    extensions = [{"url": url, name: value} for url, name, value in numbers if value is not None]
    channel: dict[str, Any] = {
        "type": "rest-hook",
        "endpoint": endpoint,
        "payload": "application/fhir+json",
        "_payload": {"extension": [{"url": EXT_CONTENT, "valueCode": content}]},
        **more.pop("channel", {}),
    }
    resource: dict[str, Any] = {
        "resourceType": "Subscription",
        "meta": {"profile": [f"{BACKPORT}/StructureDefinition/backport-subscription"]},
        "status": "requested",
        "reason": "Our EHR shows alerts of its patients",
        "criteria": topic,
        **(
            {"_criteria": {"extension": [{"url": EXT_FILTER, "valueString": text} for text in filters]}}
            if filters
            else {}
        ),
        "channel": channel | ({"extension": extensions} if extensions else {}),
    }
    return resource | more


@dataclass
class Desk:
    """A client of notify, and the loops that tell subscribers, called by the test."""

    http: httpx.Client
    service: Service
    rows: Callable[..., list[dict[str, Any]]]

    def post(self, subscription: dict[str, Any]) -> httpx.Response:
        return self.http.post("/fhir/Subscription", json=subscription, headers=FHIR)

    def subscribe(self, endpoint: str, **more: Any) -> str:
        """Make a Subscription that is taken; gives its id."""
        answer = self.post(a_subscription(endpoint, **more))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def active(self, subscriber: Subscriber, **more: Any) -> str:
        """Make one, and let the handshake succeed."""
        identifier = self.subscribe(subscriber.url, **more)
        self.tells()
        assert self.read(identifier)["status"] == "active"
        return identifier

    def read(self, identifier: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/fhir/Subscription/{identifier}").raise_for_status().json()
        return found

    def put(self, subscription: dict[str, Any], *, version: str | None = None) -> httpx.Response:
        version = version or subscription["meta"]["versionId"]
        headers = FHIR | {"If-Match": f'W/"{version}"'}
        return self.http.put(f"/fhir/Subscription/{subscription['id']}", json=subscription, headers=headers)

    def distributes(self) -> int:
        return distribute(self.service.notify.pool, self.service.notify.triage)

    def tells(self) -> int:
        """What the loops do, until nothing is due."""
        self.distributes()
        return sum(send_due(self.service.notify.sender, failing=failing) for failing in (False, True))

    def row(self, identifier: str) -> dict[str, Any]:
        (row,) = self.rows("SELECT * FROM subscription WHERE id = %s", identifier)
        return row

    def later(self, identifier: str, interval: str) -> None:
        """Move the clock of one subscription on by this interval."""
        self.rows(
            "UPDATE subscription SET due_at = due_at - %s::interval, failing_since = failing_since - %s::interval, "
            "last_contact_at = last_contact_at - %s::interval, errored_at = errored_at - %s::interval, "
            "lease_until = lease_until - %s::interval WHERE id = %s",
            *(interval,) * 5,
            identifier,
        )


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with a_subscriber() as running:
        yield running


@pytest.fixture
def desk(settings: NotifySettings, service: Service, rows: Callable[..., list[dict[str, Any]]]) -> Iterator[Desk]:
    with client_of(create_app(settings)) as client:
        yield Desk(client, service, rows)
