"""Advice: nothing is recommended that could harm somebody whose danger, or whose caution, nobody has asked about."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.triage.engine.advice import Advice, AdviceKind, Audience, advise
from services.triage.engine.assess import evaluate
from services.triage.engine.model import MORE_UNKNOWN, Respondent, Urgency, Value
from services.triage.engine.results import Assessment, Scope
from services.triage.engine.state import State
from services.triage.knowledge.advice_schema import AdviceTable
from services.triage.knowledge.cases import CaseTable, read_cases, run_case
from services.triage.knowledge.files import PackError
from services.triage.knowledge.loader import PACKS, load_pack
from tests.triage.packs import NO, NOT_SURE, UNKNOWN, YES, described, edited, example_pack, two_answers
from tests.triage.people import MILD_ANKLE_PAIN
from tests.triage.reading_grade import reading_grade

FOLDER = PACKS / "posterior-lower-limb" / "1.0.0"
PACK = load_pack(FOLDER)
TEXTS = PACK.content.texts
ADVICE = {one.id: one for one in PACK.content.advice}
FOUND_ONLY = {"poor_pulse_found"}
"""Cautions by examination alone: where nobody examined, the patient's own answers stand for the blood supply."""
CAUTIONS = [
    (table["id"], caution)
    for table in tomllib.loads((FOLDER / "advice.toml").read_text(encoding="utf-8"))["advice"]
    for caution in table.get("unless", [])
]
MEASURES = [one for one in ADVICE.values() if one.kind is not AdviceKind.DO_NOT]
FOR_PATIENTS = [one for one in ADVICE.values() if one.audience is Audience.PATIENT]

CHANGED_MEDICINE = re.compile(
    r"\b(stop|start|skip|halve|double|reduce|increase|change)\b[^.]*\b(prescri|medicine|tablet)"
)
COMFORTING = ("reassur", "harmless", "nothing serious", "do not worry", "safe to")

SOMEBODY: dict[str, Value] = {
    **MILD_ANKLE_PAIN,
    "sex_at_birth": frozenset({"female"}),
    "pregnancy_status": frozenset({"neither"}),
}
"""A woman, where the measures for pregnancy must be answered; everything else as with the man."""

CALLED_FOR: dict[str, dict[str, object]] = {
    "T-01": {"duration_days": 2},
    "T-03": {"pedal_pulses": "present"},
    "T-04": {"knee_swollen": YES},
    "T-06": {"sport_dance": YES},
    "T-21": {"cramp_pattern": YES},
    "T-22b": {"joint_hot_swollen": YES},
    "T-23": {"trauma": YES, "duration_days": 4},
    "T-23b": {"leg_swollen_one_side": YES},
    "T-23c": {"leg_lump": YES},
}
"""What makes a measure one to think of, where it is not for everybody."""

LIMPING_CALF: dict[str, object] = {
    "location": "calf",
    "pain_on_walking": YES,
    "starts_at_rest": NO,
    "relief_10min_standing": YES,
}

