"""Two clinics use one system, with the same patient id and the same form id: everything stays with its own."""

from __future__ import annotations

import json

import pytest

from shared.fhir.codes import SID_RESPONSE
from tests.builders import a_response
from tests.tenants.conftest import System, Tenant, an_emergency

EVERYTHING = (
    "QuestionnaireResponse",
    "RiskAssessment",
    "DetectedIssue",
    "Provenance",
    "Task",
    "CommunicationRequest",
    "Communication",
)


def responses_of(tenant: Tenant, resource_type: str) -> set[str]:
    """The responses that a tenant's resources of a type say they come from."""
    return {
        identifier["value"]
        for resource in tenant.all(resource_type)
        for identifier in resource["identifier"]
        if identifier["system"] == SID_RESPONSE
    }


def test_responses_assessments_and_alerts_of_two_tenants_stay_apart(system: System) -> None:
    of_a, of_b = system.a.post(an_emergency("ZZAAA")), system.b.post(an_emergency("ZZBBB"))

    system.works()

    assert of_a != of_b
    for tenant, response_id, other in ((system.a, of_a, "ZZBBB"), (system.b, of_b, "ZZAAA")):
        assert responses_of(tenant, "RiskAssessment") == {response_id}
        assert responses_of(tenant, "Task") == {response_id}
        for resource_type in EVERYTHING:
            found = tenant.all(resource_type)
            assert found, resource_type
            assert other not in json.dumps(found)


def test_each_alert_is_told_by_itself_although_the_patients_have_the_same_id(system: System) -> None:
    system.a.post(an_emergency("ZZAAA"))
    system.b.post(an_emergency("ZZBBB"))

    system.works()

    [task_of_a], [task_of_b] = system.a.all("Task"), system.b.all("Task")
    assert len(system.mail.mails) == 2
    told = [str(mail["Subject"]) + str(mail.get_payload(decode=True)) for mail in system.mail.mails]
    assert sum(task_of_a["id"] in text for text in told) == 1
    assert sum(task_of_b["id"] in text for text in told) == 1
    assert not any("ZZAAA" in text or "ZZBBB" in text for text in told)


def test_an_alert_is_acknowledged_by_its_own_tenant_alone(system: System) -> None:
    system.a.post(an_emergency("ZZAAA"))
    system.works()
    [task] = system.a.all("Task")
    change = {**task, "status": "accepted", "owner": {"display": "Dr Osei"}}
    if_match = {"If-Match": f'W/"{task["meta"]["versionId"]}"'}

    by_b = system.b.ask("PUT", f"/fhir/Task/{task['id']}", json=change, headers=if_match)
    by_a = system.a.ask("PUT", f"/fhir/Task/{task['id']}", json=change, headers=if_match)

    assert (by_b.status_code, by_a.status_code) == (404, 200)
    assert by_a.json()["status"] == "accepted"


@pytest.mark.requirement("REQ-05", "SR-18")
def test_an_emergency_that_was_amended_before_anybody_looked_reaches_people(system: System) -> None:
    first = an_emergency("ZZAAA")
    response_id = system.a.post(first)
    mild = a_response({}, status="amended", patient="7391", identifier="form-1") | {"id": response_id}
    mild["subject"]["display"] = "ZZAAA"
    path, if_match = f"/fhir/QuestionnaireResponse/{response_id}", {"If-Match": 'W/"1"'}
    assert system.a.ask("PUT", path, json=mild, headers=if_match).status_code == 200

    system.works()

    [task] = system.a.all("Task")
    assert task["priority"] == "stat"
    assert len(system.mail.mails) == 1
    assert system.b.all("Task") == []


def test_the_audit_shows_each_tenant_its_own_acts(system: System) -> None:
    of_a, of_b = system.a.post(an_emergency("ZZAAA")), system.b.post(an_emergency("ZZBBB"))
    system.works()

    audit_of_a = json.dumps(system.a.all("AuditEvent"))

    assert of_a in audit_of_a
    assert of_b not in audit_of_a


@pytest.mark.parametrize("resource_type", ["Questionnaire", "Library", "PlanDefinition", "Device"])
def test_both_tenants_read_what_is_published(system: System, resource_type: str) -> None:
    assert system.a.all(resource_type) == system.b.all(resource_type) != []


NAMES = ("X-Tenant-Id", "X-Tenant", "Tenant", "Tenant-Id", "Sural-Tenant", "X-Sural-Tenant", "X-Forwarded-Tenant")


def test_a_tenant_that_is_named_in_a_request_is_not_believed(system: System) -> None:
    of_a = system.a.post(an_emergency("ZZAAA"))
    other = str(system.a.id)
    named = {
        **an_emergency("ZZBBB"),
        "meta": {"tag": [{"system": "tenant", "code": other}]},
        "extension": [{"url": "tenant_id", "valueString": other}],
    }

    for headers in ({name: other} for name in NAMES):
        assert system.b.ask("GET", f"/fhir/QuestionnaireResponse/{of_a}", headers=headers).status_code == 404
    query = f"/fhir/QuestionnaireResponse/{of_a}?tenant={other}&tenant_id={other}"
    assert system.b.ask("GET", query).status_code == 404
    system.b.post(named)

    assert [one["id"] for one in system.a.all("QuestionnaireResponse")] == [of_a]
