"""FHIR over HTTP: media types, bodies with a limit, errors as OperationOutcome, read and search as R4 asks."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime
from typing import Any, NoReturn
from urllib.parse import urlencode
from uuid import UUID

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared.access.gate import Gate, Refusal, closed_page
from shared.audit.act import Act, Asker, Interaction, asked_by, patient_of, record
from shared.fhir import identity, resources
from shared.fhir.canonicals import Canonical, answering, apart
from shared.fhir.outcome import operation_outcome
from shared.fhir.resources import PUBLISHED_TYPES, Stored
from shared.fhir.search import RESOURCE_ID, Search, next_page, parse_search
from shared.origin import HostCheck
from shared.postgres import DictConnection, Pool, as_problem, tenant_transaction, unavailable
from shared.principal import principal_of
from shared.problems import Category, Problem, ProblemError, Severity

FHIR_VERSION = "4.0"
FHIR_JSON = "application/fhir+json; charset=utf-8"
MAX_BODY = 1024 * 1024
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
    """The request's body. Raises ProblemError: not FHIR JSON (415), compressed (415), or over 1 MiB (413)."""
    media_type, parameters = media_range(request.headers.get("content-type", ""))
    if media_type not in JSON_TYPES:
        refuse(
            Category.UNSUPPORTED,
            "content-type",
            f"Content-Type {media_type[:60] or '(none)'} found. Send application/fhir+json.",
        )
    if parameters.get("fhirversion", FHIR_VERSION) != FHIR_VERSION:
        refuse(Category.UNSUPPORTED, "fhir-version", f"Another fhirVersion found. Send {FHIR_VERSION} (R4).")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        refuse(
            Category.UNSUPPORTED,
            "content-encoding",
            "Compressed bodies are not accepted. Send it uncompressed.",
        )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY:
        _too_large()
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            _too_large()
        chunks.append(chunk)
    return b"".join(chunks)


def media_range(text: str) -> tuple[str, dict[str, str]]:
    """A media type in lower case and its parameters, names in lower case."""
    media_type, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    return media_type.strip().lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def check_accept(request: Request) -> None:
    """Refuse who cannot read FHIR JSON in R4. Raises ProblemError 406.

    `_format` counts more than Accept (R4 http.html); no Accept means anything.
    """
    wanted = request.query_params.getlist("_format")
    ranges = wanted or request.headers.get("accept", "*/*").split(",")
    if not any(_readable(text.replace("fhir json", "fhir+json")) for text in ranges):
        refuse(
            Category.UNSUPPORTED,
            "not-acceptable",
            f"Only application/fhir+json, fhirVersion {FHIR_VERSION}, is given out. Ask for it in Accept or _format.",
            status=406,
        )


