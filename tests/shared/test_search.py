"""Search parameters mean what R4 says, or are refused."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from shared.fhir.search import Bound, Search, Token, next_page, parse_search
from shared.problems import ProblemError


def search(*pairs: tuple[str, str], strict: bool = False) -> Search:
    return parse_search("RiskAssessment", pairs, allowed={"subject", "patient"}, strict=strict)


def test_values_are_alternatives_and_a_repeated_parameter_narrows() -> None:
    assert search(("_id", "a,b")).ids == ("a", "b")
    assert search(("_id", "a,b"), ("_id", "b,c")).ids == ("b",)


def test_an_identifier_may_name_its_system_no_system_or_any() -> None:
    assert search(("identifier", "http://s|7")).identifiers == (Token("http://s", ("7",)),)
    assert search(("identifier", "|7")).identifiers == (Token("", ("7",)),)
    assert search(("identifier", "7")).identifiers == (Token(None, ("7",)),)


def test_a_patient_may_be_given_by_id_alone() -> None:
    assert search(("patient", "p1")).subjects == ("Patient/p1",)
    assert search(("subject", "Patient/p1")).subjects == ("Patient/p1",)


@pytest.mark.parametrize(
    ("value", "bounds"),
    [
        ("ge2026-11-22T08:00:00Z", (Bound(">=", datetime(2026, 11, 22, 8, tzinfo=UTC)),)),
        ("gt2026-11-22T08:00:00Z", (Bound(">=", datetime(2026, 11, 22, 8, 0, 1, tzinfo=UTC)),)),
        ("lt2026-11-22T09:00:00+01:00", (Bound("<", datetime(2026, 11, 22, 8, tzinfo=UTC)),)),
        ("le2026-11-22", (Bound("<", datetime(2026, 11, 23, tzinfo=UTC)),)),
        (
            "2026-11-22",
            (Bound(">=", datetime(2026, 11, 22, tzinfo=UTC)), Bound("<", datetime(2026, 11, 23, tzinfo=UTC))),
        ),
        ("gt2026-11-22T08:00:00.250Z", (Bound(">=", datetime(2026, 11, 22, 8, 0, 0, 251000, tzinfo=UTC)),)),
    ],
)
def test_times_compare_as_the_span_they_stand_for(value: str, bounds: tuple[Bound, ...]) -> None:
    assert search(("_lastUpdated", value)).last_updated == bounds


@pytest.mark.parametrize(
    "pair",
    [
        ("_lastUpdated", "yesterday"),
        ("_lastUpdated", "ge2026-11-22T08:00:00"),
        ("_count", "-1"),
        ("_count", "many"),
        ("_id", ""),
        ("_page", "not ours"),
        ("_page", "MjAyNi0xMS0yMiB4"),
        ("identifier", "a|1,b|2"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(ProblemError) as refused:
        search(pair)

    assert refused.value.http_status == 400


def test_an_unknown_parameter_is_named_and_with_strict_handling_refused() -> None:
    assert [problem.code for problem in search(("probability", "1")).ignored] == ["search-parameter-unknown"]
    with pytest.raises(ProblemError):
        search(("probability", "1"), strict=True)


def test_a_page_never_holds_more_than_the_limit() -> None:
    assert search(("_count", "100000")).count == 200


def test_the_mark_of_the_next_page_is_read_back() -> None:
    when = datetime(2026, 11, 22, 8, 0, 0, 250000, tzinfo=UTC)

    assert search(("_page", next_page(when, "r-9"))).after == (when, "r-9")


@pytest.mark.parametrize(
    ("value", "start"),
    [("ge2026-11", datetime(2026, 11, 1, tzinfo=UTC)), ("ge2026", datetime(2026, 1, 1, tzinfo=UTC)),
     ("gt2026-12", datetime(2027, 1, 1, tzinfo=UTC)), ("gt2026", datetime(2027, 1, 1, tzinfo=UTC)),
     ("gt2026-02", datetime(2026, 3, 1, tzinfo=UTC))],
)  # fmt: skip
def test_a_time_may_be_given_to_the_month_or_the_year(value: str, start: datetime) -> None:
    assert search(("_lastUpdated", value)).last_updated == (Bound(">=", start),)


def page_mark(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "pair",
    [
        ("_lastUpdated", "9999-12-31"),
        ("_lastUpdated", "lt9999-12-31T23:59:59Z"),
        ("_lastUpdated", "ge0001-01-01T00:00:00+14:00"),
        ("_lastUpdated", "2026-13"),
        ("_lastUpdated", "9999"),
        ("_count", "²"),
        ("_count", "9" * 5000),
        ("_page", page_mark("2026-01-01T00:00:00+00:00 a\x00b")),
        ("_page", page_mark("2026-01-01T00:00:00+00:00 ")),
        ("_page", page_mark("0001-01-01T00:00:00+14:00 a")),
        ("_page", "éé"),
    ],
    ids=lambda pair: f"{pair[0]}={pair[1][:30]!a}",
)
def test_a_value_outside_of_what_can_be_stored_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(ProblemError) as refused:
        search(pair)

    assert refused.value.http_status == 400
