"""X-ray rules and tests of the Achilles tendon."""

from __future__ import annotations

from random import Random

import pytest

from services.triage.engine.results import Verdict
from services.triage.knowledge.cases import line_verdict
from tests.triage.examined import ANKLE_INJURY, KNEE_INJURY, PACK, PREGNANT, answered, examined, group, score
from tests.triage.packs import NO, NOT_SURE, UNKNOWN, YES

# --- X-ray rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("injury", "name", "item"),
    [
        (KNEE_INJURY, "ottawa_knee", {"isolated_patella_tenderness": YES}),
        (KNEE_INJURY, "ottawa_knee", {"fibular_head_tenderness": YES}),
        (KNEE_INJURY, "ottawa_knee", {"cannot_flex_knee_90": YES}),
        (ANKLE_INJURY, "ottawa_ankle", {"tender_lateral_malleolus_posterior": YES}),
        (ANKLE_INJURY, "ottawa_ankle", {"tender_medial_malleolus_posterior": YES}),
        (ANKLE_INJURY, "ottawa_foot", {"tender_fifth_metatarsal_base": YES}),
        (ANKLE_INJURY, "ottawa_foot", {"tender_navicular": YES}),
    ],
)
def test_one_ottawa_item_asks_for_an_x_ray_and_none_is_left_open_when_one_is_not_examined(
    injury: dict[str, object], name: str, item: dict[str, object]
) -> None:
    (fact,) = item

    assert group(score(name, examined(**injury, **item))) == "xray"
    assert group(score(name, examined(**injury))) == "no_xray"
    assert group(score(name, examined(**injury, **{fact: NOT_SURE}))) is None


@pytest.mark.parametrize(("injury", "name"), [(KNEE_INJURY, "ottawa_knee"), (ANKLE_INJURY, "ottawa_ankle")])
def test_inability_to_bear_weight_counts_when_it_was_so_right_after_the_injury_and_is_so_now(
    injury: dict[str, object], name: str
) -> None:
    now = {**injury, "cannot_walk_4_steps_answer": YES, "single_heel_raise_possible": NOT_SURE}

    assert group(score(name, examined(**now, cannot_walk_right_after=YES))) == "xray"
    assert group(score(name, examined(**now, cannot_walk_right_after=NO))) == "no_xray"
    assert group(score(name, examined(**now, cannot_walk_right_after=NOT_SURE))) is None


@pytest.mark.parametrize(
    ("injury", "name", "last_day"), [(KNEE_INJURY, "ottawa_knee", 7), (ANKLE_INJURY, "ottawa_ankle", 10)]
)
def test_ottawa_rules_are_for_adults_and_for_days_after_an_injury(
    injury: dict[str, object], name: str, last_day: int
) -> None:
    assert score(name, examined(**{**injury, "duration_days": last_day})).applies is YES
    assert score(name, examined(**{**injury, "duration_days": last_day + 1})).applies is NO
    assert score(name, examined(**injury, age_years=17)).applies is NO
    assert score(name, examined(**{**injury, "trauma": NO, "mechanism": "none"})).applies is NO


def test_the_ankle_and_foot_rules_need_pain_in_their_zone() -> None:
    unexamined = {**ANKLE_INJURY, "malleolar_zone_pain": NOT_SURE, "midfoot_zone_pain": NO}

    assert score("ottawa_ankle", examined(**unexamined)).applies is NOT_SURE
    assert score("ottawa_foot", examined(**unexamined)).applies is NO
    assert score("ottawa_ankle", examined(**{**unexamined, "location": "calf"})).applies is NO
    assert group(score("ottawa_ankle", examined(**unexamined))) is None


