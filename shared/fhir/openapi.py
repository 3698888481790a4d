"""The OpenAPI description of a FHIR base, made from its CapabilityStatement: what is registered is what is described.

https://spec.openapis.org/oas/v3.1.0. Each address is told with its own parameters, bodies and statuses; every error is
an OperationOutcome. What an address needs of a token comes from the table that the gate itself uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.access.needs import UNKNOWN, needed
from shared.fhir.openapi_schemas import BODY_TYPES, FHIR_JSON, component_schemas

Json = dict[str, Any]

ALWAYS: Final = {
    "400": "Cannot be understood: not JSON, not R4, or a parameter that cannot be read.",
    "401": "No access token, or one that proves nothing.",
    "403": "The token does not grant this.",
    "404": "Not known here.",
    "405": "This is not done with this resource.",
    "406": "Asked for something else than FHIR R4 JSON.",
    "413": "Too large.",
    "415": "Sent as something else than FHIR R4 JSON.",
    "421": "Addressed to a host that is not ours.",
    "429": "Too many requests; see Retry-After.",
    "500": "A fault of ours, with a reference.",
    "503": "The database does not answer now; send it again.",
}
"""Statuses that any address may answer with, each with an OperationOutcome."""
WRITING: Final = {
    "409": "In conflict with what is stored.",
    "412": "The condition (If-Match, If-None-Exist) does not hold.",
    "422": "R4, and against a rule: of the Questionnaire, of the lifecycle, of the profile.",
}
WORDS: Final = {
    "read": "Read the current version",
    "vread": "Read one version",
    "history-instance": "All versions of one",
    "history-type": "All versions of all",
    "search-type": "Search",
    "create": "Create",
    "update": "Update; If-Match holds the ETag that you read",
}
CONTROL: Final = {
    "_count": "integer, entries on a page",
    "_sort": "parameters to sort by, with - for descending",
    "_total": "none, estimate or accurate",
    "_summary": "true, text, data, count or false",
    "_elements": "top-level elements to give out",
    "_include": "Type:parameter",
    "_revinclude": "Type:parameter",
}
PAGED_ONLY: Final = frozenset({"AuditEvent"})
"""Types that every service holds a part of: their parts are put together in order of time, and in no other way."""


def openapi(statement: Mapping[str, Any], *, base: str) -> Json:
    """The description of the base `base` (ending in /fhir) that this CapabilityStatement offers."""
    rest = statement["rest"][0]
    paths: dict[str, Json] = {}
    for offered in rest.get("resource", ()):
        for path, method, operation in _of_type(offered):
            paths.setdefault(path, {})[method] = operation
    for path, method, operation in _of_system(rest):
        paths.setdefault(path, {})[method] = operation
    types = [offered["type"] for offered in rest.get("resource", ())]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": statement.get("title", "FHIR"),
            "version": statement["version"],
            "description": statement.get("description", ""),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base.removesuffix("/fhir")}],
        "tags": [{"name": name} for name in (*types, "base", "operations")],
        "paths": paths,
        "components": {
            "schemas": component_schemas((*types, "Bundle", "CapabilityStatement", "OperationOutcome", "Parameters")),
            "securitySchemes": {
                "smart": {
                    "type": "openIdConnect",
                    "openIdConnectUrl": f"{base}/.well-known/smart-configuration",
                    "description": "SMART Backend Services. In the sandbox no token is needed.",
                }
            },
        },
    }


def _of_type(offered: Mapping[str, Any]) -> Iterator[tuple[str, str, Json]]:
    """Address, method and description of everything that is offered for one resource type."""
    name = offered["type"]
    top, one = f"/fhir/{name}", f"/fhir/{name}/{{id}}"
    places = {
        "search-type": (top, "get"),
        "create": (top, "post"),
        "read": (one, "get"),
        "update": (one, "put"),
        "vread": (f"{one}/_history/{{versionId}}", "get"),
        "history-instance": (f"{one}/_history", "get"),
        "history-type": (f"{top}/_history", "get"),
    }
    for code in (each["code"] for each in offered.get("interaction", ())):
        if code not in places:
            continue
        path, method = places[code]
        returned = "Bundle" if code.startswith(("search", "history")) else name
        parameters = _search_parameters(offered) if code == "search-type" else []
        yield (
            path,
            method,
            _operation(
                path, method, f"{WORDS[code]}: {name}", tag=name, returned=returned, parameters=parameters, code=code
            ),
        )
    for operation in offered.get("operation", ()):
        for path in (f"{top}/${operation['name']}", f"{one}/${operation['name']}"):
            yield from _named_operation(path, operation["name"], name)


def _of_system(rest: Mapping[str, Any]) -> Iterator[tuple[str, str, Json]]:
    """What is offered for the base as a whole."""
    codes = {each["code"] for each in rest.get("interaction", ())}
    path = "/fhir/metadata"
    yield path, "get", _operation(path, "get", "What is offered here", tag="base", returned="CapabilityStatement")
    if codes & {"batch", "transaction"}:
        kinds = " or ".join(sorted(codes & {"batch", "transaction"}))
        yield "/fhir", "post", _operation("/fhir", "post", f"A {kinds}", tag="base", returned="Bundle", sent="Bundle")
    if "history-system" in codes:
        path = "/fhir/_history"
        yield path, "get", _operation(path, "get", "All versions of everything", tag="base", returned="Bundle")
    for operation in rest.get("operation", ()):
        yield from _named_operation(f"/fhir/${operation['name']}", operation["name"], "base")
    for path, words in (("/livez", "Alive?"), ("/readyz", "Ready to serve?"), ("/metrics", "Numbers for Prometheus")):
        media = "text/plain" if path == "/metrics" else "application/json"
        answers = {"200": {"description": "Yes.", "content": {media: {}}}}
        if path == "/readyz":
            answers["503"] = {"description": "No, and why.", "content": {media: {}}}
        errors = {code: _refusal(ALWAYS[code]) for code in ("400", "421", "500")}
        yield path, "get", {"summary": words, "tags": ["operations"], "responses": answers | errors}


def _named_operation(path: str, name: str, tag: str) -> Iterator[tuple[str, str, Json]]:
    """The methods with which an operation can be asked: those that the gate knows."""
    for method in ("get", "post"):
        if needed(method.upper(), path.replace("{id}", "a")) is not UNKNOWN:
            yield path, method, _operation(path, method, f"${name}", tag=tag, returned=None)


def _operation(
    path: str,
    method: str,
    summary: str,
    *,
    tag: str,
    returned: str | None,
    parameters: list[Json] | None = None,
    code: str = "",
    sent: str | None = None,
) -> Json:
    writes = code in ("create", "update") or sent is not None
    statuses = ALWAYS | (WRITING if method != "get" else {})
    if code == "read":
        statuses = statuses | {"410": "It was deleted."}
    if code == "search-type":
        statuses = statuses | {"422": "The search cannot be answered as it is asked."}
    operation: Json = {
        "summary": summary,
        "tags": [tag],
        "operationId": f"{method} {path}",
        "parameters": [*_path_parameters(path), *(parameters or ()), *_headers(code)],
        "responses": _successes(code, returned) | {status: _refusal(words) for status, words in statuses.items()},
    }
    if method in ("post", "put"):
        body = sent or (returned if writes else None)
        schema = {"$ref": f"#/components/schemas/{body}"} if body else {"type": "object"}
        operation["requestBody"] = {"required": True, "content": {media: {"schema": schema} for media in BODY_TYPES}}
    needs = needed(method.upper(), path.replace("{id}", "a").replace("{versionId}", "1"))
    if needs is not UNKNOWN:
        operation["security"] = [{}, {"smart": [str(need) for need in needs]}]
    return operation


def _successes(code: str, returned: str | None) -> Json:
    resource = {"$ref": f"#/components/schemas/{returned}"} if returned else {"type": "object"}
    outcome = {"$ref": "#/components/schemas/OperationOutcome"}
    if code in ("create", "update"):
        # What the body is follows Prefer: nothing, the resource, or an OperationOutcome.
        written = {"content": {FHIR_JSON: {"schema": {"anyOf": [resource, outcome]}}}, "headers": _version_headers()}
        return {
            "200": {"description": "Stored, or known already.", **written},
            "201": {"description": "Created.", **written},
        }
    found: Json = {"description": "Found.", "content": {FHIR_JSON: {"schema": resource}}}
    if code in ("read", "vread"):
        found["headers"] = {name: each for name, each in _version_headers().items() if name != "Location"}
        return {"200": found, "304": {"description": "Not changed since the version that you named."}}
    return {"200": found}


def _version_headers() -> Json:
    return {
        "ETag": {"description": "The version.", "schema": {"type": "string"}},
        "Last-Modified": {"description": "When it was stored.", "schema": {"type": "string"}},
        "Location": {"description": "Where this version is.", "schema": {"type": "string"}},
    }


def _refusal(words: str) -> Json:
    schema = {"$ref": "#/components/schemas/OperationOutcome"}
    return {"description": words, "content": {FHIR_JSON: {"schema": schema}}}


def _path_parameters(path: str) -> Iterator[Json]:
    for name in ("id", "versionId"):
        if f"{{{name}}}" in path:
            schema = {"type": "string", "pattern": "^[A-Za-z0-9\\-.]{1,64}$"}
            yield {"name": name, "in": "path", "required": True, "schema": schema}


def _takes(offered: Mapping[str, Any], control: str) -> bool:
    """Whether searches of this type take this parameter of the search itself."""
    if control == "_include":
        return bool(offered.get("searchInclude"))
    if control == "_revinclude":
        return bool(offered.get("searchRevInclude"))
    return control == "_count" or offered["type"] not in PAGED_ONLY


def _search_parameters(offered: Mapping[str, Any]) -> list[Json]:
    control = {name: words for name, words in CONTROL.items() if _takes(offered, name)}
    told = {each["name"]: f"{each['type']} parameter of R4 or of our own" for each in offered.get("searchParam", ())}
    return [
        {"name": name, "in": "query", "description": words, "schema": {"type": "string"}}
        for name, words in (control | told).items()
    ]


def _headers(code: str) -> list[Json]:
    wanted = {
        "create": ("If-None-Exist", "Prefer"),
        "update": ("If-Match", "Prefer"),
        "read": ("If-None-Match",),
        "search-type": ("Prefer",),
    }
    return [{"name": name, "in": "header", "schema": {"type": "string"}} for name in wanted.get(code, ())]
