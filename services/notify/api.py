"""FHIR routes of notify: Task (read, search, update), CommunicationRequest and Communication (read, search).

Those of Subscription stand in their room (`subscriptions.api`).
"""

from __future__ import annotations

from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from services.notify.acts.task_update import update_task
from services.notify.escalation import Plan
from services.notify.subscriptions.api import SUBSCRIPTION
from shared.fhir.capability import READ_ONLY, ResourceCapability
from shared.fhir.http import quoted_version, read_body, refuse
from shared.fhir.parse import parse_resource
from shared.fhir.rest import ResourceApi, add_routes
from shared.origin import from_elsewhere
from shared.postgres import Pool
from shared.principal import principal_of
from shared.problems import Category

TASK = ResourceCapability("Task", ("update", *READ_ONLY), versioning="versioned-update")
ALERTING = (
    TASK,
    ResourceCapability("CommunicationRequest", READ_ONLY),
    ResourceCapability("Communication", READ_ONLY),
)
CAPABILITIES = (*ALERTING, SUBSCRIPTION)


def routes(api: ResourceApi, plan: Plan) -> APIRouter:
    """Search, read and vread of each type that notify owns, and the update of a Task."""
    router = APIRouter(prefix="/fhir")
    for capability in ALERTING:
        add_routes(router, api, capability)

    @router.put("/Task/{resource_id}")
    def update(request: Request, resource_id: str, body: bytes = Depends(read_body)) -> Response:
        if from_elsewhere(request.headers, api.public_url):
            refuse(
                Category.FORBIDDEN,
                "origin",
                "A page of another site may not change a Task. Send this from your own system.",
                issue_code="forbidden",
            )
        if_match = request.headers.get("if-match")
        change_task(api.pool, plan, principal_of(request).tenant, resource_id, body, if_match=if_match)
        return api.read(without_condition(request), TASK.type, resource_id)

    return router


def change_task(pool: Pool, plan: Plan, tenant: UUID, task_id: str, body: bytes, *, if_match: str | None) -> None:
    """Update a Task as R4 http.html asks. Raises ProblemError: unreadable, no or wrong If-Match, change not allowed."""
    version = quoted_version(if_match)
    if version is None:
        refuse(
            Category.INCORRECT,
            "if-match",
            'If-Match is missing or names no version. Send the ETag of the Task that you read, for example W/"2".',
            issue_code="required",
        )
    content = orjson.loads(parse_resource(body, resource_type=TASK.type).body)
    if content.get("id") != task_id:
        refuse(Category.INCORRECT, "id", "Task.id must be the id in the address.", issue_code="value")
    update_task(pool, plan, tenant, task_id, content, version=version)


def without_condition(request: Request) -> Request:
    """The same request for a plain read of what was just written."""
    headers = [(name, value) for name, value in request.scope["headers"] if name != b"if-none-match"]
    return Request({**request.scope, "headers": headers})
