"""What a client of HAPI or Medplum expects of a FHIR server, asked of intake and triage on real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.intake.app import create_app as create_intake
from services.intake.settings import IntakeSettings
from shared.fhir import includes, resources, search
from shared.fhir.codes import SID_RESPONSE
from shared.fhir.resources import NewVersion
from shared.fhir.structure import check_structure
from shared.ids import DEFAULT_TENANT
from shared.postgres import tenant_transaction
from tests.builders import SENDER, a_response
from tests.claims import unkept
from tests.conftest import Database
from tests.serving import client_of
from tests.triage.line import Line

STRICT = {"Prefer": "handling=strict"}


def matches(answer: httpx.Response, mode: str = "match") -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert check_structure(bundle, resource_type="Bundle") == []
    return [entry["resource"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == mode]


def names(answer: httpx.Response, mode: str = "match") -> list[str]:
    return [f"{resource['resourceType']}/{resource['id']}" for resource in matches(answer, mode)]


@pytest.fixture
def assessed(line: Line) -> dict[str, Any]:
    """An emergency: its RiskAssessment."""
    return line.assessed({"chest_pain": "Y"}, identifier="form-1", patient="p-1")


@pytest.fixture
def whole(line: Line, database: Database) -> Iterator[httpx.Client]:
    """An intake that knows its neighbour triage."""
    settings = IntakeSettings(intake_database_url=database.intake_url, triage_url=str(line.triage.base_url))  # type: ignore[arg-type]
    with client_of(create_intake(settings)) as client:
        yield client


def test_every_claim_is_kept_and_nothing_else_is_done(line: Line, assessed: dict[str, Any], database: Database) -> None:
    assert unkept(line.ehr, database.owner_url, "intake") == []
    assert unkept(line.triage, database.owner_url, "triage") == []


def test_operations_and_interactions_of_the_whole_base_are_claimed(line: Line) -> None:
    [rest] = line.ehr.get("/fhir/metadata").json()["rest"]
    response, questionnaire = (
        {each["name"] for part in rest["resource"] if part["type"] == name for each in part["operation"]}
        for name in ("QuestionnaireResponse", "Questionnaire")
    )

    assert {each["code"] for each in rest["interaction"]} == {"batch", "transaction"}
    assert {"validate", "triage", "status", "everything"} <= response
    assert "validate" in questionnaire


def test_an_assessment_is_found_by_what_it_is_based_on(line: Line, assessed: dict[str, Any]) -> None:
    response = assessed["basis"][0]["reference"].partition("/_history/")[0]

    for parameters in (
        {"basis": response},
        {"basis": f"{response}/_history/1"},
        {"basis": response.split("/")[1]},
        {"basis": f"http://127.0.0.1:8000/fhir/{response}"},
        {"basis:QuestionnaireResponse": response.split("/")[1]},
        {"identifier": f"{SID_RESPONSE}|{response.split('/')[1]}", "status": "final"},
        {"status:not": "preliminary", "patient": "p-1"},
        {"encounter:missing": "true"},
        {"date": "gt2026-01-01", "performer:missing": "false"},
        {"_has:DetectedIssue:implicated:severity": "high"},
    ):
        assert names(line.triage.get("/fhir/RiskAssessment", params=parameters, headers=STRICT)) == [
            f"RiskAssessment/{assessed['id']}"
        ], parameters
    for parameters in (
        {"basis": f"{response}/_history/2"},
        {"status:not": "final"},
        {"encounter:missing": "false"},
        {"date": "lt2026-01-01"},
        {"_has:DetectedIssue:implicated:severity": "low"},
    ):
        assert names(line.triage.get("/fhir/RiskAssessment", params=parameters, headers=STRICT)) == [], parameters


def test_a_chain_leads_from_a_red_flag_to_its_assessment(line: Line, assessed: dict[str, Any]) -> None:
    found = matches(line.triage.get("/fhir/DetectedIssue?implicated:RiskAssessment.status=final"))

    assert found
    assert names(line.triage.get("/fhir/DetectedIssue?implicated:RiskAssessment.status=amended")) == []


def test_includes_come_from_the_service_itself_and_from_its_neighbour(
    line: Line, whole: httpx.Client, assessed: dict[str, Any]
) -> None:
    response = assessed["basis"][0]["reference"].partition("/_history/")[0]
    name = f"RiskAssessment/{assessed['id']}"
    sent = line.ehr.get(f"/fhir/{response}").content

    own = line.triage.get("/fhir/DetectedIssue?_include=DetectedIssue:implicated")
    assert names(own, "include").count(name) == 1
    assert response in names(own, "include")
    across = line.triage.get(f"/fhir/RiskAssessment?_id={assessed['id']}&_include=RiskAssessment:basis")
    assert names(across, "include") == [response]
    assert sent in across.content
    reverse = whole.get(f"/fhir/{response.split('/')[0]}?_revinclude=RiskAssessment:basis")
    assert names(reverse) == [response]
    assert names(reverse, "include") == [name]
    within = line.triage.get("/fhir/RiskAssessment?_revinclude=Provenance:target&_revinclude=DetectedIssue:implicated")
    assert {each.split("/")[0] for each in names(within, "include")} == {"Provenance", "DetectedIssue"}


def test_what_a_neighbour_holds_is_included_from_all_its_pages_up_to_the_limit(
    line: Line, whole: httpx.Client, assessed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [{**assessed, "id": f"other-{number}"} for number in range(4)]
    at = datetime(2026, 11, 22, tzinfo=UTC)
    with tenant_transaction(line.pool, DEFAULT_TENANT) as connection:
        for each in others:
            new = NewVersion("RiskAssessment", each["id"], 1, at, json.dumps(each).encode())
            resources.save(connection, DEFAULT_TENANT, [new])
    wanted = {f"RiskAssessment/{each['id']}" for each in (assessed, *others)}
    asked = "/fhir/QuestionnaireResponse?_revinclude=RiskAssessment:basis"
    monkeypatch.setattr(search, "MAX_COUNT", 2)

    complete = whole.get(asked)
    monkeypatch.setattr(includes, "MOST_INCLUDED", 5)
    just = whole.get(asked)
    monkeypatch.setattr(includes, "MOST_INCLUDED", 3)
    cut = whole.get(asked)

    for answer in (complete, just):
        assert sorted(names(answer, "include")) == sorted(wanted)
        assert matches(answer, "outcome") == []
    assert len(set(names(cut, "include")) & wanted) == len(matches(cut, "include")) == 3
    [outcome] = matches(cut, "outcome")
    [issue] = outcome["issue"]
    assert (issue["severity"], issue["details"]["coding"][0]["code"]) == ("warning", "include-too-many")
    assert "RiskAssessment" in issue["details"]["text"]


def test_a_neighbour_that_does_not_answer_is_named_and_the_rest_is_given(
    line: Line, database: Database, assessed: dict[str, Any]
) -> None:
    settings = IntakeSettings(intake_database_url=database.intake_url, triage_url="http://127.0.0.1:9")  # type: ignore[arg-type]
    with client_of(create_intake(settings)) as alone:
        answer = alone.get("/fhir/QuestionnaireResponse?_revinclude=RiskAssessment:basis")

    assert len(matches(answer)) == 1
    [outcome] = matches(answer, "outcome")
    assert "RiskAssessment" in outcome["issue"][0]["details"]["text"]
    assert outcome["issue"][0]["severity"] == "warning"


def test_a_search_by_form_finds_the_same_as_one_by_address(line: Line, assessed: dict[str, Any]) -> None:
    by_form = line.triage.post("/fhir/RiskAssessment/_search?status=final", data={"patient": "p-1"})

    assert names(by_form) == [f"RiskAssessment/{assessed['id']}"]
    assert line.triage.post("/fhir/RiskAssessment/_search", json={}).status_code == 415
    assert names(line.triage.post("/fhir/RiskAssessment/_search")) == names(by_form)


def test_pages_in_any_order_hold_each_resource_once_while_more_arrive(line: Line) -> None:
    for number in range(5):
        line.post(a_response(identifier=f"form-{number}", patient=f"p-{number % 2}"))

    for order in (
        "-_lastUpdated",
        "subject,-_id",
        "-subject",
        "authored",
        "encounter,status",
        "-authored,_lastUpdated",
    ):
        seen: list[str] = []
        url: str | None = f"/fhir/QuestionnaireResponse?_sort={order}&_count=2"
        while url:
            answer = line.ehr.get(url)
            seen += names(answer)
            links = {link["relation"]: link["url"] for link in answer.json()["link"]}
            url = httpx.URL(links["next"]).raw_path.decode() if "next" in links else None
            if len(seen) == 2:
                line.post(a_response(patient="p-0"))
        assert len(seen) == len(set(seen)) >= 5, order
        if order == "-subject":
            subjects = [line.ehr.get(f"/fhir/{name}").json()["subject"]["reference"] for name in seen]
            assert subjects == sorted(subjects, reverse=True)


def test_totals_and_summaries(line: Line) -> None:
    for number in range(3):
        line.post(a_response(identifier=f"form-{number}"))
    search = "/fhir/QuestionnaireResponse"

    assert line.ehr.get(search).json()["total"] == 3
    assert "total" not in line.ehr.get(f"{search}?_count=2").json()
    for total in ("accurate", "estimate"):
        assert line.ehr.get(f"{search}?_count=2&_total={total}").json()["total"] == 3
    for count in ("_summary=count", "_count=0"):
        bundle = line.ehr.get(f"{search}?{count}&identifier={SENDER}|form-1").json()
        assert bundle["total"] == 1
        assert "entry" not in bundle
    [short, *_] = matches(line.ehr.get(f"{search}?_summary=true"))
    assert "item" not in short
    assert {"status", "subject", "questionnaire", "authored"} <= set(short)
    assert {tag["code"] for tag in short["meta"]["tag"]} == {"SUBSETTED"}
    [chosen, *_] = matches(line.ehr.get(f"{search}?_elements=subject"))
    assert set(chosen) == {"resourceType", "id", "meta", "status", "subject"}
    assert set(line.ehr.get(f"{search}/{chosen['id']}?_elements=subject").json()) == set(chosen)


def test_an_unknown_parameter_is_named_and_with_strict_handling_refused(line: Line) -> None:
    lenient = line.ehr.get("/fhir/QuestionnaireResponse?colour=blue&status=completed")
    [outcome] = matches(lenient, "outcome")

    assert "colour" in outcome["issue"][0]["details"]["text"]
    [link] = lenient.json()["link"]
    assert link["url"].endswith("/QuestionnaireResponse?status=completed")
    strict = line.ehr.get("/fhir/QuestionnaireResponse?colour=blue", headers=STRICT)
    assert (strict.status_code, strict.json()["resourceType"]) == (400, "OperationOutcome")


def test_the_history_of_a_resource_and_of_a_type(line: Line, assessed: dict[str, Any]) -> None:
    response = assessed["basis"][0]["reference"].partition("/_history/")[0]
    held = line.ehr.get(f"/fhir/{response}")
    amended = held.json() | {"status": "amended"}
    headers = {"Content-Type": "application/fhir+json", "If-Match": held.headers["etag"]}
    assert line.ehr.put(f"/fhir/{response}", json=amended, headers=headers).status_code == 200

    bundle = line.ehr.get(f"/fhir/{response}/_history").json()
    assert check_structure(bundle, resource_type="Bundle") == []
    assert (bundle["type"], bundle["total"]) == ("history", 2)
    assert [entry["resource"]["meta"]["versionId"] for entry in bundle["entry"]] == ["2", "1"]
    assert [entry["request"]["method"] for entry in bundle["entry"]] == ["PUT", "POST"]
    for path in (f"/fhir/{response}/_history", "/fhir/QuestionnaireResponse/_history"):
        first = line.ehr.get(f"{path}?_count=1").json()
        [following] = [link["url"] for link in first["link"] if link["relation"] == "next"]
        second = line.ehr.get(httpx.URL(following).raw_path.decode()).json()
        versions = [entry["resource"]["meta"]["versionId"] for page in (first, second) for entry in page["entry"]]
        assert versions == ["2", "1"]
    assert "entry" not in line.ehr.get(f"/fhir/{response}/_history?_since=2100-01-01T00:00:00Z").json()
    assert line.ehr.get("/fhir/QuestionnaireResponse/none/_history").status_code == 404
    assert line.ehr.get(f"/fhir/{response}/_history?_count=none").status_code == 400
    assert line.ehr.get(f"/fhir/{response}/_history?_page=%00x").status_code == 400


def test_head_gives_the_headers_of_get_and_no_body(line: Line, assessed: dict[str, Any]) -> None:
    for path in (f"/fhir/RiskAssessment/{assessed['id']}", "/fhir/RiskAssessment", "/fhir/metadata", "/livez"):
        head, get = line.triage.head(path), line.triage.get(path)
        assert head.status_code == get.status_code == 200
        assert head.content == b""
        assert head.headers["content-type"] == get.headers["content-type"]
        assert head.headers.get("etag") == get.headers.get("etag")
    assert line.triage.head("/fhir/RiskAssessment/none").status_code == 404


def test_long_answers_are_compressed_for_who_asks_and_short_ones_never(line: Line, assessed: dict[str, Any]) -> None:
    path = f"/fhir/RiskAssessment/{assessed['id']}"
    plain = line.triage.get(path, headers={"Accept-Encoding": "identity"})
    small = line.triage.get(path, headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert small.content == plain.content
    assert int(small.headers["content-length"]) < len(plain.content) / 3
    assert "content-encoding" not in line.triage.get("/fhir/RiskAssessment/none").headers


def test_what_a_client_has_already_is_not_sent_again(line: Line, assessed: dict[str, Any]) -> None:
    path = f"/fhir/RiskAssessment/{assessed['id']}"
    held = line.triage.get(path)

    for headers, status in (
        ({"If-None-Match": held.headers["etag"]}, 304),
        ({"If-None-Match": 'W/"7", W/"1"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": 'W/"7"'}, 200),
        ({"If-Modified-Since": held.headers["last-modified"]}, 304),
        ({"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-None-Match": 'W/"7"', "If-Modified-Since": held.headers["last-modified"]}, 200),
    ):
        assert line.triage.get(path, headers=headers).status_code == status, headers


def test_what_is_not_offered_is_answered_with_what_is(line: Line) -> None:
    for method, path, allowed in (
        ("DELETE", "/fhir/RiskAssessment/1", "GET, HEAD"),
        ("POST", "/fhir/RiskAssessment", "GET, HEAD"),
        ("GET", "/fhir/RiskAssessment/_search", None),
        ("DELETE", "/fhir/RiskAssessment/_history", "GET, HEAD"),
    ):
        answer = line.triage.request(method, path)
        assert answer.status_code == (405 if allowed else 404), path
        assert answer.headers.get("allow") == allowed, path
        assert answer.json()["resourceType"] == "OperationOutcome"
