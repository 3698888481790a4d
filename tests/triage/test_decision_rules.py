"""Published decision rules: known vectors, and the errors that printed copies of the rules are known to hold."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

import services.intake.questionnaires
from services.triage.engine.model import Urgency
from services.triage.engine.results import Verdict
from services.triage.knowledge.cases import line_verdict
from tests.triage.examined import (
    FOLDER,
    GOUT_RULE,
    KNEE_INJURY,
    PACK,
    PREGNANT,
    SCORES,
    WALKING_PAIN,
    WOMAN,
    all_words,
    answered,
    examined,
    group,
    interval,
    open_text,
    score,
)
from tests.triage.packs import NO, YES

QUESTIONNAIRE = Path(services.intake.questionnaires.__file__).parent / "posterior-lower-limb-1.0.0.json"


# --- known vectors -------------------------------------------------------------------------------


def test_vector_1_cancer_a_calf_of_3_cm_and_pitting_make_three_points_likely_and_high() -> None:
    patient = examined(
        active_cancer=YES, cancer_ever=YES, calf_circumference_diff_cm=Decimal("3.0"), pitting_oedema=YES
    )

    assert score("wells_dvt", patient).exact == 3
    assert group(score("wells_dvt", patient)) == "likely"
    assert group(score("wells_dvt_3level", patient)) == "high"


def test_vector_2_a_calf_of_2_9_cm_tenderness_and_a_likely_alternative_make_minus_one_unlikely() -> None:
    patient = examined(
        calf_circumference_diff_cm=Decimal("2.9"),
        localized_deep_vein_tenderness=YES,
        alternative_dx_at_least_as_likely=YES,
    )

    assert score("wells_dvt", patient).exact == -1
    assert group(score("wells_dvt", patient)) == "unlikely"


def test_vector_3_an_earlier_clot_without_examination_is_indeterminate_and_fires_flag_13_but_not_15() -> None:
    patient = answered(previous_dvt=YES)
    result = score("wells_dvt", patient)

    assert result.minimum == -1
    assert result.maximum is not None
    assert result.maximum >= 5
    assert (result.known_points, group(result)) == (Decimal(1), None)
    assert line_verdict(patient, "RFX-15") is Verdict.NOT_FIRED
    assert line_verdict(patient, "RFX-13") is Verdict.FIRED


def test_vector_4_days_in_bed_and_major_surgery_score_one_point_together() -> None:
    assert score("wells_dvt", examined(bedridden_3d=YES, major_surgery_12w=YES)).exact == 1


def test_vector_5_a_man_without_injury_and_a_calf_of_3_cm_is_referred_without_a_d_dimer() -> None:
    result = score("oudega", examined(calf_circumference_diff_cm=3))

    assert interval(result) == (Decimal(4), Decimal(10))
    assert group(result) == "ultrasound"
    assert "D-dimer is not needed" in PACK.text("score.oudega.ultrasound")


def test_vector_6_a_woman_without_injury_and_with_a_negative_d_dimer_has_one_point_very_low() -> None:
    result = score("oudega", examined(**WOMAN, d_dimer_raised_answer=NO))

    assert (result.exact, group(result)) == (Decimal(1), "very_low")


def test_vector_7_the_same_woman_without_a_d_dimer_has_one_to_seven_points_and_needs_it() -> None:
    result = score("oudega", examined(**WOMAN))

    assert interval(result) == (Decimal(1), Decimal(7))
    assert (group(result), result.unknown_items) == (None, ("d_dimer",))
    assert "needs a D-dimer" in open_text("oudega")


def test_vector_8_at_55_years_an_injured_knee_needs_an_x_ray_with_nothing_else() -> None:
    assert group(score("ottawa_knee", examined(**KNEE_INJURY, age_years=55))) == "xray"


def test_vector_9_at_54_years_without_palpation_the_ottawa_knee_rule_is_not_completed() -> None:
    patient = answered(**KNEE_INJURY, age_years=54)
    result = score("ottawa_knee", patient)

    assert (interval(result), group(result)) == ((Decimal(0), Decimal(2)), None)
    assert "not completed" in open_text("ottawa_knee")
    assert "Pittsburgh" in open_text("ottawa_knee")


@pytest.mark.parametrize(("age", "expected"), [(50, "no_xray"), (51, "xray"), (12, "no_xray"), (11, "xray")])
def test_vector_10_after_a_fall_with_walking_the_pittsburgh_rule_turns_between_50_and_51_years(
    age: int, expected: str
) -> None:
    patient = answered(**{**KNEE_INJURY, "mechanism": "fall", "fall_kind": "fall_standing"}, age_years=age)

    assert group(score("pittsburgh_knee", patient)) == expected
    if expected == "xray":
        assert line_verdict(patient, "RFX-28") is Verdict.FIRED


def test_vector_11_a_first_red_attack_within_a_day_with_raised_urate_in_a_man_is_seven_points_aspirate() -> None:
    result = score("janssens", examined(**GOUT_RULE, onset="sudden", redness=YES, urate_mg_dl=Decimal("6.5")))

    assert (result.exact, group(result)) == (Decimal("7.0"), "aspirate")


def test_vector_12_a_child_of_exactly_38_5_degrees_counts_two_of_kocher_and_is_an_emergency() -> None:
    patient = examined(
        age_years=6,
        location="hip_groin",
        groin_or_hip_pain_answer=YES,
        limp=YES,
        child_wont_bear_weight=YES,
        cannot_walk_4_steps_answer=YES,
        fever_or_chills_answer=YES,
        temp_c=Decimal("38.5"),
        esr_mm_h=41,
        wbc_10e9_l=Decimal("12.0"),
    )

    assert score("kocher", patient).exact == 2
    assert patient.urgency is Urgency.EMERGENCY


def test_vector_13_pain_that_begins_standing_still_is_not_the_claudication_pattern() -> None:
    assert group(score("edinburgh", answered(**WALKING_PAIN, starts_at_rest=YES))) == "negative"
    assert group(score("edinburgh", answered(**WALKING_PAIN))) == "definite"


def test_vector_14_the_left_leg_2_cm_and_8_weeks_of_pregnancy_are_all_three_of_left() -> None:
    patient = examined(**PREGNANT, laterality="left", calf_circumference_diff_cm=Decimal("2.0"), gestation_weeks=8)

    assert score("left_rule", patient).exact == 3
    assert group(score("left_rule", patient)) == "one_or_more"
    assert score("wells_dvt", patient).score_class is None


def test_vector_15_signs_of_thrombosis_and_embolism_most_likely_are_six_points_likely() -> None:
    patient = examined(breathless_new=YES, leg_swollen_one_side=YES, pe_most_likely=YES, hr=80)

    assert score("wells_pe", patient).exact == 6
    assert group(score("wells_pe", patient)) == "likely"
    assert group(score("wells_pe_3level", patient)) == "moderate"
    assert patient.urgency is Urgency.EMERGENCY


@pytest.mark.parametrize(("d_dimer", "expected"), [(499, "below_threshold"), (500, "ct_angiogram")])
def test_vector_16_with_signs_of_thrombosis_the_years_threshold_is_500(d_dimer: int, expected: str) -> None:
    patient = examined(breathless_new=YES, leg_swollen_one_side=YES, ddimer=d_dimer, ddimer_unit="feu")

    assert group(score("years", patient)) == expected
    assert patient.urgency is Urgency.EMERGENCY


# --- traps: errors of printed copies -------------------------------------------------------------


def test_trap_1_the_calf_counts_from_3_cm_on_and_not_only_above_it() -> None:
    assert score("wells_dvt", examined(calf_circumference_diff_cm=Decimal("3.0"))).exact == 1
    assert score("wells_dvt", examined(calf_circumference_diff_cm=Decimal("2.9"))).exact == 0


def test_trap_2_the_edinburgh_questionnaire_is_91_sensitive_and_99_specific_in_development() -> None:
    assert "Sensitivity 91.3 %, specificity 99.3 %" in SCORES["edinburgh"].performance
    assert "91.3 % sensitive and 99.3 % specific" in PACK.content.evidence["leng-fowkes-1992"].citation


def test_trap_3_signs_of_compartment_syndrome_are_specific_and_not_sensitive() -> None:
    assert "13-19 % sensitive and 97-98 % specific" in PACK.content.evidence["ulmer-2002"].citation


def test_trap_4_the_swapped_likelihood_ratios_of_the_2022_ankle_update_are_not_printed() -> None:
    assert "sensitivity 91 %, specificity 25 %" in SCORES["ottawa_ankle"].performance
    for words in all_words():
        assert "1.47" not in words, words
        assert "ratio of a negative rule 0.15" not in words, words


def test_trap_5_an_attack_within_a_day_is_half_a_point_of_the_gout_rule() -> None:
    items = {item.id: item.points for item in SCORES["janssens"].items}

    assert items["within_a_day"] == Decimal("0.5")
    assert sum(items.values()) == 13


def test_trap_6_the_ottawa_knee_rule_counts_55_years_itself() -> None:
    assert group(score("ottawa_knee", examined(**KNEE_INJURY, age_years=55))) == "xray"
    assert group(score("ottawa_knee", examined(**KNEE_INJURY, age_years=54))) == "no_xray"


def test_trap_7_the_small_likelihood_ratio_of_the_ottawa_knee_rule_is_that_of_a_negative_rule() -> None:
    assert "likelihood ratio of a negative rule 0.05" in SCORES["ottawa_knee"].performance


def test_trap_8_the_constans_score_of_the_arm_is_not_offered_for_a_leg() -> None:
    assert not [name for name in SCORES if "constans" in name]
    assert not [words for words in all_words() if "constans" in words.casefold()]


@pytest.mark.parametrize(("saturation", "points"), [(95, 0), (94, 1)])
def test_trap_9_an_oxygen_saturation_of_95_does_not_fail_the_rule_out_criteria(saturation: int, points: int) -> None:
    patient = examined(chest_pain=YES, pe_chance_below_15=YES, hr=80, spo2=saturation)

    assert score("perc", patient).exact == points


def test_trap_10_surgery_counts_for_12_weeks() -> None:
    assert score("wells_dvt", examined(operation_12w=YES, major_surgery_12w=YES)).exact == 1
    assert score("oudega", examined(operation_12w=YES, major_surgery_12w=YES, d_dimer_raised_answer=NO)).exact == 3


def test_trap_11_no_code_of_a_public_list_is_used_under_a_wrong_name() -> None:
    content = "\n".join(path.read_text(encoding="utf-8") for path in [*FOLDER.rglob("*.toml"), QUESTIONNAIRE])

    assert "15628003" not in content
    assert "300954003" not in content
    assert content.count("202882003") == content.count("202882003 Plantar fasciitis (disorder)")


def test_trap_12_no_sentence_gives_how_many_people_fall_ill_in_a_year() -> None:
    for words in all_words():
        assert "incidence" not in words.casefold(), words
        assert "every year" not in words.casefold(), words
