"""A criterion that is written out again says exactly what the pack says."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.triage.engine.criteria import All, AnyOf, Compare, Criterion, Fact, Not, Operator, OrUnknown
from services.triage.engine.criteria_text import criterion_text
from services.triage.engine.model import FactKind
from services.triage.engine.pack import Pack
from services.triage.knowledge.criteria_language import Vocabulary, parse_criterion
from services.triage.knowledge.loader import every_pack

VOCABULARY = Vocabulary(
    kinds={
        "numb": FactKind.PRESENCE,
        "weak": FactKind.PRESENCE,
        "text_match(other_concerns)": FactKind.PRESENCE,
        "severity_0_10": FactKind.QUANTITY,
        "location": FactKind.CHOICE,
    },
    codes={"location": frozenset({"calf", "over_1"})},
)

presence = st.builds(Fact, st.sampled_from(["numb", "weak"]))
leaves: st.SearchStrategy[Criterion] = st.one_of(
    presence,
    st.builds(Fact, st.just("text_match(other_concerns)")),
    st.builds(OrUnknown, presence),
    st.builds(
        Compare,
        st.just("severity_0_10"),
        st.sampled_from(Operator),
        st.decimals(allow_nan=False, allow_infinity=False, places=2),
    ),
    st.builds(
        Compare,
        st.just("location"),
        st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL]),
        st.sampled_from(["calf", "over_1"]),
    ),
)


def several(parts: st.SearchStrategy[Criterion]) -> st.SearchStrategy[tuple[Criterion, ...]]:
    return st.lists(parts, min_size=2, max_size=3).map(tuple)


criteria = st.recursive(
    leaves,
    lambda parts: st.one_of(
        st.builds(Not, parts.filter(lambda part: not isinstance(part, OrUnknown))),
        st.builds(All, several(parts)),
        st.builds(AnyOf, several(parts)),
    ),
    max_leaves=15,
)


@given(criteria)
@settings(max_examples=200)
def test_a_criterion_that_is_written_out_and_read_again_is_equal(criterion: Criterion) -> None:
    assert parse_criterion(criterion_text(criterion), VOCABULARY) == criterion


@pytest.mark.parametrize(
    "text",
    [
        "numb | weak & text_match(other_concerns)",
        "(numb | weak) & !(severity_0_10>=7.50)",
        "!(numb & weak) | numb~ & location!=over_1",
        "numb | (numb | weak)",
    ],
)
def test_brackets_are_written_only_where_they_say_something(text: str) -> None:
    assert criterion_text(parse_criterion(text, VOCABULARY)) == text


@pytest.mark.parametrize("criterion", [All(()), AnyOf((Fact("numb"),)), Not(OrUnknown(Fact("numb")))])
def test_what_cannot_be_read_is_not_written(criterion: Criterion) -> None:
    with pytest.raises(ValueError):
        criterion_text(criterion)


def test_every_criterion_of_every_pack_survives_being_written_out() -> None:
    for pack in every_pack().values():
        vocabulary = vocabulary_of(pack)
        for criterion in criteria_in(pack.content):
            assert parse_criterion(criterion_text(criterion), vocabulary) == criterion


def vocabulary_of(pack: Pack) -> Vocabulary:
    kinds = dict.fromkeys(pack.slots, FactKind.PRESENCE) | {name: fact.kind for name, fact in pack.facts.items()}
    kinds |= {score.known_points_fact: FactKind.QUANTITY for score in pack.content.scores if score.known_points_fact}
    return Vocabulary(kinds, {fact.name: fact.codes for fact in pack.content.facts})


def criteria_in(value: object) -> Iterator[Criterion]:
    """Every criterion anywhere in the content of a pack."""
    match value:
        case Fact() | OrUnknown() | Not() | All() | AnyOf() | Compare():
            yield value
        case tuple():
            for part in value:
                yield from criteria_in(part)
        case str() | Decimal():
            return
        case _:
            for name in getattr(value, "__dataclass_fields__", ()):
                yield from criteria_in(getattr(value, name))
