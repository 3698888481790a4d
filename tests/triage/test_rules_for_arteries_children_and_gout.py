"""Rules for arteries, for a child's hip and for gout."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.triage.engine.model import Urgency, Value
from services.triage.engine.results import Verdict
from services.triage.knowledge.cases import line_verdict
from tests.triage.examined import (
    COLD_FOOT,
    GOUT_RULE,
    WALKING_PAIN,
    answered,
    at_least,
    examined,
    group,
    interval,
    score,
)
from tests.triage.packs import NO, NOT_SURE, YES


@pytest.mark.parametrize(
    ("fact", "limit", "above"),
    [("temp_c", "38.5", "38.6"), ("esr_mm_h", "40", "41"), ("wbc_10e9_l", "12", "12.1")],
)
def test_kocher_criteria_begin_above_their_limits(fact: str, limit: str, above: str) -> None:
    measured = {"age_years": 7, "temp_c": Decimal(37), "esr_mm_h": Decimal(5), "wbc_10e9_l": Decimal(8)}

    assert score("kocher", examined(**{**measured, fact: Decimal(limit)})).exact == 0
    assert score("kocher", examined(**{**measured, fact: Decimal(above)})).exact == 1


def test_kocher_is_for_children_and_no_count_keeps_a_feverish_limping_child_from_being_an_emergency() -> None:
    normal = {"temp_c": 38, "esr_mm_h": 5, "wbc_10e9_l": 8, "limp": YES, "fever_or_chills_answer": YES}
    child = examined(**normal, age_years=7, location="knee", cannot_walk_4_steps_answer=NO)

    assert score("kocher", child).exact == 0
    assert child.urgency is Urgency.EMERGENCY
    assert score("kocher", examined(**normal, age_years=18)).applies is NO


def test_a_reported_fever_settles_no_kocher_item() -> None:
    child = examined(age_years=7, fever_or_chills_answer=YES, esr_mm_h=5, wbc_10e9_l=8)

    assert interval(score("kocher", child)) == (Decimal(0), Decimal(1))


@pytest.mark.parametrize(
    ("feeling", "strength", "artery", "vein", "expected"),
    [
        ("none", "none", YES, YES, "I"),
        ("none", "none", NO, YES, "IIa"),
        ("toes", "none", NO, YES, "IIa"),
        ("toes", "none", YES, YES, "IIa"),
        ("none", "none", YES, NO, "IIa"),
        ("beyond_toes", "none", NO, YES, "IIb"),
        ("none", "mild_moderate", NO, YES, "IIb"),
        ("profound", "profound", NO, YES, "IIb"),
        ("profound", "profound", NO, NO, "III"),
        ("none", "none", NOT_SURE, YES, None),
        ("toes", "none", NOT_SURE, NOT_SURE, "IIa"),
    ],
)
def test_the_rutherford_class_is_the_worst_that_the_signs_allow(
    feeling: str, strength: str, artery: Value, vein: Value, expected: str | None
) -> None:
    signs = {"arterial_doppler_audible": artery, "venous_doppler_audible": vein}
    patient = examined(**COLD_FOOT, **signs, sensory_loss_foot=feeling, motor_loss_foot=strength)

    assert group(score("rutherford", patient)) == expected
    assert at_least(patient, Urgency.SAME_DAY)
    if (feeling, strength) != ("none", "none"):
        assert patient.urgency is Urgency.EMERGENCY


def test_a_foot_without_a_doppler_signal_and_with_loss_of_feeling_is_an_emergency_even_when_warm() -> None:
    patient = examined(location="foot", arterial_doppler_audible=NO, sensory_loss_foot="toes")

    assert patient.urgency is Urgency.EMERGENCY
    assert score("rutherford", patient).applies is YES


def test_the_rutherford_class_is_for_the_first_14_days() -> None:
    assert score("rutherford", examined(**{**COLD_FOOT, "duration_days": 15})).applies is NO
    assert score("rutherford", examined()).applies is NO


@pytest.mark.parametrize(
    ("site", "expected"), [("calf", "definite"), ("thigh", "atypical"), ("buttock", "atypical"), ("foot", "negative")]
)
def test_the_site_decides_between_definite_and_atypical_claudication(site: str, expected: str) -> None:
    patient = answered(**WALKING_PAIN, location=site)

    assert group(score("edinburgh", patient)) == expected
    if expected == "definite":
        assert line_verdict(patient, "RFX-32") is Verdict.FIRED


@pytest.mark.parametrize("name", ["worse_hurry_uphill", "relief_10min_standing", "starts_at_rest"])
def test_an_unanswered_question_leaves_the_edinburgh_questionnaire_open(name: str) -> None:
    assert group(score("edinburgh", answered(**{**WALKING_PAIN, name: NOT_SURE}))) is None


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("0.90", "abnormal"),
        ("0.91", "borderline"),
        ("0.99", "borderline"),
        ("1.00", "normal"),
        ("1.40", "normal"),
        ("1.41", "not_compressible"),
    ],
)
def test_the_pressure_index_is_graded_at_its_published_limits(index: str, expected: str) -> None:
    assert group(score("abi", examined(abi=Decimal(index)))) == expected


def test_a_normal_pressure_index_does_not_reassure_in_diabetes_and_without_a_figure_nothing_is_graded() -> None:
    assert group(score("abi", examined(abi=Decimal("1.1"), diabetes=YES))) is None
    assert group(score("abi", examined(abi=Decimal("0.5"), diabetes=YES))) == "abnormal"
    assert score("abi", examined()).applies is NO


@pytest.mark.parametrize("settled", [NO, NOT_SURE])
def test_the_gout_rule_never_runs_while_a_joint_may_be_infected(settled: Value) -> None:
    patient = examined(**{**GOUT_RULE, "joint_infection_settled": settled}, urate_mg_dl=9, joint_hot_swollen=YES)

    assert score("janssens", patient).applies is NO
    assert at_least(patient, Urgency.SAME_DAY)


def test_the_gout_rule_needs_urate_and_one_joint() -> None:
    assert score("janssens", examined(**GOUT_RULE)).applies is NO
    assert score("janssens", examined(**GOUT_RULE, urate_mg_dl=9, many_joints=YES)).applies is NO


@pytest.mark.parametrize(
    ("answers", "points", "expected"),
    [
        ({"urate_mg_dl": Decimal("5.88"), "earlier_joint_attack": YES}, "4", "unlikely"),
        ({"urate_mg_dl": Decimal("5.89"), "onset": "over_hours"}, "6.0", "aspirate"),
        ({"urate_mg_dl": Decimal("5.89"), "mtp1_joint": YES}, "8.0", "likely"),
        ({"urate_mg_dl": Decimal(3), "hypertension": YES, "redness": YES}, "4.5", "aspirate"),
    ],
)
def test_the_gout_rule_at_its_limits(answers: dict[str, object], points: str, expected: str) -> None:
    result = score("janssens", examined(**GOUT_RULE, **answers))

    assert (result.exact, group(result)) == (Decimal(points), expected)
