"""The address at which webhook receivers answer. Public; what is not signed by a receiver is refused."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from services.notify.acts.answers import take_answer
from services.notify.channels.receivers import Receiver
from shared.fhir.http import read_body
from shared.postgres import Pool


def routes(pool: Pool, receivers: Mapping[str, Receiver]) -> APIRouter:
    """`POST /worklist/answer`."""
    router = APIRouter(include_in_schema=False)

    @router.post("/worklist/answer")
    def answer(request: Request, body: bytes = Depends(read_body)) -> Response:
        address = request.client.host if request.client else None
        taken = take_answer(pool, receivers, body, request.headers, address=address)
        said = {"alert": str(taken.alert), "status": taken.state.value, "new": taken.new, "by": taken.by}
        return JSONResponse(said, headers={"Cache-Control": "no-store"})

    return router
