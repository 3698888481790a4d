"""A response over its life: made under the sender's id, completed, amended, withdrawn."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from services.intake import receive, store
from services.intake.lifecycle import ALLOWED, check_change
from shared import outbox
from shared.fhir import resources
from shared.postgres import connect
from tests.builders import SENDER, a_response
from tests.conftest import Database
from tests.intake.ehr import POST, codes, errors, id_of, post, put, send, stored


def a_form(answers: dict[str, object] | None = None, *, form: str = "form-1", **more: Any) -> dict[str, Any]:
    """A response with an id of the sender's own."""
    return {"id": form, **a_response(answers, patient="p", identifier=form), **more}


def version(number: int) -> str:
    return f'W/"{number}"'


def test_a_sender_may_choose_the_id(ehr: httpx.Client) -> None:
    answer = put(ehr, a_form())

    assert answer.status_code == 201
    assert answer.headers["location"].endswith("/QuestionnaireResponse/form-1/_history/1")
    assert answer.headers["etag"] == version(1)
    assert codes(answer) == ["stored", "assessment"]
    assert ehr.get(f"{POST}/form-1").json()["id"] == "form-1"


def test_the_same_bytes_again_make_no_new_version_whatever_if_match_says(ehr: httpx.Client) -> None:
    put(ehr, a_form())

    for headers in ({}, {"If_Match": version(1)}, {"If_Match": version(7)}):
        again = put(ehr, a_form(), **headers)
        assert (again.status_code, again.headers["etag"]) == (200, version(1))
        assert "unchanged" in codes(again)


def test_other_bytes_need_the_version_that_they_replace(ehr: httpx.Client) -> None:
    put(ehr, a_form())
    amended = a_form({"chest_pain": "Y"}, status="amended")

    assert (put(ehr, amended).status_code, errors(put(ehr, amended))) == (400, ["if-match"])
    assert errors(put(ehr, amended, If_Match="*")) == ["if-match"]
    for wrong in (version(2), 'W/"x"', "1"):
        answer = put(ehr, amended, If_Match=wrong)
        assert (answer.status_code, errors(answer)) == (412, ["version"]), wrong

    right = put(ehr, amended, If_Match=version(1))

    assert (right.status_code, right.headers["etag"]) == (200, version(2))
    assert ehr.get(f"{POST}/form-1").json()["status"] == "amended"
    assert ehr.get(f"{POST}/form-1/_history/1").json()["status"] == "completed"
    assert stored(ehr) == 1


def test_if_match_without_a_resource_creates_nothing(ehr: httpx.Client) -> None:
    answer = put(ehr, a_form(), If_Match=version(1))

    assert (answer.status_code, errors(answer)) == (412, ["version"])
    assert stored(ehr) == 0


def test_create_only_refuses_an_id_that_is_taken(ehr: httpx.Client) -> None:
    first = put(ehr, a_form(), If_None_Match="*")
    again = put(ehr, a_form(), If_None_Match="*")

    assert first.status_code == 201
    assert (again.status_code, errors(again)) == (412, ["already-exists"])
    assert errors(put(ehr, a_form(), If_None_Match=version(1))) == ["if-none-match"]


@pytest.mark.parametrize("address", ["form-2", "form_1", "f" * 65])
def test_the_id_in_the_body_is_that_of_the_address(ehr: httpx.Client, address: str) -> None:
    without = a_form()
    del without["id"]
    for body in (a_form(), without):
        answer = send(ehr, "PUT", f"{POST}/{address}", body)
        assert (answer.status_code, errors(answer)) == (400, ["id"])
    assert stored(ehr) == 0