PRESENT_AND_UNKNOWN: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "cannot_walk_4_steps": (
        {"cannot_walk_4_steps_answer": YES},
        {"cannot_walk_4_steps_answer": NOT_SURE, "single_heel_raise_possible": NOT_SURE},
    ),
    "focal_bone_pain": ({"focal_bone_pain_answer": YES}, {"focal_bone_pain_answer": NOT_SURE}),
    "claudication_pattern": (
        {**LIMPING_CALF, "worse_hurry_uphill": YES},
        {**LIMPING_CALF, "worse_hurry_uphill": NOT_SURE},
    ),
    "numb_tingling": ({"tingling": YES}, {"numbness": NOT_SURE}),
    "foot_cold_pale_blue": ({"foot_cold_pale_blue_answer": YES}, {"foot_cold_pale_blue_answer": NOT_SURE}),
    "any_swelling": ({"leg_swollen_one_side": YES}, {"leg_swollen_one_side": NOT_SURE}),
    "vte_risk": ({"long_travel_4h_4w": YES}, {"previous_dvt": NOT_SURE}),
    "leg_tense_hard": ({"leg_tense_hard_answer": YES}, {"leg_tense_hard_answer": NOT_SURE}),
    "fever_or_chills": ({"fever_or_chills_answer": YES}, {"fever_or_chills_answer": NOT_SURE}),
    "pregnant_or_postpartum": ({"pregnancy_status": "pregnant"}, {"pregnancy_status": UNKNOWN}),
    "under_18": ({"age_years": 17}, {"age_years": UNKNOWN}),
    "age_years>=65": ({"age_years": 65}, {"age_years": UNKNOWN}),
    "duration_days<=3": ({"duration_days": 3}, {"duration_days": UNKNOWN}),
    "onset=sudden & duration_days<=14": ({"onset": "sudden"}, {"onset": UNKNOWN}),
    "trauma & duration_days<=14": ({"trauma": YES}, {"trauma": NOT_SURE}),
    "achilles_site": ({"location": "heel"}, {"location": UNKNOWN}),
    "dvt_site & laterality!=both": ({"location": "calf"}, {"location": "calf", "laterality": UNKNOWN}),
    "pain_trend=worse": ({"pain_trend": "worse"}, {"pain_trend": UNKNOWN}),
    "joint_swollen": ({"knee_swollen": YES}, {"knee_swollen": NOT_SURE}),
    "leg_lump & !known_bakers_cyst": ({"leg_lump": YES, "known_bakers_cyst": NO}, {"leg_lump": NOT_SURE}),
    "groin_or_hip_pain & sport_or_load": (
        {"groin_or_hip_pain_answer": YES, "sport_dance": YES},
        {"groin_or_hip_pain_answer": NOT_SURE, "sport_dance": YES},
    ),
    "out_of_scope_site": (
        {"location": "lower_back", "location_other": "none"},
        {"location": "lower_back", "location_other": UNKNOWN},
    ),
    "hard_exercise_48h & severity_0_10>=6": (
        {"hard_exercise_48h": YES, "severity_0_10": 6},
        {"hard_exercise_48h": NOT_SURE, "severity_0_10": 6},
    ),
    "poor_pulse_found": ({"pedal_pulses": "reduced"}, {}),
    **{
        f"nsaid_caution={code}": (
            {"nsaid_caution": frozenset({"none", code})},
            {"nsaid_caution": frozenset({"none", MORE_UNKNOWN})},
        )
        for code in sorted(PACK.facts["nsaid_caution"].codes - {"none"})
    },
}
"""Cautions that are more than one yes/no question: answers with which they are present, and with which unknown."""


def suggested(*candidates: str, urgency: Urgency = Urgency.ROUTINE, clear: bool = True, **facts: object) -> list[str]:
    """Ids of the advice for somebody with these answers, as if no flag looked at them."""
    state = State(PACK, described(PACK, SOMEBODY, Respondent.PATIENT, facts), Scope.FULL)
    given = advise(PACK.advice, state.values, urgency=urgency, all_clear=clear, candidates=candidates)
    return [one.advice.id for one in given]


def called_for(measure: str, **facts: object) -> bool:
    """Whether the measure is given to somebody whom it would suit, but for these answers."""
    return measure in suggested(*ADVICE[measure].conditions[:1], **{**CALLED_FOR.get(measure, {}), **facts})


def assessed(scope: Scope = Scope.FULL, **facts: object) -> Assessment:
    return evaluate(PACK, described(PACK, SOMEBODY, Respondent.PATIENT, facts), scope=scope)


def given(assessment: Assessment, *kinds: AdviceKind) -> list[str]:
    return [one.advice.id for one in assessment.advice if not kinds or one.advice.kind in kinds]


def answers_for(caution: str) -> tuple[dict[str, object], dict[str, object]]:
    return PRESENT_AND_UNKNOWN.get(caution, ({caution: YES}, {caution: NOT_SURE}))


