"""The arithmetic of the benchmark: percentiles, blocks that do not count, units."""

from __future__ import annotations

import pytest

from deploy.local.benchmark.numbers import Block, is_steady, percentile, short, spread, steady_ones


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert percentile(values, 50) == 50
    assert percentile(values, 99) == 99
    assert percentile(values, 100) == 100
    assert percentile([7.0], 99) == 7
    assert percentile([3.0, 1.0, 2.0], 50) == 2


def test_of_nothing_there_is_no_percentile_and_no_median() -> None:
    assert percentile([], 99) is None
    assert spread([]) is None
    assert short(None) == "-"


def test_one_slow_request_in_a_hundred_shows_in_the_highest_percentile_and_not_in_the_median() -> None:
    values = [0.005] * 99 + [3.0]
    assert percentile(values, 50) == 0.005
    assert percentile(values, 99) == 0.005
    assert percentile(values, 99.5) == 3.0


def test_the_spread_is_the_median_with_its_quartiles() -> None:
    found = spread([5.0, 1.0, 2.0, 3.0, 4.0])
    assert found is not None
    assert (found.low, found.median, found.high, found.blocks) == (2.0, 3.0, 4.0, 5)


def test_a_cost_in_units_is_measured_against_the_unit_before_and_after() -> None:
    assert Block(cost=3e-3, before=30e-6, after=30e-6).units == pytest.approx(100)
    assert Block(cost=3e-3, before=28e-6, after=32e-6).units == pytest.approx(100)


@pytest.mark.parametrize(
    ("before", "after", "steady"),
    [(30.0, 30.0, True), (30.0, 34.5, True), (34.5, 30.0, True), (30.0, 34.6, False), (50.0, 30.0, False)],
)
def test_a_block_counts_only_when_the_machine_was_the_same_before_and_after(
    before: float, after: float, steady: bool
) -> None:
    assert is_steady(before, after) is steady
    assert Block(1.0, before, after).steady is steady


def test_unsteady_blocks_are_dropped_and_where_all_are_unsteady_none_is() -> None:
    good, bad = Block(1.0, 30, 31), Block(2.0, 30, 60)
    assert steady_ones([good, bad, good], lambda block: block) == [good, good]
    assert steady_ones([bad, bad], lambda block: block) == [bad, bad]
