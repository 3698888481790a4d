"""How answers are told: as people write, and in the words of the Questionnaire."""

from __future__ import annotations

from typing import Any

import pytest

from services.triage.engine.assess import evaluate
from services.triage.explanation import Explanation, explain
from services.triage.findings import FactReader
from services.triage.knowledge.loader import load_packs
from services.triage.told import without_hints
from tests.builders import a_response, posterior_lower_limb
from tests.triage.test_stories import UNLESS_SAID

PACK = load_packs()[posterior_lower_limb().canonical]
READER = FactReader(posterior_lower_limb(), PACK.content.facts)


def explained(**answers: Any) -> Explanation:
    """What is said of the person of the stories with these answers; None leaves a question unanswered."""
    given = {name: value for name, value in {**UNLESS_SAID, **answers}.items() if value is not None}
    return explain(PACK, evaluate(PACK, READER.read(a_response(given, optional=True)).findings))


def said(explanation: Explanation) -> str:
    """All sentences about answers, in one text."""
    predictions = [sentence for one in explanation.predictions for sentence in one.rationale]
    parts = (explanation.reasons, explanation.not_excluded, explanation.changes, explanation.scores, predictions)
    return " ".join(sentence for part in parts for sentence in part)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("Do you have a fever (38 °C or more), chills or shaking?", "Do you have a fever, chills or shaking?"),
        ("Can you walk 4 steps now (even with help)?", "Can you walk 4 steps now?"),
    ],
)
def test_a_question_is_told_without_what_stands_in_brackets_and_without_the_gap(asked: str, told: str) -> None:
    assert without_hints(asked) == told


def test_one_day_is_a_day() -> None:
    text = said(explained(duration_days=1, onset="gradual"))

    assert "1 day" in text
    assert "1 days" not in text


def test_no_full_stop_follows_a_question_mark() -> None:
    assert "?." not in said(explained(can_walk_4_steps="ASKU", laterality="ASKU"))


def test_an_answer_that_would_change_the_urgency_is_told_in_the_words_of_the_question() -> None:
    explanation = explained(respondent="clinician", location="foot", duration_days=3)
    loss = next(one for one in explanation.changes if "Acute loss of feeling in the foot" in one)

    assert "” toes:" not in loss
    assert "” Toes" in loss


def test_a_score_without_points_says_none() -> None:
    scores = explained(respondent="clinician", location="calf", duration_days=60, abi=0.8).scores
    index = next(one for one in scores if one.startswith("Ankle-brachial pressure index"))

    assert "points" not in index.split(".")[0]
