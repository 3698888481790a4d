"""Reading what was refused: every answer that can be understood is found, and nothing is invented."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.fhir.salvage import (
    MOST_ANSWERS,
    MOST_OF_A_QUESTION,
    MOST_RESPONSES,
    Allowance,
    FoundAnswer,
    found_answers,
    holds_answers,
    may_hold_answers,
    read_leniently,
    responses_in,
)
from tests.builders import a_response

YES = {"system": "http://terminology.hl7.org/CodeSystem/v2-0532", "code": "Y"}


def answers(text: str | bytes) -> list[FoundAnswer]:
    content = read_leniently(text if isinstance(text, bytes) else text.encode())
    assert content is not None
    return list(found_answers(content))


@pytest.mark.parametrize(
    "item",
    [
        {"linkId": "chest_pain", "answer": [{"valueCoding": YES}]},
        {"linkId": "chest_pain", "answer": {"valueCoding": YES}},
        {"linkId": "chest_pain", "valueCoding": YES},
        {"linkid": "chest_pain", "answer": [{"valueCoding": YES}]},
    ],
    ids=["as it should be", "no array", "on the item", "linkId misspelt"],
)
@pytest.mark.requirement("REQ-30")
def test_an_answer_is_found_whatever_shape_it_has(item: dict[str, object]) -> None:
    for where in ({"item": [item]}, {"item": [{"item": [item]}]}, {"group": {"questions": [item]}}, item):
        assert answers(json.dumps(where)) == [FoundAnswer("chest_pain", "Coding", YES)]


@pytest.mark.requirement("REQ-30")
def test_a_name_that_occurs_twice_loses_no_answer() -> None:
    twice = '{"linkId": "chest_pain", "answer": [{"valueString": "Y"}], "answer": [{"valueString": "N"}]}'

    assert [answer.value for answer in answers(twice)] == ["Y", "N"]


@pytest.mark.parametrize(
    "text",
    [
        b'\xef\xbb\xbf{"linkId": "chest_pain", "answer": [{"valueString": "Y"}]}',
        b'{"x": NaN, "linkId": "chest_pain", "answer": [{"valueString": "Y"}]}',
        b'{"x": "\xff", "linkId": "chest_pain", "answer": [{"valueString": "Y"}]}',
        b'{"x": "a\x01b", "linkId": "chest_pain", "answer": [{"valueString": "Y"}]}',
        b'{"x": "\\ud800", "linkId": "chest_pain", "answer": [{"valueString": "Y"}]}',
        b'[{"linkId": "chest_pain", "answer": [{"valueString": "Y"}]}]',
        json.dumps('{"linkId": "chest_pain", "answer": [{"valueString": "Y"}]}').encode(),
        b'{"x": ' + b"9" * 5000 + b', "linkId": "chest_pain", "answer": [{"valueString": "Y"}]}',
    ],
    ids=[
        "byte order mark",
        "NaN",
        "not UTF-8",
        "control character",
        "half a surrogate pair",
        "in a list",
        "in a string",
        "a number without end",
    ],
)
@pytest.mark.requirement("REQ-30")
def test_faults_of_the_text_are_read_over(text: bytes) -> None:
    assert answers(text) == [FoundAnswer("chest_pain", "String", "Y")]


DEEP = b'{"a":' * 900 + b'{"linkId": "x", "answer": [{"valueString": "Y"}]}' + b"}" * 900


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"7", b'"answer"', b"[" * 100_000, DEEP],
    ids=["nothing", "cut short", "number", "text", "endless", "deep"],
)
def test_what_is_no_json_object_is_not_read(text: bytes) -> None:
    assert read_leniently(text) is None


def test_the_responses_inside_a_bundle_are_found_one_by_one() -> None:
    entries = [{"resource": a_response({}, patient=patient)} for patient in ("p-9", "p-10")]
    content = read_leniently(json.dumps({"entry": entries}).encode())
    assert content is not None

    references = [response.plain()["subject"]["reference"] for response in responses_in(content)]
    assert references == ["Patient/p-9", "Patient/p-10"]


def test_a_resource_without_answers_holds_none() -> None:
    content = read_leniently(b'{"resourceType": "Patient", "name": [{"text": "answer"}]}')
    assert content is not None
    assert not holds_answers(content)


def read_in_turn(document: object) -> tuple[list[int], bool]:
    """How many answers are read of each response in a document, and whether that is all of it."""
    content = read_leniently(json.dumps(document).encode())
    assert content is not None
    allowance = Allowance()
    return [len(allowance.read(response)) for response in responses_in(content)], allowance.whole


def questions(number: int) -> dict[str, object]:
    """A response with so many questions, each with as many answers as are read."""
    many = list(range(MOST_OF_A_QUESTION))
    return {"item": [{"linkId": f"question-{one}", "answer": many} for one in range(number)]}


@pytest.mark.requirement("REQ-30")
def test_of_all_responses_in_one_document_together_no_more_is_read_than_of_one() -> None:
    half = MOST_ANSWERS // MOST_OF_A_QUESTION // 2
    assert read_in_turn([questions(half)] * 2) == ([MOST_ANSWERS // 2] * 2, True)
    assert read_in_turn([questions(half)] * 4) == ([MOST_ANSWERS // 2] * 2 + [0, 0], False)


@pytest.mark.requirement("REQ-30")
def test_a_document_that_was_read_to_its_end_is_known_from_one_that_was_not() -> None:
    one = {"linkId": "temp_c", "answer": [1]}
    assert read_in_turn({"item": [one]}) == ([1], True)
    assert read_in_turn([{"item": [one]}] * MOST_RESPONSES) == ([1] * MOST_RESPONSES, True)
    assert read_in_turn([{"item": [one]}] * (MOST_RESPONSES + 1)) == ([1] * MOST_RESPONSES + [0], False)
    assert read_in_turn([{"item": [one]}] * MOST_RESPONSES + [{"item": []}] * 9)[1]


@pytest.mark.requirement("REQ-30")
@pytest.mark.parametrize("link_id", ["temp_c", " Temp_C"])
def test_a_question_with_more_answers_than_it_has_options_is_not_read_to_its_end(link_id: str) -> None:
    half = [{"linkId": name, "answer": list(range(MOST_OF_A_QUESTION // 2 + 1))} for name in ("temp_c", link_id)]
    after = {"linkId": "chest_pain", "answer": [{"valueString": "Y"}]}
    assert read_in_turn({"item": [*half, after]}) == ([MOST_OF_A_QUESTION + 1], False)


@pytest.mark.requirement("REQ-30")
def test_a_concept_counts_as_many_answers_as_it_has_codings() -> None:
    concept = {"coding": ["Y"] * (MOST_OF_A_QUESTION + 1)}
    assert read_in_turn({"item": [{"linkId": "chest_pain", "valueCodeableConcept": concept}]}) == ([0], False)


def test_what_stands_below_an_answer_is_carried_by_itself_alone() -> None:
    """Else every level would be carried by every one above it."""
    nested: dict[str, object] = {"linkId": "x", "value": "Y"}
    for _ in range(100):
        nested = {"linkId": "x", "value": nested}
    found = answers(json.dumps(nested))
    assert len(found) == 101
    assert max(json.dumps(one.value).count("linkId") for one in found) <= 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["Y", "N"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["linkId", "answer", "value", "valueCoding", "item", "code"]), inner)
    ),
)


@given(JSON)
def test_no_json_whatever_makes_it_fail(document: object) -> None:
    content = read_leniently(json.dumps({"item": document}).encode())
    assert content is not None
    for answer in Allowance().read(content):
        assert isinstance(answer.link_id, str)


@pytest.mark.parametrize(
    "body",
    [
        b'{"linkId": "chest_pain"}',
        b'{"LINKID": "chest_pain"}',
        b'{"lin\\u006bId": "chest_pain"}',
        '{"lin\u212aId": "chest_pain"}'.encode(),
        b"\xff" + b'{"linkId": "chest_pain"}',
    ],
)
def test_a_text_that_may_name_a_link_id_is_read(body: bytes) -> None:
    assert may_hold_answers(body)


def test_a_text_without_any_link_id_or_with_more_than_a_form_can_hold_is_not_read() -> None:
    assert not may_hold_answers(b'{"resourceType": "Patient"}')
    assert not may_hold_answers(b'{"linkId": [' + b"{}," * 60_000 + b"]}")


def test_a_refused_form_is_read_also_by_a_process_that_has_no_file_handle_left() -> None:
    asked = """if True:
        import resource
        from shared.fhir.salvage import holds_answers, read_leniently
        body = bytes.fromhex("efbbbf") + b'{"linkId": "chest_pain", "answer": [{"valueBoolean": true}]}'
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        print(holds_answers(read_leniently(body)))
    """
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.stdout == "True\n", done.stderr