# --- cautions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", MEASURES, ids=lambda one: one.id)
def test_a_measure_is_given_when_every_caution_is_known_to_be_absent(measure: Advice) -> None:
    assert called_for(measure.id)


@pytest.mark.requirement("SR-14")
@pytest.mark.parametrize(("measure", "caution"), CAUTIONS)
def test_a_measure_is_withheld_when_a_caution_is_present(measure: str, caution: str) -> None:
    assert not called_for(measure, **answers_for(caution)[0])


@pytest.mark.requirement("SR-14", "SR-03")
@pytest.mark.parametrize(("measure", "caution"), [one for one in CAUTIONS if one[1] not in FOUND_ONLY])
def test_a_measure_is_withheld_when_a_caution_is_unknown(measure: str, caution: str) -> None:
    assert not called_for(measure, **answers_for(caution)[1])


@pytest.mark.parametrize(
    ("measure", "cautions"),
    [
        ("T-02", {"numb_tingling", "peripheral_neuropathy", "heart_artery_disease", "claudication_pattern"}),
        ("T-03", {"any_swelling", "vte_risk", "leg_tense_hard", "pain_out_of_proportion", "foot_cold_pale_blue"}),
        ("T-03", {"heart_artery_disease", "claudication_pattern", "rest_foot_pain_2w", "numb_tingling"}),
        ("T-02", {"poor_pulse_found"}),
        ("T-10", {"poor_pulse_found"}),
        (
            "T-04",
            {"poor_pulse_found", "foot_cold_pale_blue", "rest_foot_pain_2w", "leg_tense_hard", "pain_passive_stretch"},
        ),
        ("T-05", {"duration_days<=3", "felt_pop_or_kick", "cannot_single_heel_raise", "cannot_push_off"}),
        ("T-07c", {"anticoagulant", "bleeding_disorder", "chronic_kidney_disease", "heart_failure", "diuretic"}),
        ("T-07c", {"pregnant_or_postpartum", "hypertension", "under_18", "nsaid_caution=ulcer_or_bleed"}),
        ("T-07c", {"hard_exercise_48h & severity_0_10>=6"}),
        ("T-07c", {"nsaid_caution=asthma_with_painkillers", "nsaid_caution=blood_thinner", "nsaid_caution=allergy"}),
        ("T-10", {"duration_days<=3", "any_swelling", "redness", "warmth", "joint_hot_swollen"}),
        ("T-13", {"dvt_site & laterality!=both", "any_swelling", "vte_risk", "fever_or_chills", "redness", "warmth"}),
        ("T-13", {"focal_bone_pain", "trauma & duration_days<=14", "aneurysm_known", "leg_lump", "cancer_ever"}),
        ("T-13", {"anticoagulant", "bleeding_disorder"}),
        ("T-21", {"heart_failure", "chronic_kidney_disease"}),
    ],
)
def test_a_measure_that_can_harm_keeps_its_cautions(measure: str, cautions: set[str]) -> None:
    assert cautions <= {caution for id_, caution in CAUTIONS if id_ == measure}


@pytest.mark.requirement("SR-14")
def test_a_complaint_outside_the_leg_gets_no_self_care_for_a_leg() -> None:
    back = suggested(location="lower_back", location_other="none")

    assert [one for one in back if ADVICE[one].kind is AdviceKind.SELF_CARE] == []


@pytest.mark.requirement("SR-14")
@pytest.mark.parametrize("found", [{"pedal_pulses": "absent"}, {"pedal_pulses": "reduced"}, {"abi": Decimal("0.9")}])
def test_a_poor_foot_pulse_gets_neither_cold_nor_warmth_nor_a_raised_leg(found: dict[str, object]) -> None:
    advised = set(suggested(**CALLED_FOR["T-04"], **found))

    assert not advised & {"T-02", "T-04", "T-10"}
    assert "T-02b" in advised