@pytest.mark.parametrize(
    ("injury", "name", "reason"),
    [
        (KNEE_INJURY, "ottawa_knee", PREGNANT),
        (KNEE_INJURY, "ottawa_knee", {"injury_rule_unreliable": YES}),
        (KNEE_INJURY, "ottawa_knee", {"mechanism": "wound"}),
        (KNEE_INJURY, "ottawa_knee", {"xray_normal": YES}),
        (ANKLE_INJURY, "ottawa_ankle", {"peripheral_neuropathy": YES}),
        (ANKLE_INJURY, "ottawa_foot", {"numbness": YES}),
        (ANKLE_INJURY, "ottawa_foot", PREGNANT),
    ],
)
def test_a_reason_not_to_use_an_ottawa_rule_withholds_what_reassures_and_keeps_the_x_ray(
    injury: dict[str, object], name: str, reason: dict[str, object]
) -> None:
    tender = {"fibular_head_tenderness": YES, "tender_lateral_malleolus_posterior": YES, "tender_navicular": YES}

    assert group(score(name, examined(**{**injury, **reason}))) is None
    assert group(score(name, examined(**{**injury, **reason, **tender}))) == "xray"


def test_reasons_that_nobody_was_asked_for_are_reported_as_not_checked() -> None:
    result = score("ottawa_ankle", examined(**ANKLE_INJURY, injury_rule_unreliable=NOT_SURE))

    assert group(result) == "no_xray"
    assert result.unchecked == ("score.ottawa.exclusion.unreliable",)


@pytest.mark.parametrize("name", ["ottawa_ankle", "ottawa_foot"])
def test_a_negative_ankle_or_foot_rule_says_what_it_does_not_cover(name: str) -> None:
    text = PACK.text(f"score.{name}.no_xray")

    assert "heel bone" in text
    assert "talus" in text
    assert "stress fractures" in text


def test_whenever_an_ottawa_rule_asks_for_an_x_ray_flag_28b_fires() -> None:
    random, seen = Random(1789), 0
    palpated = [name for name in PACK.facts if name.startswith(("tender_", "isolated_", "fibular_"))]
    for _ in range(150):
        injury = random.choice((KNEE_INJURY, ANKLE_INJURY))
        found: dict[str, object] = {name: random.choice((YES, NO, NOT_SURE)) for name in palpated}
        found["age_years"] = random.choice((19, 54, 55, 81))
        found["duration_days"] = random.choice((0, 7, 8, 10, UNKNOWN))
        found["cannot_walk_4_steps_answer"] = random.choice((YES, NO, NOT_SURE))
        found["cannot_walk_right_after"] = random.choice((YES, NO, NOT_SURE))
        patient = examined(**{**injury, **found})
        if "xray" in [group(score(f"ottawa_{part}", patient)) for part in ("knee", "ankle", "foot")]:
            seen += 1
            assert line_verdict(patient, "RFX-28b") is Verdict.FIRED
    assert seen > 50


def test_the_pittsburgh_rule_needs_a_blow_or_a_fall() -> None:
    assert score("pittsburgh_knee", answered(**{**KNEE_INJURY, "mechanism": "twist"})).applies is NO
    assert score("pittsburgh_knee", answered(**{**KNEE_INJURY, "mechanism": UNKNOWN})).applies is NOT_SURE
    assert group(score("pittsburgh_knee", answered(**{**KNEE_INJURY, "mechanism": UNKNOWN}))) is None


def test_two_positive_tests_point_to_a_rupture_of_the_achilles_tendon() -> None:
    one = examined(location="posterior_ankle", thompson_positive=YES)
    two = examined(location="posterior_ankle", thompson_positive=YES, matles_positive=YES)
    unknown = examined(location="posterior_ankle", thompson_positive=YES, matles_positive=NOT_SURE)

    assert group(score("achilles_tests", two)) == "two_or_more"
    assert group(score("achilles_tests", one)) == "fewer_than_two"
    assert group(score("achilles_tests", unknown)) is None
    assert line_verdict(one, "RFX-18b") is Verdict.FIRED


@pytest.mark.requirement("SR-03")
def test_a_sudden_pain_in_the_heel_cord_is_seen_even_when_no_heel_raise_was_tried() -> None:
    sudden = {"location": "posterior_ankle", "onset": "sudden", "duration_days": 2}

    for not_tried in (NOT_SURE, UNKNOWN):
        assert line_verdict(answered(**sudden, cannot_single_heel_raise=not_tried), "RFX-18f") is Verdict.FIRED
    assert line_verdict(answered(**sudden, cannot_single_heel_raise=NO), "RFX-18f") is Verdict.NOT_FIRED
