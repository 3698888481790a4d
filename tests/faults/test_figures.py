"""A run is good when it came to its end, broke nothing, and showed all that it had to show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.local.faults.command import LONG_DEMANDS, Teller
from deploy.local.faults.figures import TIMES, figures, is_good, missed
from deploy.local.faults.plan import make_plan
from deploy.local.faults.result import Done, Result

ENOUGH = {"responses": 100_000, "kills": 200}


def a_long_run() -> Result:
    """One that showed everything."""
    steps = [Done("F0", action, action=action, told_max_s=1.0) for _, actions, *_ in TIMES for action in actions]
    steps.append(Done("F14", "soak", action="soak", seconds=1801.0))
    failpoints = {str(number) for number in range(LONG_DEMANDS.failpoints)}
    return Result(1, True, LONG_DEMANDS, steps=steps, failpoints=failpoints, unfinished="", **ENOUGH)  # type: ignore[arg-type]


@pytest.mark.requirement("REQ-43")
def test_a_long_run_that_showed_everything_is_good() -> None:
    assert list(missed(a_long_run())) == []
    assert is_good(a_long_run())


@pytest.mark.requirement("REQ-43")
@pytest.mark.parametrize(
    ("short_of", "sentence"),
    [
        ({"responses": 99_999}, "MISSED responses accepted: wanted at least 100,000, found 99,999."),
        ({"kills": 199}, "MISSED processes killed: wanted at least 200, found 199."),
        (
            {"failpoints": {"one"}},
            f"MISSED failpoints that killed: wanted at least {LONG_DEMANDS.failpoints}, found 1.",
        ),
        ({"not_run": ["F3 read-only"]}, "MISSED faults left out: wanted 0, found 1."),
        (
            {"unfinished": "F14 soak", "accepted": 90_000, "compared": 7_000},
            "INTERRUPTED during F14 soak: 7,000 of the 90,000 accepted versions were compared with the database; the "
            "rest, and everything as a whole, was not judged.",
        ),
    ],
)
def test_a_long_run_that_showed_less_is_not_good_and_says_why(short_of: dict[str, object], sentence: str) -> None:
    result = a_long_run()
    for name, value in short_of.items():
        setattr(result, name, value)
    assert list(missed(result)) == [sentence]
    assert not is_good(result)


@pytest.mark.requirement("REQ-43")
def test_a_soak_of_less_than_half_an_hour_is_not_good() -> None:
    result = a_long_run()
    result.steps[-1].seconds = 1700.0
    assert list(missed(result)) == ["MISSED soak, seconds: wanted at least 1,800, found 1,700."]


@pytest.mark.requirement("REQ-43")
@pytest.mark.parametrize(("name", "actions", "most_s"), [(name, actions, most_s) for name, actions, most_s, _ in TIMES])
def test_a_figure_that_was_not_tried_fails_the_long_run_and_not_the_short_one(
    name: str, actions: frozenset[str], most_s: float
) -> None:
    result = a_long_run()
    result.steps = [step for step in result.steps if step.action not in actions]
    assert f"MISSED {name}: wanted at most {most_s:.0f} s, and this run did not try it." in missed(result)

    short = Result(1, long=False, steps=result.steps, unfinished="")
    assert {one.found for one in figures(short) if one.name == name} == {"not run"}
    assert is_good(short)


def test_a_time_that_was_too_long_fails_the_run() -> None:
    slow = Done("F3", "restart", gap_s=11.0, action="restart_database")
    assert not is_good(Result(1, long=False, steps=[slow], unfinished=""))
    slow.gap_s = 3.0
    assert is_good(Result(1, long=False, steps=[slow], unfinished=""))


def test_the_file_says_after_each_fault_what_was_found_and_that_more_was_meant_to_come(tmp_path: Path) -> None:
    result = Result(7, long=True)
    teller = Teller(make_plan(7, long=True), result, silent=True, out=tmp_path / "run.json")
    teller.start(None)
    result.steps.append(Done("F3", "read-only", posts=12))
    result.unfinished = "F3 connection slots taken"

    teller.ended(result.steps[-1])

    said = json.loads((tmp_path / "run.json").read_text())
    assert [step["posts"] for step in said["faults"]] == [12]
    assert said["missed"][0].startswith("INTERRUPTED during F3 connection slots taken")
    assert not said["good"]
