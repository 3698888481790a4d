"""What an EHR system sees when it posts a questionnaire."""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import psycopg
import pytest

from services.intake import metadata
from services.intake.app import create_app
from services.intake.metadata import NeighbourParts
from services.intake.settings import IntakeSettings
from shared import outbox
from shared.fhir.capability import READ_ONLY
from shared.fhir.codes import EXT_CONTENT_SHA256, EXT_LINK_ID
from shared.fhir.search_conditions import PREFIXES
from shared.fhir.structure import check_structure
from shared.postgres import connect
from tests.builders import SENDER, a_response, answer_of
from tests.conftest import Database
from tests.intake.ehr import FHIR, POST, all_codes, codes, post, stored
from tests.serving import client_of


def test_a_valid_response_is_created_with_location_version_and_time(ehr: httpx.Client) -> None:
    answer = post(ehr, a_response())

    assert answer.status_code == 201
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["location"].endswith("/_history/1")
    assert "GMT" in answer.headers["last-modified"]
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert codes(answer) == ["stored", "assessment"]


@pytest.mark.requirement("REQ-01")
def test_what_was_sent_comes_back_byte_for_byte_with_id_and_meta(ehr: httpx.Client) -> None:
    response = a_response({"respondent": "clinician", "calf_circumference_diff_cm": 3})
    sent = json.dumps(response).encode().replace(b'"valueDecimal": 3.0', b'"valueDecimal": 3.00')
    assert b"3.00" in sent

    location = post(ehr, sent).headers["location"]
    read = ehr.get(httpx.URL(location).path)

    assert read.content.endswith(sent[1:])
    resource = json.loads(read.content, parse_float=Decimal)
    assert resource["meta"]["versionId"] == "1"
    [digest] = [e for e in resource["meta"]["extension"] if e["url"] == EXT_CONTENT_SHA256]
    assert digest["valueString"] == hashlib.sha256(sent).hexdigest()


def test_a_long_answer_to_a_write_is_compressed_for_who_can_read_it(ehr: httpx.Client) -> None:
    headers = FHIR | {"Prefer": "return=representation"}

    packed = ehr.post(POST, json=a_response(identifier="packed"), headers=headers | {"Accept-Encoding": "gzip"})
    plain = ehr.post(POST, json=a_response(identifier="plain"), headers=headers | {"Accept-Encoding": "identity"})
    short = ehr.post(POST, json=a_response(identifier="short"), headers=FHIR | {"Prefer": "return=minimal"})

    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json()["item"] == plain.json()["item"]
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert (short.status_code, short.content) == (201, b"")


def test_the_response_is_found_by_identifier_id_patient_and_time(ehr: httpx.Client) -> None:
    post(ehr, a_response(identifier="form-31", patient="p-31"))
    post(ehr, a_response(identifier="form-32", patient="p-32"))
    [entry] = ehr.get(POST, params={"identifier": f"{SENDER}|form-31"}).json()["entry"]
    found = entry["resource"]["id"]

    for parameters in (
        {"_id": f"{found},unknown"},
        {"patient": "p-31"},
        {"identifier": "form-31"},
        {"identifier": f"{SENDER}|form-31", "_lastUpdated": "ge2026-01-01"},
    ):
        bundle = ehr.get(POST, params=parameters).json()
        assert [e["resource"]["id"] for e in bundle["entry"]] == [found], parameters
    assert "entry" not in ehr.get(POST, params={"_lastUpdated": "lt2026-01-01"}).json()


