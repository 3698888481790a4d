"""Answers of a refused submission are put in their places once each, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from services.triage.tolerant import _sameness, understood
from shared.fhir.salvage import MOST_DIGITS, FoundAnswer
from tests.builders import posterior_lower_limb

MANY = 2_000


def given(link_id: str, values: Sequence[Any]) -> list[Any]:
    """What is understood of these answers to one question."""
    response = understood([FoundAnswer(link_id, "", value) for value in values], posterior_lower_limb())
    items = [] if response is None else list(response["item"])
    while items:
        item = items.pop()
        if item.get("linkId") == link_id:
            return list(item["answer"])
        items += [*item.get("item", []), *(inner for one in item.get("answer", []) for inner in one.get("item", []))]
    return []


class Compared(str):
    """A text that counts how often it is compared with another."""

    __slots__ = ()
    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


@pytest.mark.requirement("REQ-30")
def test_many_answers_to_one_question_are_not_compared_each_with_all_before_it() -> None:
    texts = [Compared(f"text {number}") for number in range(MANY)]
    Compared.times = 0
    assert len(given("other_concerns", [*texts, *map(Compared, texts)])) == MANY
    assert Compared.times < 10 * MANY


@pytest.mark.requirement("REQ-30")
def test_numbers_that_were_chosen_to_look_alike_are_told_apart_without_comparing_them() -> None:
    """Python gives all of these one hash."""
    numbers = [Decimal(f"36.{number * (2**61 - 1):040d}") for number in range(1, MANY)]
    assert len({hash(number) for number in numbers}) == 1
    assert len({hash(_sameness({"valueDecimal": number})) for number in numbers}) > 0.99 * MANY


@pytest.mark.requirement("REQ-30")
@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (["37", "37.0", 37, 37.0, "3.70E+1", "37,00"], 1),
        (["0", "-0", "-0.00", "0E+5"], 1),
        (["37.1", "37.10", "37.1" + "0" * 50 + "1"], 2),
        ([{"value": 37, "unit": "C"}, {"unit": "C", "value": "37.0"}, {"value": 37, "code": "C"}, 37], 3),
        (["9" * MOST_DIGITS], 0),
        (["37." + "0" * MOST_DIGITS], 0),
    ],
)
def test_equal_numbers_are_one_answer_and_other_ones_are_not(values: list[Any], kept: int) -> None:
    assert len(given("temp_c", values)) == kept


@pytest.mark.requirement("REQ-30")
@pytest.mark.parametrize("number", [1, 0, "1.0"])
def test_a_number_is_never_taken_for_a_yes_or_no_that_python_calls_equal(number: Any) -> None:
    kept = {_sameness({"valueDecimal": Decimal(number)}), _sameness({"valueBoolean": bool(Decimal(number))})}
    assert len(kept) == 2


@pytest.mark.requirement("REQ-30")
def test_the_same_option_in_several_spellings_is_one_answer() -> None:
    assert len(given("chest_pain", ["Y", "yes", True, "No"])) == 2
