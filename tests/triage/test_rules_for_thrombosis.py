"""Rules for thrombosis and embolism: D-dimer units, steps of the pathway, and who is never reassured."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.triage.engine.model import FactKind, Urgency, Value
from services.triage.engine.results import Verdict
from services.triage.knowledge.cases import line_verdict
from tests.triage.examined import PACK, PREGNANT, SCORES, SWOLLEN, WOMAN, at_least, examined, group, interval, score
from tests.triage.packs import NO, NOT_SURE, UNKNOWN, YES

# --- thrombosis ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "truth"),
    [
        ({"ddimer": 499, "ddimer_unit": "feu"}, "very_low"),
        ({"ddimer": 500, "ddimer_unit": "feu"}, "ultrasound"),
        ({"ddimer": 249, "ddimer_unit": "ddu"}, "very_low"),
        ({"ddimer": 250, "ddimer_unit": "ddu"}, "ultrasound"),
        ({"ddimer": 249, "ddimer_unit": UNKNOWN}, "very_low"),
        ({"ddimer": 300, "ddimer_unit": UNKNOWN}, None),
        ({"ddimer": 500, "ddimer_unit": UNKNOWN}, "ultrasound"),
        ({"d_dimer_raised_answer": YES}, "ultrasound"),
        ({"d_dimer_raised_answer": NO, "ddimer": 610, "ddimer_unit": "feu"}, "ultrasound"),
        ({}, None),
    ],
)
def test_a_d_dimer_counts_in_its_own_unit_and_an_unknown_unit_decides_only_what_both_allow(
    test: dict[str, object], truth: str | None
) -> None:
    assert group(score("oudega", examined(**WOMAN, **test))) == truth


def test_the_threshold_of_the_d_dimer_does_not_rise_with_age() -> None:
    assert group(score("oudega", examined(**WOMAN, age_years=80, ddimer=600, ddimer_unit="feu"))) == "ultrasound"


@pytest.mark.parametrize(
    ("answers", "step"),
    [
        (SWOLLEN, "ultrasound"),
        ({**SWOLLEN, "d_dimer_raised_answer": NO}, "ultrasound"),
        ({**SWOLLEN, "ultrasound_dvt_negative": YES}, "d_dimer_after_scan"),
        (
            {**SWOLLEN, "ultrasound_dvt_negative": YES, "d_dimer_raised_answer": YES},
            "repeat_scan",
        ),
        (
            {**SWOLLEN, "ultrasound_dvt_negative": YES, "d_dimer_raised_answer": NO},
            "other_cause",
        ),
        ({}, "d_dimer"),
        ({"d_dimer_raised_answer": YES}, "ultrasound"),
        ({"d_dimer_raised_answer": YES, "ultrasound_dvt_negative": YES}, "repeat_scan"),
        ({"d_dimer_raised_answer": NO}, "other_cause"),
        ({"pitting_oedema": NOT_SURE, "entire_leg_swollen_exam": YES}, None),
        ({"pitting_oedema": NOT_SURE, "entire_leg_swollen_exam": YES, "d_dimer_raised_answer": YES}, "ultrasound"),
    ],
)
def test_the_guideline_pathway_names_the_next_test_and_the_urgency_stays_the_same_day(
    answers: dict[str, object], step: str | None
) -> None:
    patient = examined(**answers)

    assert group(score("nice_dvt_pathway", patient)) == step
    assert at_least(patient, Urgency.SAME_DAY)


def test_the_guideline_pathway_counts_the_items_of_the_wells_score_and_advises_no_medicine() -> None:
    assert SCORES["nice_dvt_pathway"].items == SCORES["wells_dvt"].items
    for one in SCORES["nice_dvt_pathway"].classes:
        text = PACK.text(one.text).casefold()
        assert not [word for word in ("anticoag", "heparin", "blood thinner", "start ") if word in text]


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("oudega", PREGNANT),
        ("nice_dvt_pathway", PREGNANT),
        ("oudega", {"anticoagulant": YES}),
        ("nice_dvt_pathway", {"anticoagulant": NOT_SURE}),
        ("oudega", {"chest_pain": NOT_SURE}),
        ("oudega", {"active_cancer": YES, "cancer_ever": YES}),
        ("nice_dvt_pathway", {"previous_dvt": YES}),
    ],
)
def test_no_rule_with_d_dimer_reassures_where_the_test_says_little(name: str, fact: dict[str, object]) -> None:
    result = score(name, examined(**{**WOMAN, "d_dimer_raised_answer": NO, **fact}))

    assert result.score_class is None
    assert result.exclusions


def test_cancer_withholds_the_low_class_of_the_wells_score_and_keeps_the_high_one() -> None:
    assert group(score("wells_dvt", examined(active_cancer=YES, cancer_ever=YES))) is None
    assert group(score("wells_dvt", examined(active_cancer=YES, cancer_ever=YES, pitting_oedema=YES))) == "likely"


def test_the_examiner_settles_whether_the_whole_leg_is_swollen() -> None:
    swollen = {"leg_swollen_one_side": YES, "entire_leg_swollen_answer": YES}

    assert score("wells_dvt", examined(**swollen, entire_leg_swollen_exam=NO)).exact == 0
    assert score("wells_dvt", examined(entire_leg_swollen_answer=NOT_SURE, entire_leg_swollen_exam=NO)).exact == 0
    assert score("wells_dvt", examined(**swollen, entire_leg_swollen_exam=NOT_SURE)).exact == 1


WELLS_FACTS = (
    *("active_cancer", "leg_paralysis_or_cast", "bedridden_3d", "major_surgery_12w", "localized_deep_vein_tenderness"),
    *("calf_circumference_diff_cm", "pitting_oedema", "collateral_superficial_veins", "previous_dvt"),
    "alternative_dx_at_least_as_likely",
)


@pytest.mark.parametrize("fact", WELLS_FACTS)
def test_the_wells_score_is_exact_only_when_every_item_is_known(fact: str) -> None:
    missing: Value = NOT_SURE if PACK.facts[fact].kind is FactKind.PRESENCE else UNKNOWN

    assert score("wells_dvt", examined()).exact == 0
    assert score("wells_dvt", examined(**{fact: missing})).exact is None


def test_weeks_of_pregnancy_are_needed_for_the_left_rule_and_it_never_stands_alone() -> None:
    patient = examined(**PREGNANT, calf_circumference_diff_cm=0)

    assert interval(score("left_rule", patient)) == (Decimal(0), Decimal(1))
    assert group(score("left_rule", examined(**PREGNANT, gestation_weeks=20))) == "none"
    assert "is still needed" in PACK.text("score.left_rule.none")
    assert line_verdict(patient, "RFX-14") is Verdict.FIRED


def test_the_left_rule_is_for_pregnancy_and_not_for_the_weeks_after_birth() -> None:
    after_birth = examined(sex_at_birth="female", pregnancy_status="postpartum_12w", laterality="left")

    assert score("left_rule", after_birth).applies is NO


# --- chest symptoms ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["wells_pe", "wells_pe_3level", "perc", "years"])
def test_rules_for_embolism_apply_only_with_chest_symptoms_and_never_lower_the_emergency(name: str) -> None:
    nothing = examined(coughing_blood=YES, pe_chance_below_15=YES, hr=70, spo2=98, ddimer=90, ddimer_unit="feu")

    assert score(name, examined()).applies is NO
    assert score(name, nothing).applies is YES
    assert nothing.urgency is Urgency.EMERGENCY


def test_one_sided_leg_swelling_always_fails_the_rule_out_criteria() -> None:
    patient = examined(chest_pain=YES, pe_chance_below_15=YES, hr=70, spo2=98, leg_swollen_one_side=YES)

    assert group(score("perc", patient)) == "fails"


@pytest.mark.parametrize(("judged", "expected"), [(YES, "all_absent"), (NOT_SURE, None), (NO, None)])
def test_the_rule_out_criteria_need_a_clinician_who_judges_the_chance_to_be_below_15(
    judged: Value, expected: str | None
) -> None:
    patient = examined(chest_pain=YES, pe_chance_below_15=judged, hr=70, spo2=98)

    assert group(score("perc", patient)) == expected


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ({"ddimer": 999, "ddimer_unit": "feu"}, "below_threshold"),
        ({"ddimer": 1000, "ddimer_unit": "feu"}, "ct_angiogram"),
        ({"ddimer": 499, "ddimer_unit": "ddu"}, "below_threshold"),
        ({"ddimer": 500, "ddimer_unit": "ddu"}, "ct_angiogram"),
        ({"ddimer": 700, "ddimer_unit": UNKNOWN}, None),
        ({"ddimer": 1100, "ddimer_unit": UNKNOWN}, "ct_angiogram"),
        ({"d_dimer_raised_answer": NO}, None),
    ],
)
def test_without_a_years_item_the_threshold_is_1000_in_feu_and_a_word_is_no_figure(
    test: dict[str, object], expected: str | None
) -> None:
    shoulder_pain_free = {"location": "outer_ankle", "chest_pain": YES, "trauma": YES, "mechanism": "twist"}

    assert group(score("years", examined(**shoulder_pain_free, **test))) == expected


def test_an_unknown_item_leaves_years_open_only_between_its_thresholds() -> None:
    unsure = {"location": "outer_ankle", "chest_pain": YES, "pe_most_likely": NOT_SURE, "ddimer_unit": "feu"}

    assert group(score("years", examined(**unsure, ddimer=499))) == "below_threshold"
    assert group(score("years", examined(**unsure, ddimer=700))) is None
    assert group(score("years", examined(**unsure, ddimer=1000))) == "ct_angiogram"
