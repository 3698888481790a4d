"""Tell me on this device: the page where somebody has messages shown by a browser, and stops that again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from services.notify.page import SECURITY_HEADERS, Form, page_route, read_form, renderer
from services.notify.push import store
from services.notify.push.device import read_device
from services.notify.push.vapid import Vapid
from services.notify.sign_in.visitor import Visitor, visitor_of
from shared.ids import uuid7
from shared.outbound import Outbound
from shared.postgres import Pool, tenant_transaction
from shared.problems import Category, Problem, ProblemError

PERSON = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
PATH = "/worklist/account/devices"


def routes(pool: Pool, *, public_url: str, sandbox: bool, vapid: Vapid | None, door: Outbound) -> APIRouter:
    """The page and its two buttons. `door`: where push services may be."""
    base = urlsplit(public_url).path.rstrip("/")
    render = renderer(base=base, sandbox=sandbox)
    router = APIRouter(route_class=page_route(render), include_in_schema=False)

    async def sent(request: Request) -> Form:
        return await read_form(request, public_url)

    def whose(visitor: Visitor, named: str) -> str:
        """The person of the on-call document whose devices these are; in the sandbox the one that is named."""
        person = visitor.person or (named if sandbox and not visitor.signed_in else "")
        return person if PERSON.fullmatch(person) else ""

    @router.get(PATH)
    def devices(request: Request, person: str = "") -> Response:
        visitor = visitor_of(request)
        of = whose(visitor, person)
        with tenant_transaction(pool, visitor.tenant) as connection:
            held = store.devices_of(connection, visitor.tenant, of) if of else []
        return render(
            "devices.html",
            person=of,
            asks=sandbox and not visitor.signed_in,
            key=vapid.public if vapid else "",
            devices=[
                {"id": device.id, "name": device.name, "since": f"{device.created_at:%Y-%m-%d %H:%M} UTC"}
                for device in held
            ],
        )

    @router.post(PATH)
    def register(request: Request, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        visitor = visitor_of(request)
        person = whose(visitor, form.get("person", [""])[0])
        if vapid is None or not person:
            raise HTTPException(404)
        try:
            device = read_device(form, id=uuid7(), person=person, door=door)
        except ValueError as wrong:
            problem = Problem(Category.UNPROCESSABLE, "device", str(wrong), issue_code="value")
            raise ProblemError(problem) from None
        with tenant_transaction(pool, visitor.tenant) as connection:
            store.register(connection, visitor.tenant, device)
        return back(visitor, person)

    @router.post(PATH + "/{device_id}/remove")
    def remove(request: Request, device_id: UUID, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        visitor = visitor_of(request)
        person = whose(visitor, form.get("person", [""])[0])
        with tenant_transaction(pool, visitor.tenant) as connection:
            if not person or not store.forget(connection, visitor.tenant, person, device_id):
                raise HTTPException(404)
        return back(visitor, person)

    def back(visitor: Visitor, person: str) -> Response:
        query = "" if visitor.person else f"?person={person}"
        return RedirectResponse(f"{base}{PATH}{query}", status_code=303, headers=SECURITY_HEADERS)

    return router
