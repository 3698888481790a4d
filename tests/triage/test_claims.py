"""What is said about changing answers is true: every claim about every story is tried by changing the answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.triage.engine.assess import evaluate
from services.triage.engine.counterfactual import Change, counterfactual
from services.triage.engine.model import FactKind, Findings, Presence, Value
from services.triage.engine.results import Assessment
from services.triage.engine.weighing import Weighing
from services.triage.explanation import explain
from tests.builders import a_response
from tests.triage.test_stories import STORIES, UNLESS_SAID, pack, reader


def told(story: dict[str, Any], **more: object) -> Assessment:
    response = a_response({**UNLESS_SAID, **story["answers"], **more}, optional=True)
    return evaluate(pack(), reader().read(response).findings)


def changed(assessment: Assessment, change: Change) -> Assessment:
    """The same person, but for another answer to that one question."""
    fact, given = pack().facts[change.fact], assessment.findings
    values: dict[str, Value] = {change.fact: change.value}
    if fact.kind is FactKind.PRESENCE:
        yes = (change.value is Presence.PRESENT) is not fact.negated
        for other in pack().facts_of[fact.link_id]:
            values[other.name] = Presence.PRESENT if yes is not other.negated else Presence.ABSENT
    others = {name: replace(given.get(name), value=value, alternatives=()) for name, value in values.items()}
    return evaluate(pack(), Findings({**given.by_name, **others}, given.respondent))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["id"])
def test_every_claim_about_another_answer_holds_when_it_is_tried(story: dict[str, Any]) -> None:
    assessment = told(story)
    found = counterfactual(pack(), assessment, Weighing(pack(), assessment))
    for change in found.raising:
        urgency = changed(assessment, change).urgency
        assert urgency is not None
        assert urgency.rank <= change.urgency.rank, change
    for change in found.lowering:
        assert changed(assessment, change).urgency is change.urgency, change


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["id"])
def test_the_weights_of_every_candidate_add_up_to_what_counted(story: dict[str, Any]) -> None:
    assessment = told(story)
    weighing = Weighing(pack(), assessment)
    for candidate in assessment.candidates:
        assert sum(one.weight for one in weighing.of(candidate.condition)) == candidate.ratio, candidate.condition.id


def test_of_a_question_that_asks_what_one_can_do_the_no_is_named_as_the_danger() -> None:
    calf = {"answers": {"location": "posterior_ankle", "onset": "sudden", "duration_days": 1, "mechanism": "misstep"}}
    changes = " ".join(explain(pack(), told(calf, can_lift_foot="ASKU")).changes)
    assert "off the floor while the heel stays down?” No: " in changes
    assert "off the floor while the heel stays down?” Yes" not in changes


def test_nothing_is_said_of_a_childs_story_to_those_who_tell_it() -> None:
    child = {"answers": {"respondent": "parent_carer", "age_years": 1, "trauma": "Y", "mechanism": "fall"}}
    words = explain(pack(), told(child))
    said = [*words.changes, *words.reasons, *words.not_excluded, *words.ranking, *words.review]
    said += [sentence for one in words.predictions for sentence in (one.outcome, *one.rationale)]
    for word in ("carer", "accident", "safeguard", "story", "abuse"):
        assert word not in " ".join(said).casefold()
