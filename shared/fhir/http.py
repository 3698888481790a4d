"""FHIR over HTTP: media types, bodies with a limit, errors as OperationOutcome, read and search as R4 asks."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, NoReturn

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from shared.access.gate import Gate, Refusal, closed_page
from shared.audit.act import Asker, Word, asked_by
from shared.audit.denials import STRANGER, Denials
from shared.fhir.outcome import operation_outcome
from shared.fhir.resources import Stored
from shared.ids import DEFAULT_TENANT
from shared.origin import HostCheck
from shared.postgres import as_problem, unavailable
from shared.problems import Category, Problem, ProblemError, Severity

FHIR_VERSION = "4.0"
FHIR_JSON = "application/fhir+json; charset=utf-8"
MAX_BODY = 1024 * 1024
BODY_S = 30.0
"""How long a body may be on its way: enough for the largest at 300 kbit/s. Who is slower has mostly gone."""
FORM = "application/x-www-form-urlencoded"
JSON_TYPES = ("application/fhir+json", "application/json", "text/json")
_NEVER = re.compile(r"0(\.0{0,3})?")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")

log = logging.getLogger(__name__)

Present = Callable[[Stored], bytes]


class FhirResponse(Response):
    """A FHIR JSON answer."""

    media_type = FHIR_JSON

    def render(self, content: Any) -> bytes:
        """Bytes go out as they are, anything else as compact JSON."""
        return content if isinstance(content, bytes) else orjson.dumps(content)


async def read_body(request: Request) -> bytes:
    """The request's body. Raises ProblemError: not FHIR JSON (415), compressed (415), over 1 MiB (413), or not
    here in time (408)."""
    return await counted_body(request, lambda _: None)


async def counted_body(request: Request, came: Callable[[int], None]) -> bytes:
    """As `read_body`. `came` is told of so many bytes before they are kept, and may refuse them by a ProblemError."""
    media_type, parameters = media_range(request.headers.get("content-type", ""))
    if media_type not in JSON_TYPES:
        refuse(
            Category.UNSUPPORTED,
            "content-type",
            f"Content-Type {media_type[:60] or '(none)'} found. Send application/fhir+json.",
        )
    if parameters.get("fhirversion", FHIR_VERSION) != FHIR_VERSION:
        refuse(Category.UNSUPPORTED, "fhir-version", f"Another fhirVersion found. Send {FHIR_VERSION} (R4).")
    return await _limited_body(request, came)


async def form_body(request: Request) -> bytes:
    """The body of a search by POST. Raises ProblemError: not a form (415), compressed (415), over 1 MiB (413),
    or not here in time (408)."""
    media_type, _ = media_range(request.headers.get("content-type", ""))
    if media_type not in (FORM, ""):
        refuse(
            Category.UNSUPPORTED,
            "content-type",
            f"Content-Type {media_type[:60]} found. Send the parameters as {FORM}.",
        )
    return await _limited_body(request, lambda _: None)


async def _limited_body(request: Request, came: Callable[[int], None]) -> bytes:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        refuse(
            Category.UNSUPPORTED,
            "content-encoding",
            "Compressed bodies are not accepted. Send it uncompressed.",
        )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY:
        _too_large()
    body = bytearray()  # not a list: a sender may send each byte by itself
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                if len(body) + len(chunk) > MAX_BODY:
                    _too_large()
                came(len(chunk))
                body += chunk
    except TimeoutError:
        _too_slow()
    return bytes(body)


def media_range(text: str) -> tuple[str, dict[str, str]]:
    """A media type in lower case and its parameters, names in lower case."""
    media_type, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    return media_type.strip().lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def check_accept(request: Request) -> None:
    """Refuse who cannot read FHIR JSON in R4. Raises ProblemError 406.

    `_format` counts more than Accept (R4 http.html); no Accept means anything.
    """
    wanted = request.query_params.getlist("_format") if request.scope["query_string"] else []
    if not _readable(tuple(wanted or request.headers.get("accept", "*/*").split(","))):
        refuse(
            Category.UNSUPPORTED,
            "not-acceptable",
            f"Only application/fhir+json, fhirVersion {FHIR_VERSION}, is given out. Ask for it in Accept or _format.",
            status=406,
        )


@lru_cache(maxsize=256)
def _readable(ranges: tuple[str, ...]) -> bool:
    return any(_is_ours(text.replace("fhir json", "fhir+json")) for text in ranges)


def _is_ours(text: str) -> bool:
    media_type, parameters = media_range(text)
    if parameters.get("fhirversion", FHIR_VERSION) != FHIR_VERSION or _NEVER.fullmatch(parameters.get("q", "1")):
        return False
    return media_type in (*JSON_TYPES, "json", "*/*", "application/*", "")


def check_host(request: Request, ours: HostCheck) -> None:
    """Refuse what is addressed to somebody else. Raises ProblemError 421 (RFC 9110)."""
    if not ours(request.headers.get("host", "")):
        refuse(
            Category.INCORRECT,
            "host",
            "The Host header names none of our hosts. Use the public address, or add the name to SURAL_ALLOWED_HOSTS.",
            status=421,
        )


def _too_large() -> NoReturn:
    refuse(
        Category.TOO_LARGE,
        "body-too-large",
        "The body is larger than 1 MiB (1048576 bytes). Send one QuestionnaireResponse, without attachments.",
        issue_code="too-long",
    )


def _too_slow() -> NoReturn:
    refuse(
        Category.INCORRECT,
        "body-too-slow",
        f"The body was not here within {BODY_S:g} seconds; nothing was stored. Send the same request again.",
        issue_code="timeout",
        status=408,
    )


def refuse(
    category: Category,
    code: str,
    message: str,
    *,
    issue_code: str = "not-supported",
    status: int | None = None,
) -> NoReturn:
    """Stop with one problem."""
    raise ProblemError(Problem(category, code, message, issue_code=issue_code, status=status))


def outcome_response(
    problems: Sequence[Problem], status: int, headers: dict[str, str] | None = None, *, reference: str = ""
) -> FhirResponse:
    """An OperationOutcome. `reference` (an error number for the log) goes into diagnostics."""
    outcome = operation_outcome(problems)
    if reference:
        outcome["issue"][0]["diagnostics"] = f"reference {reference}"
    extra = dict(headers or {})
    if status in (429, 503):
        extra.setdefault("Retry-After", "2")
    if status == 408:  # a body that goes on trickling keeps no connection
        extra.setdefault("Connection", "close")
    return FhirResponse(outcome, status_code=status, headers=extra)


HTTP_PROBLEMS = {
    404: (Category.NOT_FOUND, "not-found", "not-found", "Nothing is here. See /fhir/metadata for what is."),
    405: (
        Category.UNSUPPORTED,
        "method",
        "not-supported",
        "This method is not offered here. See /fhir/metadata.",
    ),
}


AWAY = "The database does not answer now. Send the same request again."
MAY_BE_STORED = (
    "The database does not answer now: this may or may not have been stored. "
    "Send the same request again with the same identifier."
)


def install_error_handlers(app: FastAPI) -> None:
    """Every error leaves as an OperationOutcome; the framework's own bodies cannot be reached."""

    def problem_error(_request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        return outcome_response(error.problems, error.http_status)

    def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        category, code, issue_code, message = HTTP_PROBLEMS.get(
            error.status_code,
            (Category.INCORRECT, "http", "invalid", "The request cannot be understood as HTTP."),
        )
        problem = Problem(category, code, message, issue_code=issue_code)
        headers = {"Allow": ", ".join(methods_of(request))} if error.status_code == 405 else dict(error.headers or {})
        return outcome_response([problem], error.status_code, headers)

    def invalid_request(_request: Request, _error: Exception) -> Response:
        problem = Problem(Category.INCORRECT, "request", "A part of the address or a header cannot be read.")
        return outcome_response([problem], 400)

    app.add_exception_handler(ProblemError, problem_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid_request)
    app.add_exception_handler(Exception, fault)


def methods_of(request: Request) -> list[str]:
    """The methods that are offered at a request's path, over all of its routes; where GET is, so is HEAD."""
    offered = {
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    }
    return sorted(offered | {"HEAD"} if "GET" in offered else offered)


def fault(request: Request, error: Exception) -> Response:
    """The answer to what nobody expected: 503 when the database is away, else 500 with a reference for the log."""
    if unavailable(error):
        log.warning("database unavailable", extra={"error": type(error).__name__})
        message = AWAY if request.method in ("GET", "HEAD") else MAY_BE_STORED
        return outcome_response([replace(problem, message=message) for problem in as_problem(error).problems], 503)
    reference = secrets.token_hex(6)
    log.error("unexpected error", extra={"reference": reference, "error": type(error).__name__}, exc_info=error)
    problem = Problem(
        Category.FAULT,
        "unexpected",
        "Something went wrong on our side. Send the same request again; if it stays, report the reference.",
        issue_code="exception",
        severity=Severity.FATAL,
    )
    return outcome_response([problem], 500, reference=reference)


async def guard(request: Request, ours: HostCheck, gate: Gate, denials: Denials | None = None) -> Response | None:
    """The refusal of a request that no route should see, or None; then `principal_of` knows who asks, if need be."""
    address = request.client.host if request.client else None
    try:
        check_host(request, ours)
        if gate.closes(request.scope["path"]):
            return closed_page()
        if (principal := await gate.admit(request)) is not None:
            request.state.principal = principal
            asked_by(Asker(principal.id, address, request.state.request_id))
        if request.scope["path"].startswith("/fhir/"):
            check_accept(request)
    except Refusal as refusal:
        if denials is not None and refusal.http_status in (401, 403):
            agent = refusal.principal.id if refusal.principal else STRANGER
            tenant = refusal.principal.tenant if refusal.principal else DEFAULT_TENANT
            asker = Asker(agent, address, request.state.request_id)
            await run_in_threadpool(denials.note, asker, Word.LOGIN_DENIED, tenant)
        return outcome_response(refusal.problems, refusal.http_status, refusal.headers)
    except ProblemError as error:
        return outcome_response(error.problems, error.http_status)
    return None


def version_headers(stored: Stored, *, location: str | None = None) -> dict[str, str]:
    """ETag and Last-Modified of a version, and its Location when it is new."""
    headers = {
        "ETag": f'W/"{stored.version_id}"',
        "Last-Modified": http_date(stored.last_updated),
    }
    if location is not None:
        headers["Location"] = location
    return headers


def http_date(moment: datetime) -> str:
    """An HTTP date (RFC 9110)."""
    return format_datetime(moment, usegmt=True)


def quoted_version(header: str | None) -> int | None:
    """The version in an If-Match or If-None-Match header, or None when it holds none of ours."""
    text = (header or "").strip().removeprefix("W/").strip('"')
    return int(text) if _VERSION.fullmatch(text) else None
