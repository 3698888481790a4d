"""The page `/worklist/measures`, for leads: how it goes with alerts, by red flag and by team. No JavaScript."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.notify.fatigue.measures import measures_of, minutes, share
from services.notify.page import page_route, renderer
from services.notify.sign_in.visitor import Role, require_role
from shared.audit.act import Act, Interaction, asker_or, record
from shared.postgres import Pool, database_now, tenant_transaction


def routes(pool: Pool, *, public_url: str, sandbox: bool) -> APIRouter:
    """The page."""
    render = renderer(base=urlsplit(public_url).path.rstrip("/"), sandbox=sandbox)
    router = APIRouter(route_class=page_route(render), include_in_schema=False)

    @router.get("/worklist/measures")
    def measures(request: Request) -> Response:
        tenant = require_role(request, Role.LEAD).tenant
        with tenant_transaction(pool, tenant) as connection:
            found = measures_of(connection, tenant, database_now(connection))
            looked = Act(Interaction.SEARCH, "Task", query="measures")
            record(connection, tenant, looked, asker_or("service/notify"))
        return render("measures.html", found=found, minutes=minutes, share=share)

    return router
