"""The worklist: which alerts wait, and one button to say that somebody knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from services.notify import store
from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.acts.held import LookedAt, changed_since
from services.notify.page import SECURITY_HEADERS, Form, page_route, read_form, renderer
from services.notify.sign_in.visitor import visitor_of
from services.notify.worklist.words import clock, shown
from shared.audit.act import Act, Interaction, asker_or, record
from shared.fhir.codes import Urgency
from shared.postgres import Pool, database_now, tenant_transaction

REFRESH_S = 15
MOST_SHOWN = 300
COUNT = re.compile(r"[0-9]{1,9}")
NAME_COOKIE = "sural_name"
SHIFT_S = 12 * 3600


def routes(pool: Pool, *, public_url: str, sandbox: bool) -> APIRouter:
    """The worklist, and its button."""
    base = urlsplit(public_url).path.rstrip("/")
    render = renderer(base=base, sandbox=sandbox)
    router = APIRouter(route_class=page_route(render), include_in_schema=False)

    async def sent(request: Request) -> Form:
        return await read_form(request, public_url)

    @router.get("/worklist")
    def worklist(request: Request) -> Response:
        tenant = visitor_of(request).tenant
        with tenant_transaction(pool, tenant) as connection:
            rows = store.worklist(connection, tenant, limit=MOST_SHOWN)
            now = database_now(connection)
            looked = Act(Interaction.SEARCH, "Task", query="worklist")
            record(connection, tenant, looked, asker_or("service/notify"))
        alerts = [shown(row) for row in rows]
        return render(
            "worklist.html",
            waiting=[alert for alert in alerts if alert.is_open],
            acknowledged=[alert for alert in alerts if not alert.is_open],
            cut=len(rows) == MOST_SHOWN,
            updated=clock(now),
            refresh_s=REFRESH_S,
            name=unquote(request.cookies.get(NAME_COOKIE, ""))[:120],
        )

    @router.post("/worklist/{alert_id}/acknowledge")
    def acknowledge_alert(request: Request, alert_id: UUID, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        name = form.get("name", [""])[0]
        visitor = visitor_of(request)
        by = Actor(visitor.name or name, visitor.person, "page")
        acknowledge(pool, visitor.tenant, alert_id, by=by, looked_at=looked_at(form))
        answer = RedirectResponse(f"{base}/worklist#alert-{alert_id}", status_code=303, headers=SECURITY_HEADERS)
        answer.set_cookie(
            NAME_COOKIE,
            quote(name.strip()),
            max_age=SHIFT_S,
            path=f"{base}/worklist",
            secure=public_url.startswith("https://"),
            httponly=True,
            samesite="strict",
        )
        return answer

    return router


def looked_at(form: Mapping[str, list[str]]) -> LookedAt:
    """What the page had shown when the button was pressed. Raises ProblemError 409 where the form does not say it."""
    urgency, assessments = (form.get(field, [""])[0] for field in ("urgency", "assessments"))
    if urgency not in list(Urgency) or not COUNT.fullmatch(assessments):
        raise changed_since()
    return LookedAt(Urgency(urgency), int(assessments))
