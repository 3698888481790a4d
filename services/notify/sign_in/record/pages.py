"""The record, for auditors: what notify recorded of one tenant, newest first. Reading it is recorded too.

Intake and triage keep their own; `/fhir/AuditEvent` gives out all of them together, to systems.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.notify.page import page_route
from services.notify.sign_in import store
from services.notify.sign_in.door import asker_of
from services.notify.sign_in.flow import SignIn
from services.notify.sign_in.visitor import Role, require_role
from shared.audit.act import Act, Interaction, Outcome, record
from shared.postgres import tenant_transaction

PAGE = 100


def routes(context: SignIn) -> APIRouter:
    """One page after the other."""
    router = APIRouter(route_class=page_route(context.render), include_in_schema=False)

    @router.get("/worklist/audit")
    def audit(request: Request, before: str = "") -> Response:
        visitor = require_role(request, Role.AUDITOR)
        with tenant_transaction(context.desk.pool, visitor.tenant) as connection:
            rows = store.audit(connection, visitor.tenant, before=_place(before), most=PAGE)
            looked = Act(Interaction.SEARCH, "AuditEvent", query="page")
            record(connection, visitor.tenant, looked, asker_of(visitor, request))
        older = _name(rows[-1]) if len(rows) == PAGE else ""
        return context.render("audit.html", events=[_shown(row) for row in rows], older=older, first=not before)

    return router


def _place(text: str) -> tuple[datetime, int] | None:
    """The place in the record that an address names; None for none, and for what is no place."""
    microseconds, _, number = text.partition("-")
    if not (microseconds.isdecimal() and number.isdecimal() and len(microseconds) <= 17 and len(number) <= 18):
        return None
    return datetime.fromtimestamp(int(microseconds) / 1_000_000, UTC), int(number)


def _name(row: Mapping[str, Any]) -> str:
    return f"{round(row['recorded'].timestamp() * 1_000_000)}-{row['number']}"


def _shown(row: Mapping[str, Any]) -> dict[str, str]:
    about = f"{row['type']}/{row['ref_id']}" if row["ref_id"] else row["type"] or ""
    return {
        "at": f"{row['recorded']:%Y-%m-%d %H:%M:%S}",
        "who": row["person"] or row["agent"],
        "address": row["address"] or "",
        "what": (row["word"] or row["interaction"]).replace("_", " ").replace("-", " "),
        "about": about,
        "patient": row["patient"] or "",
        "outcome": "done" if row["outcome"] == Outcome.SUCCESS else "refused",
    }
