"""What all pages of notify share: filled templates, headers, forms that no other site may send, errors as pages.

Everything that is filled in is escaped; nothing comes from elsewhere; scripts and styles are files of ours
(Content-Security-Policy). Looking at a page never changes anything (mail scanners open links): what changes something
is a POST that browsers send only from our own pages (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.notify.sign_in.visitor import SANDBOX_VISITOR
from shared.origin import from_elsewhere
from shared.postgres import unavailable
from shared.problems import ProblemError

TEMPLATES = Path(__file__).parent / "templates"
ASSETS = Path(__file__).parent / "assets"
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

log = logging.getLogger(__name__)
Render = Callable[..., Response]
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Form = Mapping[str, list[str]]


def renderer(*, base: str, sandbox: bool) -> Render:
    """A function that fills a template; everything that is filled in is escaped."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(base=base, sandbox=sandbox, note=NOTE)

    def render(template: str, *, status: int = 200, **values: object) -> Response:
        text = environment.get_template(template).render(**values)
        return Response(text, status, media_type="text/html", headers=SECURITY_HEADERS)

    return render


async def read_form(request: Request, public_url: str, *, most_bytes: int = FORM_BYTES) -> Form:
    """The fields of a form of ours. Raises HTTPException 403 when another site sent it, 413 when it is too large."""
    refuse_foreign(request.headers, public_url)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise HTTPException(413)
    return parse_qs(body.decode("utf-8", "replace"))


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
    """A route that knows who looks (`visitor_of`), and whose errors are pages too."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            handler = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                try:
                    request.state.visitor = SANDBOX_VISITOR
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
