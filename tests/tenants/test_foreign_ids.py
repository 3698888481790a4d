"""Every route that takes an id is tried with the ids of another tenant: 404, as for what does not exist."""

from __future__ import annotations

import json
import re
import warnings

from tests.notify.subscriptions.conftest import a_subscription
from tests.tenants.conftest import System, an_emergency

MARK = "ZZAAA"
PER_TENANT = {
    "QuestionnaireResponse",
    "RiskAssessment",
    "DetectedIssue",
    "Provenance",
    "Task",
    "CommunicationRequest",
    "Communication",
    "AuditEvent",
    "Subscription",
}


def addresses(system: System) -> list[tuple[str, str, str]]:
    """Method, path and type of every route that takes an id, filled with ids of tenant A."""
    found = []
    for app in system.apps.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one function that answers GET and POST has one name
            paths = app.openapi()["paths"]
        for path, operations in paths.items():
            resource_type = path.split("/")[2] if path.startswith("/fhir/") else ""
            if resource_type not in PER_TENANT or "_id}" not in path:
                continue
            held = system.a.all(resource_type)
            assert held, resource_type
            filled = re.sub(r"\{[a-z_]*id\}", held[0]["id"], path.replace("{version_id}", "1"))
            found += [(method.upper(), filled, resource_type) for method in operations]
    return found


def subscribe(system: System) -> None:
    """Tenant A listens to its alerts; nobody answers at its endpoint."""
    subscription = a_subscription("https://1.1.1.1/fhir-events")
    assert system.a.ask("POST", "/fhir/Subscription", json=subscription).status_code == 201


def test_no_route_gives_changes_or_admits_what_belongs_to_another_tenant(system: System) -> None:
    system.a.post(an_emergency(MARK))
    subscribe(system)
    system.works()
    tried = addresses(system)
    assert len({resource_type for _, _, resource_type in tried}) == len(PER_TENANT)
    before = {resource_type: json.dumps(system.a.all(resource_type)) for resource_type in PER_TENANT - {"AuditEvent"}}

    for method, path, resource_type in tried:
        resource = system.a.all(resource_type)[0]
        body = {"json": resource, "headers": {"If-Match": 'W/"1"'}} if method in ("POST", "PUT") else {}
        answer = system.b.ask(method, path, **body)  # type: ignore[arg-type]
        wanted = {"PUT": {404, 412}, "DELETE": {404, 405}, "PATCH": {404, 405}}.get(
            method, {404}
        )  # 412: If-Match, and there is no version
        assert answer.status_code in wanted, (method, path, answer.status_code, answer.text)
        assert MARK not in answer.text, (method, path)
        if method in ("GET", "DELETE"):
            never = system.b.ask(method, path.replace(resource["id"], "no-such-id"))
            assert answer.text.replace(resource["id"], "no-such-id") == never.text, "differs from what never existed"

    after = {resource_type: json.dumps(system.a.all(resource_type)) for resource_type in before}
    assert after == before


def test_no_search_finds_what_belongs_to_another_tenant(system: System) -> None:
    response_id = system.a.post(an_emergency(MARK))
    subscribe(system)
    system.works()

    for resource_type in sorted(PER_TENANT - {"AuditEvent"}):
        mine = system.a.all(resource_type)[0]
        for query in (
            "",
            f"?_id={mine['id']}",
            "?subject=Patient/7391",
            "?patient=7391",
            f"?identifier={response_id}",
            "?_lastUpdated=gt2020-01-01",
        ):
            answer = system.b.ask("GET", f"/fhir/{resource_type}{query}")
            assert answer.status_code in (200, 400), (resource_type, query)
            assert mine["id"] not in answer.text.replace(query, ""), (resource_type, query)
            assert MARK not in answer.text


def test_ways_between_our_services_are_closed_to_clients(system: System) -> None:
    for resource_type in ("QuestionnaireResponse", "RiskAssessment", "Task"):
        for operation in ("$changed-tenants?_since=2020-01-01T00:00:00Z", "$audit"):
            answer = system.b.ask("GET", f"/fhir/{resource_type}/{operation}")
            assert answer.status_code == 404, (resource_type, operation)
