"""FHIR routes of Subscription: create, read, update, delete, search, history, `$status` and `$events`.

A client meets its own subscriptions only; those of others do not exist for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from services.notify.subscriptions import store
from services.notify.subscriptions.document import BACKPORT, CONTENTS, FULL, PROFILE, Resource
from services.notify.subscriptions.notification import QUERY_EVENT, notification, statuses
from services.notify.subscriptions.register import Desk, find, is_administrator
from services.notify.subscriptions.send import Sender, contents
from services.notify.subscriptions.topics import TOPICS
from shared.access.needs import require
from shared.access.scopes import READ, Scope
from shared.audit.act import Act, Interaction, patient_of, record
from shared.fhir import resources
from shared.fhir.bundle import history_bundle
from shared.fhir.capability import READ_ONLY, Operation, ResourceCapability
from shared.fhir.client import NeighbourUnavailable, exact_digits
from shared.fhir.codes import SID_CLIENT
from shared.fhir.history import Before, History, parse_history
from shared.fhir.http import FhirResponse, quoted_version, read_body, refuse, version_headers
from shared.fhir.parse import parse_resource
from shared.fhir.preferences import is_strict
from shared.fhir.resources import Stored
from shared.fhir.rest import Pairs, ResourceApi, add_routes
from shared.origin import from_elsewhere
from shared.postgres import database_now, tenant_transaction
from shared.principal import Principal, principal_of
from shared.problems import Category

SUBSCRIPTION = ResourceCapability(
    store.TYPE,
    ("create", "update", "delete", *READ_ONLY),
    versioning="versioned-update",
    operations=(
        Operation("status", f"{BACKPORT}/OperationDefinition/backport-subscription-status"),
        Operation("events", f"{BACKPORT}/OperationDefinition/backport-subscription-events"),
    ),
    profiles=(PROFILE,),
    topics=tuple(topic.url for topic in TOPICS.values()),
)
NO_END: Final = 10**18 - 1
MOST_EVENTS: Final = 100
"""In one answer of `$events`; whoever wants more asks again from the number after the last."""


class OwnSubscriptions(ResourceApi):
    """Reading, as the other types are read, of what the caller may see."""

    def read(self, request: Request, resource_type: str, resource_id: str) -> Response:
        """The current version. Raises ProblemError: 404, also for what another client has; 410 when it was deleted."""
        self.admit(request, resource_id)
        return ResourceApi.read(self, request, resource_type, resource_id)

    def vread(self, request: Request, resource_type: str, resource_id: str, version_id: str) -> Response:
        """One version, of a deleted one too."""
        self.admit(request, resource_id, deleted=True)
        return ResourceApi.vread(self, request, resource_type, resource_id, version_id)

    def history(self, request: Request, resource_type: str, resource_id: str | None = None) -> Response:
        """The versions of one, or of all that the caller sees, the newest first."""
        if resource_id is not None:
            self.admit(request, resource_id)
            return ResourceApi.history(self, request, resource_type, resource_id)
        asked = parse_history(request.query_params.multi_items(), strict=is_strict(request.headers))
        who = principal_of(request)
        with tenant_transaction(self.pool, who.tenant) as connection:
            found = _own_history(connection, who, asked)
            record(connection, who.tenant, Act(Interaction.HISTORY_TYPE, resource_type))
        return FhirResponse(history_bundle(self.base, resource_type, asked, found, self.present))

    def search(self, request: Request, resource_type: str, pairs: Pairs | None = None) -> Response:
        """A search among what the caller sees: the tag that names the owner is asked for too."""
        given = list(request.query_params.multi_items() if pairs is None else pairs)
        who = principal_of(request)
        own = ("_tag", f"{SID_CLIENT}|{_escaped(who.id)}")
        if not is_administrator(who) and own not in given:
            given.append(own)
        return ResourceApi.search(self, request, resource_type, given)

    def admit(self, request: Request, resource_id: str, *, deleted: bool = False) -> None:
        """Raises ProblemError 404 or 410 for what the caller does not see."""
        who = principal_of(request)
        with tenant_transaction(self.pool, who.tenant) as connection:
            find(connection, who, resource_id, deleted=deleted)


def _own_history(connection: Any, who: Principal, asked: History) -> list[Stored]:
    """One more version than was asked for, if there is one, of those that the caller sees."""
    found: list[Stored] = []
    while True:
        page = resources.history(connection, who.tenant, store.TYPE, None, asked)
        found += [stored for stored in page if is_administrator(who) or _owner(stored) == who.id]
        if len(found) > asked.count or len(page) <= asked.count:
            return found[: asked.count + 1]
        last = page[-1]
        asked = History(asked.count, asked.since, Before(last.last_updated, last.id, last.version_id), asked.used)


def _owner(stored: Stored) -> str:
    tags = orjson.loads(stored.body)["meta"]["tag"]
    return next(str(tag["code"]) for tag in tags if tag.get("system") == SID_CLIENT)


def _escaped(text: str) -> str:
    """As a value of a search parameter (R4 search.html#escaping)."""
    return "".join(f"\\{letter}" if letter in "\\,|$" else letter for letter in text)


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of an operation, wherever they stood."""

    pairs: Sequence[tuple[str, str]]

    def all(self, name: str) -> list[str] | None:
        """All values of a parameter; None when it was not given."""
        values = [part for key, value in self.pairs if key == name for part in value.split(",")]
        return [value.replace("\x00", "") for value in values] or None

    def number(self, name: str, otherwise: int) -> int:
        """A whole number. Raises ProblemError."""
        value = (self.all(name) or [str(otherwise)])[0]
        if not (value.isascii() and value.isdecimal() and len(value) <= 18):
            refuse(Category.INCORRECT, "parameter", f"{name} must be a number of an event.", issue_code="value")
        return int(value)


def routes(api: ResourceApi, desk: Desk, sender: Sender) -> APIRouter:
    """All that can be asked about subscriptions."""
    router = APIRouter(prefix="/fhir")
    own = OwnSubscriptions(api.pool, api.public_url, api.present, api.types, api.neighbours)

    @router.post("/Subscription")
    def create(request: Request, body: bytes = Depends(read_body)) -> Response:
        content = _sent(request, api, body)
        stored = desk.create(principal_of(request), content)
        location = f"{api.base}/Subscription/{stored.id}/_history/{stored.version_id}"
        return FhirResponse(stored.body, status_code=201, headers=version_headers(stored, location=location))

    @router.put("/Subscription/{resource_id}")
    def update(request: Request, resource_id: str, body: bytes = Depends(read_body)) -> Response:
        content = _sent(request, api, body)
        version = quoted_version(request.headers.get("if-match"))
        if version is None:
            refuse(
                Category.INCORRECT,
                "if-match",
                'If-Match is missing or names no version. Send the ETag of the Subscription that you read: W/"2".',
                issue_code="required",
            )
        if content.get("id") != resource_id:
            refuse(Category.INCORRECT, "id", "Subscription.id must be the id in the address.", issue_code="value")
        stored = desk.update(principal_of(request), resource_id, content, version=version)
        return FhirResponse(stored.body, headers=version_headers(stored))

    @router.delete("/Subscription/{resource_id}")
    def delete(request: Request, resource_id: str) -> Response:
        _from_here(request, api)
        desk.delete(principal_of(request), resource_id)
        return Response(status_code=204)

    @router.get("/Subscription/$status")
    def status_of_all(request: Request) -> Response:
        return _statuses(request, api, Asked(request.query_params.multi_items()))

    @router.post("/Subscription/$status")
    def status_of_all_by_post(request: Request, body: bytes = Depends(read_body)) -> Response:
        return _statuses(request, api, _parameters(request, body))

    @router.get("/Subscription/{resource_id}/$status")
    @router.post("/Subscription/{resource_id}/$status")
    def status_of_one(request: Request, resource_id: str) -> Response:
        who = principal_of(request)
        with tenant_transaction(api.pool, who.tenant) as connection:
            held = find(connection, who, resource_id)
            record(connection, who.tenant, Act(Interaction.OPERATION, store.TYPE, id=str(held.id)))
        address = f"{api.base}/Subscription/{held.id}/$status"
        return FhirResponse(statuses(api.base, [held.standing], address))

    @router.get("/Subscription/{resource_id}/$events")
    def events(request: Request, resource_id: str) -> Response:
        return _events(request, api, sender, resource_id, Asked(request.query_params.multi_items()))

    @router.post("/Subscription/{resource_id}/$events")
    def events_by_post(request: Request, resource_id: str, body: bytes = Depends(read_body)) -> Response:
        own.admit(request, resource_id)
        return _events(request, api, sender, resource_id, _parameters(request, body))

    add_routes(router, own, SUBSCRIPTION)
    return router


def _from_here(request: Request, api: ResourceApi) -> None:
    if from_elsewhere(request.headers, api.public_url):
        refuse(
            Category.FORBIDDEN,
            "origin",
            "A page of another site may not change a Subscription. Send this from your own system.",
            issue_code="forbidden",
        )


def _sent(request: Request, api: ResourceApi, body: bytes) -> Resource:
    """The Subscription in a request. Raises ProblemError with all that is not R4 in it."""
    _from_here(request, api)
    return parse_resource(body, resource_type=store.TYPE).resource


def _parameters(request: Request, body: bytes) -> Asked:
    """What stands in the address, and in a Parameters resource. Raises ProblemError."""
    sent = parse_resource(body, resource_type="Parameters").resource
    pairs = [
        (str(one.get("name")), str(value))
        for one in sent.get("parameter", ())
        for name, value in one.items()
        if name.startswith("value") and isinstance(value, str | int)
    ]
    return Asked([*request.query_params.multi_items(), *pairs])


def _statuses(request: Request, api: ResourceApi, asked: Asked) -> Response:
    """The status of all that the caller sees, or of those that are named."""
    who = principal_of(request)
    client = None if is_administrator(who) else who.id
    with tenant_transaction(api.pool, who.tenant) as connection:
        held = store.of_client(connection, who.tenant, client, ids=asked.all("id"), states=asked.all("status"))
        record(connection, who.tenant, Act(Interaction.OPERATION, store.TYPE))
    return FhirResponse(statuses(api.base, [each.standing for each in held], f"{api.base}/Subscription/$status"))


def _events(request: Request, api: ResourceApi, sender: Sender, resource_id: str, asked: Asked) -> Response:
    """The events of a subscription again, the oldest first; what was never taken, too."""
    who = principal_of(request)
    since, until = asked.number("eventsSinceNumber", 1), asked.number("eventsUntilNumber", NO_END)
    with tenant_transaction(api.pool, who.tenant) as connection:
        held = find(connection, who, resource_id)
        content = (asked.all("content") or [held.content])[0]
        if content not in CONTENTS:
            message = f"content must be one of {', '.join(CONTENTS)}."
            refuse(Category.INCORRECT, "parameter", message, issue_code="value")
        if content == FULL:
            require(who, [Scope(held.topic.resource_type, READ)])
        found = store.events(connection, held, since, until, most=MOST_EVENTS)
        now = database_now(connection)
    shown = {}
    if content == FULL:
        try:
            shown = contents(sender, held, found)
        except NeighbourUnavailable:
            refuse(
                Category.UNAVAILABLE,
                "service-unavailable",
                "The assessments cannot be read now. Ask again, or for id-only.",
                issue_code="transient",
            )
    with tenant_transaction(api.pool, who.tenant) as connection:
        record(connection, who.tenant, Act(Interaction.OPERATION, store.TYPE, id=str(held.id)))
        for event, resource in shown.items():
            kind, patient = held.topic.resource_type, patient_of(resource)
            act = Act(Interaction.READ, kind, id=event.ref_id, version=event.ref_version, patient=patient)
            record(connection, who.tenant, act)
    bundle = notification(api.base, held.standing, QUERY_EVENT, now, events=found, content=content, resources=shown)
    return FhirResponse(orjson.dumps(bundle, default=exact_digits))
