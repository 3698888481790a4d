"""Operations on our CodeSystems and ValueSets: $lookup, $validate-code, $expand. By GET, as none changes anything.

https://hl7.org/fhir/R4/codesystem-operation-lookup.html, https://hl7.org/fhir/R4/valueset-operations.html. Only what is
published here is answered: for other terminologies there are terminology servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from services.triage.terminology_answers import Coded, expanded, looked_up, validated
from shared.fhir import resources
from shared.fhir.capability import Operation
from shared.fhir.codes import CANONICAL
from shared.fhir.http import FhirResponse, refuse
from shared.postgres import Pool, tenant_transaction
from shared.principal import principal_of
from shared.problems import Category

_HL7: Final = "http://hl7.org/fhir/OperationDefinition/"
OPERATIONS: Final = {
    "CodeSystem": (
        Operation("lookup", f"{_HL7}CodeSystem-lookup"),
        Operation("validate-code", f"{_HL7}CodeSystem-validate-code"),
    ),
    "ValueSet": (
        Operation("expand", f"{_HL7}ValueSet-expand"),
        Operation("validate-code", f"{_HL7}ValueSet-validate-code"),
    ),
}
"""What the routes below answer, as the CapabilityStatement claims it."""


def routes(pool: Pool) -> APIRouter:
    """The operations."""
    router = APIRouter(prefix="/fhir")

    @router.get("/CodeSystem/$lookup")
    def lookup(request: Request) -> Response:
        asked = _asked(request, ("system", "code"), may=("version", "displayLanguage", "property"))
        system = _published(pool, request, "CodeSystem", asked["system"], asked.get("version", ""))
        answer = looked_up(system, asked["code"])
        if answer is None:
            _unknown("code-unknown", "This CodeSystem has no such code.")
        return FhirResponse(answer)

    @router.get("/CodeSystem/$validate-code")
    def validate_in_system(request: Request) -> Response:
        asked = _asked(request, ("url", "code"), may=("version", "display"))
        system = _published(pool, request, "CodeSystem", asked["url"], asked.get("version", ""))
        coded = Coded(system["url"], asked["code"], asked.get("display"))
        return FhirResponse(validated(coded, [{"system": system["url"], **one} for one in system["concept"]]))

    @router.get("/ValueSet/$validate-code")
    def validate_in_set(request: Request) -> Response:
        asked = _asked(request, ("url", "system", "code"), may=("display", "valueSetVersion"))
        value_set = _published(pool, request, "ValueSet", asked["url"], asked.get("valueSetVersion", ""))
        coded = Coded(asked["system"], asked["code"], asked.get("display"))
        return FhirResponse(validated(coded, value_set["expansion"]["contains"]))

    @router.get("/ValueSet/$expand")
    def expand(request: Request) -> Response:
        asked = _asked(request, ("url",), may=("valueSetVersion", *_PARTS))
        value_set = _published(pool, request, "ValueSet", asked["url"], asked.get("valueSetVersion", ""))
        return FhirResponse(_part(value_set, asked))

    @router.get("/ValueSet/{resource_id}/$expand")
    def expand_one(request: Request, resource_id: str) -> Response:
        asked = _asked(request, (), may=_PARTS)
        value_set = _published(pool, request, "ValueSet", f"{CANONICAL}/ValueSet/{resource_id}", "")
        return FhirResponse(_part(value_set, asked))

    return router


_PARTS = ("filter", "offset", "count")


def _part(value_set: Mapping[str, Any], asked: Mapping[str, str]) -> dict[str, Any]:
    offset, count = _number("offset", asked.get("offset", "0")), asked.get("count")
    size = None if count is None else _number("count", count)
    return expanded(value_set, text=asked.get("filter", ""), offset=offset, count=size)


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        refuse(Category.INCORRECT, "parameters", f"{name} must be a whole number, 0 or more.", issue_code="value")
    return int(text)


def _asked(request: Request, must: tuple[str, ...], *, may: tuple[str, ...]) -> dict[str, str]:
    """The parameters by name. Raises ProblemError: one is missing, given twice, or not understood."""
    pairs = [(name, value) for name, value in request.query_params.multi_items() if name != "_format"]
    asked = dict(pairs)
    missing = [name for name in must if not asked.get(name)]
    unknown = sorted(asked.keys() - {*must, *may})
    if missing or unknown or len(asked) < len(pairs):
        known = ", ".join((*must, *may))
        message = f"{'Missing: ' + missing[0] if missing else 'A parameter that is not understood'}. Known, once each: "
        refuse(Category.INCORRECT, "parameters", f"{message}{known}.", issue_code="invalid")
    return asked


def _published(pool: Pool, request: Request, resource_type: str, url: str, version: str) -> dict[str, Any]:
    """The published resource with this canonical. Raises ProblemError 404, also where only the version differs."""
    url, _, named = url.partition("|")
    place = f"{CANONICAL}/{resource_type}/"
    tenant = principal_of(request).tenant
    stored = None
    if url.startswith(place):
        with tenant_transaction(pool, tenant) as connection:
            stored = resources.read(connection, tenant, resource_type, url.removeprefix(place))
    content: dict[str, Any] = {} if stored is None else orjson.loads(stored.body)
    if content.get("url") != url or (version or named) not in ("", content["version"]):
        _unknown("not-found", f"This {resource_type} is not published here. See GET /fhir/{resource_type}.")
    return content


def _unknown(code: str, message: str) -> NoReturn:
    refuse(Category.NOT_FOUND, code, message, issue_code="not-found")
