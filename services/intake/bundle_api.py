"""``POST [base]``: batch and transaction Bundles.

Each entry of a batch, and each read of a transaction, is a request of its own: to this application, through the same
gate as from outside, or to the neighbour that owns the type, with the caller's own Authorization.
https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson
from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from services.intake.bundle import Entry, read_bundle
from services.intake.context import IntakeContext
from services.intake.metadata import NeighbourParts
from services.intake.transaction import READS, Done, transact
from services.intake.written import allowed_prefer, location, returned
from shared.fhir import identity
from shared.fhir.http import FHIR_JSON, FhirResponse, outcome_response, read_body
from shared.fhir.identity import instant
from shared.fhir.outcome import operation_outcome
from shared.principal import Principal, principal_of
from shared.problems import Category, Problem, ProblemError

TIMEOUT_S: Final = 10.0
PASSED_ON: Final = ("authorization", "prefer", "x-request-id", "traceparent")
"""Headers of the Bundle's request that hold for each of its entries."""
_ASCII: Final = "".join(map(chr, range(128)))
"""What a condition of an entry keeps in a header; the rest is percent-encoded, as in the query that it stands for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one entry was answered: `body` is the JSON text, b"" for none."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def routes(intake: IntakeContext, neighbours: NeighbourParts, own_types: frozenset[str]) -> APIRouter:
    """The base itself. `own_types` are answered by this application, others by the neighbour that owns them."""
    router = APIRouter(prefix="/fhir")
    trusting = httpx.create_ssl_context(trust_env=False)  # made once: it takes 20 ms, in which nobody else is answered

    @router.post("/", include_in_schema=False)
    @router.post("")
    async def bundle(request: Request, body: bytes = Depends(read_body)) -> Response:
        who = principal_of(request)
        keyed = "idempotency-key" in request.headers
        kind, entries, done = await run_in_threadpool(_written, body, who, keyed=keyed)
        parts: dict[int, bytes] = {one.entry.number: _done_entry(one, request, intake.api.base) for one in done}
        async with _outside() as outside, _inside(request) as inside:
            for entry in entries:
                if entry.number not in parts:
                    answer = await _answer(entry, request, inside, outside)
                    if 400 <= answer.status < 500 and _outside_the_net(entry):
                        answer = await run_in_threadpool(_kept, entry, answer, who)
                    parts[entry.number] = _entry(answer)
        head = orjson.dumps({"resourceType": "Bundle", "type": f"{kind}-response"})[:-1]
        listed = b",".join(parts[entry.number] for entry in entries)
        return FhirResponse(head + (b',"entry":[' + listed + b"]" if entries else b"") + b"}")

    def _written(body: bytes, who: Principal, *, keyed: bool) -> tuple[str, list[Entry], list[Done]]:
        """The Bundle, and of a transaction the writes, which are stored when this returns."""
        with intake.net.under(body, who):
            if keyed:
                raise ProblemError(_no_key())
            kind, entries = read_bundle(body, base=intake.api.base)
            return kind, entries, transact(intake, entries, who) if kind == "transaction" else []

    def _kept(entry: Entry, answer: Answer, who: Principal) -> Answer:
        """The refusal of an entry that never came to the safety net, once its text is kept where it holds answers."""
        message = "The url or method of this entry takes no answers. Send them to QuestionnaireResponse."
        refusal = Problem(Category.NOT_FOUND, "not-found", message, issue_code="not-found", status=answer.status)
        try:
            with intake.net.under(entry.resource or b"", who):
                raise ProblemError(refusal)
        except ProblemError as refused:
            if refused.problems == (refusal,):
                return answer
            return Answer(refused.http_status, {}, bytes(outcome_response(refused.problems, refused.http_status).body))

    def _outside() -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, verify=trusting)

    def _inside(request: Request) -> httpx.AsyncClient:
        client = request.client
        transport = httpx.ASGITransport(
            app=request.app,
            raise_app_exceptions=False,
            client=(client.host, client.port) if client else ("127.0.0.1", 0),
        )
        return httpx.AsyncClient(transport=transport, base_url=str(request.base_url), trust_env=False)

    async def _answer(entry: Entry, request: Request, inside: httpx.AsyncClient, outside: httpx.AsyncClient) -> Answer:
        path = f"/fhir/{entry.path}" + (f"?{entry.query}" if entry.query else "")
        if entry.type in own_types:
            client, url = inside, path
            host = {"host": request.headers["host"]} if "host" in request.headers else {}
        else:
            base = await run_in_threadpool(neighbours.base_of, entry.type)
            if base is None:
                return _refusal(404, "not-found", "not-found", "Nothing is here. See /fhir/metadata for what is.")
            client, url, host = outside, f"{base}{path}", {}
        passed = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        content = entry.resource if entry.method not in READS else None
        declared = {"content-type": FHIR_JSON} if content is not None else {}
        conditions = {name: quote(value, safe=_ASCII) for name, value in entry.headers.items()}
        headers = {"accept": "application/fhir+json", **passed, **declared, **conditions, **host}
        try:
            found = await client.request(entry.method, url, content=content, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL):
            message = "The service that answers this is not there now. Send this entry again."
            return _refusal(503, "service-unavailable", "transient", message)
        return Answer(found.status_code, found.headers, found.content)

    return router


def _no_key() -> Problem:
    """One key cannot stand for many requests, and whoever sends one counts on it."""
    return Problem(
        Category.INCORRECT,
        "idempotency-key",
        "A Bundle takes no Idempotency-Key. Leave it out, and give each form in it an identifier: then the Bundle may "
        "be sent again, and each form is stored once.",
        expression="Bundle",
        issue_code="not-supported",
    )


def _outside_the_net(entry: Entry) -> bool:
    """True for what is refused before anybody looks for answers: another type or method than a response has."""
    if entry.resource is None or entry.method in READS or "$" in entry.path:
        return False
    return entry.type != "QuestionnaireResponse" or not entry.writes


def _refusal(status: int, code: str, issue_code: str, message: str) -> Answer:
    problem = Problem(Category.UNAVAILABLE, code, message, issue_code=issue_code)
    return Answer(status, {}, bytes(outcome_response([problem], status).body))


def _entry(answer: Answer) -> bytes:
    """The entry of the response Bundle, with the resource as the bytes that were given out."""
    response: dict[str, Any] = {"status": _status(answer.status)}
    for name, header in (("location", "location"), ("etag", "etag")):
        if header in answer.headers:
            response[name] = answer.headers[header]
    if "last-modified" in answer.headers:
        response["lastModified"] = instant(parsedate_to_datetime(answer.headers["last-modified"]))
    is_outcome = answer.body.startswith(b'{"resourceType":"OperationOutcome"')
    resource = answer.body if answer.body and not is_outcome else b""
    return _joined(response, answer.body if is_outcome else b"", resource)


def _done_entry(done: Done, request: Request, base: str) -> bytes:
    stored = done.stored
    response = {
        "status": _status(201 if done.outcome == "created" else 200),
        "location": location(stored, base),
        "etag": f'W/"{stored.version_id}"',
        "lastModified": instant(stored.last_updated),
    }
    prefer = allowed_prefer(request.headers.get("prefer", ""), stored, done.entry.resource, principal_of(request))
    match returned(prefer):
        case "minimal":
            return _joined(response, b"", b"")
        case "representation":
            return _joined(response, b"", identity.as_received(stored))
        case _:
            return _joined(response, orjson.dumps(operation_outcome(done.problems)), b"")


def _joined(response: dict[str, Any], outcome: bytes, resource: bytes) -> bytes:
    text = orjson.dumps(response)
    if outcome:
        text = text[:-1] + b',"outcome":' + outcome + b"}"
    return b"{" + (b'"resource":' + resource + b"," if resource else b"") + b'"response":' + text + b"}"


def _status(code: int) -> str:
    return f"{code} {HTTPStatus(code).phrase}"
