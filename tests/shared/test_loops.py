"""Loops that go on: how long they rest."""

from __future__ import annotations

import pytest

from shared.loops import sparing_s


@pytest.mark.parametrize(("took_s", "rest_s"), [(0.0, 0.0), (0.1, 0.9), (1.0, 9.0), (60.0, 15.0)])
def test_work_that_takes_long_rests_so_that_it_takes_a_tenth_of_the_time_but_comes_again(
    took_s: float, rest_s: float
) -> None:
    assert sparing_s(took_s, 0.1, 15.0) == pytest.approx(rest_s)


def test_without_a_share_nothing_rests_for_longer_than_its_interval() -> None:
    assert sparing_s(60.0, 1.0, 0.0) == 0.0
