"""Does a service do what its CapabilityStatement claims, and nothing that it does not claim?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from shared.fhir.search_parameters import PARAMETERS

STRICT = {"Prefer": "handling=strict"}
WHATEVER = {
    "token": "urn:none|none",
    "reference": "none",
    "date": "2026-01-01",
    "string": "none",
    "uri": "urn:none",
    "number": "1",
}
"""A value for a parameter of which nothing is stored."""


def unkept(client: httpx.Client, owner_url: str, schema: str) -> list[str]:
    """Sentences about claims of this service's CapabilityStatement that do not hold; empty when all hold."""
    parts = client.get(f"/capability/{schema}").json()["resource"]
    parts = [part for part in parts if part["type"] != "AuditEvent"]  # answered by a store of its own
    with psycopg.connect(owner_url, autocommit=True, row_factory=dict_row) as owner:
        owner.execute(f"SET search_path = {schema}".encode())
        return [sentence for part in parts for sentence in _of_type(client, owner, part)]


def _of_type(client: httpx.Client, owner: psycopg.Connection[dict[str, Any]], part: dict[str, Any]) -> Iterator[str]:
    resource_type = part["type"]
    claimed = {each["name"] for each in part["searchParam"]}
    for each in part["searchParam"]:
        value, known = _value(owner, resource_type, each["name"], each["type"])
        answer = client.get(f"/fhir/{resource_type}", params={each["name"]: value, "_count": "200"}, headers=STRICT)
        if answer.status_code != 200:
            yield f"{resource_type}?{each['name']}={value}: {answer.status_code}"
        elif known and not answer.json().get("entry"):
            yield f"{resource_type}?{each['name']}={value}: nothing found, though there is something"
    for name in {other.name for listed in PARAMETERS.values() for other in listed} - claimed:
        if client.get(f"/fhir/{resource_type}", params={name: "1"}, headers=STRICT).status_code != 400:
            yield f"{resource_type}?{name}: answered, though it is not claimed"
    for name, parameter in (("searchInclude", "_include"), ("searchRevInclude", "_revinclude")):
        for value in part.get(name, ()):
            answer = client.get(f"/fhir/{resource_type}", params={parameter: value, "_count": "1"}, headers=STRICT)
            if answer.status_code != 200:
                yield f"{resource_type}?{parameter}={value}: {answer.status_code}"
    yield from _interactions(client, resource_type, {each["code"] for each in part["interaction"]})


def _interactions(client: httpx.Client, resource_type: str, claimed: set[str]) -> Iterator[str]:
    base = f"/fhir/{resource_type}"
    entries = client.get(base, params={"_count": "1"}).json().get("entry", [])
    resource_id = entries[0]["resource"]["id"] if entries else "none"
    version = entries[0]["resource"]["meta"]["versionId"] if entries else "1"
    expected = 200 if entries else 404
    asked = {
        "read": ("GET", f"{base}/{resource_id}", expected),
        "vread": ("GET", f"{base}/{resource_id}/_history/{version}", expected),
        "history-instance": ("GET", f"{base}/{resource_id}/_history", expected),
        "history-type": ("GET", f"{base}/_history", 200),
        "search-type": ("POST", f"{base}/_search", 200),
        "create": ("POST", base, 415),
        "update": ("PUT", f"{base}/{resource_id}", 415),
        "delete": ("DELETE", f"{base}/{resource_id}", 204 if entries else 404),
        "patch": ("PATCH", f"{base}/{resource_id}", 415),
    }
    for code, (method, path, status) in asked.items():
        answer = client.request(method, path)
        if code in claimed and answer.status_code != status:
            yield f"{method} {path} ({code}): {answer.status_code}, not {status}"
        if code not in claimed and answer.status_code != 405:
            yield f"{method} {path} ({code}): {answer.status_code}, though it is not claimed"
        if answer.status_code == 405 and not answer.headers.get("allow"):
            yield f"{method} {path} ({code}): 405 without Allow"


def _value(owner: psycopg.Connection[dict[str, Any]], resource_type: str, name: str, kind: str) -> tuple[str, bool]:
    """A value by which something is found, and True; or any, and False."""
    if name in ("_id", "_lastUpdated"):
        found = owner.execute(
            "SELECT id FROM resource WHERE type = %s AND is_current LIMIT 1", (resource_type,)
        ).fetchone()
        if found is None:
            return WHATEVER[kind], False
        return (found["id"] if name == "_id" else "ge2026-01-01"), True
    row = "subject" if name == "patient" and resource_type not in ("DetectedIssue",) else name
    if kind in ("date", "number"):
        span = owner.execute("SELECT FROM search_range WHERE type = %s AND param = %s", (resource_type, row)).fetchone()
        return (("ge1900" if kind == "date" else "ge0"), True) if span is not None else (WHATEVER[kind], False)
    found = owner.execute(
        "SELECT system, value FROM search_value WHERE type = %s AND param = %s AND value <> '' "
        "AND (%s::text <> 'patient' OR value LIKE 'Patient/%%') LIMIT 1",
        (resource_type, row, name),
    ).fetchone()
    if found is None:
        return WHATEVER[kind], False
    if kind == "token":
        return f"{found['system']}|{found['value']}", True
    return found["value"], True
