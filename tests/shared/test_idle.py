"""What lies idle is ended after a while, and watching over it costs the same however often it is used."""

from __future__ import annotations

from shared import idle
from shared.idle import Idle
from tests.waiting import eventually


def test_what_nobody_needs_is_ended_after_its_time() -> None:
    ended = list[str]()
    lying = Idle(ended.append, after_s=0.01)
    for name in ("a", "b"):
        lying.put(name)

    eventually(lambda: sorted(ended) == ["a", "b"])
    lying.put("c")

    eventually(lambda: len(ended) == 3)


def test_what_is_used_again_and_again_is_watched_by_one_look() -> None:
    lying = Idle[str](lambda _: None, after_s=60)
    for _ in range(50):
        lying.put("kept")
        assert lying.take() == "kept"

    assert sum(call.function == lying._look for call in idle._ends._calls) == 1
