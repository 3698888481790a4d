"""The clinical content of `posterior-lower-limb`: every case of every flag line, and the safety rules on it."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest

from services.triage.engine.assess import evaluate
from services.triage.engine.criteria import OrUnknown
from services.triage.engine.model import (
    Contradiction,
    FactKind,
    Finding,
    FlagLine,
    Respondent,
    Screen,
    Urgency,
    Value,
)
from services.triage.engine.results import Assessment, ScoreResult, Verdict
from services.triage.explanation import Explanation, explain
from services.triage.knowledge.cases import CaseTable, disagreements, line_verdict, read_cases, run_case
from services.triage.knowledge.loader import PACKS, load_pack
from services.triage.knowledge.review.places import FACTS, criteria, names_behind
from tests.triage.packs import NO, NOT_SURE, UNKNOWN, YES, described
from tests.triage.people import MILD_ANKLE_PAIN

FOLDER = PACKS / "posterior-lower-limb" / "1.0.0"
PACK = load_pack(FOLDER)
CASES = read_cases(FOLDER)
LINES = {line.id: line for flag in PACK.content.flags for line in flag.lines}

COUNTED_ONLY_WHEN_KNOWN = {"RFX-13e", "RFX-15", "RFX-40"}
"""Lines on a two-valued fact, on known points, and on free text: an unknown adds nothing, by clinical decision."""

ONLY_RECORDED = {"hemiparesis", "dementia"}
"""Examination items that no rule uses: they tell the reader why the limb is weak or the answers are uncertain."""

FORBIDDEN = (
    *("not dvt", "no dvt", "ruled out", "rules out", "is excluded", "nothing wrong", "nothing is wrong"),
    *("harmless", "all clear", "diagnosed", "you have", "no need to", "reassur"),
)

CONTRADICTIONS: dict[str, dict[str, object]] = {
    "both-legs-one-swollen": {"laterality": "both", "leg_swollen_one_side": YES},
    "injury-denied-with-mechanism": {"trauma": NO, "mechanism": "fall"},
    "gradual-within-two-days": {"onset": "gradual", "duration_days": 2},
    "cannot-walk-but-heel-raise": {"cannot_walk_4_steps_answer": YES, "single_heel_raise_possible": YES},
    "pregnant-male": {"sex_at_birth": "male", "pregnancy_status": "pregnant"},
    "no-lump-but-it-beats": {"leg_lump": YES, "lump_behind_knee": NO, "calf_mass_answer": NO, "lump_pulsates": YES},
    "no-pain-but-pain-at-rest": {"severity_0_10": 0, "rest_pain": YES},
    "age-over-110": {"age_years": 117},
    "no-fever-but-38": {"fever_or_chills_answer": NO, "temp_c": 38},
    "no-calf-swelling-but-3-cm": {"calf_swelling": NO, "calf_circumference_diff_cm": 3},
    "no-swelling-but-whole-leg": {"entire_leg_swollen_answer": NO, "entire_leg_swollen_exam": YES},
    "d-dimer-not-raised-but-high": {"d_dimer_raised_answer": NO, "ddimer": 900, "ddimer_unit": UNKNOWN},
    "calf-squeeze-but-heel-raise": {"thompson_positive": YES, "single_heel_raise_possible": YES},
    "foot-drop-without-weakness": {"foot_drop": YES, "weak_leg": NO},
    "chest-site-without-chest-pain": {"location": "chest", "chest_pain": NO},
    "only-on-exertion-but-at-rest": {"only_on_exertion": YES, "rest_pain": YES},
    "cramp-but-constant": {"cramp_pattern": YES, "rest_pain": YES},
}


def assess(**facts: object) -> Assessment:
    """The man with mild ankle pain, but for these answers of his."""
    return evaluate(PACK, described(PACK, MILD_ANKLE_PAIN, Respondent.PATIENT, facts))


def examined(**facts: object) -> Assessment:
    """The same man, but for these facts, as a clinician records him."""
    return evaluate(PACK, described(PACK, MILD_ANKLE_PAIN, Respondent.CLINICIAN, facts))


def at_least(assessment: Assessment, urgency: Urgency) -> bool:
    return assessment.urgency is not None and assessment.urgency.rank <= urgency.rank


def wells(**facts: object) -> ScoreResult:
    """The two-level score as a clinician who examined the leg would see it; items not named are known to be absent."""
    items: dict[str, object] = dict.fromkeys(
        (
            "localized_deep_vein_tenderness",
            "entire_leg_swollen_exam",
            "pitting_oedema",
            "collateral_superficial_veins",
            "alternative_dx_at_least_as_likely",
        ),
        NO,
    )
    items["calf_circumference_diff_cm"] = 0
    return score("wells_dvt", examined(**(items | facts)))


def score(name: str, assessment: Assessment) -> ScoreResult:
    return next(one for one in assessment.scores if one.definition.id == name)


# --- cases ---------------------------------------------------------------------------------------


@pytest.mark.requirement("REQ-18")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_case_gives_what_clinicians_expect(case: CaseTable) -> None:
    assert list(disagreements(case, run_case(PACK, case))) == []


@pytest.mark.requirement("REQ-18")
@pytest.mark.parametrize("line", LINES.values(), ids=lambda line: line.id)
def test_every_line_has_a_firing_a_near_miss_and_an_unknown_case(line: FlagLine) -> None:
    verdicts = defaultdict(set)
    for case in CASES:
        if case.line == line.id:
            verdicts[case.kind].add(case.expect.line)

    assert verdicts["firing"] == {"fired"}
    assert verdicts["near_miss"] == {"not_fired"}
    if line.id == "RFX-40":
        assert verdicts["unknown"] == {"not_fired"}  # silence in free text says nothing, and reassures nobody
    elif line.id in COUNTED_ONLY_WHEN_KNOWN:
        assert verdicts["unknown"] == {"fired"}
    else:
        assert verdicts["unknown"] in ({"undecided"}, {"undecided", "fired"})


def test_a_case_in_which_an_unknown_fires_belongs_to_a_line_that_says_so() -> None:
    fired = {case.line for case in CASES if case.kind == "unknown" and case.expect.line == "fired"}

    for line_id in fired - COUNTED_ONLY_WHEN_KNOWN:
        assert line_id is not None
        assert OrUnknown.__name__ in repr(LINES[line_id].when), f"{line_id} has no part with ~"


@pytest.mark.requirement("SR-01", "REQ-18")
@pytest.mark.parametrize("case", [case for case in CASES if case.kind == "firing"], ids=lambda case: case.id)
def test_a_case_that_fires_is_at_least_as_urgent_as_its_line_and_raises_its_names(case: CaseTable) -> None:
    assert case.line is not None
    line = LINES[case.line]

    assessment = run_case(PACK, case)

    assert line.urgency is None or at_least(assessment, line.urgency)
    assert set(line.raises) <= set(assessment.raises)


@pytest.mark.requirement("SR-03")
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.kind == "firing" and case.line not in COUNTED_ONLY_WHEN_KNOWN],
    ids=lambda case: case.id,
)
def test_forgetting_an_answer_leaves_a_line_fired_or_open_but_never_silent(case: CaseTable) -> None:
    for name in case.facts:
        forgetful = case.model_copy(update={"facts": case.facts | {name: "unknown"}})

        assert line_verdict(run_case(PACK, forgetful), case.line) in (Verdict.FIRED, Verdict.UNDECIDED), name


def test_titles_and_ids_of_cases_are_unique() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    assert len({(case.line, case.title) for case in CASES}) == len(CASES)


# --- texts and evidence --------------------------------------------------------------------------


@pytest.mark.requirement("SR-11")
@pytest.mark.parametrize("line", LINES.values(), ids=lambda line: line.id)
def test_every_line_has_a_sentence_of_its_own_without_forbidden_words(line: FlagLine) -> None:
    sentence = PACK.content.texts[line.text]

    assert sentence.endswith(".")
    assert sentence[0].isupper()
    assert [words for words in FORBIDDEN if words in sentence.casefold()] == []
    assert sum(PACK.content.texts[other.text] == sentence for other in LINES.values()) == 1


@pytest.mark.requirement("SR-11")
def test_no_text_claims_that_a_danger_was_ruled_out() -> None:
    for key, sentence in PACK.content.texts.items():
        assert [words for words in FORBIDDEN[:8] if words in sentence.casefold()] == [], key


@pytest.mark.requirement("SR-15")
@pytest.mark.parametrize("urgency", [*Urgency, "none"])
def test_every_safety_net_says_what_to_do_at_once_in_24_hours_in_72_hours_and_in_14_days(urgency: str) -> None:
    text = PACK.content.texts[f"safety_net.{urgency}"]

    assert "local emergency number" in text
    for when in ("24 hours", "72 hours", "14 days"):
        assert when in text


@pytest.mark.requirement("SR-15", "REQ-26")
def test_every_output_carries_the_note_for_clinicians_and_the_emergency_advice() -> None:
    text = PACK.content.texts["every_output"]

    assert text.startswith("Decision support for clinicians. Not a diagnosis.")
    assert "call your local emergency number now" in text
    assert "Clinical Safety Officer: required before clinical use" in PACK.content.head.note


@pytest.mark.requirement("REQ-19")
def test_every_flag_states_its_evidence_and_every_source_is_used() -> None:
    used = {key for flag in PACK.content.flags for key in flag.evidence}
    used |= {key for one in PACK.content.scores for key in one.evidence}
    used |= {key for floor in PACK.content.safety.floors for key in floor.evidence}
    used |= {key for one in PACK.content.advice for key in one.evidence}
    used |= {key for one in PACK.content.conditions for key in one.evidence}
    used |= {key for one in PACK.content.conditions for finding in one.findings for key in finding.evidence}

    assert all(flag.evidence for flag in PACK.content.flags)
    assert used == set(PACK.content.evidence)


def test_every_examination_finding_is_used_by_some_rule() -> None:
    rules = [when for place, when in criteria(PACK.content) if place.file != FACTS]
    used = {name for when in rules for name in names_behind(PACK, when)}
    examined_only = {fact.name for fact in PACK.content.facts if fact.clinician}

    assert examined_only - used == ONLY_RECORDED


def test_nothing_is_called_verified_without_the_day_on_which_it_was_read() -> None:
    for source in PACK.content.evidence.values():
        assert (source.status == "verified") == (source.checked is not None), source.key


# --- safety rules --------------------------------------------------------------------------------


def test_mild_ankle_pain_with_every_question_answered_is_routine_and_never_self_care() -> None:
    assessment = assess()

    assert assessment.fired == ()
    assert assessment.floors == ()
    assert assessment.urgency is Urgency.ROUTINE


@pytest.mark.requirement("SR-04")
@pytest.mark.parametrize("fact", [fact.name for fact in PACK.screened if fact.screen is Screen.PAGE_1])
def test_one_unanswered_question_of_page_1_is_a_same_day_call(fact: str) -> None:
    missing: Value = NOT_SURE if PACK.facts[fact].kind is FactKind.PRESENCE else UNKNOWN

    assessment = assess(**{fact: missing})

    assert at_least(assessment, Urgency.SAME_DAY)
    assert [floor.text for floor in assessment.floors] == ["screen.page_1"]


def page_1(**facts: object) -> Assessment:
    """The emergency page alone, everything denied but these."""
    return evaluate(PACK, described(PACK, MILD_ANKLE_PAIN, Respondent.PATIENT, facts), scope="page_1")


@pytest.mark.requirement("SR-21")
@pytest.mark.parametrize(
    ("answer", "line", "urgency"),
    [
        ("both_legs_weak_or_numb_answer", "RFX-03b", Urgency.EMERGENCY),
        ("deformity", "RFX-04b", Urgency.SAME_DAY),
    ],
)
def test_a_danger_on_page_1_counts_before_its_duration_is_known(answer: str, line: str, urgency: Urgency) -> None:
    assessment = page_1(**{answer: YES})

    assert line_verdict(assessment, line) is Verdict.FIRED
    assert assessment.urgency is urgency


def test_a_line_that_fires_before_a_question_was_put_names_that_question_too() -> None:
    fired = {line.line.id: line.facts for flag in page_1(deformity=YES).fired for line in flag.fired}

    assert fired == {"RFX-04b": ("deformity", "duration_days", "pain_trend")}


@pytest.mark.requirement("SR-04", "SR-21")
def test_on_page_1_alone_not_sure_is_a_same_day_call_and_silence_is_not_yet() -> None:
    unsure = page_1(chest_pain=Finding(NOT_SURE, answer="Not sure"))
    silent = page_1(chest_pain=Finding(NOT_SURE))

    assert unsure.urgency is Urgency.SAME_DAY
    assert [(floor.text, floor.facts) for floor in unsure.floors] == [("screen.page_1", ("chest_pain",))]
    assert silent.urgency is None
    assert silent.floors == ()


@pytest.mark.requirement("SR-04")
def test_two_unanswered_safety_questions_with_pain_of_5_are_a_same_day_call() -> None:
    assert assess(diabetes=NOT_SURE, dark_urine=NOT_SURE, severity_0_10=4).urgency is Urgency.ROUTINE
    assert assess(diabetes=NOT_SURE, severity_0_10=5).urgency is Urgency.ROUTINE
    assert assess(diabetes=NOT_SURE, dark_urine=NOT_SURE, severity_0_10=5).urgency is Urgency.SAME_DAY


@pytest.mark.requirement("SR-04")
def test_two_unanswered_safety_questions_with_a_sudden_start_are_a_same_day_call() -> None:
    assessment = assess(diabetes=NOT_SURE, dark_urine=NOT_SURE, onset="sudden")

    assert "screen.raised" in [floor.text for floor in assessment.floors]
    assert at_least(assessment, Urgency.SAME_DAY)


def test_examination_items_that_nobody_recorded_do_not_count_as_an_incomplete_screen() -> None:
    assert not [fact.name for fact in PACK.screened if fact.clinician]
    assert examined().floors == ()


@pytest.mark.requirement("SR-05", "SR-06")
@pytest.mark.parametrize("rule", PACK.content.safety.contradictions, ids=lambda rule: rule.id)
def test_contradictory_answers_are_reported_and_guarded(rule: Contradiction) -> None:
    assessment = examined(**CONTRADICTIONS[rule.id])

    assert rule.id in [one.id for one in assessment.quality.contradictions]
    assert "inconsistent_answers" in assessment.raises
    if rule.guards_emergency:
        assert at_least(assessment, Urgency.SAME_DAY)


@pytest.mark.requirement("SR-05")
def test_denied_fever_with_a_temperature_of_38_and_a_swollen_knee_is_an_emergency() -> None:
    assessment = examined(temp_c=38, fever_or_chills_answer=NO, knee_swollen=YES)

    assert assessment.urgency is Urgency.EMERGENCY
    assert "septic_joint" in assessment.raises


@pytest.mark.requirement("SR-05")
def test_a_denied_injury_with_a_blow_to_the_shin_is_also_read_as_an_injury() -> None:
    answers = {"mechanism": "blow_to_shin", "pain_passive_stretch": YES}

    assert assess(trauma=NO, **answers).urgency is Urgency.EMERGENCY


@pytest.mark.requirement("SR-08")
@pytest.mark.parametrize(("age", "floors"), [(0, ["SR-08-under-3"]), (2, ["SR-08-under-3"]), (3, [])])
def test_a_leg_complaint_under_three_years_is_seen_by_a_person_the_same_day(age: int, floors: list[str]) -> None:
    assessment = assess(age_years=age)
    assert [floor.id for floor in assessment.floors] == floors
    assert age >= 3 or at_least(assessment, Urgency.SAME_DAY)


@pytest.mark.requirement("SR-17")
def test_the_reason_given_for_a_child_under_three_does_not_mention_safeguarding() -> None:
    assert [floor.text for floor in assess(age_years=1).floors] == ["floor.under-3"]
    assert "safeguard" not in PACK.content.texts["floor.under-3"].casefold()


@pytest.mark.requirement("SR-08")
@pytest.mark.parametrize(("age", "urgency"), [(79, Urgency.ROUTINE), (80, Urgency.SAME_DAY)])
def test_a_swollen_ankle_at_80_is_seen_the_same_day(age: int, urgency: Urgency) -> None:
    assert assess(age_years=age, swelling_ankle_foot=YES).urgency is urgency


@pytest.mark.requirement("SR-08")
@pytest.mark.parametrize(("age", "urgency"), [(79, Urgency.ROUTINE), (80, Urgency.SAME_DAY)])
def test_a_twisted_ankle_at_80_is_seen_the_same_day(age: int, urgency: Urgency) -> None:
    assert assess(age_years=age, trauma=YES, mechanism="twist").urgency is urgency


@pytest.mark.requirement("SR-09")
def test_low_back_pain_alone_is_out_of_scope_but_is_never_left_without_an_appointment() -> None:
    assessment = assess(location="lower_back")

    assert "out_of_scope" in assessment.raises
    assert at_least(assessment, Urgency.ROUTINE)


def test_pain_somewhere_else_may_be_in_the_leg_and_at_the_site_of_a_clot() -> None:
    elsewhere = assess(location="other", location_other="other", previous_dvt=YES)

    assert "out_of_scope" not in elsewhere.raises
    assert "suspected_dvt" in elsewhere.raises
    assert "The flags were still evaluated" in PACK.content.texts["floor.out-of-scope"]


@pytest.mark.requirement("SR-07")
@pytest.mark.parametrize(
    ("facts", "raised"),
    [
        ({"ddimer": 900, "ddimer_unit": UNKNOWN}, True),
        ({"ddimer": 900, "ddimer_unit": UNKNOWN, "d_dimer_raised_answer": NO}, True),
        ({"ddimer": 300, "ddimer_unit": "ddu", "d_dimer_raised_answer": NO}, True),
        ({"ddimer": 300, "ddimer_unit": UNKNOWN, "d_dimer_raised_answer": NO}, False),
    ],
)
def test_a_high_d_dimer_counts_whatever_its_unit_and_whatever_the_report_says(
    facts: dict[str, object], raised: bool
) -> None:
    assessment = examined(location="shin", **facts)

    assert (line_verdict(assessment, "RFX-15b") is Verdict.FIRED) is raised


def test_one_swollen_thigh_without_an_injury_is_seen_the_same_day_for_a_clot() -> None:
    assessment = assess(location="thigh", swelling_thigh=YES)

    assert assessment.urgency is Urgency.SAME_DAY
    assert "suspected_dvt" in assessment.raises


def test_low_back_pain_with_calf_pain_is_in_scope() -> None:
    assert "out_of_scope" not in assess(location="lower_back", location_other="calf").raises


@pytest.mark.requirement("SR-09")
def test_an_emergency_fires_although_the_complaint_is_out_of_scope() -> None:
    assert assess(location="lower_back", saddle_numbness_answer=YES).urgency is Urgency.EMERGENCY


@pytest.mark.requirement("SR-23")
def test_without_a_site_there_is_too_little_information() -> None:
    assessment = assess(location=UNKNOWN, location_other=UNKNOWN)

    assert "insufficient_information" in assessment.raises
    assert at_least(assessment, Urgency.SAME_DAY)


@pytest.mark.requirement("SR-23")
def test_site_alone_without_any_symptom_is_too_little_information() -> None:
    unknown = dict.fromkeys(("onset", "duration_days", "severity_0_10"), UNKNOWN)

    assert "insufficient_information" in assess(**unknown).raises
    assert "insufficient_information" not in assess(**unknown, knee_swollen=YES).raises


def test_fever_with_pain_of_8_is_an_emergency_whatever_is_known_about_swollen_joints() -> None:
    for swollen in (YES, NO, NOT_SURE):
        assert assess(fever_or_chills_answer=YES, severity_0_10=8, knee_swollen=swollen).urgency is Urgency.EMERGENCY


def test_a_pale_feverish_child_is_seen_the_same_day_for_the_paleness_too() -> None:
    assessment = assess(age_years=7, fever_or_chills_answer=YES, pallor=YES)

    assert line_verdict(assessment, "RFX-24f") is Verdict.FIRED
    assert at_least(assessment, Urgency.SAME_DAY)


@pytest.mark.requirement("SR-17")
def test_safeguarding_lines_are_for_clinicians_only_and_raise_no_name() -> None:
    hidden = [line for line in LINES.values() if line.clinician_only]

    assert [line.id for line in hidden] == ["RFX-25"]
    assert all(line.raises == () for line in hidden)


SAFEGUARDING_ONLY = {"age_years": 1, "not_walking_yet": YES, "trauma": YES}


def explained(assessment: Assessment) -> Explanation:
    return explain(PACK, assessment)


@pytest.mark.requirement("SR-17")
def test_an_emergency_in_an_infant_has_a_reason_that_anybody_may_read_and_that_gives_nothing_away() -> None:
    hidden, open_reason = assess(**SAFEGUARDING_ONLY), assess(age_years=1, bone_visible=YES)

    assert hidden.urgency is open_reason.urgency is Urgency.EMERGENCY
    sentence = "At this age an injured or painful leg is examined in hospital."
    assert sentence in explained(hidden).reasons
    assert sentence in explained(open_reason).reasons
    assert sentence not in explained(assess(age_years=1)).reasons


def test_a_toddler_with_leg_pain_is_flagged_under_a_neutral_name() -> None:
    assessment = assess(age_years=2)

    assert [result.flag.id for result in assessment.fired] == ["RFX-48"]
    named = " ".join(prediction.outcome for prediction in explained(assessment).predictions)
    assert "accident" not in named


UNDECIDED = dict.fromkeys(
    ("feels_very_unwell_answer", "knee_swollen", "redness", "warmth", "break_in_skin", "purple_spots"), NOT_SURE
)


def test_a_flag_that_is_not_decided_names_three_open_questions_and_counts_the_others() -> None:
    not_decided = explained(assess(**UNDECIDED)).not_excluded
    sepsis = next(sentence for sentence in not_decided if sentence.startswith("Not decided: sepsis."))

    assert sepsis.count("not assessed") == 3
    assert sepsis.endswith("; 9 more.")
    assert not_decided[-1].startswith("A flag that did not fire excludes nothing")


def test_flags_that_could_only_be_less_urgent_are_named_in_one_sentence() -> None:
    assessment = assess(pain_on_walking=NOT_SURE, dactylitis=NOT_SURE, location="calf")
    names = [text for text in explained(assessment).not_excluded if text.startswith("Less urgent")]

    assert len(names) == 1
    assert "inflammatory arthritis" in names[0]
    assert "not assessed" not in names[0]


def test_an_answer_is_named_once_although_several_lines_of_a_flag_fire_on_it() -> None:
    foot = assess(foot_cold_pale_blue_answer=Finding(YES, question="Cold foot?", answer="Yes"), onset="sudden")
    (prediction,) = [one for one in explained(foot).predictions if "RFX-02" in {flag.flag.id for flag in one.flags}]

    assert prediction.rationale[0].startswith(PACK.content.texts["RFX-02a"])
    assert PACK.content.texts["RFX-02b"] in prediction.rationale
    assert " ".join(prediction.rationale).count("Cold foot?") == 1


def test_a_score_for_information_only_is_not_put_into_words() -> None:
    scores = explained(assess(previous_dvt=YES)).scores

    assert not [sentence for sentence in scores if "three levels" in sentence]
    (wells,) = scores
    assert "Not assessed: tenderness along the deep veins" in wells


@pytest.mark.requirement("REQ-24")
def test_an_emergency_word_in_free_text_asks_for_review_and_changes_no_urgency() -> None:
    assessment = assess(other_concerns="I feel suicidal because of the pain")

    assert assessment.needs_review
    assert assessment.urgency is Urgency.ROUTINE


# --- Wells score ---------------------------------------------------------------------------------


def test_paralysis_a_calf_of_3_cm_and_pitting_are_three_points_and_likely() -> None:
    facts = {"leg_paralysis_or_cast": YES, "calf_circumference_diff_cm": Decimal("3.0"), "pitting_oedema": YES}

    result = wells(**facts)

    assert (result.minimum, result.maximum, result.known_points) == (Decimal(3),) * 3
    assert result.score_class is not None
    assert result.score_class.code == "likely"


def test_a_calf_of_2_9_cm_scores_nothing_and_a_likely_alternative_takes_two_points() -> None:
    result = wells(
        calf_circumference_diff_cm=Decimal("2.9"),
        localized_deep_vein_tenderness=YES,
        alternative_dx_at_least_as_likely=YES,
    )

    assert (result.minimum, result.maximum, result.known_points) == (Decimal(-1),) * 3
    assert result.score_class is not None
    assert result.score_class.code == "unlikely"


@pytest.mark.requirement("REQ-20")
def test_an_earlier_clot_without_an_examination_leaves_the_score_open_and_the_flag_fires_on_the_clot() -> None:
    assessment = assess(previous_dvt=YES, location="calf")
    result = score("wells_dvt", assessment)

    assert result.minimum == -1
    assert result.maximum is not None
    assert result.maximum >= 5
    assert result.known_points == 1
    assert result.score_class is None
    assert line_verdict(assessment, "RFX-15") is Verdict.NOT_FIRED
    assert line_verdict(assessment, "RFX-13") is Verdict.FIRED


def test_days_in_bed_and_surgery_count_once() -> None:
    assert wells(bedridden_3d=YES, major_surgery_12w=YES).known_points == 1


def test_the_three_level_score_has_no_point_for_an_earlier_clot() -> None:
    assessment = assess(previous_dvt=YES, active_cancer=YES)

    assert score("wells_dvt", assessment).known_points == 2
    assert score("wells_dvt_3level", assessment).known_points == 1


@pytest.mark.requirement("SR-08")
@pytest.mark.parametrize("age", [17, 18])
def test_the_wells_score_is_for_adults(age: int) -> None:
    result = score("wells_dvt", assess(age_years=age, active_cancer=YES, previous_dvt=YES))

    assert (result.known_points is None) == (age < 18)


@pytest.mark.requirement("REQ-20")
@pytest.mark.parametrize(
    "fact",
    [
        {"anticoagulant": NOT_SURE},
        {"chest_pain": YES},
        {"sex_at_birth": "female", "pregnancy_status": UNKNOWN},
        {"active_cancer": YES},
        {"previous_dvt": NOT_SURE},
    ],
)
def test_no_class_is_given_where_the_score_may_not_apply(fact: dict[str, object]) -> None:
    result = wells(**fact)

    assert result.score_class is None
    assert result.exclusions != ()