def _readable(text: str) -> bool:
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

    def http_error(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        category, code, issue_code, message = HTTP_PROBLEMS.get(
            error.status_code,
            (Category.INCORRECT, "http", "invalid", "The request cannot be understood as HTTP."),
        )
        problem = Problem(category, code, message, issue_code=issue_code)
        return outcome_response([problem], error.status_code, dict(error.headers or {}))

    def invalid_request(_request: Request, _error: Exception) -> Response:
        problem = Problem(Category.INCORRECT, "request", "A part of the address or a header cannot be read.")
        return outcome_response([problem], 400)

    app.add_exception_handler(ProblemError, problem_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid_request)
    app.add_exception_handler(Exception, fault)


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


async def guard(request: Request, ours: HostCheck, gate: Gate) -> Response | None:
    """The refusal of a request that no route should see, or None; then `principal_of` knows who asks, if need be."""
    try:
        check_host(request, ours)
        if gate.closes(request.scope["path"]):
            return closed_page()
        if (principal := await gate.admit(request)) is not None:
            request.state.principal = principal
            asked_by(Asker(principal.id, request.client.host if request.client else None, request.state.request_id))
        if request.url.path.startswith("/fhir/"):
            check_accept(request)
    except Refusal as refusal:
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


def record_reading(connection: DictConnection, tenant: UUID, interaction: Interaction, stored: Stored | None) -> None:
    """Record, before it is given out, that a version was read. What is not there says nothing of anybody."""
    if stored is not None:
        patient = None if stored.type in PUBLISHED_TYPES else patient_of(orjson.loads(stored.body))
        act = Act(interaction, stored.type, id=stored.id, version=stored.version_id, patient=patient)
        record(connection, tenant, act)


def record_search(
    connection: DictConnection, tenant: UUID, resource_type: str, used: Sequence[tuple[str, str]]
) -> None:
    """Record, before the answer goes out, what was searched for."""
    patients = [value for name, value in used if name in ("patient", "subject")]
    patient = patients[0] if len(patients) == 1 and "," not in patients[0] else None
    if patient is not None and "/" not in patient and "|" not in patient:
        patient = f"Patient/{patient}"
    record(connection, tenant, Act(Interaction.SEARCH, resource_type, patient=patient, query=urlencode(used)))


@dataclass(frozen=True, slots=True)
class ResourceApi:
    """Read, vread and search of the resource types that a service owns."""

    pool: Pool
    public_url: str
    present: Present

    @property
    def base(self) -> str:
        """The FHIR base as clients see it."""
        return f"{self.public_url.rstrip('/')}/fhir"

    def read(self, request: Request, resource_type: str, resource_id: str) -> Response:
        """The current version, 304 when the client has it already, 404 when there is none."""
        stored = None
        if RESOURCE_ID.fullmatch(resource_id):
            tenant = principal_of(request).tenant
            with tenant_transaction(self.pool, tenant) as connection:
                stored = resources.read(connection, tenant, resource_type, resource_id)
                record_reading(connection, tenant, Interaction.READ, stored)
        if stored is None:
            _not_found(resource_type, resource_id)
        if quoted_version(request.headers.get("if-none-match")) == stored.version_id:
            return Response(status_code=304, headers=version_headers(stored))
        return FhirResponse(self.present(stored), headers=version_headers(stored))

    def vread(self, request: Request, resource_type: str, resource_id: str, version_id: str) -> Response:
        """One version."""
        stored = None
        if RESOURCE_ID.fullmatch(resource_id) and _VERSION.fullmatch(version_id):
            tenant = principal_of(request).tenant
            with tenant_transaction(self.pool, tenant) as connection:
                stored = resources.vread(connection, tenant, resource_type, resource_id, int(version_id))
                record_reading(connection, tenant, Interaction.VREAD, stored)
        if stored is None:
            _not_found(resource_type, f"{resource_id}/_history/{version_id}")
        return FhirResponse(self.present(stored), headers=version_headers(stored))

    def search(
        self, request: Request, resource_type: str, allowed: frozenset[str], published: Sequence[Canonical] = ()
    ) -> Response:
        """A searchset Bundle with self and next links. `published`: all canonical resources of the type."""
        strict = "handling=strict" in request.headers.get("prefer", "").replace(" ", "")
        naming, others = apart(request.query_params.multi_items(), allowed)
        search = parse_search(resource_type, others, allowed=allowed, strict=strict)
        if naming:
            search = search.narrowed(answering(published, naming), used=naming)
        tenant = principal_of(request).tenant
        with tenant_transaction(self.pool, tenant) as connection:
            found, more = resources.find(connection, tenant, search)
            record_search(connection, tenant, resource_type, search.used)
        return FhirResponse(self.bundle(search, found, more))

    def bundle(self, search: Search, found: Sequence[Stored], more: bool) -> bytes:
        """The Bundle's text, with each resource's own bytes inside."""
        address = f"{self.base}/{search.resource_type}"
        links = [{"relation": "self", "url": _link(address, search.used)}]
        if more and found:
            mark = next_page(found[-1].last_updated, found[-1].id)
            links.append({"relation": "next", "url": _link(address, (*search.used, ("_page", mark)))})
        entries = [self._entry(search, stored) for stored in found]
        if search.ignored:
            outcome = orjson.dumps(operation_outcome(search.ignored))
            entries.append(b'{"resource":' + outcome + b',"search":{"mode":"outcome"}}')
        head = orjson.dumps({"resourceType": "Bundle", "type": "searchset", "link": links})
        return head[:-1] + (b',"entry":[' + b",".join(entries) + b"]" if entries else b"") + b"}"

    def _entry(self, search: Search, stored: Stored) -> bytes:
        if search.elements is None:
            body = self.present(stored)
        else:
            full = b"" if resources.WITHOUT_BODY.issuperset(search.elements) else self.present(stored)
            body = identity.subset(stored, search.elements, full)
        url = orjson.dumps(f"{self.base}/{stored.type}/{stored.id}")
        return b'{"fullUrl":' + url + b',"resource":' + body + b',"search":{"mode":"match"}}'


def _link(address: str, pairs: Sequence[tuple[str, str]]) -> str:
    return f"{address}?{urlencode(pairs)}" if pairs else address


def _not_found(resource_type: str, resource_id: str) -> NoReturn:
    refuse(
        Category.NOT_FOUND,
        "not-found",
        f"{resource_type}/{resource_id[:80]} is not known here.",
        issue_code="not-found",
    )