@pytest.mark.parametrize("parameter", ["_lastUpdated", "authored"])
@pytest.mark.parametrize(
    ("year", "found"),
    [
        ("9999", {"ne", "lt", "le", "eb"}),
        ("9999-12", {"ne", "lt", "le", "eb"}),
        ("9999-12-31", {"ne", "lt", "le", "eb"}),
        ("9999-12-31T23:59:59Z", {"ne", "lt", "le", "eb"}),
        ("9999-12-31T23:59:59.999Z", {"ne", "lt", "le", "eb"}),
        ("0001", {"ne", "gt", "ge", "sa"}),
        ("0001-01-01T00:00:00Z", {"ne", "gt", "ge", "sa"}),
    ],
)
def test_the_first_and_the_last_moment_that_can_be_written_are_before_and_after_all(
    ehr: httpx.Client, parameter: str, year: str, found: set[str]
) -> None:
    post(ehr, a_response())

    answers = {prefix: ehr.get(POST, params={parameter: f"{prefix}{year}"}) for prefix in PREFIXES}

    assert {answer.status_code for answer in answers.values()} == {200}
    assert {prefix for prefix, answer in answers.items() if "entry" in answer.json()} == found


def test_pages_follow_one_another_while_new_responses_arrive(ehr: httpx.Client) -> None:
    first = [httpx.URL(post(ehr, a_response()).headers["location"]).path.split("/")[3] for _ in range(5)]

    seen: list[str] = []
    url: str | None = f"{POST}?_count=2"
    while url:
        bundle = ehr.get(url).json()
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        url = httpx.URL(links["next"]).raw_path.decode() if "next" in links else None
        if len(seen) == 2:
            post(ehr, a_response())

    assert seen[:5] == first
    assert len(seen) == len(set(seen)) == 6


@pytest.mark.requirement("REQ-04")
def test_the_same_form_sent_twice_is_stored_once(ehr: httpx.Client) -> None:
    response = a_response(identifier="form-7")
    first = post(ehr, response)

    again = post(ehr, dict(reversed(response.items())))

    assert again.status_code == 200
    assert again.headers["location"] == first.headers["location"]
    assert "duplicate" in codes(again)
    assert stored(ehr) == 1


@pytest.mark.requirement("REQ-04")
def test_the_same_identifier_with_other_answers_is_a_conflict(ehr: httpx.Client) -> None:
    post(ehr, a_response(identifier="form-7", patient="p"))

    other = post(ehr, a_response({"chest_pain": "Y"}, identifier="form-7", patient="p"))

    assert other.status_code == 409
    assert codes(other) == ["identifier-reused"]
    assert stored(ehr) == 1


@pytest.mark.requirement("REQ-04")
def test_fifty_equal_posts_at_once_make_one_resource(ehr: httpx.Client) -> None:
    response = a_response(identifier="form-50")
    header = f"identifier={SENDER}|form-50"

    with ThreadPoolExecutor(10) as senders:
        answers = list(senders.map(lambda _: post(ehr, response, If_None_Exist=header), range(50)))

    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert stored(ehr) == 1


def test_if_none_exist_must_name_the_identifier_of_the_response(ehr: httpx.Client) -> None:
    for header in ("identifier=other|1", "status=completed", "identifier="):
        answer = post(ehr, a_response(), If_None_Exist=header)
        assert (answer.status_code, codes(answer)) == (400, ["if-none-exist"])
    assert stored(ehr) == 0


def test_a_sender_may_ask_for_no_body_or_for_the_resource(ehr: httpx.Client) -> None:
    assert post(ehr, a_response(), Prefer="return=minimal").content == b""
    assert post(ehr, a_response(), Prefer="return=representation").json()["meta"]["versionId"] == "1"


def test_an_unchanged_resource_is_not_sent_again(ehr: httpx.Client) -> None:
    path = httpx.URL(post(ehr, a_response()).headers["location"]).path.partition("/_history")[0]

    assert ehr.get(path, headers={"If-None-Match": 'W/"1"'}).status_code == 304
    assert ehr.get(path, headers={"If-None-Match": 'W/"2"'}).status_code == 200


@pytest.mark.parametrize("name", ["fhir_read", "fhir_vread"])
def test_what_does_not_exist_is_not_found(ehr: httpx.Client, name: str) -> None:
    suffix = "/_history/1" if name == "fhir_vread" else ""

    answer = ehr.get(f"{POST}/none{suffix}")

    assert (answer.status_code, codes(answer)) == (404, ["not-found"])


def test_a_slash_too_many_loses_no_answers(ehr: httpx.Client) -> None:
    answer = ehr.post(f"{POST}/", content=json.dumps(a_response()), headers=FHIR)

    assert answer.status_code == 201


