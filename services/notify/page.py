"""What all pages of notify share: filled templates, headers, forms that no other site may send, errors as pages.

Everything that is filled in is escaped; nothing comes from elsewhere; scripts and styles are files of ours
(Content-Security-Policy). Looking at a page never changes anything (mail scanners open links): what changes something
is a POST that browsers send only from our own pages (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/).
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.notify.assets_of_pages import ASSETS, address, answer
from services.notify.sign_in.door import Door, SignInNeeded, asker_of
from services.notify.sign_in.visitor import NOBODY, Role, RoleNeeded, Visitor, visitor_of
from shared.audit.act import asked_by
from shared.origin import from_elsewhere
from shared.postgres import unavailable
from shared.problems import ProblemError

TEMPLATES = Path(__file__).parent / "templates"
FORM_BYTES = 4096
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
NOTE = "Decision support for clinicians. Not a diagnosis. Based only on the answers given."

SEES_ALERTS = (Role.CLINICIAN, Role.LEAD)
NAVIGATION = (
    ("/worklist", "Worklist", SEES_ALERTS),
    ("/worklist/handover", "Handover", SEES_ALERTS),
    ("/worklist/on-call", "On call", tuple(Role)),
    ("/worklist/measures", "Measures", (Role.LEAD,)),
    ("/worklist/audit", "Audit", (Role.AUDITOR,)),
    ("/worklist/accounts", "Accounts", (Role.ADMINISTRATOR,)),
    ("/worklist/account", "Account", tuple(Role)),
)
"""Address, words, and the roles one of which somebody needs to be shown the way there."""

log = logging.getLogger(__name__)
Render = Callable[..., Response]
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Form = Mapping[str, list[str]]


ASKED: ContextVar[Request | None] = ContextVar("asked", default=None)
"""The request that is being answered by a `page_route`: templates know from it who looks, and at which page."""


def renderer(*, base: str, sandbox: bool) -> Render:
    """A function that fills a template; everything that is filled in is escaped.

    Beside its own values a template has `base` (before every address), `sandbox`, `note`, `asset('style.css')`,
    `visitor`, `csrf` (for the hidden field of that name), `here` (the path that was asked) and `navigation`.
    """
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(base=base, sandbox=sandbox, note=NOTE, asset=lambda name: base + address(name))

    def render(template: str, *, status: int = 200, **values: object) -> Response:
        text = environment.get_template(template).render(**_surroundings(), **values)
        return Response(text, status, media_type="text/html", headers=SECURITY_HEADERS)

    return render


def _surroundings() -> dict[str, object]:
    """What every template knows of the request that it answers; nobody and nowhere outside of one."""
    request = ASKED.get()
    visitor: Visitor | None = getattr(request.state, "visitor", None) if request else None
    return {
        "visitor": visitor,
        "csrf": visitor.csrf if visitor else "",
        "here": request.url.path if request else "",
        "navigation": [(path, words) for path, words, roles in NAVIGATION if visitor and visitor.reaches(*roles)],
    }


def asset_routes() -> APIRouter:
    """Style sheet, scripts and pictures: for everybody, as the page to sign in needs them too."""
    router = APIRouter(include_in_schema=False)

    @router.get("/worklist/assets/{name:path}")
    def asset(request: Request, name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404)
        return answer(ASSETS[name], version=request.query_params.get("v"), known=request.headers.get("if-none-match"))

    return router


def no_other_pages(*, public_url: str, sandbox: bool) -> APIRouter:
    """Says of every other address below /worklist that there is no such page. Included after the pages of all rooms."""
    render = renderer(base=urlsplit(public_url).path.rstrip("/"), sandbox=sandbox)
    router = APIRouter(route_class=page_route(render), include_in_schema=False)

    @router.get("/worklist/{rest:path}")
    def nothing_here(rest: str) -> Response:
        raise HTTPException(404)

    return router


async def read_form(request: Request, public_url: str, *, most_bytes: int = FORM_BYTES) -> Form:
    """The fields of a form of ours. Raises HTTPException 403 when another site sent it, 413 when it is too large.

    Where somebody is signed in, the field `csrf` must be that of the session too.
    """
    refuse_foreign(request.headers, public_url)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise HTTPException(413)
    form = parse_qs(body.decode("utf-8", "replace"))
    expected = visitor_of(request).csrf
    if expected and not hmac.compare_digest(form.get("csrf", [""])[0].encode(), expected.encode()):
        raise HTTPException(403)
    return form


def refuse_foreign(headers: Mapping[str, str], public_url: str) -> None:
    """Refuse a form that another site made the browser send. Raises HTTPException 403.

    A browser says where a form comes from, by Sec-Fetch-Site and Origin; one of them must be there, and both must fit.
    """
    silent = "sec-fetch-site" not in headers and "origin" not in headers
    if silent or from_elsewhere(headers, public_url):
        raise HTTPException(403)


SENTENCES = {
    403: (
        "Not done",
        "The request did not come from this page as it is now. Open the page again and press the button there.",
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
    """A route that knows who looks (`visitor_of`), and whose errors are pages too."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            handler = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                door: Door = request.app.state.door
                request.state.visitor = NOBODY
                asked = ASKED.set(request)
                try:
                    return door.seal(await answered(door, request))
                finally:
                    ASKED.reset(asked)

            async def answered(door: Door, request: Request) -> Response:
                try:
                    visitor = request.state.visitor = await run_in_threadpool(door.admit, request)
                    if visitor.account is not None:
                        asked_by(asker_of(visitor, request))
                    return await handler(request)
                except SignInNeeded:
                    return door.to_sign_in(request)
                except RoleNeeded as needed:
                    request.state.visitor = needed.visitor
                    await run_in_threadpool(door.note_denied, request, needed.visitor)
                    return error_page(render, needed)
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
        case RoleNeeded():
            return render("error.html", status=403, title="Not for your role", sentence=error.sentence, reference="")
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