# --- compression, stretching, massage, painkillers -----------------------------------------------


@pytest.mark.requirement("SR-14")
@pytest.mark.parametrize("pulses", [UNKNOWN, "reduced", "absent"])
def test_no_bandage_as_long_as_nobody_has_felt_good_pulses(pulses: object) -> None:
    assert "T-03" not in suggested("ankle_sprain", pedal_pulses=pulses)


@pytest.mark.requirement("SR-14")
@pytest.mark.parametrize("code", [UNKNOWN, "blood_thinner", "kidney_disease"])
@pytest.mark.parametrize("painkiller", ["T-07b", "T-07c"])
def test_no_anti_inflammatory_painkiller_unless_the_question_about_cautions_was_answered_with_none(
    painkiller: str, code: object
) -> None:
    assert painkiller not in suggested(nsaid_caution=code)


def test_somebody_on_a_blood_thinner_is_warned_of_anti_inflammatory_painkillers() -> None:
    assert "T-07d" in suggested(anticoagulant=YES)
    assert "T-07d" in suggested(anticoagulant=NOT_SURE)
    assert "T-07d" not in suggested()


@pytest.mark.parametrize(("age", "warned"), [(15, True), (16, False), (UNKNOWN, True)])
def test_no_aspirin_under_16_nor_when_the_age_is_unknown(age: object, warned: bool) -> None:
    assert ("T-07e" in suggested(age_years=age)) is warned


@pytest.mark.requirement("SR-14")
@pytest.mark.parametrize(
    "facts",
    [
        {"felt_pop_or_kick": YES},
        {"felt_pop_or_kick": NOT_SURE},
        {"cannot_single_heel_raise": YES},
        {"cannot_single_heel_raise": NOT_SURE},
        {"duration_days": 3},
        {"fluoroquinolone_60d": YES},
        {"thompson_positive": YES},
    ],
)
def test_a_calf_or_heel_cord_that_may_be_torn_is_not_stretched(facts: dict[str, object]) -> None:
    for site in ("calf", "posterior_ankle"):
        ids = suggested("gastrocnemius_strain", location=site, **facts)

        assert "T-05b" in ids
        assert site != "posterior_ankle" or "T-05" not in ids


def test_a_calf_strain_may_be_stretched_gently_from_the_fourth_day_on() -> None:
    assert "T-05" in suggested("gastrocnemius_strain", location="calf", duration_days=4)
    assert "T-05b" not in suggested("gastrocnemius_strain", location="calf", duration_days=4)


def test_insertional_achilles_pain_is_loaded_on_flat_floor_and_never_below_a_step() -> None:
    ids = suggested("achilles_tendinopathy_insertional", location="heel")

    assert {"T-20c", "T-17b", "T-05c"} <= set(ids)
    assert {"T-05", "T-20b"}.isdisjoint(ids)


def test_midportion_achilles_pain_gets_heel_raises_and_no_heel_lift() -> None:
    ids = suggested("achilles_tendinopathy_midportion", location="posterior_ankle")

    assert "T-20b" in ids
    assert {"T-17b", "T-20c"}.isdisjoint(ids)


@pytest.mark.requirement("SR-14")
def test_one_painful_calf_is_never_massaged_and_two_sore_ones_may_be() -> None:
    assert "T-13" not in suggested("doms", location="calf", laterality="left")
    assert "T-13" in suggested("doms", location="calf", laterality="both")


@pytest.mark.parametrize(
    "facts",
    [
        {"leg_swollen_one_side": YES},
        {"leg_swollen_one_side": NOT_SURE},
        {"previous_dvt": YES},
        {"red_tender_cord": YES},
        {"leg_lump": YES},
        {"fever_or_chills_answer": YES},
        {"trauma": YES},
        {"anticoagulant": NOT_SURE},
    ],
)
def test_a_calf_with_a_possible_clot_infection_lump_or_bleed_comes_with_a_warning_of_massage(
    facts: dict[str, object],
) -> None:
    ids = given(assessed(location="calf", **facts))

    assert "T-13b" in ids
    assert "T-13" not in ids


