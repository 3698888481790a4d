"""The page `/worklist/on-call`: who is on call, the days ahead, and for leads the document itself. No JavaScript."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from services.notify.on_call import store
from services.notify.on_call.document import Document
from services.notify.on_call.edit import with_override
from services.notify.on_call.flaw import DocumentFlawed, Flaw
from services.notify.on_call.read import LONGEST_TEXT, read_document
from services.notify.on_call.save import checked, save_document
from services.notify.on_call.store import Saved
from services.notify.on_call.words import (
    listed,
    local,
    shown_policy,
    shown_rota,
    shown_team,
    target_words,
)
from services.notify.page import SECURITY_HEADERS, Form, page_route, read_form, renderer
from services.notify.push.store import people_with_devices
from services.notify.sign_in.visitor import Role, Visitor, require_role
from shared.postgres import Pool, database_now, tenant_transaction
from shared.problems import ProblemError

HOME = "/worklist/on-call"
START = (Path(__file__).parent / "start.toml").read_text(encoding="utf-8")
"""What the text field holds where no document was saved yet."""
MOST_BYTES = 4 * LONGEST_TEXT
"""Of a form: what is not a letter or digit is sent as three bytes."""
NAME_LENGTH = 120


@dataclass(frozen=True, slots=True)
class Typed:
    """What somebody typed, shown again where it could not be taken, and what is to be said of it."""

    text: str | None = None
    edited: int | None = None
    flaws: Sequence[Flaw] = ()
    sentence: str = ""
    good: str = ""
    status: int = 200
    takes_over: Mapping[str, str] | None = None
    name: str = ""


def routes(pool: Pool, *, public_url: str, sandbox: bool, ways: Collection[str]) -> APIRouter:
    """The page, its text field with "check" and "save", and the form by which somebody takes over."""
    base = urlsplit(public_url).path.rstrip("/")
    render = renderer(base=base, sandbox=sandbox)
    router = APIRouter(route_class=page_route(render), include_in_schema=False)

    async def sent(request: Request) -> Form:
        return await read_form(request, public_url, most_bytes=MOST_BYTES)

    def page(visitor: Visitor, typed: Typed) -> Response:
        with tenant_transaction(pool, visitor.tenant) as connection:
            newest = store.newest(connection, visitor.tenant)
            held = store.saved(connection, visitor.tenant, newest)
            now = database_now(connection)
        return render("on-call.html", status=typed.status, **_shown(held, now, visitor, typed))

    def saved(version: int) -> Response:
        address = f"{base}{HOME}?saved={quote(str(version))}"
        return RedirectResponse(address, status_code=303, headers=SECURITY_HEADERS)

    @router.get(HOME)
    def on_call(request: Request) -> Response:
        visitor = require_role(request, *Role)
        number = request.query_params.get("saved", "")
        good = f"Version {number} is kept." if number.isdecimal() and len(number) < 9 else ""
        return page(visitor, Typed(good=good))

    @router.post(HOME)
    def save(request: Request, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        visitor = require_role(request, Role.LEAD)
        text, edited = _one(form, "text").replace("\r\n", "\n"), _number(form, "edited")
        typed = Typed(text=text, edited=edited, name=_one(form, "name"))
        try:
            if _one(form, "do") == "check":
                with tenant_transaction(pool, visitor.tenant) as connection:
                    now, devices = database_now(connection), people_with_devices(connection, visitor.tenant)
                checked(text, now, ways=ways, devices=devices)
                return page(visitor, _said(typed, good="No gap in the next 30 days. Nothing was saved yet."))
            by = visitor.name or _name(form)
            return saved(save_document(pool, visitor.tenant, text, edited=edited, by=by, ways=ways))
        except DocumentFlawed as flawed:
            return page(visitor, _said(typed, flaws=flawed.flaws, status=422))
        except ProblemError as error:
            return page(visitor, _said(typed, sentence=error.problems[0].message, status=error.http_status))

    @router.post(f"{HOME}/override")
    def take_over(request: Request, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        visitor = require_role(request, Role.LEAD)
        edited = _number(form, "edited")
        typed = Typed(takes_over={name: values[0] for name, values in form.items()}, name=_one(form, "name"))
        try:
            by = visitor.name or _name(form)
            with tenant_transaction(pool, visitor.tenant) as connection:
                held = store.saved(connection, visitor.tenant, edited)
            text = _with_override(held.text if held else "", form)
            return saved(save_document(pool, visitor.tenant, text, edited=edited, by=by, ways=ways))
        except DocumentFlawed as flawed:
            return page(visitor, _said(typed, flaws=flawed.flaws, status=422))
        except ProblemError as error:
            return page(visitor, _said(typed, sentence=error.problems[0].message, status=error.http_status))

    return router


def _shown(held: Saved | None, now: datetime, visitor: Visitor, typed: Typed) -> dict[str, object]:
    document = _readable(held)
    leads = visitor.may(Role.LEAD)
    values: dict[str, object] = {
        "typed": typed,
        "leads": leads,
        "asks_name": not visitor.name,
        "saved": held,
        "edited": typed.edited if typed.edited is not None else (held.version if held else 0),
        "text": (typed.text if typed.text is not None else (held.text if held else START)) if leads else "",
        "over": typed.takes_over or {},
        "document": document,
    }
    if document is not None:
        zone = ZoneInfo(document.time_zone)
        values |= {
            "at": local(now, document.time_zone),
            "rotas": [shown_rota(document, rota, now) for rota in document.rotas],
            "teams": [shown_team(document, team) for team in document.teams],
            "policies": [shown_policy(document, policy) for policy in document.policies],
            "fallback": listed(target_words(document, target) for target in document.fallback),
            "saved_at": f"{held.saved_at.astimezone(zone):%Y-%m-%d %H:%M}" if held else "",
        }
    return values


def _readable(held: Saved | None) -> Document | None:
    """The document that was saved; None where there is none, or none that can be read any more."""
    try:
        return read_document(held.text, version=held.version) if held else None
    except DocumentFlawed:
        return None


def _with_override(text: str, form: Form) -> str:
    """The document's text with what the form says. Raises DocumentFlawed with everything that is missing in it."""
    document = read_document(text)
    rota = document.rota(_one(form, "rota"))
    if rota is None:
        raise DocumentFlawed([Flaw("Rota", "none", "one of the rotas", "Choose it.")])
    start, end = (_moment(_one(form, field), rota.time_zone) for field in ("from", "to"))
    person, instead_of = _one(form, "person"), _one(form, "instead_of")
    flaws = []
    if document.person(person) is None:
        flaws.append(Flaw("Who takes over", "nobody", "somebody of the document", "Choose a person."))
    if start is None or end is None or start >= end:
        flaws.append(Flaw("From and to", "no span of time", "two times, the second one later", "Correct them."))
    if flaws or start is None or end is None:
        raise DocumentFlawed(flaws)
    reason = " ".join(_one(form, "reason").split())[:200]
    return with_override(text, rota, start=start, end=end, person=person, instead_of=instead_of or None, reason=reason)


def _moment(text: str, time_zone: str) -> datetime | None:
    """What a date and time field holds, on the rota's clock."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(time_zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _name(form: Form) -> str:
    name = " ".join(_one(form, "name").split())
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        remedy = f"Write 1 to {NAME_LENGTH} characters."
        raise DocumentFlawed([Flaw("Your name", "none that can be kept", "who saves this", remedy)])
    return name


def _said(typed: Typed, *, flaws: Sequence[Flaw] = (), sentence: str = "", good: str = "", status: int = 200) -> Typed:
    return replace(typed, flaws=flaws, sentence=sentence, good=good, status=status)


def _one(form: Form, field: str) -> str:
    return form.get(field, [""])[0]


def _number(form: Form, field: str) -> int:
    """A version that the page had given out; 0 for anything else."""
    text = _one(form, field)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