def wrong_item(link_id: str, answer: dict[str, Any]) -> dict[str, Any]:
    response = a_response()
    answer_of(response, link_id)["answer"] = [answer]
    return response


UNPROCESSABLE = {
    "no questionnaire": ({**a_response(), "questionnaire": None}, "questionnaire-missing"),
    "unknown questionnaire": ({**a_response(), "questionnaire": "https://x.example/Q|1"}, "questionnaire-unknown"),
    "no patient": ({**a_response(), "subject": None}, "subject-missing"),
    "an option that is not offered": (
        wrong_item("location", {"valueCoding": {"system": "https://x.example", "code": "elbow"}}),
        None,
    ),
    "a number out of range": (wrong_item("age_years", {"valueInteger": 400}), None),
    "an answer of the wrong type": (wrong_item("chest_pain", {"valueBoolean": True}), None),
    "a required question left out": (a_response(leave_out={"chest_pain"}), "required"),
}


@pytest.mark.requirement("REQ-03")
@pytest.mark.parametrize("case", UNPROCESSABLE, ids=str)
def test_a_response_that_does_not_answer_its_questionnaire_is_refused_and_not_stored(
    ehr: httpx.Client, case: str
) -> None:
    response, code = UNPROCESSABLE[case]

    answer = post(ehr, {name: value for name, value in response.items() if value is not None})

    assert answer.status_code == 422
    assert code is None or code in codes(answer)
    assert all(issue.get("expression") for issue in answer.json()["issue"])
    assert stored(ehr) == 0


def test_every_problem_is_reported_at_once_with_its_question(ehr: httpx.Client) -> None:
    response = a_response(leave_out={"chest_pain", "coughing_blood"})
    answer_of(response, "severity_0_10")["answer"] = [{"valueInteger": 11}]

    answer = post(ehr, response)

    link_ids = [
        extension["valueString"]
        for issue in answer.json()["issue"]
        for extension in issue.get("extension", [])
        if extension["url"] == EXT_LINK_ID
    ]
    assert {"chest_pain", "coughing_blood", "severity_0_10"} <= set(link_ids)


UNREADABLE: dict[str, tuple[bytes, int]] = {
    "not JSON": (b"MSH|^~\\&|", 400),
    "an empty body": (b"", 400),
    "a list": (b"[]", 400),
    "another type": (b'{"resourceType":"Observation","status":"final"}', 400),
    "a member twice": (b'{"resourceType":"QuestionnaireResponse","status":"completed","status":"amended"}', 400),
    "NaN": (b'{"resourceType":"QuestionnaireResponse","status":NaN}', 400),
    "invalid UTF-8": (b'{"resourceType":"QuestionnaireResponse","status":"\xff\xfe"}', 400),
    "a status that does not exist": (json.dumps({**a_response(), "status": "banana"}).encode(), 400),
    "100,000 nested lists": (b'{"item":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 413),
    "ten megabytes": (b'{"resourceType":"' + b"x" * 10_000_000 + b'"}', 413),
}


@pytest.mark.requirement("REQ-02")
@pytest.mark.parametrize("case", UNREADABLE, ids=str)
def test_hostile_input_is_refused_in_under_a_second_and_nothing_is_stored(ehr: httpx.Client, case: str) -> None:
    body, status = UNREADABLE[case]

    began = time.process_time()  # of the server too, which runs here: whatever else the machine does
    answer = post(ehr, body)
    took = time.process_time() - began

    assert answer.status_code in ({status, 400} if status == 413 and case.startswith("100") else {status})
    assert took < 1
    assert codes(answer)
    assert stored(ehr) == 0


def test_a_body_without_declared_length_is_cut_off_at_the_limit(ehr: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield b" " * 65_536

    answer = ehr.post(POST, content=endless(), headers=FHIR)

    assert (answer.status_code, codes(answer)) == (413, ["body-too-large"])


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "text/plain"}, "content-type"),
        ({"Content-Type": "application/fhir+xml"}, "content-type"),
        ({**FHIR, "Content-Encoding": "gzip"}, "content-encoding"),
    ],
)
def test_only_plain_fhir_json_is_accepted(ehr: httpx.Client, headers: dict[str, str], code: str) -> None:
    answer = ehr.post(POST, content=b"{}", headers=headers)

    assert (answer.status_code, codes(answer)) == (415, [code])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/fhir/Patient/1", 404),
        ("DELETE", "/fhir/QuestionnaireResponse/1", 405),
        ("PUT", "/fhir/Questionnaire/posterior-lower-limb", 415),
        ("DELETE", "/fhir/Questionnaire/posterior-lower-limb", 405),
        ("PATCH", "/fhir/QuestionnaireResponse/1", 405),
        ("GET", "/fhir/QuestionnaireResponse?_count=many", 400),
        ("GET", "/fhir/QuestionnaireResponse?_id=%00", 400),
    ],
)
def test_every_answer_to_a_wrong_address_is_fhir(ehr: httpx.Client, method: str, path: str, status: int) -> None:
    answer = ehr.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert answer.json()["resourceType"] in ("OperationOutcome", "Bundle")