@pytest.mark.requirement("SR-05")
def test_a_warning_holds_under_any_reading_of_contradicting_answers() -> None:
    assert "T-04b" in suggested(rest_foot_pain_2w=two_answers(YES, NO))
    assert "T-02" not in suggested(rest_foot_pain_2w=two_answers(YES, NO))


# --- when self-care may be given at all (SR-14) --------------------------------------------------


def test_a_mild_complaint_with_every_flag_known_not_to_fire_gets_self_care() -> None:
    assessment = assessed()

    assert assessment.urgency in (Urgency.ROUTINE, Urgency.SELF_CARE)
    assert {"T-02", "T-09", "T-25"} <= set(given(assessment, AdviceKind.SELF_CARE))


@pytest.mark.requirement("SR-14")
@pytest.mark.parametrize("case", read_cases(FOLDER), ids=lambda case: case.id)
def test_no_self_care_when_a_flag_fired_or_is_open_for_want_of_an_answer(case: CaseTable) -> None:
    assessment = run_case(PACK, case)
    clear = not assessment.fired and all(flag.examination_only for flag in assessment.undecided)
    held_back = [one for one in assessment.advice if one.advice.held_back]

    assert held_back == [] or (clear and assessment.urgency in (Urgency.ROUTINE, Urgency.SELF_CARE))


@pytest.mark.requirement("SR-14")
@pytest.mark.parametrize("urgency", [Urgency.EMERGENCY, Urgency.SAME_DAY, Urgency.WITHIN_2_WEEKS])
def test_no_self_care_at_any_more_urgent_result_whatever_made_it_urgent(urgency: Urgency) -> None:
    ids = suggested("osteoarthritis", urgency=urgency)

    assert [id_ for id_ in ids if ADVICE[id_].held_back] == []


@pytest.mark.requirement("SR-14")
def test_no_self_care_when_a_flag_is_open_although_the_result_is_routine() -> None:
    ids = suggested("osteoarthritis", clear=False)

    assert [id_ for id_ in ids if ADVICE[id_].held_back] == []


@pytest.mark.requirement("SR-04", "SR-14")
def test_an_unanswered_question_of_page_1_gets_no_self_care() -> None:
    assert given(assessed(chest_pain=NOT_SURE), AdviceKind.SELF_CARE) == []


def test_page_1_alone_gives_no_advice() -> None:
    assert assessed(Scope.PAGE_1).advice == ()
    assert assessed(Scope.PAGE_1, chest_pain=YES).advice == ()


def test_advice_for_a_condition_needs_that_condition_among_the_candidates() -> None:
    assert "T-12" in suggested("osteoarthritis")
    assert "T-12" not in suggested("meniscal_tear")
    assert "T-12" not in suggested()


def test_advice_says_for_which_candidates_it_is_meant() -> None:
    state = State(PACK, described(PACK, SOMEBODY, Respondent.PATIENT, {}), Scope.FULL)
    candidates = ("meniscal_tear", "osteoarthritis")
    named = advise(PACK.advice, state.values, urgency=Urgency.ROUTINE, all_clear=True, candidates=candidates)

    assert {one.advice.id: set(one.conditions) for one in named}["T-20"] == set(candidates)


def test_advice_comes_in_the_order_of_the_pack() -> None:
    order = list(ADVICE)
    ids = suggested("osteoarthritis", "leg_cramps", cramp_pattern=YES)

    assert ids == sorted(ids, key=order.index)


# --- words ---------------------------------------------------------------------------------------


def test_every_measure_of_the_source_articles_has_its_row() -> None:
    assert {id_[:4] for id_ in ADVICE} == {f"T-{number:02}" for number in range(1, 26)}


