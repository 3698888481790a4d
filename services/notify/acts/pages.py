"""The page of a one-time link: what waits since when, and one button. Nothing of the patient.

It needs no sign-in, so whoever opens it sees what the message said already. Opening it changes nothing; the button
needs no further proof that it was pressed on this page, as the address itself is the secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from services.notify.acts.held import LookedAt
from services.notify.acts.links import Opened, acknowledge_by, look
from services.notify.channels import short_id
from services.notify.page import FORM_BYTES, SECURITY_HEADERS, Form, page_route, renderer
from services.notify.worklist.words import URGENCY_WORDS, clock
from shared.access.paces import Paces
from shared.fhir.codes import Urgency
from shared.postgres import Pool

PRIVATE = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow, noarchive"}
MOST_ASSESSMENTS = 9


def routes(pool: Pool, *, public_url: str, sandbox: bool) -> APIRouter:
    """The page, and its button."""
    base = urlsplit(public_url).path.rstrip("/")
    render = renderer(base=base, sandbox=sandbox)
    router = APIRouter(route_class=page_route(render), include_in_schema=False)
    # A link that holds is never refused: it may be the acknowledgement.
    misses = Paces(per_second=1.0, at_once=10.0)

    def shown(template: str, *, status: int = 200, **values: object) -> Response:
        page = render(template, status=status, **values)
        page.headers.update(PRIVATE)
        return page

    def missed(request: Request) -> Response:
        """The same for a wrong link, an old one, and one whose alert is closed."""
        wait_s = misses.wait_s(_address(request) or "")
        page = shown("link_over.html", status=429 if wait_s else 404)
        if wait_s:
            page.headers["Retry-After"] = str(wait_s)
        return page

    @router.get("/a/{token}")
    def open_link(request: Request, token: str) -> Response:
        opened = look(pool, token, address=_address(request))
        return missed(request) if opened is None else shown("link.html", link=_words(opened, token))

    @router.post("/a/{token}")
    def press(request: Request, token: str, form: Mapping[str, list[str]] = Depends(_sent)) -> Response:
        name = form.get("name", [""])[0]
        opened = acknowledge_by(pool, token, name=name, looked_at=_looked_at(form), address=_address(request))
        if opened is None:
            return missed(request)
        return RedirectResponse(f"{base}/a/{token}", status_code=303, headers={**SECURITY_HEADERS, **PRIVATE})

    return router


async def _sent(request: Request) -> Form:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise HTTPException(413)
    return parse_qs(body.decode("utf-8", "replace"))


def _looked_at(form: Form) -> LookedAt | None:
    """What the page had shown; None where the form does not say it."""
    urgency, assessments = (form.get(name, [""])[0] for name in ("urgency", "assessments"))
    if urgency not in list(Urgency) or not (assessments.isascii() and assessments.isdigit()):
        return None
    return LookedAt(Urgency(urgency), int(assessments[:MOST_ASSESSMENTS]))


@dataclass(frozen=True, slots=True)
class Words:
    """What the page says. `known_by`: who acknowledged, by this link or otherwise; empty while nobody has."""

    token: str
    short: str
    alert_id: str
    urgency: str
    urgency_word: str
    since: str
    assessments: int
    name: str
    known_by: str
    known_at: str
    used: bool
    waits: bool


def _words(opened: Opened, token: str) -> Words:
    alert, link = opened.alert, opened.link
    known = (link.used_by, link.used_at) if link.used_at else (alert.acknowledged_by, alert.acknowledged_at)
    return Words(
        token=token,
        short=short_id(alert.id),
        alert_id=str(alert.id),
        urgency=alert.urgency.value,
        urgency_word=URGENCY_WORDS[alert.urgency],
        since=clock(alert.opened_at),
        assessments=opened.assessments,
        name=opened.name or "",
        known_by=known[0] or "",
        known_at=clock(known[1]) if known[1] else "",
        used=link.used_at is not None,
        waits=alert.state.absorbs,
    )


def _address(request: Request) -> str | None:
    return request.client.host if request.client else None