def test_a_version_is_chosen_and_named_when_the_sender_names_none(ehr: httpx.Client) -> None:
    response = a_response()
    response["questionnaire"] = response["questionnaire"].partition("|")[0]

    answer = post(ehr, response)

    assert answer.status_code == 201
    assert "questionnaire-version-chosen" in codes(answer)


def test_answers_to_a_part_of_a_form_are_found_among_those_to_the_form(ehr: httpx.Client) -> None:
    response = a_response()
    canonical = response["questionnaire"]
    post(ehr, {**response, "questionnaire": f"{canonical}#page-1"})

    for asked in (canonical, canonical.partition("|")[0], f"{canonical}#page-1", f"{canonical}#page-2"):
        found = ehr.get(POST, params={"questionnaire": asked}).json()
        assert [each["resource"]["questionnaire"] for each in found["entry"]] == [f"{canonical}#page-1"], asked
    assert "entry" not in ehr.get(POST, params={"questionnaire": f"{canonical}.1#page-1"}).json()


@pytest.mark.requirement("SR-10")
def test_the_emergency_questions_may_be_sent_alone(ehr: httpx.Client) -> None:
    answer = post(ehr, a_response({"chest_pain": "Y"}, status="in-progress", only={"chest_pain"}))

    assert answer.status_code == 201
    assert {issue["severity"] for issue in answer.json()["issue"]} <= {"information", "warning"}


def test_the_questionnaire_is_served_by_url_version_and_id(ehr: httpx.Client) -> None:
    url = "https://sural.example/fhir/Questionnaire/posterior-lower-limb"
    for parameters in ({"url": url}, {"url": f"{url}|1.0.0"}, {"url": url, "version": "1.0.0", "status": "active"}):
        [entry] = ehr.get("/fhir/Questionnaire", params=parameters).json()["entry"]
        assert entry["resource"]["version"] == "1.0.0"
    assert "entry" not in ehr.get("/fhir/Questionnaire", params={"url": url, "version": "9.9"}).json()
    assert ehr.get(f"/fhir/Questionnaire/{entry['resource']['id']}").json()["url"] == url


def test_the_capability_statement_is_valid_and_names_what_is_offered(ehr: httpx.Client) -> None:
    statement = ehr.get("/fhir/metadata").json()

    assert check_structure(statement, resource_type="CapabilityStatement") == []
    assert statement["fhirVersion"] == "4.0.1"
    [response] = [r for r in statement["rest"][0]["resource"] if r["type"] == "QuestionnaireResponse"]
    assert {i["code"] for i in response["interaction"]} == {"create", "update", *READ_ONLY}