@pytest.mark.parametrize(
    "key",
    [*(one.text for one in FOR_PATIENTS), *(f"safety_net.{urgency}" for urgency in (*Urgency, "none"))],
)
def test_words_for_patients_are_read_at_grade_8_or_below(key: str) -> None:
    assert reading_grade(TEXTS[key]) <= 8


@pytest.mark.requirement("SR-14", "SR-11")
@pytest.mark.parametrize("one", ADVICE.values(), ids=lambda one: one.id)
def test_advice_never_starts_stops_or_changes_a_prescription_and_never_reassures(one: Advice) -> None:
    text = TEXTS[one.text].casefold().replace("do not change your prescribed medicines on your own", "")

    assert CHANGED_MEDICINE.search(text) is None
    assert [words for words in COMFORTING if words in text] == []


@pytest.mark.requirement("SR-17")
@pytest.mark.parametrize("key", [key for key in TEXTS if key.startswith(("advice.", "safety_net."))])
def test_no_advice_speaks_of_harm_done_to_a_child(key: str) -> None:
    assert re.search(r"safeguard|abuse|neglect|social services|suspicion|bruises", TEXTS[key].casefold()) is None


@pytest.mark.requirement("SR-15")
@pytest.mark.parametrize("urgency", [*Urgency, "none"])
def test_the_safety_net_names_the_dangers_and_what_to_do_about_them(urgency: str) -> None:
    text = TEXTS[f"safety_net.{urgency}"]

    assert "local emergency number" in text
    if urgency != "emergency":
        for sign in (
            "chest pain",
            "trouble breathing",
            "collapse",
            "cold, pale or blue",
            "between the legs",
            "unbearable",
        ):
            assert sign in text


@pytest.mark.requirement("SR-15")
@pytest.mark.parametrize("urgency", ["within_2_weeks", "routine", "self_care"])
def test_who_waits_at_home_knows_what_makes_it_a_matter_of_today(urgency: str) -> None:
    text = TEXTS[f"safety_net.{urgency}"]

    for sign in ("swells", "red or hot", "numb or weak", "fever", "pop", "four steps"):
        assert sign in text
    assert "within 24 hours at the latest" in text


# --- packs ---------------------------------------------------------------------------------------

ROW = '[[advice]]\nid = "T-99"\nkind = "do_not"\naudience = "patient"\ntext = "RFX-12"\nevidence = ["S1"]\n'


def test_a_pack_without_advice_gives_none() -> None:
    assert example_pack().content.advice == ()


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (ROW + 'when = "calf_sweling"', "T-99: column 1: unknown fact 'calf_sweling'"),
        (ROW + 'conditions = ["beriberi"]', "T-99: no condition 'beriberi'"),
        (ROW.replace("S1", "S99") + 'when = "chest_pain"', "T-99: no evidence 'S99'"),
        (ROW.replace("RFX-12", "advice.T-99") + 'when = "chest_pain"', "'advice.T-99' is missing"),
        (f'{ROW}when = "chest_pain"\n{ROW}when = "chest_pain"', "T-99 occurs twice"),
    ],
)
def test_a_row_that_names_what_does_not_exist_is_refused(tmp_path: Path, row: str, problem: str) -> None:
    folder = edited(tmp_path, "pack.toml")
    (folder / "advice.toml").write_text(row, encoding="utf-8")

    with pytest.raises(PackError, match=re.escape(problem)):
        load_pack(folder)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"kind": "do_not", "when": "chest_pain", "unless": ["diabetes"]}, "a warning is never withheld"),
        ({"kind": "do_not"}, "a warning says when it holds"),
        ({"kind": "self_care", "only_when_clear": True}, "always given only when clear"),
        ({"kind": "self_care", "dose": "400 mg"}, "Extra inputs are not permitted"),
    ],
)
def test_a_row_that_does_not_fit_its_kind_is_refused(row: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        AdviceTable(**{"id": "T-99", "audience": "patient", "text": "advice.T-99", "evidence": ["S1"], **row})