def test_the_identifier_of_another_response_cannot_be_taken(ehr: httpx.Client) -> None:
    post(ehr, a_response(identifier="form-9"))
    put(ehr, a_form())
    taken = {"system": SENDER, "value": "form-9"}

    created = put(ehr, a_form(form="form-2", identifier=taken))
    updated = put(ehr, a_form(identifier=taken), If_Match=version(1))

    assert (created.status_code, errors(created)) == (409, ["identifier-reused"])
    assert (updated.status_code, errors(updated)) == (409, ["identifier-reused"])
    assert ehr.get(f"{POST}/form-1").headers["etag"] == version(1)
    assert ehr.get(f"{POST}/form-1").json()["identifier"]["value"] == "form-1"
    assert stored(ehr) == 2


def test_an_identifier_that_was_replaced_stays_reserved(ehr: httpx.Client) -> None:
    put(ehr, a_form())
    renamed = put(ehr, a_form(identifier={"system": SENDER, "value": "new"}), If_Match=version(1))

    assert "identifier-changed" in codes(renamed)
    assert len(ehr.get(POST, params={"identifier": f"{SENDER}|new"}).json()["entry"]) == 1
    assert "entry" not in ehr.get(POST, params={"identifier": f"{SENDER}|form-1"}).json()
    late = post(ehr, a_response({"chest_pain": "Y"}, patient="p", identifier="form-1"))
    assert (late.status_code, errors(late)) == (409, ["identifier-reused"])


@pytest.mark.requirement("REQ-04")
def test_of_twenty_updates_at_once_one_wins_and_the_others_hear_of_it(ehr: httpx.Client) -> None:
    put(ehr, a_form())
    bodies = [a_form({"age_years": 30 + number}, status="amended") for number in range(20)]

    with ThreadPoolExecutor(10) as senders:
        answers = list(senders.map(lambda body: put(ehr, body, If_Match=version(1)), bodies))

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    assert ehr.get(f"{POST}/form-1").headers["etag"] == version(2)


@pytest.mark.requirement("REQ-04")
def test_of_twenty_creates_under_one_id_one_wins_and_leaves_no_other_identifier_reserved(ehr: httpx.Client) -> None:
    bodies = [a_form(identifier={"system": SENDER, "value": f"sender-{number}"}) for number in range(20)]

    with ThreadPoolExecutor(10) as senders:
        answers = list(senders.map(lambda body: put(ehr, body), bodies))

    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 19
    [winner] = [number for number, answer in enumerate(answers) if answer.status_code == 201]
    for number in range(20):
        late = post(ehr, a_response(identifier=f"sender-{number}"))
        assert late.status_code == (409 if number == winner else 201)


@pytest.mark.requirement("REQ-01")
def test_triage_is_told_of_every_new_version_and_of_nothing_else(ehr: httpx.Client, database: Database) -> None:
    put(ehr, a_form())
    put(ehr, a_form())
    put(ehr, a_form({"chest_pain": "Y"}, status="amended"), If_Match=version(1))
    put(ehr, a_form({"chest_pain": "Y"}, status="amended"), If_Match=version(1))
    put(ehr, a_form(status="in-progress"), If_Match=version(2))

    told: list[tuple[str, int]] = []
    with connect(database.intake_url, schema="intake") as connection:
        outbox.relay(
            connection, lambda queue, refs: told.extend((ref.id, ref.version) for ref in refs if queue == "triage")
        )

    assert told == [("form-1", 1), ("form-1", 2)]


STATUSES = list(ALLOWED)


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_a_finished_response_is_never_open_again_and_a_withdrawn_one_stays_withdrawn(before: str, after: str) -> None:
    found = check_change(a_form(status=before), a_form(status=after))

    refused = (before in ("completed", "amended") and after in ("in-progress", "stopped")) or (
        before == "entered-in-error" and after != before
    )
    assert [problem.code for problem in found] == (["status-transition"] if refused else [])


def test_a_refused_change_of_status_says_the_way_out_and_stores_nothing(ehr: httpx.Client) -> None:
    put(ehr, a_form())

    answer = put(ehr, a_form(status="in-progress"), If_Match=version(1))

    assert (answer.status_code, errors(answer)) == (422, ["status-transition"])
    assert "Send changed answers as amended" in answer.text
    assert ehr.get(f"{POST}/form-1").headers["etag"] == version(1)


