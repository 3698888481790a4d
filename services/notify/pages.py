"""The clinicians' page: which alerts wait, and one button to say that somebody knows.

Rendered here, no script, nothing from elsewhere. Looking never acknowledges (mail scanners open links); the button is a
POST that browsers send only from this page (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/).
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from services.notify import store
from services.notify.acknowledge import LookedAt, acknowledge, changed_since
from services.notify.worklist import clock, shown
from shared.audit.act import Act, Interaction, asker_or, record
from shared.fhir.codes import Urgency
from shared.origin import from_elsewhere
from shared.postgres import Pool, database_now, tenant_transaction, unavailable
from shared.problems import ProblemError

FOLDER = Path(__file__).parent / "templates"
REFRESH_S = 15
MOST_SHOWN = 300
FORM_BYTES = 4096
COUNT = re.compile(r"[0-9]{1,9}")
NAME_COOKIE = "sural_name"
SHIFT_S = 12 * 3600
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
NOTE = "Decision support for clinicians. Not a diagnosis. Based only on the answers given."

log = logging.getLogger(__name__)
Render = Callable[..., Response]
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def routes(pool: Pool, tenant: UUID, *, public_url: str, sandbox: bool) -> APIRouter:
    """The worklist, its button and its style sheet."""
    base = urlsplit(public_url).path.rstrip("/")
    render = renderer(base=base, sandbox=sandbox)
    router = APIRouter(route_class=page_route(render), include_in_schema=False)

    async def read_form(request: Request) -> Mapping[str, list[str]]:
        refuse_foreign(request.headers, public_url)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > FORM_BYTES:
                raise HTTPException(413)
        return parse_qs(body.decode("utf-8", "replace"))

    @router.get("/worklist")
    def worklist(request: Request) -> Response:
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
    def acknowledge_alert(alert_id: UUID, form: Mapping[str, list[str]] = Depends(read_form)) -> Response:
        name = form.get("name", [""])[0]
        acknowledge(pool, tenant, alert_id, person=name, looked_at=looked_at(form))
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

    @router.get("/worklist/style.css")
    def style() -> Response:
        headers = {**SECURITY_HEADERS, "Cache-Control": "max-age=300"}
        return Response((FOLDER / "style.css").read_bytes(), media_type="text/css", headers=headers)

    @router.get("/worklist/{rest:path}")
    def nothing_here(rest: str) -> Response:
        raise HTTPException(404)

    return router


def looked_at(form: Mapping[str, list[str]]) -> LookedAt:
    """What the page had shown when the button was pressed. Raises ProblemError 409 where the form does not say it."""
    urgency, assessments = (form.get(field, [""])[0] for field in ("urgency", "assessments"))
    if urgency not in list(Urgency) or not COUNT.fullmatch(assessments):
        raise changed_since()
    return LookedAt(Urgency(urgency), int(assessments))


def renderer(*, base: str, sandbox: bool) -> Render:
    """A function that fills a template; everything that is filled in is escaped."""
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(base=base, sandbox=sandbox, note=NOTE)

    def render(template: str, *, status: int = 200, **values: object) -> Response:
        text = environment.get_template(template).render(**values)
        return Response(text, status, media_type="text/html", headers=SECURITY_HEADERS)

    return render


def refuse_foreign(headers: Mapping[str, str], public_url: str) -> None:
    """Refuse a form that another site made the browser send. Raises HTTPException 403.

    A browser says where a form comes from, by Sec-Fetch-Site and Origin; one of them must be there, and both must fit.
    """
    silent = "sec-fetch-site" not in headers and "origin" not in headers
    if silent or from_elsewhere(headers, public_url):
        raise HTTPException(403)


SENTENCES = {
    403: (
        "Not acknowledged",
        "The request did not come from the worklist. Open the worklist and press the button there.",
    ),
    404: ("Not found", "There is no such page or alert."),
    413: ("Not acknowledged", "The form is too large."),
    503: (
        "Not available now",
        "The database does not answer. Look at the worklist again in a few seconds: only it shows what is stored.",
    ),
    500: ("Something went wrong", "Nothing was changed. Try again; if it stays, report the reference."),
}


def page_route(render: Render) -> type[APIRoute]:
    """A route whose errors are pages too."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            handler = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                try:
                    return await handler(request)
                except Exception as error:
                    return error_page(render, error)

            return guarded

    return PageRoute


def error_page(render: Render, error: Exception) -> Response:
    """What went wrong, as a page with the same status that a FHIR client would get."""
    reference = ""
    match error:
        case ProblemError():
            problem = error.problems[0]
            title = "Not found" if error.http_status == 404 else "Not acknowledged"
            return render("error.html", status=error.http_status, title=title, sentence=problem.message, reference="")
        case HTTPException():
            status = error.status_code
        case RequestValidationError():
            status = 404
        case _:
            status = 503 if unavailable(error) else 500
            reference = secrets.token_hex(6)
            log.error("page failed", extra={"reference": reference, "error": type(error).__name__}, exc_info=error)
    title, sentence = SENTENCES.get(status, SENTENCES[500])
    return render("error.html", status=status, title=title, sentence=sentence, reference=reference)
