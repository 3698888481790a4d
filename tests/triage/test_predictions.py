"""What a reader is told first: dangers by their own name, reasons that are true, and nothing that must not be said."""

from __future__ import annotations

import pytest

from services.triage.engine.assess import evaluate
from services.triage.engine.model import Findings, Respondent
from services.triage.explanation import Explanation, explain
from services.triage.predictions import Prediction, Role
from tests.triage.packs import NO, NOT_SURE, UNKNOWN, YES, example_pack, patient


def explained(findings: Findings) -> Explanation:
    return explain(example_pack(), evaluate(example_pack(), findings))


def predicted(**facts: object) -> tuple[Prediction, ...]:
    return explained(patient(location="calf", **facts)).predictions


def test_a_fired_flag_keeps_its_own_name_and_the_condition_is_named_inside() -> None:
    first = predicted(leg_swollen_one_side=YES)[0]
    assert (first.role, first.outcome) == (Role.MUST_NOT_MISS, "deep vein thrombosis")
    assert "The likeliest of this, by the answers: deep vein thrombosis." in first.rationale


def test_the_next_step_of_something_less_urgent_waits() -> None:
    told = {one.outcome: " ".join(one.rationale) for one in predicted(chest_pain=YES, onset="sudden")}
    assert "Next:" not in told["calf strain"]


def test_self_care_is_no_next_step_as_long_as_a_flag_is_open() -> None:
    calm = {one.outcome: " ".join(one.rationale) for one in predicted(onset="sudden", cramp_pattern=YES)}
    doubtful = {one.outcome: " ".join(one.rationale) for one in predicted(cramp_pattern=YES, bone_visible=NOT_SURE)}
    assert "Next: Stretching." in calm["night cramps"]
    assert "Next: Stretching." not in doubtful["night cramps"]


def test_of_something_more_urgent_than_the_whole_the_next_step_is_a_should_it_be() -> None:
    told = {one.outcome: " ".join(one.rationale) for one in predicted(onset="sudden")}
    assert "Should it be this: An ultrasound today." in told["deep vein thrombosis"]


def test_who_it_is_and_where_it_hurts_are_no_reasons() -> None:
    for one in predicted(onset="sudden"):
        assert "age" not in " ".join(one.weighed)


def test_places_leave_no_gap_where_something_is_not_named() -> None:
    story = patient(location="calf", age_years=2, injury_story_unclear=YES, respondent=Respondent.CLINICIAN)
    told = explained(story).predictions
    assert sorted(one.place for one in told if one.place is not None) == [1, 2, 3, 4]


@pytest.mark.parametrize("age", [2, UNKNOWN])
@pytest.mark.parametrize("answer", [YES, NO, NOT_SURE])
def test_no_sentence_names_what_only_clinicians_may_read_of(age: object, answer: object) -> None:
    story = patient(location="calf", age_years=age, injury_story_unclear=answer, respondent=Respondent.CLINICIAN)
    words = explained(story)
    said = [*words.changes, *words.reasons, *words.not_excluded, *words.ranking]
    said += [sentence for one in words.predictions for sentence in (one.outcome, *one.rationale)]
    assert "story" not in " ".join(said)
    assert "somebody else" not in " ".join(said)
