"""For our own services: whose session this is. So intake's pages are for the same people as these."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from services.notify.sign_in.door import Door
from shared.access.service_token import is_service
from shared.principal import principal_of

DIGEST = re.compile(r"[0-9a-f]{64}")


def routes(door: Door) -> APIRouter:
    """`/worklist/whose`: the SHA-256 of a session's cookie in, who it is out. It never extends a session."""
    router = APIRouter(include_in_schema=False)

    @router.get("/worklist/whose/{digest}")
    async def whose(request: Request, digest: str) -> Response:
        if not is_service(principal_of(request)) or not DIGEST.fullmatch(digest):
            raise HTTPException(404)
        visitor = await run_in_threadpool(door.whose, bytes.fromhex(digest))
        if visitor is None or not visitor.complete:
            return JSONResponse({"signed_in": False})
        told = {
            "signed_in": True,
            "account": str(visitor.account),
            "tenant": str(visitor.tenant),
            "name": visitor.name,
            "roles": sorted(visitor.roles),
        }
        return JSONResponse(told)

    return router
