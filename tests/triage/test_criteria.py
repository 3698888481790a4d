"""The language of criteria: what may be written, what is refused and where, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.triage.engine.compile import Compiler
from services.triage.engine.criteria import (
    All,
    AnyOf,
    Compare,
    Criterion,
    Fact,
    Not,
    Operator,
    OrUnknown,
    names_in,
)
from services.triage.engine.model import MORE_UNKNOWN, FactKind, Missing
from services.triage.engine.truth import NO, UNKNOWN, YES
from services.triage.knowledge.criteria_language import CriterionError, Vocabulary, parse_criterion

VOCABULARY = Vocabulary(
    kinds={
        "chest_pain": FactKind.PRESENCE,
        "numb": FactKind.PRESENCE,
        "weak": FactKind.PRESENCE,
        "severity_0_10": FactKind.QUANTITY,
        "location": FactKind.CHOICE,
        "other_concerns": FactKind.TEXT,
        "text_match(other_concerns)": FactKind.PRESENCE,
    },
    codes={"location": frozenset({"calf", "heel", "over_1"})},
)
SLOTS = {name: slot for slot, name in enumerate(VOCABULARY.kinds)}
ALL_UNKNOWN: Mapping[str, object] = {
    "chest_pain": UNKNOWN,
    "numb": UNKNOWN,
    "weak": UNKNOWN,
    "severity_0_10": (Missing.UNKNOWN,),
    "location": (Missing.UNKNOWN,),
    "other_concerns": (Missing.UNKNOWN,),
    "text_match(other_concerns)": NO,
}


def parse(text: str) -> Criterion:
    return parse_criterion(text, VOCABULARY)


def truth(criterion: Criterion | str, **facts: object) -> int:
    parsed = parse(criterion) if isinstance(criterion, str) else criterion
    values = [{**ALL_UNKNOWN, **facts}[name] for name in SLOTS]
    return Compiler(SLOTS).compile(parsed)(values)


def test_and_binds_tighter_than_or() -> None:
    assert parse("numb | weak & chest_pain") == AnyOf((Fact("numb"), All((Fact("weak"), Fact("chest_pain")))))


def test_brackets_and_negation_are_read_as_written() -> None:
    assert parse("!(numb | weak) & chest_pain~") == All(
        (Not(AnyOf((Fact("numb"), Fact("weak")))), OrUnknown(Fact("chest_pain")))
    )


@pytest.mark.parametrize(
    ("text", "relation"),
    [(">=", Operator.AT_LEAST), ("<=", Operator.AT_MOST), (">", Operator.MORE), ("<", Operator.LESS)],
)
def test_numbers_are_compared_exactly(text: str, relation: Operator) -> None:
    assert parse(f"severity_0_10 {text} 2.90") == Compare("severity_0_10", relation, Decimal("2.90"))


def test_the_words_of_the_free_text_are_asked_for_by_their_fact() -> None:
    assert parse("text_match(other_concerns)") == Fact("text_match(other_concerns)")


@pytest.mark.requirement("REQ-19")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: expected a fact, ! or (, found the end"),
        ("numb &", "column 7: expected a fact, ! or (, found the end"),
        ("numb & pain", "column 8: unknown fact 'pain'"),
        ("numb weak", "column 6: expected & or | or the end, found 'weak'"),
        ("(numb | weak", "column 13: expected ), found the end"),
        ("numb>=2", "column 5: numb is a presence fact and cannot be compared"),
        (
            "severity_0_10",
            "column 14: expected a comparison, because severity_0_10 is a quantity, found the end",
        ),
        ("severity_0_10>=calf", "column 16: expected a number, found 'calf'"),
        ("severity_0_10>=1e3", "column 16: expected a number, found '1e3'"),
        ("location=toe", "column 10: expected a code of location, found 'toe'"),
        ("location>=calf", "column 9: expected = or !=, because location is a choice, found '>='"),
        ("numb & !weak~", "column 8: !weak~ can be read in two ways"),
        ("__import__", "column 1: expected a fact, ! or (, found '__import__'"),
        ("numb; weak", "column 5: expected & or | or the end, found ';'"),
        ("text_match(numb)", "column 12: expected a free text for which the pack lists words, found 'numb'"),
        (
            "other_concerns",
            "column 15: expected a comparison, because other_concerns is a text, found the end",
        ),
    ],
)
def test_a_faulty_criterion_is_refused_with_the_column_and_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(CriterionError) as refused:
        parse(text)
    assert str(refused.value).startswith(message)


def test_brackets_cannot_be_nested_without_end() -> None:
    with pytest.raises(CriterionError, match="nested more than 40 deep"):
        parse("(" * 500 + "numb" + ")" * 500)


@pytest.mark.requirement("SR-03")
@pytest.mark.parametrize(
    ("text", "numb", "weak", "expected"),
    [
        ("numb & weak", YES, UNKNOWN, UNKNOWN),
        ("numb & weak", NO, UNKNOWN, NO),
        ("numb | weak", YES, UNKNOWN, YES),
        ("numb | weak", NO, UNKNOWN, UNKNOWN),
        ("!numb", UNKNOWN, NO, UNKNOWN),
        ("!numb", NO, NO, YES),
        ("numb~", UNKNOWN, NO, YES),
        ("numb~", NO, NO, NO),
    ],
)
def test_unknown_is_never_no(text: str, numb: int, weak: int, expected: int) -> None:
    assert truth(text, numb=numb, weak=weak) == expected


@pytest.mark.requirement("SR-03")
@pytest.mark.parametrize("text", ["severity_0_10>=7", "severity_0_10!=7", "location=calf", "location!=calf"])
def test_a_comparison_with_an_unknown_value_is_unknown(text: str) -> None:
    assert truth(text) == UNKNOWN


@pytest.mark.parametrize("text", ["severity_0_10>=7", "severity_0_10<7", "location=calf", "location!=calf"])
def test_a_comparison_with_a_value_that_does_not_apply_is_no(text: str) -> None:
    not_asked = (Missing.NOT_APPLICABLE,)
    assert truth(text, severity_0_10=not_asked, location=not_asked) == NO


def test_three_centimetres_are_at_least_three() -> None:
    assert truth("severity_0_10>=3", severity_0_10=(Decimal("3.0"),)) == YES
    assert truth("severity_0_10>=3", severity_0_10=(Decimal("2.9"),)) == NO


def test_one_of_several_chosen_codes_is_enough() -> None:
    both = (frozenset({"calf", "heel"}),)
    assert truth("location=heel", location=both) == YES
    assert truth("location!=heel", location=both) == NO


def test_a_choice_with_one_answer_not_sure_leaves_the_other_codes_unknown() -> None:
    partly = (frozenset({"calf", MORE_UNKNOWN}),)
    assert truth("location=calf", location=partly) == YES
    assert truth("location=heel", location=partly) == UNKNOWN
    assert truth("location!=heel", location=partly) == UNKNOWN


@pytest.mark.requirement("SR-05")
def test_contradicting_answers_make_both_truths_possible() -> None:
    assert truth("numb | weak", numb=YES | NO, weak=NO) == YES | NO
    assert truth("severity_0_10>=7", severity_0_10=(Decimal(2), Decimal(9))) == YES | NO


facts = st.sampled_from(["chest_pain", "numb", "weak"])
criteria: st.SearchStrategy[Criterion] = st.recursive(
    st.builds(Fact, facts),
    lambda parts: st.one_of(
        st.builds(Not, parts),
        st.builds(All, st.lists(parts, min_size=1, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(parts, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=12,
)
answers = st.fixed_dictionaries({name: st.sampled_from([YES, NO, UNKNOWN]) for name in ("chest_pain", "numb", "weak")})


@pytest.mark.requirement("SR-03")
@given(criteria, answers, facts)
@settings(max_examples=150)
def test_forgetting_an_answer_may_leave_a_criterion_undecided_but_never_turns_it_round(
    criterion: Criterion, given_answers: dict[str, int], forgotten: str
) -> None:
    before = truth(criterion, **given_answers)
    after = truth(criterion, **{**given_answers, forgotten: UNKNOWN})
    assert after in (before, UNKNOWN)


@pytest.mark.requirement("SR-05")
@given(criteria, answers)
@settings(max_examples=150)
def test_every_truth_under_some_reading_is_among_the_truths_under_contradiction(
    criterion: Criterion, given_answers: dict[str, int]
) -> None:
    contradicting = truth(criterion, **{**given_answers, "numb": YES | NO})
    under_readings = truth(criterion, **{**given_answers, "numb": YES}) | truth(
        criterion, **{**given_answers, "numb": NO}
    )
    assert contradicting & under_readings == under_readings


def _written(criterion: Criterion) -> str:
    match criterion:
        case Fact(name):
            return name
        case Not(part):
            return f"!{_written(part)}"
        case All(parts):
            return f"({' & '.join(map(_written, parts))})"
        case AnyOf(parts):
            return f"({' | '.join(map(_written, parts))})"
    raise TypeError(criterion)


@given(criteria, answers)
@settings(max_examples=100)
def test_a_criterion_means_the_same_after_it_was_written_down_and_read_again(
    criterion: Criterion, given_answers: dict[str, int]
) -> None:
    again = parse(_written(criterion))
    assert truth(again, **given_answers) == truth(criterion, **given_answers)
    assert set(names_in(again)) == set(names_in(criterion))
