"""Search parameters mean what R4 says, or are refused."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from shared.fhir.search import Search, parse_search, types_asked
from shared.fhir.search_conditions import (
    Beginning,
    Chained,
    Condition,
    Containing,
    Ids,
    Missing,
    OneOf,
    ReferredTo,
    Updated,
    Within,
)
from shared.fhir.search_dates import milliseconds
from shared.fhir.search_place import Place
from shared.problems import ProblemError

BASE = "http://127.0.0.1:8000/fhir"
TRIAGE = ("RiskAssessment", "DetectedIssue", "Provenance")


def search(*pairs: tuple[str, str], of: str = "RiskAssessment", strict: bool = False) -> Search:
    return parse_search(of, pairs, held=TRIAGE, base=BASE, strict=strict)


def condition(name: str, value: str, of: str = "RiskAssessment") -> Condition:
    [found] = search((name, value), of=of).conditions
    return found


def at(*moment: int) -> float:
    return milliseconds(datetime(*moment, tzinfo=UTC))  # type: ignore[arg-type]


def test_values_are_alternatives_and_a_repeated_parameter_narrows() -> None:
    assert search(("_id", "a,b")).conditions == (Ids(("a", "b")),)
    assert search(("_id", "a,b"), ("_id", "b,c")).conditions == (Ids(("a", "b")), Ids(("b", "c")))


def test_a_token_may_name_its_system_no_system_or_any() -> None:
    assert condition("identifier", "http://s|7") == OneOf("identifier", (("http://s", "7"),))
    assert condition("identifier", "|7") == OneOf("identifier", (("", "7"),))
    assert condition("identifier", "7") == OneOf("identifier", ((None, "7"),))
    assert condition("identifier", "http://s|") == OneOf("identifier", (("http://s", None),))
    assert condition("identifier", "http://a|1,http://b|2") == OneOf(
        "identifier", (("http://a", "1"), ("http://b", "2"))
    )
    assert condition("status:not", "final") == OneOf("status", ((None, "final"),), negated=True)


def test_separators_in_a_value_are_escaped() -> None:
    assert condition("identifier", r"http://s|a\,b\|c\\d") == OneOf("identifier", (("http://s", r"a,b|c\d"),))


def test_a_reference_of_ours_may_be_written_in_several_ways() -> None:
    here = (None, "Patient/p1"), (None, f"{BASE}/Patient/p1")
    for name, value in (("patient", "p1"), ("patient", "Patient/p1"), ("subject:Patient", "p1")):
        assert condition(name, value) == OneOf("subject", here)
    assert condition("patient", f"{BASE}/Patient/p1") == OneOf("subject", here)
    assert condition("basis", "QuestionnaireResponse/q/_history/2") == OneOf(
        "basis", (("2", "QuestionnaireResponse/q"), ("2", f"{BASE}/QuestionnaireResponse/q"))
    )
    assert condition("subject", "https://ehr.example/Patient/1") == OneOf(
        "subject", ((None, "https://ehr.example/Patient/1"),)
    )
    for canonical in ("https://x.example/Q|1", "https://x.example/Q|1#page-1"):
        assert condition("questionnaire", canonical, of="QuestionnaireResponse") == OneOf(
            "questionnaire", (("1", "https://x.example/Q"),)
        )


def test_a_patient_known_by_identifier_alone_is_found_by_it() -> None:
    wanted = OneOf("subject:identifier", (("https://nhs.example", "7"),))
    for name in ("subject:identifier", "patient:identifier", "patient.identifier", "subject:Patient.identifier"):
        assert condition(name, "https://nhs.example|7") == wanted


def test_texts_and_addresses() -> None:
    assert condition("title", "Knee", of="Library") == Beginning("title", ("knee",))
    assert condition("title:exact", "Knee", of="Library") == OneOf("title", (("Knee", "knee"),))
    assert condition("title:contains", "É", of="Library") == Containing("title", ("e",))
    assert condition("url", "https://x.example/L|1", of="Library") == OneOf("url", (("1", "https://x.example/L"),))
    assert condition("url:below", "https://x.example/", of="Library") == Beginning(
        "url", ("https://x.example/",), ("https://x.example", "https://x.example/")
    )


def test_a_date_has_a_prefix_and_stands_for_a_span() -> None:
    day = at(2026, 11, 22), at(2026, 11, 23)
    assert condition("date", "2026-11-22") == Within("date", (("eq", day),))
    assert condition("date", "ge2026-11-22,eb2026-11-22") == Within("date", (("ge", day), ("eb", day)))
    assert condition("_lastUpdated", "ne2026-11-22") == Updated((("ne", day),))


def test_a_number_counts_to_the_digits_that_are_given() -> None:
    [(prefix, (low, high))] = condition("probability", "2.0").spans  # type: ignore[union-attr]
    assert prefix == "eq"
    assert low == 1.95
    assert 2.0499 < high < 2.05
    assert condition("probability", "gt5") == Within("probability", (("gt", (5.0, 5.0)),))


def test_missing_asks_for_any_value() -> None:
    assert condition("encounter:missing", "true") == Missing("encounter", "reference", True)


def test_a_chain_looks_into_resources_of_the_same_service() -> None:
    chained = search(("implicated:RiskAssessment.status", "final"), of="DetectedIssue")
    assert chained.conditions == (Chained("implicated", "RiskAssessment", OneOf("status", ((None, "final"),))),)
    reverse = search(("_has:DetectedIssue:implicated:code", "RFX-01"))
    assert reverse.conditions == (ReferredTo("DetectedIssue", "implicated", OneOf("code", ((None, "RFX-01"),))),)
    assert types_asked(chained) == {"RiskAssessment"}
    assert types_asked(reverse) == {"DetectedIssue"}


WRONG = [
    ("RiskAssessment", "_lastUpdated", "yesterday"),
    ("RiskAssessment", "_lastUpdated", "ge2026-11-22T08:00:00"),
    ("RiskAssessment", "_lastUpdated", "2026-13"),
    ("RiskAssessment", "date", "ap2026"),
    ("RiskAssessment", "_count", "-1"),
    ("RiskAssessment", "_count", "many"),
    ("RiskAssessment", "_count", "²"),
    ("RiskAssessment", "_count", "9" * 5000),
    ("RiskAssessment", "_id", ""),
    ("RiskAssessment", "_id", ","),
    ("RiskAssessment", "_id", "a\x00"),
    ("RiskAssessment", "status", ""),
    ("RiskAssessment", "identifier", "|"),
    ("RiskAssessment", "status:text", "final"),
    ("RiskAssessment", "status:in", "http://x.example/vs"),
    ("RiskAssessment", "encounter:missing", "perhaps"),
    ("RiskAssessment", "patient", "Group/g"),
    ("RiskAssessment", "subject:Banana", "1"),
    ("RiskAssessment", "probability", "high"),
    ("RiskAssessment", "_total", "some"),
    ("RiskAssessment", "_summary", "short"),
    ("RiskAssessment", "_elements", ","),
    ("RiskAssessment", "_include", "RiskAssessment:status"),
    ("RiskAssessment", "_include", "*"),
    ("RiskAssessment", "_revinclude", "AuditEvent:entity"),
    ("RiskAssessment", "_include:iterate", "RiskAssessment:basis"),
    ("RiskAssessment", "basis:QuestionnaireResponse.status", "completed"),
    ("RiskAssessment", "subject.name", "Smith"),
    ("RiskAssessment", "_has:Task:focus:status", "requested"),
    ("RiskAssessment", "_has:DetectedIssue:code:status", "final"),
    ("DetectedIssue", "implicated.status", "final"),
    ("DetectedIssue", "implicated:RiskAssessment._lastUpdated", "2026"),
    ("Library", "url:above", "https://x.example"),
]


@pytest.mark.parametrize(("of", "name", "value"), WRONG, ids=lambda each: f"{each[:30]!a}")
def test_a_value_that_cannot_be_answered_is_refused_with_a_sentence(of: str, name: str, value: str) -> None:
    with pytest.raises(ProblemError) as refused:
        search((name, value), of=of)

    assert refused.value.http_status == 400
    [problem] = refused.value.problems
    assert problem.code == "search-value"
    assert problem.message.startswith(f"Search parameter {name[:60]}: ")


def test_two_hundred_values_are_the_most() -> None:
    with pytest.raises(ProblemError):
        search(("_id", ",".join("a" * 201)))


@pytest.mark.parametrize("pair", [("colour", "blue"), ("_sort", "identifier"), ("_sort", "colour"), ("risk.x", "1")])
def test_an_unknown_parameter_is_named_and_with_strict_handling_refused(pair: tuple[str, str]) -> None:
    if pair[0] == "risk.x":
        with pytest.raises(ProblemError):
            search(pair)
        return
    assert [problem.code for problem in search(pair).ignored] == ["search-parameter-unknown"]
    assert search(pair).used == ()
    with pytest.raises(ProblemError) as refused:
        search(pair, strict=True)
    assert refused.value.http_status == 400


def test_a_page_never_holds_more_than_the_limit_and_zero_counts_only() -> None:
    assert search(("_count", "100000")).count == 200
    assert search(("_count", "0")).summary == "count"


def test_an_order_may_have_several_keys() -> None:
    keys = search(("_sort", "-date,status,_id")).sort

    assert [(key.parameter.name, key.descending) for key in keys] == [("date", True), ("status", False), ("_id", False)]


def test_the_mark_of_the_next_page_is_read_back() -> None:
    when = datetime(2026, 11, 22, 8, 0, 0, 250000, tzinfo=UTC)

    for pairs, place in (
        ((), Place((when,), "r-9")),
        ((("_sort", "-date,status"),), Place((1.5, "final"), "r-9")),
        ((("_sort", "-date,status"),), Place((None, None), "r-9")),
    ):
        assert search(*pairs, ("_page", place.mark())).after == place


def mark(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "page",
    [
        "not ours",
        "éé",
        mark("[]"),
        mark("{}"),
        mark('["2026-01-01T00:00:00+00:00"]'),
        mark('["2026-01-01T00:00:00", "a"]'),
        mark('["2026-01-01T00:00:00+00:00", "a\\u0000b"]'),
        mark('["2026-01-01T00:00:00+00:00", ""]'),
        mark('["0001-01-01T00:00:00+14:00", "a"]'),
        mark('[null, "a"]'),
        mark('[7, "a"]'),
        mark('["2026-01-01T00:00:00+00:00", "b", "a"]'),
    ],
)
def test_a_mark_that_is_not_ours_is_refused(page: str) -> None:
    with pytest.raises(ProblemError) as refused:
        search(("_page", page))

    assert refused.value.http_status == 400
