"""Scores as intervals: the unknown never reassures, and an unanswered question never hides an alarm."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.triage.engine.assess import evaluate
from services.triage.engine.model import Findings, Respondent, ScoreClass, Value
from services.triage.engine.pack import Pack
from services.triage.engine.results import ScoreResult
from services.triage.knowledge.cases import line_verdict
from services.triage.knowledge.files import PackError
from services.triage.knowledge.loader import load_pack
from tests.triage.packs import NO, NOT_SURE, UNKNOWN, YES, added, example_pack, patient, two_answers


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


@pytest.mark.requirement("REQ-20")
def test_without_an_examination_the_score_is_an_interval_and_no_class_is_given() -> None:
    result = wells(patient(active_cancer=YES))
    assert points(result) == (-1, 3, 1)
    assert result.score_class is None
    assert result.unknown_items == ("leg_swollen", "calf_difference", "alternative")


@pytest.mark.requirement("REQ-20")
def test_an_unanswered_other_diagnosis_does_not_hide_the_known_points() -> None:
    findings = patient(active_cancer=YES, bedridden_3d=YES)
    assert points(wells(findings))[2] == 2
    assert line_verdict(evaluate(example_pack(), findings), "RFX-15") == "fired"


def test_bedridden_and_operated_counts_once() -> None:
    assert points(wells(examined(bedridden_3d=YES, major_surgery_12w=YES))) == (1, 1, 1)


def test_bedridden_counts_also_when_the_operation_is_unknown() -> None:
    assert points(wells(examined(bedridden_3d=YES, major_surgery_12w=NOT_SURE))) == (1, 1, 1)


@pytest.mark.requirement("REQ-21")
def test_a_patients_swollen_leg_counts_for_the_alarm_but_never_settles_the_item() -> None:
    swollen = wells(patient(leg_swollen_one_side=YES))
    not_swollen = wells(patient(leg_swollen_one_side=NO))
    assert points(swollen) == (-2, 2, 1)
    assert points(not_swollen) == (-2, 2, 0)


def test_a_clinicians_swollen_leg_settles_the_item() -> None:
    assert points(wells(examined(leg_swollen_one_side=YES))) == (1, 1, 1)


@pytest.mark.requirement("REQ-21")
def test_an_examination_item_answered_by_a_patient_is_ignored() -> None:
    result = wells(patient(calf_circumference_diff_cm=Decimal(5), alternative_dx_at_least_as_likely=YES))
    assert points(result) == (-2, 2, 0)


@pytest.mark.requirement("REQ-20", "SR-05")
def test_contradicting_answers_count_for_the_alarm_and_not_for_reassurance() -> None:
    result = wells(examined(active_cancer=two_answers(YES, NO), alternative_dx_at_least_as_likely=two_answers(YES, NO)))
    assert points(result) == (-2, 1, 1)


@pytest.mark.requirement("SR-08")
def test_the_adult_score_is_not_computed_for_a_child_and_its_flag_does_not_fire() -> None:
    assessment = evaluate(example_pack(), patient(age_years=17, active_cancer=YES, bedridden_3d=YES))
    assert assessment.scores[0].known_points is None
    assert line_verdict(assessment, "RFX-15") == "not_fired"


@pytest.mark.requirement("REQ-20")
def test_an_unknown_age_does_not_switch_the_alarm_off() -> None:
    assessment = evaluate(example_pack(), patient(age_years=UNKNOWN, active_cancer=YES, bedridden_3d=YES))
    assert line_verdict(assessment, "RFX-15") == "fired"


@pytest.mark.requirement("REQ-20")
def test_an_excluded_patient_gets_no_class_but_keeps_the_alarm() -> None:
    result = wells(examined(chest_pain=YES, active_cancer=YES, bedridden_3d=YES))
    assert result.score_class is None
    assert result.exclusions == ("score.wells_dvt.exclusion.chest",)
    assert points(result)[2] == 2


@pytest.mark.parametrize("difference", [Decimal("3"), Decimal("3.0"), Decimal("3.00")])
def test_at_least_three_centimetres_includes_three(difference: Decimal) -> None:
    assert points(wells(examined(calf_circumference_diff_cm=difference)))[2] == 1


# --- who may be reassured ------------------------------------------------------------------------

KNOCK = """
[[score]]
id = "knock"
title = "An invented rule for a knee that was knocked"
purpose = "Whether to look inside."
population = "Adults after a fall."
performance = "Invented: no figures."
applies_when = "age_years>=18 & mechanism=fall"
clinician_only = true

