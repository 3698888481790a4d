"""FHIR routes of intake for QuestionnaireResponse, and what intake offers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from services.intake.context import IntakeContext
from services.intake.definitions import api as definitions_api
from services.intake.judge import Judged, judge, recognise
from services.intake.preconditions import CONDITIONS, Preconditions, read_preconditions
from services.intake.receive import Received, create_alone, created, first_version, update, update_identified
from services.intake.written import allowed_prefer, received_problems, written_response
from shared.audit import query
from shared.fhir.capability import READ_ONLY, Operation, ResourceCapability, SystemCapability
from shared.fhir.definitions import canonical
from shared.fhir.http import counted_body, outcome_response, read_body
from shared.fhir.rest import add_routes
from shared.head_and_gzip import compressed
from shared.postgres import tenant_transaction
from shared.principal import principal_of
from shared.problems import Category, Problem, ProblemError

VALIDATE = Operation("validate", "http://hl7.org/fhir/OperationDefinition/Resource-validate")
RESPONSE = ResourceCapability(
    "QuestionnaireResponse",
    ("create", "update", *READ_ONLY),
    conditional_create=True,
    conditional_update=True,
    update_create=True,
    versioning="versioned-update",
    operations=(
        VALIDATE,
        Operation("triage", canonical("OperationDefinition", "response-triage")),
        Operation("status", canonical("OperationDefinition", "response-status")),
        Operation("everything", canonical("OperationDefinition", "response-everything")),
    ),
)
QUESTIONNAIRE = ResourceCapability(
    "Questionnaire",
    ("create", "update", *READ_ONLY),
    update_create=True,
    versioning="versioned-update",
    operations=(
        VALIDATE,
        Operation("process-response", "http://hl7.org/fhir/uv/sdc/OperationDefinition/Questionnaire-process-response"),
    ),
)
WHOLE = SystemCapability(("batch", "transaction"))
AUDIT = ResourceCapability("AuditEvent", ("read", "search-type"), search=query.PARAMETERS | {"_lastUpdated"})
CAPABILITIES = (RESPONSE, QUESTIONNAIRE, AUDIT, *definitions_api.CAPABILITIES)

MOST_IN_HAND: Final = 500
"""New responses that may wait at the same moment, mostly for a database that is away. Whoever comes then is asked to
come again, as the sender keeps a response better than this memory does."""
MOST_COMING: Final = 2000
"""Bodies of new responses that may be on their way at the same moment, each for `BODY_S`. They take none of the places
above: a tablet that loses its network in the middle of a body is in nobody's way."""
MOST_BYTES: Final = 64 << 20
"""Bytes of either that are here, at most. What a sender only announces takes no room from others."""

NEVER_DELETED = (
    "A response is never deleted: what was assessed must stay readable. To withdraw it, PUT it with the status "
    "entered-in-error; the assessment and its alerts are then withdrawn."
)
NOT_PATCHED = "A response is replaced as a whole, so that its answers are checked as a whole. PUT it with If-Match."


def install_create(app: FastAPI, intake: IntakeContext) -> None:
    """Create, which most requests are: answered without the framework, whose layers cost half as much as judging.

    The route is there for who asks what is offered.
    """

    def create(request: Request, body: bytes) -> Response:
        def store(judged: Judged, asked: Preconditions) -> Received:
            return create_alone(judged, pool=intake.api.pool, tenant=principal_of(request).tenant, asked=asked)

        return answer(intake, request, body, store)

    coming, in_hand = _Places(), _Places()

    async def create_response(request: Request) -> Response:
        with coming.one_of(MOST_COMING) as take_room:
            body = await counted_body(request, take_room)
        with in_hand.one_of(MOST_IN_HAND) as take_room:
            take_room(len(body))
            if (answered := await stored_at_once(intake, request, body)) is not None:
                return answered
            return await run_in_threadpool(create, request, body)

    async def create_directly(scope: Scope, receive: Receive, send: Send) -> bool:
        try:
            response = await create_response(Request(scope, receive))
        except ProblemError as error:
            response = outcome_response(error.problems, error.http_status)
        await compressed(response)(scope, receive, send)
        return True

    path = "/fhir/QuestionnaireResponse"
    app.state.direct["POST", path] = create_directly
    app.router.routes.insert(0, Route(path, create_response, methods=["POST"]))