def test_completed_again_with_other_answers_is_an_amendment_and_says_so(ehr: httpx.Client) -> None:
    put(ehr, a_form())
    other = put(ehr, a_form({"chest_pain": "Y"}), If_Match=version(1))
    same = put(ehr, {**a_form({"chest_pain": "Y"}), "language": "en"}, If_Match=version(2))

    assert (other.status_code, "completed-changed" in codes(other)) == (200, True)
    assert (same.status_code, "completed-changed" in codes(same)) == (200, False)


def test_a_part_of_the_form_is_no_other_form(ehr: httpx.Client) -> None:
    form = a_form()
    put(ehr, form)
    amended = a_form({"chest_pain": "Y"}, status="amended", questionnaire=f"{form['questionnaire']}#page-1")

    assert put(ehr, amended, If_Match=version(1)).status_code == 200

    url = form["questionnaire"].partition("|")[0]
    without_version = {**amended, "questionnaire": f"{url}#page-1"}
    assert errors(put(ehr, without_version, If_Match=version(2))) == ["questionnaire-replaced"]


def test_the_patient_of_a_response_never_changes(ehr: httpx.Client) -> None:
    put(ehr, a_form())
    for status in ("amended", "entered-in-error"):
        other = put(ehr, a_form(status=status, subject={"reference": "Patient/q"}), If_Match=version(1))
        assert (other.status_code, errors(other)) == (422, ["subject-changed"])
    named = put(ehr, a_form(subject={"reference": "Patient/p", "display": "Somebody"}), If_Match=version(1))
    assert named.status_code == 200


def test_a_late_repetition_of_the_first_version_is_known_after_an_amendment(ehr: httpx.Client) -> None:
    sent = a_response(patient="p", identifier="form-1")
    response_id = id_of(post(ehr, sent))
    amended = {**a_response({"chest_pain": "Y"}, patient="p", identifier="form-1"), "id": response_id}
    put(ehr, {**amended, "status": "amended"}, If_Match=version(1))

    late = post(ehr, sent)

    assert (late.status_code, id_of(late), late.headers["etag"]) == (200, response_id, version(2))
    assert "duplicate" in codes(late)


