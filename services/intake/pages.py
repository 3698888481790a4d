"""Pages for staff: what became of one submission, and a new form for a patient.

Rendered here, no script, nothing from elsewhere. The page of a submission says the same as `$status` in words: ids and
times, nothing that was answered and no name. A new form is a link with a ticket (`form/ticket.py`) that a tablet opens.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import segno
from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from services.intake.follow_up_api import timeline_of
from services.intake.form.tablet import Invitations
from services.intake.form.ticket import LIFETIME_S
from services.intake.neighbours import Neighbours
from services.intake.submission_words import shown
from services.intake.who_looks import CannotTell, Door, NotForThem, SignInNeeded, sign_in_path
from shared.access.session_cookie import HSTS
from shared.audit.act import Act, Interaction, asker_or, patient_of, record
from shared.origin import from_elsewhere
from shared.postgres import Pool, tenant_transaction, unavailable
from shared.problems import ProblemError

FOLDER = Path(__file__).parent / "templates"
FORM_BYTES = 4096
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}

log = logging.getLogger(__name__)
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def routes(
    pool: Pool, neighbours: Neighbours, door: Door, invitations: Invitations, *, public_url: str, sandbox: bool
) -> APIRouter:
    """The pages and their style sheet."""
    base = urlsplit(public_url).path.rstrip("/")
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(base=base, sandbox=sandbox)

    def render(template: str, status: int = 200, **values: object) -> Response:
        text = environment.get_template(template).render(**values)
        return Response(text, status, media_type="text/html", headers=SECURITY_HEADERS)

    class Page(APIRoute):
        """A route whose errors are pages too."""

        def get_route_handler(self) -> Handler:
            handler = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                try:
                    answer = await handler(request)
                except SignInNeeded:
                    answer = RedirectResponse(base + sign_in_path(request), 303, headers=SECURITY_HEADERS)
                except Exception as error:
                    answer = render("missing.html", **_words_for(error))
                if door.https:
                    answer.headers["Strict-Transport-Security"] = HSTS
                return answer

            return guarded

    router = APIRouter(route_class=Page, include_in_schema=False)

    @router.get("/submission/style.css")
    def style() -> Response:
        headers = {**SECURITY_HEADERS, "Cache-Control": "max-age=300"}
        return Response((FOLDER / "style.css").read_bytes(), media_type="text/css", headers=headers)

    @router.get("/submission/new/{form}")
    def new_form(request: Request, form: str) -> Response:
        door.who(request)
        return render("invite.html", form=form, wrong="", number="", name="")

    async def sent(request: Request) -> Mapping[str, list[str]]:
        silent = "sec-fetch-site" not in request.headers and "origin" not in request.headers
        if silent or from_elsewhere(request.headers, public_url):
            raise HTTPException(403)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > FORM_BYTES:
                return {}
        return parse_qs(body.decode("utf-8", "replace"))

    @router.post("/submission/new/{form}")
    def invite(request: Request, form: str, fields: Mapping[str, list[str]] = Depends(sent)) -> Response:
        tenant = door.who(request).tenant
        number, name = (" ".join(fields.get(field, [""])[0].split()) for field in ("number", "name"))
        if wrong := invitations.remark(number, name):
            return render("invite.html", 422, form=form, wrong=wrong, number=number, name=name)
        ticket = invitations.ticket(form, tenant=tenant, number=number, name=name)
        act = Act(
            Interaction.OPERATION,
            "QuestionnaireResponse",
            id=ticket.response_id,
            patient=patient_of({"subject": ticket.patient}),
            query="new form",
        )
        with tenant_transaction(pool, tenant) as connection:
            record(connection, tenant, act, asker_or("service/intake"))
        link = invitations.link(ticket)
        picture = segno.make(link, micro=False).svg_inline(scale=5, border=4, title="The link as a QR code")
        return render("invited.html", form=form, link=link, picture=picture, hours=LIFETIME_S // 3600)

    @router.get("/submission/{identifier}")
    def submission(request: Request, identifier: str) -> Response:
        timeline = timeline_of(pool, neighbours, door.who(request).tenant, identifier)
        return render("submission.html", page=shown(timeline))

    return router


def _words_for(error: Exception) -> Mapping[str, Any]:
    if isinstance(error, ProblemError) and error.http_status == 404:
        sentence = "No submission has this id. Compare it with the one in the answer to your POST."
        return {"status": 404, "title": "Not found", "sentence": sentence}
    if isinstance(error, HTTPException) and error.status_code == 403:
        sentence = "The request did not come from this page. Open the page and press the button there."
        return {"status": 403, "title": "Not done", "sentence": sentence}
    if isinstance(error, NotForThem):
        sentence = "This page is for clinicians and leads. An administrator can change your roles."
        return {"status": 403, "title": "Not for your role", "sentence": sentence}
    away = unavailable(error) or isinstance(error, CannotTell)
    reference = secrets.token_hex(6)
    log.error("page failed", extra={"reference": reference, "error": type(error).__name__}, exc_info=error)
    sentence = (
        "Try again in a few seconds. What was accepted is kept and goes on whether or not this page can be shown."
    )
    title = "Not available now" if away else f"Something went wrong (reference {reference})"
    return {"status": 503 if away else 500, "title": title, "sentence": sentence}
