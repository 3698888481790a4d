"""What takes too long is ended, what ends in time is left alone, and one thread is enough for all of it."""

from __future__ import annotations

import threading
import time

from shared.deadlines import Deadlines
from tests.waiting import eventually


def test_what_takes_too_long_is_ended_and_what_ends_in_time_is_not() -> None:
    deadlines, ended = Deadlines("test"), list[str]()
    with deadlines.within(60, lambda: ended.append("in time")):
        pass
    over = threading.Event()
    with deadlines.within(0.01, over.set):
        assert over.wait(10)

    assert ended == []


def test_a_limit_that_is_set_later_may_be_over_sooner() -> None:
    deadlines, over = Deadlines("test"), threading.Event()
    began = time.monotonic()
    with deadlines.within(60, lambda: None), deadlines.within(0.01, over.set):
        assert over.wait(10)

    assert time.monotonic() - began < 30


def test_one_thread_watches_over_many_limits_and_a_call_that_fails_stops_none() -> None:
    deadlines, called = Deadlines("limits-of-a-test"), list[int]()

    def fails() -> None:
        raise ValueError

    deadlines.after(0, fails)
    for number in range(50):
        deadlines.after(0.001 * number, lambda number=number: called.append(number))  # type: ignore[misc]

    eventually(lambda: called == list(range(50)))
    assert sum(thread.name == "limits-of-a-test" for thread in threading.enumerate()) == 1