def test_of_a_used_identifier_no_more_is_read_than_a_bounded_part_of_what_was_stored_under_it(
    ehr: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = a_form(authored="2026-11-22T08:00:00Z")
    put(ehr, first)
    amended = [a_form(authored=f"2026-11-22T08:00:0{number}Z", status="amended") for number in range(1, 6)]
    for number, body in enumerate(amended, 1):
        assert put(ehr, body, If_Match=version(number)).status_code == 200
    monkeypatch.setattr(receive, "MOST_COMPARED", len(json.dumps(first)) + 100)
    read: list[int] = []
    vread = resources.vread

    def noted(*asked: Any) -> resources.Stored | None:
        read.append(asked[-1])
        return vread(*asked)

    monkeypatch.setattr(resources, "vread", noted)

    def compared(body: dict[str, Any]) -> tuple[int, list[int]]:
        """The status, and the versions that were read before the last one is given as the answer."""
        read.clear()
        status = post(ehr, body).status_code
        return status, read[:-1] if status == 200 else read[:]

    assert compared(a_form({"chest_pain": "Y"})) == (409, [6, 5])
    assert compared(dict(reversed(amended[4].items()))) == (200, [6])
    assert compared(dict(reversed(amended[3].items()))) == (200, [6, 5])
    assert compared(dict(reversed(amended[2].items()))) == (409, [6, 5])
    assert [compared(body) for body in (first, *amended)] == [(200, [])] * 6


def test_what_was_put_comes_back_byte_for_byte_with_version_and_time(ehr: httpx.Client) -> None:
    put(ehr, a_form())
    sent = json.dumps({**a_form(status="amended"), "meta": {"versionId": "1", "source": "https://ehr.example.org"}})

    send(ehr, "PUT", f"{POST}/form-1", sent.encode(), If_Match=version(1))

    read = ehr.get(f"{POST}/form-1").json()
    assert (read["meta"]["versionId"], read["meta"]["source"]) == ("2", "https://ehr.example.org")
    assert ehr.get(f"{POST}/form-1").text.endswith(sent.partition('"resourceType"')[2].partition(', "meta"')[0] + "}")


def test_an_update_may_name_the_identifier_instead_of_the_id(ehr: httpx.Client) -> None:
    address = f"{POST}?identifier={SENDER}|form-1"
    sent = a_response(patient="p", identifier="form-1")
    amended = {**a_response({"chest_pain": "Y"}, patient="p", identifier="form-1"), "status": "amended"}

    created = send(ehr, "PUT", address, sent)
    blind = send(ehr, "PUT", address, amended)
    updated = send(ehr, "PUT", address, amended, If_Match=version(1))
    other = send(ehr, "PUT", f"{POST}?identifier={SENDER}|form-2", amended)
    by_status = send(ehr, "PUT", f"{POST}?status=completed", amended)

    assert (created.status_code, updated.status_code, updated.headers["etag"]) == (201, 200, version(2))
    assert id_of(created) == id_of(updated)
    assert (blind.status_code, errors(blind)) == (400, ["if-match"])
    assert (other.status_code, errors(other)) == (400, ["identifier-mismatch"])
    assert (by_status.status_code, errors(by_status)) == (400, ["if-none-exist"])
    assert stored(ehr) == 1


def test_an_update_by_identifier_that_another_sender_overtakes_is_answered_as_one_that_comes_after_it(
    ehr: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{POST}?identifier={SENDER}|form-1"
    first = a_response(patient="p", identifier="form-1")
    other = a_response({"chest_pain": "Y"}, patient="p", identifier="form-1")
    identified = store.identified

    def overtaken(*asked: Any) -> str | None:
        """Nobody has the identifier when it is looked up, and somebody has it a moment later."""
        found = identified(*asked)
        return None if found is None and post(ehr, first).status_code == 201 else found

    monkeypatch.setattr(store, "identified", overtaken)
    late = send(ehr, "PUT", address, other)
    monkeypatch.setattr(store, "identified", lambda *_: None)
    later = [send(ehr, "PUT", address, body) for body in (other, first)]
    monkeypatch.undo()

    assert (late.status_code, errors(late), late.headers.get("etag")) == (400, ["if-match"], None)
    assert (later[0].status_code, errors(later[0])) == (400, ["if-match"])
    assert (later[1].status_code, later[1].headers["etag"]) == (200, version(1))
    assert "unchanged" in codes(later[1])
    assert [each["resource"]["item"] for each in ehr.get(POST).json()["entry"]] == [first["item"]]
    assert send(ehr, "PUT", address, other, If_Match=version(1)).headers["etag"] == version(2)


@pytest.mark.parametrize(("method", "words"), [("DELETE", "entered-in-error"), ("PATCH", "PUT it with If-Match")])
def test_what_is_not_offered_says_what_to_do_instead(ehr: httpx.Client, method: str, words: str) -> None:
    put(ehr, a_form())

    answer = ehr.request(method, f"{POST}/form-1")

    assert (answer.status_code, errors(answer)) == (405, ["method"])
    assert words in answer.text
    assert "PUT" in answer.headers["allow"]


def test_the_body_of_the_answer_is_what_prefer_asks_for(ehr: httpx.Client) -> None:
    for wanted, found in (
        ("return=minimal", None),
        ("handling=strict; return=representation", "QuestionnaireResponse"),
        ("return=OperationOutcome", "OperationOutcome"),
    ):
        answer = put(ehr, a_form(form=f"form-{found}"), Prefer=wanted)
        assert (answer.json()["resourceType"] if answer.content else None) == found