def test_a_neighbour_that_does_not_answer_is_not_asked_by_everybody_who_wants_to_know_what_is_offered(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "AGAIN_S", 3600.0)
    monkeypatch.setattr(metadata, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = IntakeSettings(intake_database_url=database.intake_url, triage_url=url)  # type: ignore[arg-type]
        with client_of(create_app(settings)) as ehr:
            types = [
                [part["type"] for part in ehr.get("/fhir/metadata").json()["rest"][0]["resource"]] for _ in range(3)
            ]
            assert ehr.get("/fhir/.well-known/smart-configuration").status_code == 200
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert ["QuestionnaireResponse" in each for each in types] == [True] * 3


def test_while_one_asks_a_neighbour_the_others_go_on_with_what_it_offered_before() -> None:
    now, asked = [0.0], 0
    begun, ended = threading.Event(), threading.Event()
    offered = [{"type": "RiskAssessment"}]

    def ask(_url: str) -> list[dict[str, Any]] | None:
        nonlocal asked
        asked += 1
        if asked == 1:
            return offered
        begun.set()
        assert ended.wait(20)
        return None

    neighbours = NeighbourParts({"triage": "http://triage.example/capability/triage"}, ask, lambda: now[0])
    assert neighbours.parts() == offered
    now[0] += metadata.REFRESH_S
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(neighbours.parts)
        assert begun.wait(20)
        others = [neighbours.parts(), neighbours.parts()]
        owner = neighbours.base_of("RiskAssessment")
        ended.set()

    assert (others, owner) == ([offered, offered], "http://triage.example")
    assert (first.result(), neighbours.parts(), asked) == (offered, offered, 2)
    now[0] += metadata.REFRESH_S
    assert (neighbours.parts(), asked) == (offered, 3)


def test_whoever_comes_before_a_neighbour_answered_for_the_first_time_waits_for_it() -> None:
    offered = [{"type": "RiskAssessment"}]
    both = threading.Barrier(2)
    begun, ended = threading.Event(), threading.Event()

    def ask(_url: str) -> list[dict[str, Any]] | None:
        begun.set()
        assert ended.wait(20)
        return offered

    def second() -> list[dict[str, Any]]:
        both.wait(20)
        return neighbours.parts()

    neighbours = NeighbourParts({"triage": "http://triage.example/capability/triage"}, ask)
    with ThreadPoolExecutor(2) as threads:
        found = [threads.submit(neighbours.parts)]
        assert begun.wait(20)
        found.append(threads.submit(second))
        both.wait(20)
        ended.set()

    assert [each.result() for each in found] == [offered, offered]


def test_a_request_id_is_kept_and_a_missing_one_is_made(ehr: httpx.Client) -> None:
    assert ehr.get("/livez", headers={"X-Request-Id": "ehr-77"}).headers["x-request-id"] == "ehr-77"
    assert len(ehr.get("/livez").headers["x-request-id"]) == 36


@pytest.mark.requirement("REQ-01")
def test_an_accepted_response_waits_in_the_outbox_until_triage_was_told(ehr: httpx.Client, database: Database) -> None:
    response = a_response(identifier="form-1")
    location = post(ehr, response).headers["location"]
    post(ehr, response)
    post(ehr, a_response(leave_out={"chest_pain"}))

    told: list[tuple[str, str, int]] = []
    with connect(database.intake_url, schema="intake") as connection:
        outbox.relay(connection, lambda queue, refs: told.extend((queue, ref.id, ref.version) for ref in refs))

    assert [each for each in told if each[0] == "triage"] == [("triage", location.split("/")[-3], 1)]


@pytest.mark.requirement("REQ-01")
def test_a_failure_in_the_middle_of_storing_leaves_nothing_behind(ehr: httpx.Client, database: Database) -> None:
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE intake.outbox RENAME TO gone")
    broken = post(ehr, a_response(identifier="form-1"))
    assert broken.status_code == 500
    assert codes(broken) == ["unexpected"]
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE intake.gone RENAME TO outbox")

    assert stored(ehr) == 0
    assert post(ehr, a_response(identifier="form-1")).status_code == 201


def changed(**members: Any) -> dict[str, Any]:
    return {**a_response(), **members}


@pytest.mark.requirement("REQ-12")
def test_a_contained_patient_is_refused_as_nobody_can_tell_who_it_is(ehr: httpx.Client) -> None:
    patient = {"resourceType": "Patient", "id": "patient"}
    for subject in ({"reference": "#patient"}, {"reference": "#patient", "identifier": {"value": "7"}}):
        answer = post(ehr, changed(subject=subject, contained=[patient]))
        assert answer.status_code == 422
        assert "subject-contained" in codes(answer)
    assert stored(ehr) == 0


def test_a_patient_identifier_without_a_system_is_accepted_with_a_warning(ehr: httpx.Client) -> None:
    answer = post(ehr, changed(subject={"identifier": {"value": "1"}}))
    known = post(ehr, changed(subject={"identifier": {"system": "https://clinic.example", "value": "1"}}))

    assert answer.status_code == 201
    assert "subject-without-system" in codes(answer)
    assert "subject-without-system" not in codes(known)


LONG = secrets.token_urlsafe(4000)


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"identifier": {"system": "http://a", "value": LONG}}, "identifier.value"),
        ({"identifier": {"system": f"http://a/{LONG}", "value": "1"}}, "identifier.system"),
        ({"subject": {"reference": f"http://a/{LONG}/Patient/1"}}, "subject.reference"),
        ({"subject": {"identifier": {"system": "http://a", "value": LONG}}}, "subject.identifier.value"),
        ({"subject": {"identifier": {"system": f"http://a/{LONG}", "value": "1"}}}, "subject.identifier.system"),
    ],
    ids=["identifier", "system", "reference", "patient identifier", "patient system"],
)
def test_a_key_too_long_to_be_looked_up_is_refused_with_its_place(
    ehr: httpx.Client, members: dict[str, Any], place: str
) -> None:
    answer = post(ehr, changed(**members))

    assert answer.status_code == 422
    assert codes(answer) == ["key-too-long"]
    assert answer.json()["issue"][0]["expression"] == [f"QuestionnaireResponse.{place}"]


