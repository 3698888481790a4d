"""The questions of posterior-lower-limb 1.0.0: what a patient is asked, in which order, and what is never hidden."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import services.intake.questionnaires
from shared.fhir.answer_values import Coding
from shared.fhir.codes import CS_ANSWER, NO, NOT_SURE, YES, YES_NO_SYSTEM
from shared.fhir.enable_when import Enablement, enablement
from shared.fhir.parse import parse_resource
from shared.fhir.questionnaire import QuestionItem, QuestionnaireIndex
from shared.fhir.r4 import validate_with_fhir_resources
from tests.forms import answered, inside, response

FILE = Path(services.intake.questionnaires.__file__).parent / "posterior-lower-limb-1.0.0.json"
LOINC = "http://loinc.org"
YES_NO = {YES, NO, NOT_SURE}

EMERGENCIES = (
    "chest_pain",
    "breathless_new",
    "coughing_blood",
    "collapse_faint",
    "foot_cold_pale_blue",
    "saddle_numbness",
    "bladder_bowel_change",
    "sexual_numbness_change",
    "both_legs_weak_or_numb",
    "fever_or_chills",
    "feels_very_unwell",
    "deformity",
    "bone_visible",
    "uncontrolled_bleeding",
)
ASKED_OF_EVERYBODY = (
    "can_walk_4_steps",
    "leg_swollen_one_side",
    "both_legs_swollen",
    "knee_swollen",
    "swelling_ankle_foot",
    "leg_lump",
    "dark_urine",
    "skin_blister_purple_black",
    "purple_spots",
    "break_in_skin",
    "redness",
    "warmth",
    "numbness",
    "tingling",
    "weak_leg",
    "can_lift_foot",
    "back_pain",
    "weight_loss",
    "night_sweats",
    "recurrent_after_improvement",
    "only_on_exertion",
    "pain_out_of_proportion",
    "recent_crush_cast_fracture",
    "cancer_ever",
    "previous_dvt",
    "operation_12w",
    "less_mobile_lately",
    "leg_paralysis_or_cast",
    "long_travel_4h_4w",
    "thrombophilia",
    "anticoagulant",
    "bleeding_disorder",
    "joint_replacement",
    "diabetes",
    "fluoroquinolone_60d",
    "statin",
)
POSITIVE_WORDING = {
    "can_walk_4_steps": "Can you",
    "can_single_heel_raise": "Can you",
    "can_push_off": "Can you",
    "can_bend_knee_90": "Can you",
    "can_straighten_knee": "Can you",
    "can_lift_straight_leg": "Lying down, can you",
    "can_lift_foot": "Can you",
    "child_walks_alone": "Does the child walk",
}
WINDOWS = {
    "pregnancy_status": "12 weeks",
    "major_surgery_12w": "anaesthetic",
    "operation_12w": "12 weeks",
    "recent_surgery_4w": "any operation in the last 4 weeks",
    "long_travel_4h_4w": "4 hours",
    "fluoroquinolone_60d": "6 months",
    "active_cancer": "6 months",
    "joint_procedure_3m": "3 months",
    "leg_swollen_one_side": "not only the knee or ankle",
}
LISTED_LOINC = {
    "72514-3", "82810-3", "30525-0", "8310-5", "8867-4", "9279-1", "59408-5",
    "8480-6", "1988-5", "4537-7", "6690-2", "3084-1",
}  # fmt: skip


@cache
def resource() -> dict[str, Any]:
    return parse_resource(FILE.read_bytes(), resource_type="Questionnaire").resource


@cache
def index() -> QuestionnaireIndex:
    return QuestionnaireIndex.build(resource())


def codes(item: QuestionItem) -> list[str]:
    return [option.value.code or "" for option in item.options if isinstance(option.value, Coding)]


def questions(*, of_clinicians: bool = False) -> Iterator[QuestionItem]:
    for item in index().items.values():
        if item.is_question and ("clinician" in item.path) is of_clinicians:
            yield item


def yes_no_questions() -> list[QuestionItem]:
    return [item for item in index().items.values() if YES in codes(item)]


def state(link_id: str, *items: dict[str, Any]) -> Enablement:
    return enablement(index(), response(*items)).state(link_id)


def first_page(age: int, sex: Any = "female", respondent: str = "self") -> dict[str, Any]:
    return inside(
        "page-1", answered("respondent", respondent), answered("age_years", age), answered("sex_at_birth", sex)
    )


def test_the_questionnaire_is_valid_fhir_and_can_be_published() -> None:
    assert validate_with_fhir_resources(resource()) == []
    assert index().canonical == "https://sural.example/fhir/Questionnaire/posterior-lower-limb|1.0.0"
    assert resource()["status"] == "active"


@pytest.mark.requirement("REQ-26")
def test_it_says_that_it_is_not_cleared_for_clinical_use_and_names_the_owner_of_its_loinc_codes() -> None:
    assert "Not cleared for clinical use" in resource()["description"]
    assert "LOINC is copyright" in resource()["copyright"]


@pytest.mark.requirement("SR-10")
def test_emergency_questions_come_first_and_all_are_required() -> None:
    assert index().roots[0] == "page-1"
    page_1 = [item.link_id for item in questions() if "page-1" in item.path]
    assert page_1[:3] == ["respondent", "age_years", "sex_at_birth"]
    assert [link_id for link_id in page_1 if link_id in EMERGENCIES] == list(EMERGENCIES)
    assert all(index().items[link_id].required for link_id in page_1)


@pytest.mark.requirement("SR-10")
def test_page_1_can_be_sent_alone_because_no_later_answer_decides_what_it_asks() -> None:
    gates = {gate.question for item in questions() if "page-1" in item.path for gate in item.enable_when}

    assert gates <= {"age_years", "foot_cold_pale_blue", "both_legs_weak_or_numb"}


def test_only_the_sexual_question_of_page_1_depends_on_age() -> None:
    assert state("sexual_numbness_change", first_page(16)) is Enablement.ENABLED
    assert state("sexual_numbness_change", first_page(15)) is Enablement.DISABLED
    assert [item.link_id for item in questions() if _gated_by(item, "age_years") and "page-1" in item.path] == [
        "sexual_numbness_change"
    ]


def test_every_gate_is_asked_before_the_questions_that_it_opens() -> None:
    items = index().items
    late = [
        (item.link_id, gate.question)
        for item in items.values()
        for gate in item.enable_when
        if items[gate.question].index >= item.index
    ]

    assert late == []


def test_every_yes_no_question_can_be_answered_with_not_sure_and_none_is_a_boolean() -> None:
    assert {item.link_id for item in yes_no_questions() if set(codes(item)) != YES_NO} == set()
    assert [item.link_id for item in index().items.values() if item.type == "boolean"] == []


def test_every_required_choice_has_a_not_sure_but_for_who_answers_and_the_main_site() -> None:
    without = {item.link_id for item in questions() if item.required and item.options and NOT_SURE not in codes(item)}

    assert without == {"respondent", "location"}


def test_answers_come_from_two_code_systems() -> None:
    for item in index().items.values():
        for option in item.options:
            assert isinstance(option.value, Coding)
            assert option.value.display
            expected = YES_NO_SYSTEM if option.value.code in YES_NO else CS_ANSWER
            assert option.value.system == expected, item.link_id


@pytest.mark.parametrize(("link_id", "beginning"), POSITIVE_WORDING.items())
def test_what_a_patient_can_do_is_asked_in_positive_words(link_id: str, beginning: str) -> None:
    assert (index().items[link_id].text or "").startswith(beginning)


@pytest.mark.parametrize(("link_id", "words"), WINDOWS.items())
def test_the_wording_names_its_window(link_id: str, words: str) -> None:
    assert words in (index().items[link_id].text or "")


@pytest.mark.requirement("REQ-17")
@pytest.mark.parametrize("link_id", ASKED_OF_EVERYBODY)
def test_a_question_on_which_an_emergency_or_a_clot_hangs_is_asked_of_everybody(link_id: str) -> None:
    item = index().items[link_id]

    assert item.enable_when == ()
    assert all(index().items[group].enable_when == () for group in item.path)
    assert item.required or link_id == "statin"


@pytest.mark.parametrize("age", [18, 34, 55, 80])
def test_an_adult_man_is_never_asked_about_pregnancy(age: int) -> None:
    assert state("pregnancy_status", first_page(age, "male")) is Enablement.DISABLED


@pytest.mark.parametrize(
    ("age", "sex", "expected"),
    [
        (10, "female", Enablement.ENABLED),
        (55, "female", Enablement.ENABLED),
        (34, "intersex", Enablement.ENABLED),
        (34, NOT_SURE, Enablement.ENABLED),
        (9, "female", Enablement.DISABLED),
        (56, "female", Enablement.DISABLED),
    ],
)
def test_pregnancy_is_asked_between_10_and_55_of_everybody_not_recorded_as_male(
    age: int, sex: str, expected: Enablement
) -> None:
    assert state("pregnancy_status", first_page(age, sex)) is expected


@pytest.mark.requirement("REQ-21")
def test_the_examination_is_closed_for_patients_and_carers_and_open_for_clinicians() -> None:
    examination = [item.link_id for item in questions(of_clinicians=True)]

    assert {state("thompson_positive", first_page(40, respondent=who)) for who in ("self", "parent_carer")} == {
        Enablement.DISABLED
    }
    assert state("thompson_positive", first_page(40, respondent="clinician")) is Enablement.ENABLED
    assert "injury_story_unclear" in examination
    assert not [link_id for link_id in examination if index().items[link_id].required and link_id != "ddimer_unit"]


@pytest.mark.parametrize("answer", ["Y", NOT_SURE])
def test_after_any_operation_within_12_weeks_both_its_weight_and_its_date_are_asked(answer: str) -> None:
    operated = inside("history", answered("operation_12w", answer))

    assert index().items["operation_12w"].enable_when == ()
    assert state("major_surgery_12w", operated) is Enablement.ENABLED
    assert state("recent_surgery_4w", operated) is Enablement.ENABLED


WELL = (
    inside(
        "page-1", answered("respondent", "self"), answered("fever_or_chills", NO), answered("feels_very_unwell", NO)
    ),
    inside(
        "pain",
        answered("location", "calf"),
        answered("location_other", "none"),
        answered("onset", "gradual"),
        answered("severity_0_10", 4),
        answered("pain_out_of_proportion", NO),
        answered("focal_bone_pain", NO),
    ),
    inside("injury", answered("trauma", NO)),
    inside("history", answered("operation_12w", NO), answered("fluoroquinolone_60d", NO)),
)
SIGNS = (
    "leg_swollen_one_side",
    "both_legs_swollen",
    "swelling_thigh",
    "knee_swollen",
    "swelling_ankle_foot",
    "redness",
    "warmth",
    "skin_blister_purple_black",
)


@pytest.mark.parametrize("link_id", ["joint_procedure_3m", "immunosuppressed", "steroid_systemic"])
@pytest.mark.parametrize("sign", SIGNS)
def test_what_makes_an_infection_likelier_is_asked_as_soon_as_one_sign_is_not_denied(link_id: str, sign: str) -> None:
    denied = dict.fromkeys(SIGNS, NO)
    unsure = inside("swelling-skin", *(answered(*one) for one in (denied | {sign: NOT_SURE}).items()))
    well = inside("swelling-skin", *(answered(*one) for one in denied.items()))

    assert state(link_id, *WELL, unsure) is Enablement.ENABLED
    assert state(link_id, *WELL, well) is Enablement.DISABLED
    assert state(link_id, *WELL) is Enablement.DISABLED_UNKNOWN


@pytest.mark.parametrize(
    ("now", "expected"), [("Y", Enablement.DISABLED), (NO, Enablement.ENABLED), (NOT_SURE, Enablement.ENABLED)]
)
def test_walking_right_after_the_injury_is_asked_of_those_who_cannot_walk_now(now: str, expected: Enablement) -> None:
    for trauma in ("Y", NOT_SURE):
        injury = inside("injury", answered("trauma", trauma), answered("can_walk_4_steps", now))

        assert state("could_walk_right_after", injury) is expected


SPREADING_SIGNS = (
    ("page-1", "fever_or_chills"),
    ("page-1", "feels_very_unwell"),
    ("pain", "pain_out_of_proportion"),
    ("swelling-skin", "both_legs_swollen"),
    ("swelling-skin", "swelling_thigh"),
    ("swelling-skin", "knee_swollen"),
    ("swelling-skin", "swelling_ankle_foot"),
    ("swelling-skin", "skin_blister_purple_black"),
    ("swelling-skin", "break_in_skin"),
)


@pytest.mark.parametrize("answer", ["Y", NOT_SURE])
@pytest.mark.parametrize(("group", "sign"), SPREADING_SIGNS)
def test_rapid_spread_is_asked_about_without_redness_too_because_dark_skin_hides_it(
    group: str, sign: str, answer: str
) -> None:
    thigh = inside("pain", answered("location", "thigh"), *([answered(sign, answer)] if group == "pain" else []))
    signs = (thigh,) if group == "pain" else (thigh, inside(group, answered(sign, answer)))

    assert state("redness_spreading_fast", *signs) is Enablement.ENABLED


@pytest.mark.parametrize("answer", ["Y", NOT_SURE])
@pytest.mark.parametrize(
    ("group", "sign"),
    [("injury", "trauma"), ("swelling-skin", "leg_swollen_one_side"), ("swelling-skin", "swelling_ankle_foot")],
)
def test_pressure_in_a_compartment_is_asked_about_after_any_injury_and_in_any_swelling(
    group: str, sign: str, answer: str
) -> None:
    sign_alone = inside(group, answered(sign, answer))

    assert state("leg_tense_hard", sign_alone) is Enablement.ENABLED
    assert state("pain_passive_stretch", sign_alone) is Enablement.ENABLED


def test_pain_that_gets_worse_opens_the_questions_about_pressure_in_a_compartment() -> None:
    worse = inside("pain", answered("severity_0_10", 5), answered("pain_trend", "worse"))

    assert state("leg_tense_hard", worse) is Enablement.ENABLED
    assert state("pain_passive_stretch", worse) is Enablement.ENABLED


@pytest.mark.parametrize("site", ["calf", "foot", "buttock"])
@pytest.mark.parametrize("mechanism", ["none", "running", "wound", "minor"])
def test_after_any_injury_it_is_asked_whether_the_knee_slipped_out_of_place(site: str, mechanism: str) -> None:
    pain = inside("pain", answered("location", site), answered("location_other", "none"))
    injury = inside("injury", answered("trauma", "Y"), answered("mechanism", mechanism))

    assert state("knee_out_of_place", pain, injury) is Enablement.ENABLED


@pytest.mark.parametrize(
    ("site", "onset", "giving_way", "expected"),
    [
        ("knee", "sudden", NO, Enablement.ENABLED),
        ("knee", "gradual", "Y", Enablement.ENABLED),
        ("knee", "gradual", NOT_SURE, Enablement.ENABLED),
        ("knee", "gradual", NO, Enablement.DISABLED),
        ("foot", "sudden", NO, Enablement.DISABLED),
    ],
)
def test_without_an_injury_a_knee_that_slipped_is_asked_about_in_a_sudden_or_unstable_knee(
    site: str, onset: str, giving_way: str, expected: Enablement
) -> None:
    answers = (
        inside("pain", answered("location", site), answered("location_other", "none"), answered("onset", onset)),
        inside("injury", answered("trauma", NO), answered("mechanism", "none")),
        inside("swelling-skin", answered("knee_swollen", NO)),
        *([inside("knee", answered("giving_way", giving_way))] if site == "knee" else []),
    )

    assert state("knee_out_of_place", *answers) is expected


INJURIES_DENIED = (
    *("fall", "heavy_landing", "direct_blow", "blow_to_shin", "valgus_blow", "varus_blow", "hyperextension"),
    *("crush", "wound", "high_energy", "twist"),
)


@pytest.mark.parametrize("mechanism", INJURIES_DENIED)
def test_a_denied_injury_with_a_way_of_injury_hides_no_question_about_the_injury(mechanism: str) -> None:
    denied = inside(
        "injury", answered("trauma", NO), answered("mechanism", mechanism), answered("can_walk_4_steps", NO)
    )
    asked = ("could_walk_right_after", "knee_out_of_place", "leg_tense_hard", "pain_passive_stretch")

    assert {state(link_id, denied) for link_id in asked} == {Enablement.ENABLED}


@pytest.mark.parametrize(
    "link_id",
    [
        *("iv_drug_use", "palpitations", "wound_leak", "ulcer_or_black_toe", "swelling_thigh"),
        *("redness_spreading_fast", "leg_tense_hard", "pain_passive_stretch"),
    ],
)
def test_a_clinician_can_always_record_it_whatever_was_answered_before(link_id: str) -> None:
    assert state(link_id, first_page(40, respondent="clinician")) is Enablement.ENABLED


@pytest.mark.parametrize("site", ["shin", "calf", "hip_groin"])
@pytest.mark.parametrize("trauma", ["Y", NOT_SURE])
def test_after_an_injury_the_movements_of_the_knee_are_asked_about_beyond_the_knee(site: str, trauma: str) -> None:
    injured = (
        inside("pain", answered("location", site), answered("location_other", "none")),
        inside("injury", answered("trauma", trauma)),
    )

    for link_id in ("can_bend_knee_90", "can_straighten_knee", "can_lift_straight_leg"):
        assert state(link_id, *injured) is Enablement.ENABLED


@pytest.mark.parametrize(
    ("group", "sign"), [("nerves", "weak_leg"), ("pain", "recurrent_after_improvement"), ("general", "fatigue")]
)
def test_unexplained_bruises_are_asked_about_with_weakness_relapse_or_tiredness(group: str, sign: str) -> None:
    assert state("unexplained_bruises", inside(group, answered(sign, "Y"))) is Enablement.ENABLED


def test_cold_feet_on_both_sides_are_not_missed_for_want_of_a_healthy_side_to_compare_with() -> None:
    assert (index().items["foot_cold_pale_blue"].text or "").endswith("compared with the other one, or are both?")


def test_paleness_is_asked_of_every_child_and_of_adults_who_are_ill() -> None:
    fever = inside(
        "page-1", answered("respondent", "self"), answered("age_years", 40), answered("fever_or_chills", "Y")
    )

    assert state("pallor", first_page(17)) is Enablement.ENABLED
    assert state("pallor", fever) is Enablement.ENABLED
    assert index().items["pallor"].required


def test_questions_about_a_child_are_asked_up_to_17_years() -> None:
    assert state("child_wont_bear_weight", first_page(17)) is Enablement.ENABLED
    assert state("child_wont_bear_weight", first_page(18)) is Enablement.DISABLED
    assert state("child_walks_alone", first_page(2)) is Enablement.ENABLED
    assert state("child_walks_alone", first_page(3)) is Enablement.DISABLED


@pytest.mark.requirement("REQ-17")
def test_not_sure_opens_what_yes_opens() -> None:
    """A gate that opens on Yes but not on "Not sure" would turn "Not sure" into a silent No."""
    closed = []
    for item in index().items.values():
        wanted: dict[str, set[str]] = {}
        for gate in item.enable_when:
            if isinstance(gate.expected, Coding) and set(codes(index().items[gate.question])) == YES_NO:
                wanted.setdefault(gate.question, set()).add(gate.expected.code or "")
        closed += [(item.link_id, gate) for gate, values in wanted.items() if NOT_SURE not in values]

    assert closed == []


@pytest.mark.requirement("REQ-17")
def test_no_gate_uses_not_equal_because_an_unanswered_gate_would_have_to_count_as_different() -> None:
    assert {gate.operator for item in index().items.values() for gate in item.enable_when} <= {
        "=", ">=", "<=", "<", "exists",
    }  # fmt: skip


@pytest.mark.parametrize("site", ["posterior_ankle", "calf", "front_of_knee", "under_heel", "lower_back"])
def test_a_lump_in_the_calf_is_asked_about_wherever_the_pain_is(site: str) -> None:
    with_lump = (
        inside("pain", answered("location", site), answered("location_other", "none")),
        inside("swelling-skin", answered("leg_lump", "Y")),
    )

    for link_id in ("calf_mass", "lump_behind_knee", "lump_pulsates", "lump_growing_or_over_5cm"):
        assert state(link_id, *with_lump) is Enablement.ENABLED


def test_the_emergencies_of_the_knee_and_heel_are_asked_when_the_site_is_only_named_second() -> None:
    pain = inside("pain", answered("location", "thigh"), answered("location_other", "calf", "posterior_knee"))

    assert state("can_bend_knee_90", pain) is Enablement.ENABLED
    assert state("can_single_heel_raise", pain) is Enablement.ENABLED


def test_an_unclear_site_opens_the_knee_the_calf_and_the_ankle() -> None:
    pain = inside("pain", answered("location", "other"), answered("location_other", "none"))

    for link_id in ("can_bend_knee_90", "can_single_heel_raise", "known_bakers_cyst", "leg_tense_hard"):
        assert state(link_id, pain) is Enablement.ENABLED


def test_a_pop_opens_the_heel_raise_wherever_the_pain_is() -> None:
    pain = inside("pain", answered("location", "thigh"), answered("location_other", "none"))
    injury = inside("injury", answered("trauma", "Y"), answered("felt_pop_or_kick", "Y"))

    assert state("can_single_heel_raise", pain, injury) is Enablement.ENABLED


def test_nowhere_else_none_and_not_sure_exclude_other_choices() -> None:
    for link_id in ("location_other", "nsaid_caution"):
        item = index().items[link_id]
        assert item.repeats
        exclusive = {o.value.code for o in item.options if isinstance(o.value, Coding) and o.exclusive}
        assert exclusive == {"none", NOT_SURE}


@pytest.mark.requirement("SR-07")
def test_every_number_has_bounds_and_a_unit() -> None:
    numbers = [item for item in index().items.values() if item.type in ("integer", "decimal")]

    assert [item.link_id for item in numbers if item.min_value is None or item.max_value is None] == []
    assert [
        item.link_id for item in numbers if item.unit is None or item.unit.system != "http://unitsofmeasure.org"
    ] == []
    assert {item.type for item in index().items.values()} <= {
        "group", "display", "choice", "integer", "decimal", "text",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("link_id", "low", "high"), [("age_years", 0, 120), ("severity_0_10", 0, 10), ("duration_days", 0, 36500)]
)
def test_the_bounds_of_the_numbers_that_patients_enter(link_id: str, low: int, high: int) -> None:
    item = index().items[link_id]

    assert (item.min_value, item.max_value, item.required) == (low, high, True)


@pytest.mark.requirement("SR-07")
def test_a_d_dimer_cannot_be_entered_without_its_unit() -> None:
    figures = inside("clinician", inside("clinician-vital-signs", answered("ddimer", 740)))
    page_1 = first_page(50, respondent="clinician")

    assert index().items["ddimer_unit"].required
    assert state("ddimer_unit", page_1, figures) is Enablement.ENABLED
    assert set(codes(index().items["ddimer_unit"])) == {"feu", "ddu", NOT_SURE}


def test_loinc_codes_are_only_those_that_were_verified() -> None:
    found = {
        coding["code"] for raw in _raw_items(resource()["item"]) for coding in raw.get("code", ()) if _is_loinc(coding)
    }

    assert found == LISTED_LOINC


def test_patients_are_asked_in_short_sentences() -> None:
    long = [item.link_id for item in questions() if len((item.text or "").split()) > 30]

    assert long == []


def _gated_by(item: QuestionItem, gate: str) -> bool:
    return any(condition.question == gate for condition in item.enable_when)


def _raw_items(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for raw in items:
        yield raw
        yield from _raw_items(raw.get("item", []))


def _is_loinc(coding: dict[str, Any]) -> bool:
    assert coding["system"] == LOINC
    return True