class _Places:
    """Places for requests of one event loop, and room for their bodies."""

    __slots__ = ("_bytes", "_taken")

    def __init__(self) -> None:
        self._taken, self._bytes = 0, 0

    @contextmanager
    def one_of(self, most: int) -> Iterator[Callable[[int], None]]:
        """Hold a place inside the block, and give what takes room there for so many bytes more.

        Both raise ProblemError when there is none.
        """
        if self._taken >= most:
            raise ProblemError(_busy())
        self._taken, held = self._taken + 1, 0

        def take_room(size: int) -> None:
            nonlocal held
            if self._bytes + size > MOST_BYTES:
                raise ProblemError(_busy())
            self._bytes, held = self._bytes + size, held + size

        try:
            yield take_room
        finally:
            self._taken, self._bytes = self._taken - 1, self._bytes - held


def _busy() -> Problem:
    return Problem(
        Category.UNAVAILABLE,
        "busy",
        "Too many responses wait to be stored; this one was not looked at. Send the same request again.",
        issue_code="transient",
    )


async def stored_at_once(intake: IntakeContext, request: Request, body: bytes) -> Response | None:
    """The answer to a new response that is sound at first sight, which nearly all are. None: nothing was stored.

    Whatever else it is (refused, conditional, known already) is found out by the way that all writes take.
    """
    who = principal_of(request)
    if not CONDITIONS.isdisjoint(request.headers.keys()):
        return None
    judged = recognise(body, catalogue=intake.catalogue, tenant=who.tenant)
    if judged is None:
        return None
    new = first_version(judged, Preconditions(who.id))
    result = await intake.together.store(who.tenant, new)
    if result is None:
        return None
    intake.stored()
    return said(intake, request, created(judged, new, result), body)


def answer(
    intake: IntakeContext, request: Request, body: bytes, store: Callable[[Judged, Preconditions], Received]
) -> Response:
    """Judge and store a response under the safety net, and say what became of it."""
    who = principal_of(request)
    with intake.net.under(body, who):
        asked = read_preconditions(request.headers, client=who.id)
        received = store(judge(body, catalogue=intake.catalogue, tenant=who.tenant), asked)
    if received.written:
        intake.stored()
    return said(intake, request, replace(received, warnings=intake.net.passed_over(body, who, received.warnings)), body)


def said(intake: IntakeContext, request: Request, received: Received, body: bytes) -> Response:
    """What the sender is told, as Prefer asks."""
    prefer = allowed_prefer(request.headers.get("prefer", ""), received.stored, body, principal_of(request))
    problems = received_problems(received, intake.api.base)
    return written_response(received.stored, received.outcome, problems, base=intake.api.base, prefer=prefer)


def routes(intake: IntakeContext) -> APIRouter:
    """Update, read and search of responses; what is not offered."""
    router = APIRouter(prefix="/fhir")
    api = intake.api

    def write(request: Request, body: bytes, change: Callable[..., Received], *address: object) -> Response:
        def store(judged: Judged, asked: Preconditions) -> Received:
            tenant = principal_of(request).tenant
            with tenant_transaction(api.pool, tenant) as connection:
                return change(*address, judged, connection=connection, tenant=tenant, asked=asked)

        return answer(intake, request, body, store)

    @router.put("/QuestionnaireResponse/{resource_id}")
    def update_response(request: Request, resource_id: str, body: bytes = Depends(read_body)) -> Response:
        return write(request, body, update, resource_id)

    @router.put("/QuestionnaireResponse")
    def update_identified_response(request: Request, body: bytes = Depends(read_body)) -> Response:
        return write(request, body, update_identified, request.url.query)

    @router.delete("/QuestionnaireResponse/{resource_id}")
    def delete_response(resource_id: str) -> Response:
        return not_offered(NEVER_DELETED)

    @router.patch("/QuestionnaireResponse/{resource_id}")
    def patch_response(resource_id: str) -> Response:
        return not_offered(NOT_PATCHED)

    add_routes(router, api, RESPONSE)
    return router


def not_offered(why: str) -> Response:
    """405 with the reason, and with what is offered instead."""
    problem = Problem(Category.UNSUPPORTED, "method", why, issue_code="not-supported")
    return outcome_response([problem], 405, {"Allow": "GET, HEAD, PUT"})