@pytest.mark.parametrize(
    "path",
    [
        "%00",
        "a%00/_history/1",
        "KNOWN/_history/%C2%B2",
        f"KNOWN/_history/{'9' * 5000}",
        "KNOWN/_history/0",
        "a" * 65,
        "a_b",
    ],
    ids=ascii,
)
def test_an_id_or_version_that_r4_does_not_know_is_not_found(ehr: httpx.Client, path: str) -> None:
    known = httpx.URL(post(ehr, a_response()).headers["location"]).path.split("/")[3]

    answer = ehr.get(f"{POST}/{path.replace('KNOWN', known)}")

    assert (answer.status_code, codes(answer)) == (404, ["not-found"])


@pytest.mark.parametrize("version", [b"\xb2", b"9" * 5000])
def test_a_condition_that_names_no_version_is_ignored(ehr: httpx.Client, version: bytes) -> None:
    path = httpx.URL(post(ehr, a_response()).headers["location"]).path.partition("/_history")[0]

    assert ehr.get(path, headers={b"If-None-Match": b'W/"' + version + b'"'}).status_code == 200


@pytest.mark.requirement("REQ-04")
def test_other_answers_under_if_none_exist_are_named_as_not_stored(ehr: httpx.Client) -> None:
    header = f"identifier={SENDER}|form-9"
    post(ehr, a_response({}, identifier="form-9", patient="p"), If_None_Exist=header)

    same = post(ehr, a_response({}, identifier="form-9", patient="p"), If_None_Exist=header)
    other = post(ehr, a_response({"chest_pain": "Y"}, identifier="form-9", patient="p"), If_None_Exist=header)

    assert "identifier-reused" not in codes(same)
    assert other.status_code == 200
    [warning] = [i for i in other.json()["issue"] if i["details"]["coding"][0]["code"] == "identifier-reused"]
    assert warning["severity"] == "warning"
    assert all_codes(other)[-1] == "safety-net"
    assert stored(ehr) == 1


