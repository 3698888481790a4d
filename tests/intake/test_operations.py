"""$validate says what would be said of a resource and stores nothing; $process-response takes one in."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.builders import a_response, answer_of
from tests.intake.ehr import POST, codes, errors, id_of, post, send, stored
from tests.intake.test_publication import FORMS, URL, a_questionnaire, answers_to, publish

VALIDATE = f"{POST}/$validate"


def wrapped(resource: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A resource in Parameters."""
    parts = [{"name": name, **value} for name, value in more.items()]
    return {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": resource}, *parts]}


def wrong_response() -> dict[str, Any]:
    response = a_response(leave_out={"chest_pain"})
    answer_of(response, "severity_0_10")["answer"] = [{"valueInteger": 11}]
    return response


@pytest.mark.parametrize("shape", [lambda resource: resource, wrapped], ids=["plain", "parameters"])
def test_a_response_is_validated_and_not_stored(ehr: httpx.Client, shape: Any) -> None:
    sound = send(ehr, "POST", VALIDATE, shape(a_response()))
    wrong = send(ehr, "POST", VALIDATE, shape(wrong_response()))

    assert (sound.status_code, codes(sound)) == (200, ["ok"])
    assert (wrong.status_code, errors(wrong)[:2]) == (200, ["required", "out-of-range"])
    assert stored(ehr) == 0


def test_what_is_no_r4_is_valid_json_and_so_it_is_validated(ehr: httpx.Client) -> None:
    answer = send(ehr, "POST", VALIDATE, {**a_response(), "status": "banana"})

    assert (answer.status_code, errors(answer)) == (200, ["unknown-code"])


IMPOSSIBLE: dict[str, bytes] = {
    "not JSON": b"MSH|",
    "a list": b"[]",
    "another type": b'{"resourceType":"Patient"}',
    "no type": b"{}",
    "no resource": b'{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"update"}]}',
    "parameters without a name": b'{"resourceType":"Parameters","parameter":[{"valueCode":"create"}]}',
    "parameters that are no list": b'{"resourceType":"Parameters","parameter":7}',
    "a list as resource": b'{"resourceType":"Parameters","parameter":[{"name":"resource","resource":[]}]}',
    "an unknown mode": json.dumps(
        wrapped({"resourceType": "QuestionnaireResponse"}, mode={"valueCode": "guess"})
    ).encode(),
}


@pytest.mark.parametrize("case", IMPOSSIBLE, ids=str)
def test_only_what_cannot_be_validated_at_all_is_refused(ehr: httpx.Client, case: str) -> None:
    answer = send(ehr, "POST", VALIDATE, IMPOSSIBLE[case])

    assert answer.status_code == 400
    assert errors(answer)


def test_a_stored_response_is_validated_as_it_is_or_against_what_would_replace_it(ehr: httpx.Client) -> None:
    response_id = id_of(post(ehr, a_response(patient="p")))
    address = f"{POST}/{response_id}/$validate"

    assert codes(ehr.get(address)) == ["ok"]
    assert codes(ehr.post(address)) == ["ok"]
    reopened = send(ehr, "POST", address, {**a_response(patient="p"), "status": "in-progress"})
    assert (reopened.status_code, errors(reopened)) == (200, ["status-transition"])
    assert errors(ehr.get(f"{address}?mode=delete")) == ["method"]
    assert ehr.get(f"{POST}/unknown/$validate").status_code == 404


def test_a_profile_that_is_not_checked_is_named(ehr: httpx.Client) -> None:
    answer = send(ehr, "POST", f"{VALIDATE}?profile=https://x.example/profile", a_response())

    assert (answer.status_code, codes(answer)) == (200, ["profile-not-checked"])


def test_a_questionnaire_is_validated_and_not_published(ehr: httpx.Client) -> None:
    address = f"{FORMS}/$validate"
    faulty = a_questionnaire()
    del faulty["version"]

    assert codes(send(ehr, "POST", address, a_questionnaire())) == ["ok"]
    answer = send(ehr, "POST", address, wrapped(faulty))

    assert (answer.status_code, errors(answer)) == (200, ["version-missing"])
    assert "entry" not in ehr.get(FORMS, params={"url": URL}).json()
    assert codes(ehr.get(f"{FORMS}/posterior-lower-limb/$validate")) == ["ok"]


def test_process_response_takes_a_response_in_as_create_does(ehr: httpx.Client) -> None:
    form = id_of(publish(ehr, a_questionnaire()))
    inside = {
        "resourceType": "Parameters",
        "parameter": [{"name": "response", "resource": answers_to(f"{URL}|1")}],
    }

    plain = send(ehr, "POST", f"{FORMS}/$process-response", a_response())
    named = send(ehr, "POST", f"{FORMS}/{form}/$process-response", inside)
    again = send(ehr, "POST", f"{FORMS}/{form}/$process-response", answers_to(f"{URL}|1"))
    other = send(ehr, "POST", f"{FORMS}/{form}/$process-response", a_response())
    wrong = send(ehr, "POST", f"{FORMS}/$process-response", wrong_response())

    assert [answer.status_code for answer in (plain, named, again, other, wrong)] == [200, 200, 200, 422, 422]
    assert codes(named)[:2] == ["stored", "assessment"]
    assert id_of(named) == id_of(again)
    assert errors(other) == ["questionnaire-mismatch"]
    assert stored(ehr) == 2


def test_an_id_that_can_be_none_is_not_known_to_any_operation(ehr: httpx.Client) -> None:
    for path in (f"{POST}/a%00b/$validate", f"{FORMS}/a%00b/$validate"):
        assert ehr.get(path).status_code == 404
    assert send(ehr, "POST", f"{FORMS}/a%00b/$process-response", a_response()).status_code == 404
