"""Every hazard leads to requirements, every requirement to tests, and no link leads nowhere."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest

from tests.traceability import (
    COMMAND,
    PAGE,
    RISK,
    ROOT,
    Hazard,
    MarkedTest,
    Papers,
    Rating,
    Requirement,
    marked_tests,
    page,
    problems,
    read_papers,
)

SAFETY_RULES = [f"SR-{number:02d}" for number in range(1, 24)]

HAZARD = Hazard(
    id="HAZ-1",
    title="A clot is missed",
    causes=("an invented cause",),
    effect="Harm.",
    initial=Rating("major", "medium"),
    residual=Rating("major", "very low"),
    controls=("REQ-1",),
    notes="",
    open="",
)
REQUIREMENT = Requirement(
    id="REQ-1", text="It must hold.", hazards=("HAZ-1",), implemented_in=("SAFETY.md",), missing=""
)
SOUND = Papers((HAZARD,), (REQUIREMENT,), (MarkedTest("tests/test_x.py", "test_x", ("REQ-1",)),))


@cache
def papers() -> Papers:
    return read_papers()


def test_no_hazard_requirement_or_test_dangles() -> None:
    assert list(problems(papers())) == []


def test_the_page_is_what_the_papers_and_markers_say() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(papers()), f"run: {COMMAND}"


@pytest.mark.parametrize("rule", SAFETY_RULES)
def test_every_safety_rule_is_a_requirement_with_a_test_of_its_name(rule: str) -> None:
    assert rule in [one.id for one in papers().requirements]
    name = f"test_{rule.replace('-', '_')}_"
    assert [test.name for test in papers().tests if test.name.startswith(name) and rule in test.requirements]


def test_a_test_that_bears_the_name_of_a_rule_is_marked_with_it() -> None:
    for test in papers().tests:
        for rule in SAFETY_RULES:
            if f"{rule.replace('-', '_')}_" in test.name:
                assert rule in test.requirements, test.name


def test_sound_papers_have_no_problem() -> None:
    assert list(problems(SOUND)) == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (replace(SOUND, tests=()), "REQ-1 has no test"),
        (
            replace(SOUND, tests=(*SOUND.tests, MarkedTest("tests/test_x.py", "test_y", ("REQ-2",)))),
            "tests/test_x.py::test_y names REQ-2, which is no requirement",
        ),
        (replace(SOUND, hazards=(replace(HAZARD, controls=()),)), "HAZ-1 has no control"),
        (replace(SOUND, hazards=(HAZARD, HAZARD)), "HAZ-1 is there twice"),
        (
            replace(SOUND, hazards=(replace(HAZARD, controls=("REQ-1", "REQ-3")),)),
            "HAZ-1 is controlled by REQ-3, which is no requirement",
        ),
        (replace(SOUND, requirements=(replace(REQUIREMENT, hazards=()),)), "REQ-1 controls no hazard"),
        (
            replace(SOUND, requirements=(replace(REQUIREMENT, hazards=("HAZ-1", "HAZ-2")),)),
            "REQ-1 controls HAZ-2, which is no hazard",
        ),
        (
            replace(SOUND, requirements=(REQUIREMENT, replace(REQUIREMENT, id="REQ-2"))),
            "REQ-2 controls HAZ-1, which does not say so",
        ),
        (
            replace(SOUND, requirements=(replace(REQUIREMENT, implemented_in=("services/nowhere.py",)),)),
            "REQ-1 is implemented in services/nowhere.py, which does not exist",
        ),
        (replace(SOUND, requirements=(replace(REQUIREMENT, implemented_in=()),)), "REQ-1 is implemented nowhere"),
        (
            replace(SOUND, hazards=(replace(HAZARD, residual=Rating("major", "medium")),)),
            "HAZ-1 keeps a risk of 3 and does not say what is still to be done",
        ),
        (
            replace(SOUND, hazards=(replace(HAZARD, residual=Rating("major", "very high")),)),
            "HAZ-1 is riskier with its controls than without",
        ),
        (
            replace(SOUND, hazards=(replace(HAZARD, initial=Rating("bad", "medium")),)),
            "HAZ-1 is rated 'bad', which is not in the scheme",
        ),
    ],
)
def test_a_link_that_leads_nowhere_is_told(broken: Papers, said: str) -> None:
    assert said in list(problems(broken))


def test_risk_never_falls_with_severity_or_likelihood() -> None:
    for row, next_row in pairwise(RISK):
        assert list(row) == sorted(row)
        assert all(lower <= higher for lower, higher in zip(row, next_row, strict=True))


def test_markers_are_found_in_the_source_with_everything_they_name() -> None:
    found = {test.name: test.requirements for test in marked_tests()}

    assert "SR-04" in found["test_SR_04_one_unanswered_question_of_page_1_is_a_same_day_call"]
