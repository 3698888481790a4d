"""Batch and transaction Bundles: many requests in one, each judged as its own or all of them together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI, Request

from services.intake.app import create_app
from services.intake.bundle import read_bundle
from services.intake.context import IntakeContext
from services.intake.entry_links import with_links
from services.intake.settings import IntakeSettings
from services.intake.transaction import transact
from shared.access.scopes import Scopes, parse_scopes
from shared.fhir.structure import check_structure
from shared.ids import DEFAULT_TENANT
from shared.principal import Principal
from shared.problems import ProblemError
from tests.builders import SENDER, a_response
from tests.conftest import Database
from tests.forms import answered, question
from tests.intake.ehr import POST, all_codes, errors, id_of, post, send, stored
from tests.intake.test_publication import URL, a_questionnaire, answers_to
from tests.serving import client_of, served

RESPONSE = "QuestionnaireResponse"
ONE, TWO = (f"urn:uuid:6d6a8e2c-0000-4000-8000-00000000000{number}" for number in (1, 2))


def entry(method: str, url: str, resource: dict[str, Any] | None = None, **request: str) -> dict[str, Any]:
    full_url = {"fullUrl": request.pop("fullUrl")} if "fullUrl" in request else {}
    content = {"resource": resource} if resource else {}
    return {**full_url, **content, "request": {"method": method, "url": url, **request}}


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def sent(ehr: httpx.Client, kind: str, *entries: dict[str, Any], **headers: str) -> httpx.Response:
    return send(ehr, "POST", "/fhir", bundle(kind, *entries), **headers)


def statuses(answer: httpx.Response) -> list[str]:
    content = answer.json()
    assert check_structure(content, resource_type="Bundle") == []
    return [each["response"]["status"].partition(" ")[0] for each in content["entry"]]


def wrong() -> dict[str, Any]:
    return a_response(leave_out={"chest_pain"})


def test_each_entry_of_a_batch_is_answered_as_a_request_of_its_own(ehr: httpx.Client) -> None:
    known = id_of(post(ehr, a_response()))

    answer = sent(
        ehr,
        "batch",
        entry("GET", f"{RESPONSE}/{known}"),
        entry("POST", RESPONSE, wrong()),
        entry("POST", RESPONSE, {**a_response(), "status": "banana"}),
        entry("PUT", f"{RESPONSE}/form-1", {"id": "form-1", **a_response()}),
        entry("GET", f"{RESPONSE}?_id=form-1"),
        entry("DELETE", f"{RESPONSE}/{known}"),
        entry("GET", "Patient/1"),
        entry("POST", f"{RESPONSE}/$validate", wrong()),
    )

    assert answer.status_code == 200
    assert answer.json()["type"] == "batch-response"
    assert statuses(answer) == ["200", "422", "400", "201", "200", "405", "404", "200"]
    read, refused, _, made, found = answer.json()["entry"][:5]
    assert read["resource"]["id"] == known
    assert refused["response"]["outcome"]["issue"][0]["expression"][0].startswith(RESPONSE)
    assert made["response"]["location"].endswith("/form-1/_history/1")
    assert (made["response"]["etag"], made["response"]["lastModified"][-1]) == ('W/"1"', "Z")
    assert found["resource"]["type"] == "searchset"
    assert stored(ehr) == 2


def test_what_was_sent_in_a_bundle_is_stored_byte_for_byte(ehr: httpx.Client) -> None:
    text = json.dumps(a_response({"respondent": "clinician", "calf_circumference_diff_cm": 3}))
    text = text.replace('"valueDecimal": 3.0', '"valueDecimal": 3.00')
    for kind in ("batch", "transaction"):
        resource = text.replace(f'"system": "{SENDER}", "value": "', f'"system": "{SENDER}",  "value": "{kind}')
        body = f'{{"resourceType":"Bundle","type":"{kind}","entry":[ {{"resource": {resource},'
        body += f'"request":{{"method":"POST","url":"{RESPONSE}"}}}}]}}'
        answer = send(ehr, "POST", "/fhir", body.encode())
        assert statuses(answer) == ["201"]
        location = answer.json()["entry"][0]["response"]["location"]
        assert ehr.get(httpx.URL(location).path).text.endswith(resource[1:])


def test_the_conditions_of_an_entry_are_those_of_its_request(ehr: httpx.Client) -> None:
    header = f"identifier={SENDER}|form-1"
    form = a_response(identifier="form-1", patient="p")
    amended = {**a_response({"chest_pain": "Y"}, identifier="form-1", patient="p"), "status": "amended"}
    for kind in ("batch", "transaction"):
        first = sent(ehr, kind, entry("POST", RESPONSE, form, ifNoneExist=header))
        assert statuses(first) == ["201" if kind == "batch" else "200"]
    response_id = first.json()["entry"][0]["response"]["location"].split("/")[-3]
    amended["id"] = response_id

    for kind in ("batch", "transaction"):
        blind = sent(ehr, kind, entry("PUT", f"{RESPONSE}/{response_id}", amended))
        assert (statuses(blind) == ["400"]) if kind == "batch" else (blind.status_code == 400)
    right = sent(ehr, "transaction", entry("PUT", f"{RESPONSE}/{response_id}", amended, ifMatch='W/"1"'))
    assert statuses(right) == ["200"]


def test_a_transaction_stores_everything_or_nothing_and_names_every_problem(ehr: httpx.Client) -> None:
    refused = sent(
        ehr,
        "transaction",
        entry("POST", RESPONSE, a_response()),
        entry("POST", RESPONSE, wrong()),
        entry("POST", "Questionnaire", {**a_questionnaire(), "version": ""}),
    )

    assert refused.status_code == 422
    places = [issue["expression"][0] for issue in refused.json()["issue"] if issue["severity"] == "error"]
    assert any(place.startswith("Bundle.entry[1].resource.item") for place in places)
    assert any(place.startswith("Bundle.entry[2].resource") for place in places)
    assert "safety-net" in all_codes(refused), "what is refused with others may be urgent too"
    assert stored(ehr) == 0


def test_a_transaction_whose_last_entry_conflicts_leaves_nothing_of_the_first(ehr: httpx.Client) -> None:
    post(ehr, a_response(identifier="taken"))

    refused = sent(
        ehr,
        "transaction",
        entry("POST", RESPONSE, a_response(identifier="new")),
        entry("POST", RESPONSE, a_response({"chest_pain": "Y"}, identifier="taken")),
    )

    assert (refused.status_code, errors(refused)) == (409, ["identifier-reused"])
    assert refused.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource.identifier"]
    assert stored(ehr) == 1


def test_entries_of_a_transaction_are_carried_out_by_method_and_answered_in_their_order(ehr: httpx.Client) -> None:
    answer = sent(
        ehr,
        "transaction",
        entry("GET", f"{RESPONSE}?identifier={SENDER}|form-1"),
        entry("PUT", f"{RESPONSE}/form-2", {"id": "form-2", **a_response()}),
        entry("POST", RESPONSE, a_response(identifier="form-1")),
    )

    assert answer.json()["type"] == "transaction-response"
    assert statuses(answer) == ["200", "201", "201"]
    [found] = answer.json()["entry"][0]["resource"]["entry"]
    assert found["resource"]["identifier"]["value"] == "form-1"


def test_references_between_entries_are_resolved_to_what_they_became(ehr: httpx.Client) -> None:
    send(ehr, "POST", "/fhir/Questionnaire", a_questionnaire(question("about", "reference")))
    about = {"valueReference": {"reference": ONE}}
    second = answers_to(f"{URL}|1", answered("about", about))

    answer = sent(
        ehr,
        "transaction",
        entry("POST", RESPONSE, second, fullUrl=TWO),
        entry("POST", RESPONSE, a_response(), fullUrl=ONE),
    )

    assert statuses(answer) == ["201", "201"]
    locations = [each["response"]["location"] for each in answer.json()["entry"]]
    text = ehr.get(httpx.URL(locations[0]).path).json()
    assert text["item"][0]["answer"][0]["valueReference"]["reference"] == "/".join(locations[1].split("/")[-4:-2])


@pytest.mark.requirement("REQ-04")
def test_a_transaction_sent_again_stores_a_form_once_though_its_identifier_is_its_full_url(ehr: httpx.Client) -> None:
    form = a_response(identifier=ONE)
    condition = f"identifier={SENDER}|{ONE}"

    first = sent(ehr, "transaction", entry("POST", RESPONSE, form, fullUrl=ONE))
    again = sent(ehr, "transaction", entry("POST", RESPONSE, form, fullUrl=ONE))
    on_condition = sent(ehr, "transaction", entry("POST", RESPONSE, form, fullUrl=ONE, ifNoneExist=condition))

    assert [statuses(each) for each in (first, again, on_condition)] == [["201"], ["200"], ["200"]]
    [kept] = ehr.get(f"{POST}?{condition}").json()["entry"]
    assert kept["resource"]["identifier"]["value"] == ONE
    assert stored(ehr) == 1


def test_what_names_something_and_what_a_patient_wrote_stays_as_it_was_sent(ehr: httpx.Client) -> None:
    form = {**a_questionnaire(question("words", "text"), question("link", "url")), "url": TWO}
    answers = answers_to(
        f"{TWO}|1", answered("words", {"valueString": ONE}), answered("link", {"valueUri": ONE.replace("u", "\\u0075")})
    )
    answers["identifier"] = {"system": ONE, "value": "1"}
    answers["extension"] = [{"url": ONE, "valueCanonical": ONE}, {"url": "https://x.example/e", "valueUrl": ONE}]
    text = json.dumps(bundle("transaction", entry("POST", "Questionnaire", form, fullUrl=TWO)))
    assert statuses(send(ehr, "POST", "/fhir", text.encode())) == ["201"]

    text = json.dumps(bundle("transaction", entry("POST", RESPONSE, answers, fullUrl=ONE))).replace("\\\\u", "\\u")
    answer = send(ehr, "POST", "/fhir", text.encode())

    assert statuses(answer) == ["201"], answer.text
    address = "/".join(answer.json()["entry"][0]["response"]["location"].split("/")[-4:-2])
    kept = ehr.get(f"/fhir/{address}").json()
    assert (kept["identifier"], kept["questionnaire"]) == (answers["identifier"], f"{TWO}|1")
    assert [item["answer"][0] for item in kept["item"]] == [{"valueString": ONE}, {"valueUri": address}]
    assert kept["extension"] == [answers["extension"][0], {"url": "https://x.example/e", "valueUrl": address}]


def test_links_are_replaced_wherever_a_link_may_stand_and_nothing_else_is() -> None:
    links = {
        "basedOn": [{"reference": ONE}],
        "contained": [{"resourceType": "Specimen", "id": "1", "subject": {"reference": ONE}}],
        "_authored": {"extension": [{"url": "https://x.example/e", "valueReference": {"reference": ONE}}]},
        "item": [{"item": [{"answer": [{"item": [{"answer": [{"valueAttachment": {"url": ONE}}]}]}]}]}],
        "meta": {"source": ONE},
    }
    stays = {
        "identifier": {"value": ONE, "assigner": {"identifier": {"system": ONE, "value": ONE}, "display": ONE}},
        "questionnaire": ONE,
        "text": {"div": ONE},
        "item": [
            {"linkId": ONE, "text": f'{ONE} {{[,\\"'},
            {"answer": [{"valueString": ONE}, {"valueCoding": {"system": ONE}}]},
        ],
        "unknown": ONE,
        ONE: [1, "a", ONE, {}, []],
    }

    for resource, replaced in ((links, True), (stays, False)):
        text = json.dumps({"resourceType": RESPONSE, **resource}, indent=3).encode()
        wanted = text.replace(ONE.encode(), b"Basic/7") if replaced else text
        assert with_links(text, {ONE: "Basic/7"}) == wanted


@pytest.mark.requirement("REQ-01", "REQ-04")
@pytest.mark.parametrize("full_url", [ONE, "urn:oid:1.2.3.4"])
@pytest.mark.parametrize("marked", [{}, {"meta": {"versionId": "1"}}], ids=["as it is", "as a version"])
def test_two_forms_under_one_full_url_are_refused_together_and_none_is_lost(
    ehr: httpx.Client, full_url: str, marked: dict[str, Any]
) -> None:
    other = {**a_response({"chest_pain": "Y"}), **({"meta": {"versionId": "2"}} if marked else {})}

    refused = sent(
        ehr,
        "transaction",
        entry("POST", RESPONSE, {**a_response(), **marked}, fullUrl=full_url),
        entry("PUT", f"{RESPONSE}/form-1", {"id": "form-1", **other}, fullUrl=full_url),
    )

    assert (refused.status_code, errors(refused)[0]) == (400, "full-url-twice" if marked else "bdl-7")
    assert "Bundle.entry[1]" in refused.json()["issue"][0]["expression"][0] or not marked
    assert "safety-net" in all_codes(refused)
    assert stored(ehr) == 0


@pytest.mark.requirement("REQ-04", "REQ-30")
def test_other_answers_under_a_known_identifier_are_never_lost_for_their_full_url(ehr: httpx.Client) -> None:
    known = id_of(post(ehr, a_response(identifier="taken", patient="p")))
    other = a_response({"chest_pain": "Y"}, identifier="taken", patient="p")
    condition = f"identifier={SENDER}|taken"

    refused = sent(ehr, "transaction", entry("POST", RESPONSE, other, fullUrl=ONE))
    passed_over = sent(ehr, "transaction", entry("POST", RESPONSE, other, fullUrl=ONE, ifNoneExist=condition))

    assert (refused.status_code, errors(refused)) == (409, ["identifier-reused"])
    assert statuses(passed_over) == ["200"]
    [done] = passed_over.json()["entry"]
    told = [issue["details"]["coding"][0]["code"] for issue in done["response"]["outcome"]["issue"]]
    assert {"duplicate", "identifier-reused", "safety-net"} <= {*told}
    assert f"/{known}/" in done["response"]["location"]
    assert stored(ehr) == 1


def test_a_link_to_what_is_here_already_leads_to_it(ehr: httpx.Client) -> None:
    form = {**a_questionnaire(question("about", "reference"))}
    known = id_of(send(ehr, "POST", "/fhir/Questionnaire", form))
    here = id_of(post(ehr, first := a_response(identifier="one", patient="p")))

    for full_url, address, entries in (
        (ONE, f"{RESPONSE}/{here}", [entry("POST", RESPONSE, first, fullUrl=ONE)]),
        (TWO, f"Questionnaire/{known}", [entry("POST", "Questionnaire", form, fullUrl=TWO)]),
    ):
        second = answers_to(f"{URL}|1", answered("about", {"valueReference": {"reference": full_url}}))
        second["identifier"]["value"] = full_url
        answer = sent(ehr, "transaction", *entries, entry("POST", RESPONSE, second))
        assert statuses(answer) == ["200", "201"]
        assert about_of(ehr, httpx.URL(answer.json()["entry"][1]["response"]["location"]).path) == address


@pytest.mark.parametrize("first", [{"fullUrl": TWO}, {}], ids=["under another fullUrl", "without fullUrl"])
def test_links_to_a_form_that_a_transaction_holds_twice_lead_to_the_one_that_is_stored(
    ehr: httpx.Client, first: dict[str, str]
) -> None:
    send(ehr, "POST", "/fhir/Questionnaire", a_questionnaire(question("about", "reference")))
    form = a_response(identifier="one", patient="p")
    second = answers_to(f"{URL}|1", answered("about", {"valueReference": {"reference": ONE}}))

    answer = sent(
        ehr,
        "transaction",
        entry("POST", RESPONSE, form, **first),
        entry("POST", RESPONSE, form, fullUrl=ONE),
        entry("POST", RESPONSE, second),
    )

    assert statuses(answer) == ["201", "200", "201"], answer.text
    made, _, about = (httpx.URL(each["response"]["location"]).path for each in answer.json()["entry"])
    assert about_of(ehr, about) == "/".join(made.split("/")[2:4])


@pytest.mark.requirement("REQ-01")
def test_a_link_whose_form_another_sender_stored_at_this_moment_is_tried_again_and_not_left_dangling(
    ehr: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(ehr, "POST", "/fhir/Questionnaire", a_questionnaire(question("about", "reference")))
    second = answers_to(f"{URL}|1", answered("about", {"valueReference": {"reference": ONE}}))
    entries = (entry("POST", RESPONSE, a_response(identifier="one"), fullUrl=ONE), entry("POST", RESPONSE, second))
    post(ehr, entries[0]["resource"])
    with monkeypatch.context() as unseen:
        unseen.setattr("services.intake.store.identified", lambda *_: None)
        refused = sent(ehr, "transaction", *entries)

    assert (refused.status_code, errors(refused)) == (503, ["overtaken"])
    assert stored(ehr) == 1
    assert statuses(sent(ehr, "transaction", *entries)) == ["200", "201"]


@pytest.mark.parametrize("full_url", [ONE, "urn:oid:1.2.3.4"])
@pytest.mark.parametrize("chosen", [{}, {"id": "form-1"}], ids=["an id of ours", "an id of the sender"])
def test_a_link_to_an_update_that_names_an_identifier_leads_to_what_it_made(
    ehr: httpx.Client, full_url: str, chosen: dict[str, str]
) -> None:
    send(ehr, "POST", "/fhir/Questionnaire", a_questionnaire(question("about", "reference")))
    second = answers_to(f"{URL}|1", answered("about", {"valueReference": {"reference": full_url}}))
    first = {**chosen, **a_response(identifier="one")}

    answer = sent(
        ehr,
        "transaction",
        entry("PUT", f"{RESPONSE}?identifier={SENDER}|one", first, fullUrl=full_url),
        entry("POST", RESPONSE, second),
    )

    assert statuses(answer) == ["201", "201"]
    made, about = (httpx.URL(each["response"]["location"]).path for each in answer.json()["entry"])
    assert about_of(ehr, about) == "/".join(made.split("/")[2:4])


def about_of(ehr: httpx.Client, path: str) -> str:
    [item] = ehr.get(path).json()["item"]
    return str(item["answer"][0]["valueReference"]["reference"])


@pytest.mark.requirement("REQ-04", "REQ-30")
@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_a_bundle_with_an_idempotency_key_is_refused_and_told_how_its_forms_are_stored_once(
    ehr: httpx.Client, kind: str
) -> None:
    form = a_response(identifier="form-1")
    nameless = {name: value for name, value in form.items() if name != "identifier"}

    refused = sent(ehr, kind, entry("POST", RESPONSE, nameless), Idempotency_Key="k-1")

    assert (refused.status_code, errors(refused)) == (400, ["idempotency-key"])
    assert "identifier" in refused.json()["issue"][0]["details"]["text"]
    assert "safety-net" in all_codes(refused)
    assert stored(ehr) == 0
    as_told = [sent(ehr, kind, entry("POST", RESPONSE, form)) for _ in range(2)]
    assert [statuses(answer) for answer in as_told] == [["201"], ["200"]]
    assert stored(ehr) == 1


REFUSED = {
    "a write of what another service owns": (
        bundle("transaction", entry("PUT", "Task/1", {"resourceType": "Task"})),
        422,
    ),
    "an operation in a transaction": (bundle("transaction", entry("POST", f"{RESPONSE}/$validate", wrong())), 422),
    "a delete in a transaction": (bundle("transaction", entry("DELETE", f"{RESPONSE}/1")), 422),
    "another Bundle": ({"resourceType": "Bundle", "type": "collection"}, 422),
    "no request": ({"resourceType": "Bundle", "type": "batch", "entry": [{"fullUrl": "https://x.example/1"}]}, 400),
    "another server": (bundle("batch", entry("GET", "https://evil.example/fhir/Patient")), 400),
    "a way out of the base": (bundle("batch", entry("GET", "Questionnaire/%2e%2e/../metrics")), 400),
    "a way round within the base": (bundle("batch", entry("POST", f"{RESPONSE}/.", a_response())), 400),
    "the base itself": (bundle("batch", entry("POST", "")), 400),
    "the base itself with a slash": (bundle("batch", entry("POST", "/")), 400),
    "two slashes at the end": (bundle("batch", entry("POST", f"{RESPONSE}//", a_response())), 400),
    "a search that carries a response": (
        bundle("transaction", entry("POST", f"{RESPONSE}/_search", a_response())),
        400,
    ),
    "a create under an id": (bundle("transaction", entry("POST", f"{RESPONSE}/1", a_response())), 400),
    "an update of a version": (bundle("transaction", entry("PUT", f"{RESPONSE}/1/_history/1", a_response())), 400),
    "too many": (bundle("batch", *[entry("GET", RESPONSE)] * 101), 413),
    "no Bundle": (a_response(), 400),
    "not R4": ({"resourceType": "Bundle", "type": "batch", "entry": 7}, 400),
    "another type than the address": (bundle("transaction", entry("POST", "Questionnaire", a_response())), 400),
}


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_cannot_be_carried_out_as_a_whole_is_refused_as_a_whole(ehr: httpx.Client, case: str) -> None:
    body, status = REFUSED[case]

    answer = send(ehr, "POST", "/fhir", body)

    assert answer.status_code == status
    assert errors(answer)
    assert stored(ehr) == 0


def test_a_transaction_needs_the_permission_of_each_entry() -> None:
    _, entries = read_bundle(json.dumps(bundle("transaction", entry("POST", RESPONSE, a_response()))).encode(), base="")
    nobody = Principal("client", DEFAULT_TENANT, Scopes(()))

    with pytest.raises(ProblemError) as refused:
        transact(cast(IntakeContext, None), entries, nobody)

    assert refused.value.http_status == 403


@pytest.mark.parametrize("scopes", ["system/*.s", "system/*.cruds"])
@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", "{}/_search"),
        ("POST", "{}/_search?status=completed"),
        ("POST", "{}/1"),
        ("POST", "{}/_history"),
        ("PUT", "{}/1/_history/1"),
        ("PUT", "{}/_search"),
        ("PUT", "Questionnaire?url=https://x.example/Q"),
    ],
)
def test_a_transaction_writes_only_where_its_permission_was_asked_for(method: str, url: str, scopes: str) -> None:
    client = Principal("client", DEFAULT_TENANT, parse_scopes(scopes))
    for kind, resource in ((RESPONSE, a_response()), ("Questionnaire", a_questionnaire())):
        text = json.dumps(bundle("transaction", entry(method, url.format(kind), resource))).encode()
        _, entries = read_bundle(text, base="")

        with pytest.raises(ProblemError) as refused:
            transact(cast(IntakeContext, None), entries, client)

        [problem] = refused.value.problems
        assert (refused.value.http_status, problem.code) == (400, "bundle-request")
        assert problem.expression == "Bundle.entry[0].request.url"


def test_a_slash_at_the_end_of_an_address_means_the_same_address_in_a_bundle_too(ehr: httpx.Client) -> None:
    for number, kind in enumerate(("batch", "transaction")):
        form = {"id": f"form-{number}", **a_response()}
        answer = sent(
            ehr, kind, entry("POST", f"{RESPONSE}/", a_response()), entry("PUT", f"{RESPONSE}/form-{number}/", form)
        )
        assert statuses(answer) == ["201", "201"]


@pytest.fixture
def triage() -> Iterator[tuple[str, list[str]]]:
    """A neighbour that owns RiskAssessments and notes who asked."""
    app = FastAPI()
    asked: list[str] = []

    @app.get("/capability/triage")
    def capability() -> dict[str, Any]:
        return {"resource": [{"type": "RiskAssessment"}]}

    @app.get("/fhir/RiskAssessment/1")
    def read(request: Request) -> dict[str, Any]:
        asked.append(request.headers.get("authorization", ""))
        return {"resourceType": "RiskAssessment", "id": "1"}

    with served(app) as url:
        yield url, asked


def test_what_a_neighbour_owns_is_asked_of_it_with_the_senders_own_authorization(
    database: Database, triage: tuple[str, list[str]]
) -> None:
    url, asked = triage
    settings = IntakeSettings(intake_database_url=database.intake_url, triage_url=url)  # type: ignore[arg-type]
    with client_of(create_app(settings)) as ehr:
        answer = sent(ehr, "batch", entry("GET", "RiskAssessment/1"), Authorization="Bearer of-the-sender")
        resource = answer.json()["entry"][0]["resource"]

    assert (resource["id"], asked) == ("1", ["Bearer of-the-sender"])


def test_a_condition_with_other_letters_than_ascii_is_understood_in_a_batch(ehr: httpx.Client) -> None:
    response = a_response({}, identifier="Höhe-1")
    created = entry("POST", RESPONSE, response, ifNoneExist=f"identifier={SENDER}|Höhe-1")

    answer = sent(ehr, "batch", created, created)

    assert statuses(answer) == ["201", "200"]