[[score.item]]
id = "walks"
when = "cannot_walk_4_steps"
points = 1
answered_by = "patient"
label = "cannot walk"

[[score.item]]
id = "numb"
when = "numb_tingling"
points = 1
answered_by = "patient"
label = "numb"

[[score.class]]
code = "look"
at_least = 1
text = "score.wells_dvt.likely"

[[score.class]]
code = "wait"
at_most = 0
reassures = true
text = "score.wells_dvt.unlikely"

[[score.exclusion]]
when = "active_cancer"
withholds = "reassurance"
text = "score.wells_dvt.exclusion.chest"

[[score.exclusion]]
when = "bone_visible"
unknown_counts = false
text = "score.wells_dvt.likely"
"""


@pytest.fixture(scope="module")
def knock_pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return load_pack(added(tmp_path_factory.mktemp("packs"), "scores.toml", KNOCK))


def knock(pack: Pack, *, respondent: Respondent = Respondent.CLINICIAN, **facts: object) -> ScoreResult:
    answers = {"trauma": YES, "mechanism": "fall", **facts}
    return evaluate(pack, patient(respondent=respondent, **answers)).scores[1]


def code(score_class: ScoreClass | None) -> str | None:
    return None if score_class is None else score_class.code


def test_a_rule_reassures_when_all_of_it_is_known_and_a_clinician_answers(knock_pack: Pack) -> None:
    result = knock(knock_pack)

    assert (result.applies, code(result.score_class), result.reached) == (YES, "wait", None)
    assert result.exact == 0


def test_a_rule_for_clinicians_never_reassures_on_a_patients_answers(knock_pack: Pack) -> None:
    result = knock(knock_pack, respondent=Respondent.PATIENT)

    assert (code(result.score_class), code(result.points_class)) == (None, "wait")
    assert code(knock(knock_pack, respondent=Respondent.PATIENT, numb_tingling=YES).score_class) == "look"


def test_the_least_points_are_enough_to_alarm_and_the_most_points_are_needed_to_reassure(knock_pack: Pack) -> None:
    alarming = knock(knock_pack, numb_tingling=YES, cannot_walk_4_steps=NOT_SURE)
    open_still = knock(knock_pack, cannot_walk_4_steps=NOT_SURE)

    assert points(alarming) == (1, 2, 1)
    assert code(alarming.score_class) == "look"
    assert points(open_still) == (0, 1, 0)
    assert open_still.score_class is None


def test_a_rule_that_is_known_not_to_apply_has_no_points_and_no_class(knock_pack: Pack) -> None:
    result = knock(knock_pack, mechanism="none", numb_tingling=YES)

    assert result.applies is NO
    assert (result.minimum, result.maximum, result.known_points, result.score_class) == (None, None, None, None)
    assert not result.examined


def test_the_same_score_is_open_while_contradicting_answers_leave_it_open_whether_it_applies(knock_pack: Pack) -> None:
    assert knock(knock_pack, trauma=NO).applies is NOT_SURE


def test_when_nobody_knows_whether_a_rule_applies_it_may_alarm_but_not_reassure(knock_pack: Pack) -> None:
    quiet = knock(knock_pack, mechanism=UNKNOWN)
    alarming = knock(knock_pack, mechanism=UNKNOWN, numb_tingling=YES)

    assert quiet.applies is NOT_SURE
    assert points(quiet) == (0, 0, 0)
    assert (quiet.score_class, quiet.reached) == (None, None)
    assert (alarming.score_class, code(alarming.reached)) == (None, "look")


@pytest.mark.parametrize("cancer", [YES, NOT_SURE])
def test_an_exclusion_that_holds_or_is_unknown_withholds_only_what_reassures(knock_pack: Pack, cancer: Value) -> None:
    assert knock(knock_pack, active_cancer=cancer).score_class is None
    assert knock(knock_pack, active_cancer=cancer).exclusions == ("score.wells_dvt.exclusion.chest",)
    assert code(knock(knock_pack, active_cancer=cancer, numb_tingling=YES).score_class) == "look"


def test_an_exclusion_of_the_whole_score_leaves_no_class_at_all(knock_pack: Pack) -> None:
    result = knock(knock_pack, bone_visible=YES, numb_tingling=YES)

    assert (result.score_class, result.reached) == (None, None)


def test_an_exclusion_that_only_an_examiner_can_see_is_reported_as_not_checked(knock_pack: Pack) -> None:
    result = knock(knock_pack, bone_visible=NOT_SURE)

    assert code(result.score_class) == "wait"
    assert (result.exclusions, result.unchecked) == ((), ("score.wells_dvt.likely",))


def test_an_exclusion_with_two_answers_counts(knock_pack: Pack) -> None:
    result = knock(knock_pack, bone_visible=two_answers(YES, NO))

    assert result.score_class is None
    assert result.exclusions == ("score.wells_dvt.likely",)


def test_a_score_with_three_levels_says_which_level_the_least_points_reach(tmp_path: Path) -> None:
    levels = KNOCK.replace("at_least = 1", "at_least = 1\nat_most = 1").replace(
        '[[score.class]]\ncode = "wait"',
        '[[score.class]]\ncode = "look_now"\nat_least = 2\ntext = "score.wells_dvt.likely"\n\n'
        '[[score.class]]\ncode = "wait"',
    )
    pack = load_pack(added(tmp_path, "scores.toml", levels))

    result = knock(pack, numb_tingling=YES, cannot_walk_4_steps=NOT_SURE)

    assert (result.score_class, code(result.reached)) == (None, "look")


def test_a_class_can_ask_for_more_than_points_and_is_open_while_that_is_unknown(tmp_path: Path) -> None:
    with_age = KNOCK.replace("at_least = 1", 'when = "numb_tingling | severity_0_10>=8"').replace(
        "at_most = 0", 'when = "!(numb_tingling | severity_0_10>=8)"'
    )
    pack = load_pack(added(tmp_path, "scores.toml", with_age))

    assert code(knock(pack, severity_0_10=8).score_class) == "look"
    assert code(knock(pack, severity_0_10=7).score_class) == "wait"
    assert knock(pack, severity_0_10=UNKNOWN).score_class is None


def test_scores_can_share_their_items(tmp_path: Path) -> None:
    head, _, _ = KNOCK.partition("[[score.item]]")
    classes = KNOCK[KNOCK.index("[[score.class]]") :]
    sharing = head.replace('"knock"', '"knock"\nitems_of = "wells_dvt"') + classes
    pack = load_pack(added(tmp_path, "scores.toml", sharing))

    wells_result, result = evaluate(pack, examined(mechanism="fall", active_cancer=YES)).scores

    assert result.definition.items == wells_result.definition.items
    assert result.exact == wells_result.exact == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('id = "knock"', 'id = "knock"\nitems_of = "wells_dvt"'), "items of its own, or items_of"),
        (('id = "knock"', 'id = "wells_dvt"'), "share the name wells_dvt"),
        (("mechanism=fall", "mechanism=flight"), "expected a code of mechanism"),
        (('reassures = true\ntext = "score.wells_dvt.unlikely"', 'text = "score.unwritten"'), "'score.unwritten' is"),
    ],
)
def test_a_score_that_cannot_be_right_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert KNOCK.count(change[0]) == 1
    folder = added(tmp_path, "scores.toml", KNOCK.replace(*change))

    with pytest.raises(PackError, match=message):
        load_pack(folder)


def test_items_of_must_name_a_score_with_items(tmp_path: Path) -> None:
    head, _, _ = KNOCK.partition("[[score.item]]")
    classes = KNOCK[KNOCK.index("[[score.class]]") :]
    folder = added(tmp_path, "scores.toml", head.replace('"knock"', '"knock"\nitems_of = "nobody"') + classes)

    with pytest.raises(PackError, match="knock: items_of names no score"):
        load_pack(folder)