def test_an_unexpected_error_is_counted_has_a_request_id_and_keeps_the_connection(
    ehr: httpx.Client, database: Database
) -> None:
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE intake.outbox RENAME TO gone")

    answer = post(ehr, a_response(), X_Request_Id="ehr-77")

    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE intake.gone RENAME TO outbox")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "ehr-77"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get("connection") != "close"
    assert 'sural_http_requests_total{method="POST",service="intake",status="5xx"} 1.0' in ehr.get("/metrics").text


@pytest.mark.requirement("REQ-01")
def test_a_database_that_cannot_answer_leaves_open_whether_the_response_is_stored(
    ehr: httpx.Client, database: Database
) -> None:
    post(ehr, a_response())
    with psycopg.connect(database.owner_url) as owner:
        owner.execute("LOCK TABLE intake.outbox IN ACCESS EXCLUSIVE MODE")
        answer = post(ehr, a_response())

    assert (answer.status_code, codes(answer)) == (503, ["database-unavailable"])
    assert answer.headers["retry-after"] == "2"
    assert "may or may not have been stored" in answer.text
    assert "nothing was stored" not in answer.text


@pytest.mark.parametrize("path", [f"{POST}//", "/fhir/Nothing/", "/livez/"])
def test_no_slash_too_many_is_redirected(ehr: httpx.Client, path: str) -> None:
    answer = ehr.post(path, content=b"{}", headers=FHIR)

    assert (answer.status_code, codes(answer)) == (404, ["not-found"])


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "[", "a b"])
def test_a_request_for_another_host_is_refused(ehr: httpx.Client, host: str) -> None:
    for path in (POST, "/livez"):
        answer = ehr.get(path, headers={"Host": host})
        assert (answer.status_code, codes(answer)) == (421, ["host"])


def test_our_own_names_are_answered(database: Database) -> None:
    settings = IntakeSettings.load(
        {
            "SURAL_INTAKE_DATABASE_URL": database.intake_url,
            "SURAL_PUBLIC_URL": "https://Sural.Hospital.example/x",
            "SURAL_ALLOWED_HOSTS": "sural.internal.example, 10.1.2.3",
        }
    )
    hosts = ("sural.hospital.example", "SURAL.hospital.example:443", "localhost:1", "[::1]:8000", "intake:8000",
             "sural.internal.example", "10.1.2.3:8000")  # fmt: skip
    with client_of(create_app(settings)) as client:
        for host in hosts:
            assert client.get("/livez", headers={"Host": host}).status_code == 200, host


ACCEPTED = ["*/*", "application/fhir+json", "application/json;q=0.5, application/fhir+xml", "application/*",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "application/fhir+json; fhirVersion=4.0"]  # fmt: skip
REFUSED = ["application/fhir+xml", "text/html", "application/fhir+json; fhirVersion=3.0", "application/fhir+json;q=0"]


@pytest.mark.parametrize(("accept", "status"), [*((a, 200) for a in ACCEPTED), *((a, 406) for a in REFUSED)])
def test_only_who_can_read_json_of_this_version_is_answered(ehr: httpx.Client, accept: str, status: int) -> None:
    answer = ehr.get(POST, headers={"Accept": accept})

    assert answer.status_code == status
    assert status == 200 or codes(answer) == ["not-acceptable"]


@pytest.mark.parametrize(
    ("wanted", "status"),
    [("xml", 406), ("application/fhir+xml", 406), ("json", 200), ("application/fhir+json", 200)],
)
def test_format_counts_more_than_accept(ehr: httpx.Client, wanted: str, status: int) -> None:
    accept = "application/fhir+xml" if status == 200 else "application/fhir+json"

    assert ehr.get(POST, params={"_format": wanted}, headers={"Accept": accept}).status_code == status
    assert ehr.get(f"{POST}?_format={wanted}").status_code == status


def test_a_body_of_another_fhir_version_is_refused(ehr: httpx.Client) -> None:
    other = post(ehr, a_response(), Content_Type="application/fhir+json; fhirVersion=3.0")
    ours = post(ehr, a_response(), Content_Type='application/fhir+json; fhirVersion="4.0"; charset=utf-8')

    assert (other.status_code, codes(other)) == (415, ["fhir-version"])
    assert ours.status_code == 201
