"""Rules over all flags: an incomplete screen, contradictions and floors only ever raise an urgency."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.triage.engine.assess import evaluate
from services.triage.engine.model import Findings, Urgency, Visibility
from services.triage.engine.results import Assessment, DataQuality
from services.triage.knowledge.cases import line_verdict
from services.triage.knowledge.loader import load_pack
from tests.triage.packs import (
    NO,
    NOT_SURE,
    UNKNOWN,
    YES,
    added,
    example_pack,
    hidden,
    out_of_range,
    patient,
    two_answers,
)


def assess(findings: Findings) -> Assessment:
    return evaluate(example_pack(), findings)


def floors(assessment: Assessment) -> list[str]:
    return [floor.id for floor in assessment.floors]


def test_one_unanswered_question_of_page_1_is_seen_the_same_day() -> None:
    assessment = assess(patient(chest_pain=NOT_SURE))
    assert assessment.urgency is Urgency.SAME_DAY
    assert assessment.floors[0].facts == ("chest_pain",)
    assert assessment.quality.codes == (DataQuality.INCOMPLETE,)


def test_a_missing_page_1_answer_is_the_same_as_not_sure() -> None:
    complete = patient()
    missing = Findings(
        {name: finding for name, finding in complete.by_name.items() if name != "chest_pain"},
        complete.respondent,
    )
    assert assess(missing).urgency is Urgency.SAME_DAY


def test_the_screen_floor_can_be_told_apart_from_what_the_answers_say() -> None:
    assessment = assess(patient(chest_pain=NOT_SURE))
    assert assessment.clinical_urgency is Urgency.ROUTINE


def test_another_unanswered_safety_question_is_never_self_care() -> None:
    assessment = assess(patient(active_cancer=NOT_SURE))
    assert assessment.urgency is Urgency.ROUTINE
    assert floors(assessment) == ["screen-required"]


@pytest.mark.parametrize("facts", [{"severity_0_10": 5}, {"onset": "sudden"}])
def test_two_unanswered_safety_questions_in_severe_or_sudden_pain_are_seen_the_same_day(
    facts: dict[str, Any],
) -> None:
    assessment = assess(patient(active_cancer=NOT_SURE, numb_tingling=NOT_SURE, **facts))
    assert assessment.urgency is Urgency.SAME_DAY
    assert floors(assessment) == ["screen-raised"]


def test_two_unanswered_safety_questions_in_mild_pain_are_routine() -> None:
    assessment = assess(patient(active_cancer=NOT_SURE, numb_tingling=NOT_SURE, severity_0_10=4))
    assert assessment.urgency is Urgency.ROUTINE


def test_one_unanswered_safety_question_in_severe_pain_is_routine() -> None:
    assert assess(patient(active_cancer=NOT_SURE, severity_0_10=6)).urgency is Urgency.ROUTINE


def test_a_question_hidden_behind_an_unanswered_gate_is_counted_only_through_its_gate() -> None:
    behind = hidden(NOT_SURE, visibility=Visibility.HIDDEN_UNKNOWN)
    assert floors(assess(patient(active_cancer=behind))) == []
    assert floors(assess(patient(active_cancer=behind, trauma=NOT_SURE))) == ["screen-required"]


def test_an_examination_item_that_nobody_examined_is_no_gap_in_the_screen() -> None:
    assert floors(assess(patient(injury_story_unclear=NOT_SURE))) == []


def test_a_pack_floor_holds_whatever_the_flags_say() -> None:
    assessment = assess(patient(location="other"))
    assert assessment.urgency is Urgency.ROUTINE
    assert assessment.raises == ("out_of_scope",)


def test_a_floor_never_lowers_a_flag() -> None:
    assert assess(patient(location="other", chest_pain=YES)).urgency is Urgency.EMERGENCY


def test_a_denied_injury_with_a_way_of_injury_takes_the_more_urgent_reading() -> None:
    assessment = assess(patient(trauma=NO, mechanism="high_energy"))
    assert line_verdict(assessment, "RFX-04") == "fired"
    assert assessment.quality.codes == (DataQuality.CONTRADICTORY,)
    assert assessment.raises == ("fracture_suspected", "inconsistent_answers")


def test_a_contradiction_that_guards_an_emergency_is_seen_the_same_day_also_when_no_flag_fires() -> None:
    assessment = assess(patient(trauma=NO, mechanism="fall"))
    assert line_verdict(assessment, "RFX-28") == "not_fired"
    assert assessment.urgency is Urgency.SAME_DAY
    assert assessment.floors[0].facts == ("trauma", "mechanism")


def test_no_contradiction_is_seen_where_an_answer_is_unknown() -> None:
    assert assess(patient(trauma=NO, mechanism=UNKNOWN)).quality.contradictions == ()


def test_two_answers_to_one_question_take_the_more_urgent_one() -> None:
    assessment = assess(patient(chest_pain=two_answers(YES, NO)))
    assert assessment.urgency is Urgency.EMERGENCY
    assert assessment.quality.conflicting == ("chest_pain",)
    assert "inconsistent_answers" in assessment.raises


def test_two_answers_about_an_emergency_are_seen_the_same_day_also_when_neither_fires() -> None:
    assessment = assess(patient(severity_0_10=two_answers(Decimal(1), Decimal(8))))
    assert assessment.fired == ()
    assert assessment.urgency is Urgency.SAME_DAY
    assert floors(assessment) == ["two-answers"]


def test_two_answers_about_something_that_guards_no_emergency_are_only_reported() -> None:
    assessment = assess(patient(bedridden_3d=two_answers(YES, NO)))
    assert assessment.floors == ()
    assert assessment.quality.codes == (DataQuality.CONTRADICTORY,)


def test_a_number_out_of_range_is_unknown_and_reported() -> None:
    assessment = assess(patient(severity_0_10=out_of_range(), foot_cold_pale_blue=YES))
    assert line_verdict(assessment, "RFX-02a") == "undecided"
    assert assessment.quality.unusable == ("severity_0_10",)
    assert DataQuality.UNUSABLE in assessment.quality.codes


def test_a_second_flag_added_to_a_pack_never_lowers_an_urgency(tmp_path: Path) -> None:
    more = load_pack(
        added(
            tmp_path,
            "red_flags.toml",
            '[[flag]]\nid = "RFX-99"\nguards = "cramp"\nrationale = "An added flag."\n'
            '[[flag.line]]\nid = "RFX-99"\nurgency = "routine"\nwhen = "cramp_pattern"\ntext = "RFX-01"\n',
        )
    )
    different: list[dict[str, Any]] = [{"chest_pain": YES}, {"cramp_pattern": YES}, {}, {"leg_swollen_one_side": YES}]
    for facts in different:
        before, after = assess(patient(**facts)).urgency, evaluate(more, patient(**facts)).urgency
        assert before is not None
        assert after is not None
        assert after.rank <= before.rank
