"""Everything that the system gives out is valid R4, in the eyes of our gate and of each independent validator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

import httpx
import pytest

from shared.fhir.codes import SID_RESPONSE
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from tests.builders import a_response
from tests.conformance.emitted import FHIR, Emitted, collect
from tests.conformance.validators import VALIDATORS, Validator
from tests.conformance.validators.known import known_differences
from tests.conformance.vectors import exact_json, read_vectors
from tests.journeys.system import System
from tests.notify.subscriptions.conftest import ALERTS, ASSESSMENTS, a_subscription
from tests.notify.subscriptions.subscriber import Subscriber, a_subscriber
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(900)

EXPECTED = {
    "Bundle", "CapabilityStatement", "Communication", "CommunicationRequest", "DetectedIssue", "Device", "Library",
    "OperationOutcome", "Parameters", "PlanDefinition", "Provenance", "Questionnaire", "QuestionnaireResponse",
    "RiskAssessment", "Subscription", "Task",
}  # fmt: skip


@pytest.fixture(scope="module")
def emitted(system: System) -> Iterator[Emitted]:
    client_of_all = httpx.Client(base_url=system.url, timeout=30, trust_env=False)
    with client_of_all as client, a_subscriber() as subscriber:
        subscribe(client, subscriber)
        assert [row.problem for row in system.demo() if row.problem] == []
        be_amended_and_withdrawn(client)
        be_without_pack(client)
        assert eventually(lambda: len(subscriber.numbers) > 10, within_s=60)
        emitted = collect(client)
        for number, notification in enumerate(subscriber.received):
            emitted.sent(f"notification {number}", notification.bundle)
        yield emitted


def subscribe(client: httpx.Client, subscriber: Subscriber) -> None:
    """To alerts and assessments, with both contents that may be sent in the open."""
    for topic, content in ((ALERTS, "id-only"), (ASSESSMENTS, "empty")):
        subscription = a_subscription(subscriber.url, topic=topic, content=content)
        client.post("/fhir/Subscription", json=subscription, headers=FHIR).raise_for_status()
    assert eventually(lambda: len(subscriber.handshakes) == 2, within_s=60)


def be_amended_and_withdrawn(client: httpx.Client) -> None:
    """Two forms that became urgent when they were amended; one of them turned out to be an error."""
    for last in ("amended", "entered-in-error"):
        form = a_response({})
        created = client.post("/fhir/QuestionnaireResponse", json=form, headers=FHIR).raise_for_status()
        place = httpx.URL(created.headers["location"]).path.partition("/_history")[0]
        wait_for(client, place, "final")
        changed = {**form, **a_response({"chest_pain": "Y"}), "id": place.rpartition("/")[2]}
        changed |= {name: form[name] for name in ("identifier", "subject")}
        for version, status in enumerate(dict.fromkeys(("amended", last)), start=1):
            headers = FHIR | {"If-Match": f'W/"{version}"'}
            client.put(place, json=changed | {"status": status}, headers=headers).raise_for_status()
            wait_for(client, place, status)


def be_without_pack(client: httpx.Client) -> None:
    """A form whose Questionnaire nobody wrote rules for: its assessment says that it is not assessable."""
    vector = next(each for each in read_vectors() if each.id == "required-declined")
    client.post("/fhir/Questionnaire", content=exact_json(vector.questionnaire), headers=FHIR).raise_for_status()
    created = client.post("/fhir/QuestionnaireResponse", content=vector.body, headers=FHIR).raise_for_status()
    wait_for(client, httpx.URL(created.headers["location"]).path.partition("/_history")[0], "final")


def wait_for(client: httpx.Client, place: str, status: str) -> None:
    """Until the assessment of the response has this status."""
    query = {"identifier": f"{SID_RESPONSE}|{place.rpartition('/')[2]}"}

    def look() -> bool:
        found = client.get("/fhir/RiskAssessment", params=query).json().get("entry", [])
        return [entry["resource"]["status"] for entry in found] == [status]

    assert eventually(look, within_s=60)


def test_every_kind_of_resource_was_given_out(emitted: Emitted) -> None:
    offered = {each["type"] for each in json.loads(emitted.texts["metadata"])["rest"][0]["resource"]}

    assert emitted.types() >= EXPECTED | offered
    assert emitted.statuses("RiskAssessment") >= {"final", "preliminary", "amended", "entered-in-error"}
    assert any("needs human review" in text for text in emitted.texts.values())


def test_our_own_gate_and_fhir_resources_find_nothing(emitted: Emitted) -> None:
    found = {}
    for name, text in emitted.texts.items():
        resource = json.loads(text, parse_float=Decimal)
        problems = check_structure(resource, resource_type=resource["resourceType"])
        problems += validate_with_fhir_resources(resource)
        if problems:
            found[name] = [(problem.code, problem.expression, problem.message) for problem in problems[:3]]

    assert found == {}


@pytest.mark.parametrize("validator", VALIDATORS, ids=lambda validator: validator.name)
def test_an_independent_validator_finds_nothing(validator: Validator, emitted: Emitted) -> None:
    reason = validator.why_not()
    if reason is not None:
        pytest.skip(f"{validator.name} did not run: {reason}")
    known = known_differences(validator.name).emitted

    messages = validator.judge(emitted.texts.items())

    assert len(messages) == len(emitted.texts)
    unknown = {
        name: [
            text for text in texts if not (is_of_a_subset(text, emitted.texts[name]) or any(k in text for k in known))
        ]
        for name, texts in messages.items()
    }
    assert {name: texts for name, texts in unknown.items() if texts} == {}


def is_of_a_subset(message: str, resource: str) -> bool:
    """A summary has what is mandatory, but cannot keep rules about what it leaves out (R4 search.html#summary)."""
    return "SUBSETTED" in resource and "Constraint" in message
