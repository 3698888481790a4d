from __future__ import annotations

import re
from pathlib import Path

import pytest

import services.intake.api
import services.notify.api
import services.triage.api

CONFIGURATION = (Path(__file__).resolve().parents[2] / "deploy" / "proxy" / "nginx.conf").read_text(encoding="utf-8")
OFFERED = {
    "intake": services.intake.api.CAPABILITIES,
    "triage": services.triage.api.CAPABILITIES,
    "notify": services.notify.api.CAPABILITIES,
}


def service_of(path: str) -> str:
    """Where the proxy sends a path: the first regular expression that fits, in the order of the file, else intake."""
    for pattern, target in re.findall(r"location ~ (\S+) \{[^}]*?proxy_pass \$(\w+);", CONFIGURATION):
        if re.search(pattern, path):
            return str(target)
    return "intake"


@pytest.mark.parametrize(
    ("service", "type"), [(service, one.type) for service, offered in OFFERED.items() for one in offered]
)
def test_the_proxy_sends_each_resource_type_to_the_service_that_owns_it(service: str, type: str) -> None:
    for path in (f"/fhir/{type}", f"/fhir/{type}/x", f"/fhir/{type}/x/_history/2"):
        assert service_of(path) == service


def test_the_proxy_knows_no_type_that_its_service_does_not_offer() -> None:
    for service, names in re.findall(r"fhir/\(([\w|]+)\)\|capability/(\w+)", CONFIGURATION):
        assert set(service.split("|")) == {one.type for one in OFFERED[names]}


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/fhir/metadata", "intake"),
        ("/fhir/QuestionnaireResponse/$triage", "triage"),
        ("/fhir/QuestionnaireResponse/x/$triage", "triage"),
        ("/fhir/QuestionnaireResponse/x/$status", "intake"),
        ("/submission/x", "intake"),
        ("/fhir", "intake"),
        ("/fhir/TaskList", "intake"),
        ("/capability/intake", "intake"),
        ("/capability/triage", "triage"),
        ("/capability/notify", "notify"),
        ("/worklist", "notify"),
        ("/worklist/7d0b3f1c-5b0e-4c57-9a39-0a4f6f5a4c11/acknowledge", "notify"),
        ("/worklists", "intake"),
    ],
)
def test_pages_and_the_base_s_own_routes_have_one_place(path: str, service: str) -> None:
    assert service_of(path) == service


def test_event_streams_are_not_held_back() -> None:
    [stream] = re.findall(r"location = /worklist/events \{([^}]*)\}", CONFIGURATION)

    assert "proxy_buffering off;" in stream
    assert "proxy_pass $notify;" in stream
