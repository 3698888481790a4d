"""The worklist: which alerts wait, who has them, and one button to say that somebody knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response, StreamingResponse

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.acts.held import LookedAt, changed_since
from services.notify.escalation import Plan
from services.notify.page import SECURITY_HEADERS, Form, page_route, read_form, renderer
from services.notify.records import Alert
from services.notify.sign_in.visitor import visitor_of
from services.notify.worklist import store
from services.notify.worklist.filters import Filters, Section, read_filters
from services.notify.worklist.handover import MOST, SECTIONS, handover_view, hours_of
from services.notify.worklist.live import Live
from services.notify.worklist.on_duty import duty, shifts, surroundings
from services.notify.worklist.store import Looker
from services.notify.worklist.view import view
from shared.audit.act import Act, Interaction, asker_or, record
from shared.fhir.codes import Urgency
from shared.postgres import DictConnection, Pool, database_now, tenant_transaction

NUMBER = re.compile(r"[0-9]{1,9}")
NAME_COOKIE = "sural_name"
SHIFT_S = 12 * 3600
NO_STREAM = {"Retry-After": "60", **SECURITY_HEADERS}
STREAM = {**SECURITY_HEADERS, "X-Accel-Buffering": "no"}


def routes(pool: Pool, plan: Plan, *, public_url: str, sandbox: bool) -> APIRouter:
    """The worklist, its events, its button, and the handover."""
    base = urlsplit(public_url).path.rstrip("/")
    render = renderer(base=base, sandbox=sandbox)
    router = APIRouter(route_class=page_route(render), include_in_schema=False)
    streams = Live(pool)

    async def sent(request: Request) -> Form:
        return await read_form(request, public_url)

    @router.get("/worklist")
    def worklist(request: Request) -> Response:
        """The page, or with `part=list` what the script puts in place of its list."""
        tenant, filters = visitor_of(request).tenant, read_filters(request.query_params)
        looker = looker_of(request)
        with tenant_transaction(pool, tenant) as connection:
            change = store.settled_of(connection, tenant)  # before the rows: at worst they are asked for twice
            parts = store.page(connection, tenant, filters, looker)
            counts = store.counts(connection, tenant, filters, looker)
            now = database_now(connection)
            waiting = [Alert.of(row) for row in parts[Section.WAITING].rows]
            known = surroundings(duty(connection, tenant, waiting), waiting, plan, now)
            note_look(connection, tenant, "worklist")
        template = "worklist_list.html" if request.query_params.get("part") == "list" else "worklist.html"
        shown = view(parts, counts, filters, now=now, change=change, known=known)
        return render(template, view=shown, name=looker.name)

    @router.get("/worklist/handover")
    def handover(request: Request) -> Response:
        """What the next shift needs to know."""
        tenant, hours = visitor_of(request).tenant, hours_of(request.query_params.get("hours", ""))
        looker = looker_of(request)
        with tenant_transaction(pool, tenant) as connection:
            parts = store.page(connection, tenant, Filters(), looker, dict.fromkeys(SECTIONS, MOST))
            counts = store.counts(connection, tenant, Filters(), looker)
            acts = store.acts(connection, tenant, hours=hours, most=MOST + 1)
            now = database_now(connection)
            waiting = [Alert.of(row) for row in parts[Section.WAITING].rows]
            held = duty(connection, tenant, waiting)
            note_look(connection, tenant, "handover")
        known = surroundings(held, waiting, plan, now)
        shown = handover_view(parts, counts, acts, known, hours=hours, now=now)
        return render("handover.html", view=shown, shifts=shifts(held, now))

    @router.get("/worklist/events")
    async def events(request: Request) -> Response:
        """That something changed, as it happens."""
        tenant, door = visitor_of(request).tenant, request.app.state.door
        known = request.headers.get("last-event-id") or request.query_params.get("since", "")
        if streams.is_full:
            return Response(status_code=503, headers=NO_STREAM)
        await run_in_threadpool(streams.newest, tenant)  # a database that is away is answered before the stream begins
        number = int(known) if re.fullmatch(r"[0-9]{1,18}", known) else 0
        told = streams.events(tenant, number, lambda: door.still(request))
        return StreamingResponse(told, media_type="text/event-stream", headers=STREAM)

    @router.post("/worklist/name")
    def take_name(form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        """In the sandbox: who somebody is from now on; nobody, when no name is given."""
        return named(RedirectResponse(f"{base}/worklist", 303, headers=SECURITY_HEADERS), form)

    @router.post("/worklist/alert/{alert_id}/acknowledge")
    def acknowledge_alert(request: Request, alert_id: UUID, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        visitor = visitor_of(request)
        by = Actor(visitor.name or form.get("name", [""])[0], visitor.person, "page")
        acknowledge(pool, visitor.tenant, alert_id, by=by, looked_at=looked_at(form))
        filters = read_filters(dict(parse_qsl(form.get("back", [""])[0])))
        back = f"{base}/worklist{'?' + filters.query if filters.query else ''}#alert-{alert_id}"
        answer = RedirectResponse(back, 303, headers=SECURITY_HEADERS)
        return answer if visitor.name else named(answer, form)

    def named(answer: Response, form: Form) -> Response:
        """With the name for the next alert, where nobody signs in."""
        answer.set_cookie(
            NAME_COOKIE,
            quote(form.get("name", [""])[0].strip()[:120]),
            max_age=SHIFT_S,
            path=f"{base}/worklist",
            secure=public_url.startswith("https://"),
            httponly=True,
            samesite="strict",
        )
        return answer

    return router


def note_look(connection: DictConnection, tenant: UUID, what: str) -> None:
    """Record that somebody looked at alerts."""
    record(connection, tenant, Act(Interaction.SEARCH, "Task", query=what), asker_or("service/notify"))


def looker_of(request: Request) -> Looker:
    """Who looks: whose session it is, else whoever said so in the sandbox; the empty name where nobody did."""
    visitor = visitor_of(request)
    return Looker(visitor.person, visitor.name or unquote(request.cookies.get(NAME_COOKIE, ""))[:120])


def looked_at(form: Mapping[str, list[str]]) -> LookedAt:
    """What the page had shown when the button was pressed. Raises ProblemError 409 where the form does not say it."""
    urgency, assessments = (form.get(field, [""])[0] for field in ("urgency", "assessments"))
    if urgency not in list(Urgency) or not NUMBER.fullmatch(assessments):
        raise changed_since()
    return LookedAt(Urgency(urgency), int(assessments))
