"""From bytes to a resource: the unreadable is refused whole, cheaply, and without repeating patient data."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.fhir.elements import kinds
from shared.fhir.parse import BODY_BYTES, Parsed, parse_resource
from shared.fhir.strict_json import ITEMS, JSON_DEPTH, read_json
from shared.problems import Category, Problem, ProblemError, Severity

SENTINEL = "Zaphod-7731"
"""Stands for patient data: must never come back in a message."""


SECONDS = 20
"""Processor time that no body of a megabyte may take. It takes one; what grows with the square would take hours."""


def refusal(body: bytes) -> list[Problem]:
    started = time.process_time()
    with pytest.raises(ProblemError) as caught:
        parse_resource(body, resource_type="QuestionnaireResponse")
    assert time.process_time() - started < SECONDS
    assert SENTINEL not in repr(caught.value.problems)
    return list(caught.value.problems)


def response(**elements: Any) -> bytes:
    return json.dumps({"resourceType": "QuestionnaireResponse", "status": "completed", **elements}).encode()


def raw(members: str) -> bytes:
    """A completed response with further members given as JSON text."""
    return f'{{"resourceType": "QuestionnaireResponse", "status": "completed", {members}}}'.encode()


def answer(value: str) -> bytes:
    return raw(f'"item": [{{"linkId": "q", "answer": [{{{value}}}]}}]')


def nested_items(levels: int) -> dict[str, Any]:
    item: dict[str, Any] = {"linkId": "deepest"}
    for level in range(levels - 1):
        item = {"linkId": f"level-{level}", "item": [item]}
    return item


def test_a_sound_response_comes_back_with_its_bytes_and_its_content() -> None:
    body = b' {"resourceType": "QuestionnaireResponse",\r\n "status": "completed"}\n'

    parsed = parse_resource(body, resource_type="QuestionnaireResponse")

    assert parsed.body == body
    assert parsed.resource == {"resourceType": "QuestionnaireResponse", "status": "completed"}


@pytest.mark.requirement("REQ-02")
@pytest.mark.parametrize("digits", ["36.60", "1e2", "1.0", "0.1", "-0.50", "1E-5", "12345678901234567890.123456789"])
def test_a_decimal_keeps_the_digits_that_were_sent(digits: str) -> None:
    parsed = parse_resource(answer(f'"valueDecimal": {digits}'), resource_type="QuestionnaireResponse")

    value = parsed.resource["item"][0]["answer"][0]["valueDecimal"]
    assert isinstance(value, Decimal)
    assert str(value) == str(Decimal(digits))


def test_whole_numbers_are_int_and_long_ones_stay_exact() -> None:
    assert read_json(b"[7, 123456789012345678901234567890]") == [7, 123456789012345678901234567890]


def test_white_space_around_colons_and_strings_that_look_like_names_are_harmless() -> None:
    body = raw('"item" : [{"linkId"\t:\n"::", "text": ": \\": a\\":b"}]')

    parsed = parse_resource(body, resource_type="QuestionnaireResponse")

    assert parsed.resource["item"] == [{"linkId": "::", "text": ': ": a":b'}]


@pytest.mark.requirement("REQ-02")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not-json"),
        (b"   ", "not-json"),
        (b"hello", "not-json"),
        (b"<QuestionnaireResponse/>", "not-json"),
        (b"\xef\xbb\xbf{}", "not-json"),
        (raw('"authored": "2026-01-01",'), "not-json"),
        (raw("'authored': 1"), "not-json"),
        (b"{}{}", "not-json"),
        (b'{"resourceType": "QuestionnaireResponse"', "not-json"),
        (raw('"text": "\xff"').decode().encode("latin-1"), "not-utf-8"),
        (raw('"x": 1').decode().encode("utf-16"), "not-utf-8"),
        (b"\xed\xa0\x80", "not-utf-8"),
        (answer('"valueDecimal": NaN'), "not-json"),
        (answer('"valueDecimal": Infinity'), "not-json"),
        (answer('"valueDecimal": -Infinity'), "not-json"),
        (answer('"valueDecimal": 1e999999'), "number-out-of-range"),
        (answer(f'"valueString": "{SENTINEL}\\ud800"'), "lone-surrogate"),
        (answer(f'"valueString": "{SENTINEL}\\udc00\\ud800"'), "lone-surrogate"),
        (answer(f'"valueString": "{SENTINEL}\x00"'), "control-character"),
        (answer(f'"valueString": "{SENTINEL}\n"'), "control-character"),
    ],
)
def test_what_cannot_be_read_as_json_is_one_fatal_problem(body: bytes, code: str) -> None:
    (problem,) = refusal(body)

    assert (problem.code, problem.severity, problem.issue_code) == (code, Severity.FATAL, "structure")
    assert problem.http_status == 400


def test_nan_and_infinity_are_named_in_the_message() -> None:
    (problem,) = refusal(answer('"valueDecimal": NaN'))

    assert "NaN" in problem.message


@pytest.mark.parametrize("body", [b"[]", b"[{}]", b"null", b"true", b"3", b'"QuestionnaireResponse"'])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    (problem,) = refusal(body)

    assert (problem.code, problem.severity) == ("not-an-object", Severity.FATAL)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{}", "missing"),
        (b'{"resourceType": "Patient"}', "'Patient'"),
        (b'{"resourceType": "questionnaireresponse"}', "something else"),
        (f'{{"resourceType": "{SENTINEL}"}}'.encode(), "something else"),
        (b'{"resourceType": null}', "missing"),
        (b'{"resourceType": ["QuestionnaireResponse"]}', "something else"),
    ],
)
def test_another_type_of_resource_is_refused(body: bytes, words: str) -> None:
    (problem,) = refusal(body)

    assert problem.code == "wrong-resource-type"
    assert words in problem.message
    assert problem.http_status == 400


@pytest.mark.parametrize(
    ("value", "code", "expression"),
    [
        ('"valueDecimal": 0e99999999999999999999', "number-out-of-range", "valueDecimal"),
        ('"valueDecimal": 1e-99999999999999999999', "number-out-of-range", "valueDecimal"),
        ('"valueDecimal": 1e-400', "number-out-of-range", "valueDecimal"),
        (f'"valueDecimal": 0.{"1" * 63}', "number-out-of-range", "valueDecimal"),
        (f'"valueInteger": {"1" * 65}', "number-out-of-range", "valueInteger"),
        (f'"valueString": "{SENTINEL}\\u0000"', "control-character", "valueString"),
        (f'"valueString": "{SENTINEL}\\u001f"', "control-character", "valueString"),
        (f'"valueString": "{SENTINEL}\\b"', "control-character", "valueString"),
        (f'"valueString": "{SENTINEL}\\f"', "control-character", "valueString"),
        (f'"valueString": "{SENTINEL}{"x" * 65536}"', "string-too-long", "valueString"),
        (f'"valueString": "{SENTINEL}", "valueString": "b"', "duplicate-key", "valueString"),
        ('"valueString": "a", "valueStr\\u0069ng": "b"', "duplicate-key", "valueString"),
    ],
)
def test_what_json_allows_and_this_system_does_not_is_told_with_its_place(
    value: str, code: str, expression: str
) -> None:
    (problem,) = refusal(answer(value))

    assert problem.code == code
    assert problem.expression == f"QuestionnaireResponse.item[0].answer[0].{expression}"
    assert problem.category is Category.INCORRECT


@pytest.mark.parametrize(
    "value",
    [
        '"valueDecimal": 1e-300',
        f'"valueDecimal": 0.{"1" * 62}',
        '"valueString": "tab\\tline\\r\\nend"',
        '"valueString": "\\ud83e\\uddb5 calf"',
        '"valueString": "a backslash \\\\b and \\\\u0000"',
        f'"valueString": "{"x" * 65536}"',
    ],
)
def test_their_harmless_neighbours_are_accepted(value: str) -> None:
    parse_resource(answer(value), resource_type="QuestionnaireResponse")


def test_all_unreadable_places_are_told_together_in_document_order() -> None:
    body = raw(
        '"status": "amended", "item": [{"linkId": "a", "text": "\\u0001"}, {"linkId": "b", "linkId": "c",'
        ' "answer": [{"valueDecimal": 1e-999}]}]'
    )

    problems = refusal(body)

    assert [(each.code, each.expression) for each in problems] == [
        ("duplicate-key", "QuestionnaireResponse.status"),
        ("control-character", "QuestionnaireResponse.item[0].text"),
        ("duplicate-key", "QuestionnaireResponse.item[1].linkId"),
        ("number-out-of-range", "QuestionnaireResponse.item[1].answer[0].valueDecimal"),
    ]


def test_a_repeated_name_that_is_no_element_name_is_not_echoed() -> None:
    (problem, *_) = refusal(raw(f'"{SENTINEL}": 1, "{SENTINEL}": 2'))

    assert problem.code == "duplicate-key"


@pytest.mark.requirement("REQ-02")
@pytest.mark.parametrize(
    "body",
    [
        b" " * (BODY_BYTES + 1),
        b'{"resourceType": "QuestionnaireResponse", "text": "' + b"x" * 10_000_000 + b'"}',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 500 + b"]" * 500,
        raw('"a": ' + "[" * 990 + "]" * 990 + ', "a": 1'),
        response(item=[nested_items(JSON_DEPTH // 2)]),
        response(item=[{"linkId": str(number)} for number in range(ITEMS + 1)]),
        response(item=[{"linkId": f"group-{group}", "item": [{"linkId": "x"}] * 1000} for group in range(2)]),
    ],
)
def test_too_much_is_refused_as_too_large(body: bytes) -> None:
    (problem,) = refusal(body)

    assert problem.code == "too-large"
    assert problem.http_status == 413


def test_the_deepest_and_longest_allowed_response_is_accepted() -> None:
    deep = response(item=[nested_items((JSON_DEPTH - 1) // 2)])
    long = response(item=[{"linkId": str(number)} for number in range(ITEMS)])

    for body in (deep, long):
        parse_resource(body, resource_type="QuestionnaireResponse")


@pytest.mark.parametrize(
    "body",
    [
        response(item=[{}] * 2000),
        response(extension=[{}] * 300_000),
        response(extension=[{"url": "urn:x", "valueInteger": 1}] * 20_000 + [{}]),
        raw(",".join(f'"a{number}": 1' for number in range(80_000))),
        raw(",".join(['"a": 1'] * 100_000)),
        raw('"x": "' + "\\u0001" * 10_000 + '"'),
        raw(f'"x": [{",".join(["1e-999"] * 100_000)}]'),
        response(text={"status": "generated", "div": "<div>" * 12_000}),
        response(authored="1" * 60_000, questionnaire="a" * 60_000 + " "),
    ],
    ids=range(9),
)
def test_a_megabyte_of_mistakes_does_not_keep_a_server_busy(body: bytes) -> None:
    assert len(refusal(body)) <= 1001


def test_structural_problems_come_all_at_once() -> None:
    problems = refusal(response(status="done", authored="yesterday", item=[{"text": SENTINEL}]))

    assert [each.code for each in problems] == ["unknown-code", "invalid-format", "missing-element"]


def outcome_of(body: bytes) -> Parsed | list[Problem]:
    try:
        return parse_resource(body, resource_type="QuestionnaireResponse")
    except ProblemError as error:
        return list(error.problems)


@pytest.mark.requirement("REQ-02")
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_parsed_or_refused_with_problems(body: bytes) -> None:
    assert outcome_of(body)


TYPES = (
    "QuestionnaireResponse",
    "QuestionnaireResponse.item",
    "Narrative",
    "Reference",
    "Coding",
    "Period",
    "Range",
)
NAMES = st.sampled_from(
    sorted({name for each in TYPES for name in kinds()[each].elements} | {"_status", "answer", "url", "valueString"})
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=5),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(["item", "contained", "subject", "text", "extension"]), JSON_VALUES))
def test_any_json_is_parsed_or_refused_with_problems(elements: dict[str, Any]) -> None:
    assert outcome_of(response(**elements))


@given(JSON_VALUES, st.sampled_from([None, 1]), st.booleans())
def test_what_is_read_is_what_the_standard_library_reads(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    try:
        read = read_json(text.encode("utf-8", "replace"))
    except ProblemError:
        return

    assert read == json.loads(text, parse_float=Decimal)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'"item": [' + b",".join([b'{"linkId": "q", "answer": [{"valueInteger": 1}]}'] * 2001) + b"]", "2001 items"),
        (b'"item": [{"answer": [' + b",".join([b'{"valueInteger": 1}'] * 4001) + b"]}]", "4001 answers"),
        (b'"a": [' + b",".join([b"1"] * 50_001) + b"]", "50000 values"),
        (b'"a": [' + b",".join([b"[]"] * 50_001) + b"]", "50000 brackets"),
    ],
)
def test_more_than_any_form_holds_is_refused_before_it_is_read_closely(content: bytes, told: str) -> None:
    with pytest.raises(ProblemError) as refused:
        parse_resource(
            b'{"resourceType": "QuestionnaireResponse", ' + content + b"}", resource_type="QuestionnaireResponse"
        )

    [problem] = refused.value.problems
    assert (problem.code, problem.http_status) == ("too-large", 413)
    assert told in problem.message
