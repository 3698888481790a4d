"""Scores as intervals: the unknown never reassures, and an unanswered question never hides an alarm."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from services.triage.engine.assess import evaluate
from services.triage.engine.model import Findings, Respondent
from services.triage.engine.results import ScoreResult
from services.triage.knowledge.cases import line_verdict
from tests.triage.packs import NO, NOT_SURE, UNKNOWN, YES, example_pack, patient, two_answers


def wells(findings: Findings) -> ScoreResult:
    return evaluate(example_pack(), findings).scores[0]


def examined(**facts: object) -> Findings:
    """Answers entered by a clinician who examined everything and found nothing but these."""
    usual: dict[str, Any] = {"calf_circumference_diff_cm": 0, "alternative_dx_at_least_as_likely": NO}
    return patient(respondent=Respondent.CLINICIAN, **{**usual, **facts})


def points(result: ScoreResult) -> tuple[int, int, int]:
    assert result.minimum is not None
    assert result.maximum is not None
    assert result.known_points is not None
    return int(result.minimum), int(result.maximum), int(result.known_points)


def test_cancer_and_a_calf_three_centimetres_larger_make_a_clot_likely() -> None:
    result = wells(examined(active_cancer=YES, calf_circumference_diff_cm=Decimal("3.0")))
    assert points(result) == (2, 2, 2)
    assert result.score_class is not None
    assert result.score_class.code == "likely"


def test_an_equally_likely_other_diagnosis_takes_two_points_when_a_clinician_says_so() -> None:
    result = wells(
        examined(
            leg_swollen_one_side=YES,
            calf_circumference_diff_cm=Decimal("2.9"),
            alternative_dx_at_least_as_likely=YES,
        )
    )
    assert points(result) == (-1, -1, -1)
    assert result.score_class is not None
    assert result.score_class.code == "unlikely"


def test_without_an_examination_the_score_is_an_interval_and_no_class_is_given() -> None:
    result = wells(patient(active_cancer=YES))
    assert points(result) == (-1, 3, 1)
    assert result.score_class is None
    assert result.unknown_items == ("leg_swollen", "calf_difference", "alternative")


def test_an_unanswered_other_diagnosis_does_not_hide_the_known_points() -> None:
    findings = patient(active_cancer=YES, bedridden_3d=YES)
    assert points(wells(findings))[2] == 2
    assert line_verdict(evaluate(example_pack(), findings), "RFX-15") == "fired"


def test_bedridden_and_operated_counts_once() -> None:
    assert points(wells(examined(bedridden_3d=YES, major_surgery_12w=YES))) == (1, 1, 1)


def test_bedridden_counts_also_when_the_operation_is_unknown() -> None:
    assert points(wells(examined(bedridden_3d=YES, major_surgery_12w=NOT_SURE))) == (1, 1, 1)


def test_a_patients_swollen_leg_counts_for_the_alarm_but_never_settles_the_item() -> None:
    swollen = wells(patient(leg_swollen_one_side=YES))
    not_swollen = wells(patient(leg_swollen_one_side=NO))
    assert points(swollen) == (-2, 2, 1)
    assert points(not_swollen) == (-2, 2, 0)


def test_a_clinicians_swollen_leg_settles_the_item() -> None:
    assert points(wells(examined(leg_swollen_one_side=YES))) == (1, 1, 1)


def test_an_examination_item_answered_by_a_patient_is_ignored() -> None:
    result = wells(patient(calf_circumference_diff_cm=Decimal(5), alternative_dx_at_least_as_likely=YES))
    assert points(result) == (-2, 2, 0)


def test_contradicting_answers_count_for_the_alarm_and_not_for_reassurance() -> None:
    result = wells(examined(active_cancer=two_answers(YES, NO), alternative_dx_at_least_as_likely=two_answers(YES, NO)))
    assert points(result) == (-2, 1, 1)


def test_the_adult_score_is_not_computed_for_a_child_and_its_flag_does_not_fire() -> None:
    assessment = evaluate(example_pack(), patient(age_years=17, active_cancer=YES, bedridden_3d=YES))
    assert assessment.scores[0].known_points is None
    assert line_verdict(assessment, "RFX-15") == "not_fired"


def test_an_unknown_age_does_not_switch_the_alarm_off() -> None:
    assessment = evaluate(example_pack(), patient(age_years=UNKNOWN, active_cancer=YES, bedridden_3d=YES))
    assert line_verdict(assessment, "RFX-15") == "fired"


def test_an_excluded_patient_gets_no_class_but_keeps_the_alarm() -> None:
    result = wells(examined(chest_pain=YES, active_cancer=YES, bedridden_3d=YES))
    assert result.score_class is None
    assert result.exclusions == ("score.wells_dvt.exclusion.chest",)
    assert points(result)[2] == 2


@pytest.mark.parametrize("difference", [Decimal("3"), Decimal("3.0"), Decimal("3.00")])
def test_at_least_three_centimetres_includes_three(difference: Decimal) -> None:
    assert points(wells(examined(calf_circumference_diff_cm=difference)))[2] == 1
