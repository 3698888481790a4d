"""One of each kind of resource that the system gives out, to the byte as it was given out.

The types come from the CapabilityStatement, so that a new one is looked at from the day on which it is offered.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx

from deploy.local.demo import EXAMPLES, fresh
from tests.conformance.vectors import exact_json

FHIR = {"Content-Type": "application/fhir+json"}
BATCH = {
    "resourceType": "Bundle",
    "type": "batch",
    "entry": [
        {"request": {"method": "GET", "url": "Questionnaire?_summary=count"}},
        {"request": {"method": "GET", "url": "Patient/none"}},
    ],
}
OF_ONE_KIND = 3
"""How many resources that look alike are given to the validators."""
LARGEST_BUNDLE = 100_000
"""Bytes. Of a larger Bundle only what is in it is judged: its like is judged where it is small."""


class Emitted:
    """What was given out, by a name; resources of one type that hold the same elements count as alike."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.texts: dict[str, str] = {}
        self._alike: dict[tuple[str, ...], int] = {}
        self._seen: set[str] = set()

    def take(self, name: str, answer: httpx.Response) -> Any:
        """Note the body of an answer if it is a FHIR resource, and each resource in it when it is a Bundle."""
        if "fhir+json" not in answer.headers.get("content-type", ""):
            return None
        content = json.loads(answer.content, parse_float=Decimal)
        if not isinstance(content, dict) or "resourceType" not in content:
            return content
        if len(answer.content) <= LARGEST_BUNDLE or content["resourceType"] != "Bundle":
            self._note(name, content, answer.text)
        for entry in content.get("entry", ()) if content["resourceType"] == "Bundle" else ():
            for part in ("resource", "response"):
                resource = entry.get(part) if part == "resource" else entry.get(part, {}).get("outcome")
                if resource is not None:
                    self._note(f"{resource['resourceType']}/{resource.get('id')} in {name}", resource)
        return content

    def sent(self, name: str, resource: dict[str, Any]) -> None:
        """Note a resource that the system sent to somebody by itself, and each resource in it when it is a Bundle."""
        self._note(name, resource)
        for entry in resource.get("entry", ()) if resource["resourceType"] == "Bundle" else ():
            if "resource" in entry:
                self._note(f"{entry['resource']['resourceType']} in {name}", entry["resource"])

    def _note(self, name: str, resource: dict[str, Any], text: str | None = None) -> None:
        same = exact_json(resource)
        if same in self._seen:
            return
        self._seen.add(same)
        shape = (resource["resourceType"], str(resource.get("status")), str(resource.get("type")), *sorted(resource))
        self._alike[shape] = self._alike.get(shape, 0) + 1
        if self._alike[shape] <= OF_ONE_KIND:
            self.texts[name] = text if text is not None else same

    def types(self) -> set[str]:
        """Resource types that were given out."""
        return {json.loads(text)["resourceType"] for text in self.texts.values()}

    def statuses(self, resource_type: str) -> set[str]:
        """Values of `status` in resources of a type."""
        resources = [json.loads(text) for text in self.texts.values()]
        return {resource["status"] for resource in resources if resource["resourceType"] == resource_type}


def collect(client: httpx.Client) -> Emitted:
    """Ask for everything that the CapabilityStatement offers, and for what goes wrong."""
    emitted = Emitted(client)
    statement = emitted.take("metadata", client.get("/fhir/metadata"))
    for offered in statement["rest"][0]["resource"]:
        _collect_type(emitted, offered)
    for number, answer in enumerate(_refusals(client)):
        assert answer.status_code >= 400, answer.text
        emitted.take(f"refusal {number}", answer)
    emitted.take("batch", client.post("/fhir", json=BATCH, headers=FHIR))
    emitted.take("history of all", client.get("/fhir/_history"))
    for name, answer in _operations(client, statement):
        emitted.take(name, answer)
    return emitted


def _collect_type(emitted: Emitted, offered: dict[str, Any]) -> None:
    name, client = offered["type"], emitted.client
    interactions = {each["code"] for each in offered.get("interaction", ())}
    first: dict[str, Any] | None = None
    for count in (2, 100):
        url: str | None = f"/fhir/{name}?_count={count}"
        for page in range(3):
            if url is None or "search-type" not in interactions:
                break
            bundle = emitted.take(f"{name}, {count} on page {page}", client.get(url).raise_for_status())
            entries = [e["resource"] for e in bundle.get("entry", ()) if e.get("search", {}).get("mode") == "match"]
            first = first or next(iter(entries), None)
            following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
            url = httpx.URL(following[0]).raw_path.decode() if following else None
    if first is None:
        return
    place = f"/fhir/{name}/{first['id']}"
    emitted.take(f"{name} read", client.get(place))
    if "vread" in interactions:
        emitted.take(f"{name} vread", client.get(f"{place}/_history/{first['meta']['versionId']}"))
    if "history-instance" in interactions:
        emitted.take(f"{name} history", client.get(f"{place}/_history"))
    if "history-type" in interactions:
        emitted.take(f"{name} history of the type", client.get(f"/fhir/{name}/_history"))
    for query in ("_summary=count", "_summary=true", "_elements=status", "_count=1&_total=accurate"):
        emitted.take(f"{name}?{query}", client.get(f"/fhir/{name}?{query}"))


def _refusals(client: httpx.Client) -> Iterator[httpx.Response]:
    """One of each kind of error."""
    post = "/fhir/QuestionnaireResponse"
    yield client.get("/fhir/Patient/none")
    yield client.get(f"{post}/none")
    yield client.get(f"{post}?zaphod=1", headers={"Prefer": "handling=strict"})
    yield client.get(post, headers={"Accept": "application/fhir+xml"})
    yield client.delete(post)
    yield client.post(post, content=b"{}", headers=FHIR)
    yield client.post(post, content=b"<a/>", headers={"Content-Type": "application/fhir+xml"})
    yield client.post(post, content=b'{"resourceType": "QuestionnaireResponse", "status": "done"}', headers=FHIR)
    yield client.post(post, content=(EXAMPLES / "invalid.json").read_bytes(), headers=FHIR)
    yield client.put("/fhir/Task/none", content=b'{"resourceType": "Task"}', headers=FHIR)


def _operations(client: httpx.Client, statement: dict[str, Any]) -> Iterator[tuple[str, httpx.Response]]:
    """Every operation that is offered, on the type and on one resource, by GET and by POST: what answers is taken."""
    response = fresh((EXAMPLES / "calf-strain.json").read_bytes(), secrets.token_hex(4))
    for offered in statement["rest"][0]["resource"]:
        name = offered["type"]
        bundle = client.get(f"/fhir/{name}?_count=1").json()
        one = next((e["resource"] for e in bundle.get("entry", ())), None)
        body = response if name == "QuestionnaireResponse" else json.dumps(one or {"resourceType": name}).encode()
        for operation in offered.get("operation", ()):
            places = [f"/fhir/{name}/${operation['name']}"]
            places += [f"/fhir/{name}/{one['id']}/${operation['name']}"] if one else []
            for place in places:
                yield f"GET {place}", client.get(place)
                yield f"POST {place}", client.post(place, content=body, headers=FHIR)
