"""Red flags: every line is evaluated, unknown is never no, and verdicts name the answers that decided."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.triage.engine.assess import evaluate
from services.triage.engine.model import FactKind, Finding, Findings, Respondent, Urgency
from services.triage.engine.results import Assessment, FlagResult, Verdict
from services.triage.knowledge.cases import (
    CaseTable,
    case_findings,
    disagreements,
    line_verdict,
    read_cases,
    run_case,
)
from shared.fhir import codes
from tests.triage.packs import (
    EXAMPLE,
    NO,
    NOT_APPLICABLE,
    NOT_SURE,
    UNKNOWN,
    YES,
    example_pack,
    patient,
    two_answers,
)


def assess(findings: Findings, **options: str) -> Assessment:
    return evaluate(example_pack(), findings, **options)


def flag(assessment: Assessment, flag_id: str) -> FlagResult:
    return next(r for r in (*assessment.fired, *assessment.undecided) if r.flag.id == flag_id)


def test_mild_knee_pain_without_any_danger_sign_is_self_care() -> None:
    findings = patient(injury_story_unclear=NOT_SURE)
    assert assess(findings).urgency is Urgency.SELF_CARE


@pytest.mark.requirement("SR-02", "SR-10")
def test_chest_pain_is_an_emergency_whatever_the_leg_is_like() -> None:
    assessment = assess(patient(chest_pain=YES))
    assert assessment.urgency is Urgency.EMERGENCY
    assert assessment.raises == ("chest_pain_emergency", "suspected_pe")


def test_a_flag_is_as_urgent_as_its_highest_line_that_fires() -> None:
    result = flag(assess(patient(foot_cold_pale_blue=YES, onset="sudden")), "RFX-02")
    assert result.urgency is Urgency.EMERGENCY
    assert [line.line.id for line in result.fired] == ["RFX-02a", "RFX-02b"]


@pytest.mark.requirement("SR-03")
def test_a_cold_foot_of_unknown_onset_fires_the_lower_line_and_says_that_the_higher_is_open() -> None:
    result = flag(assess(patient(foot_cold_pale_blue=YES, onset=UNKNOWN)), "RFX-02")
    assert result.urgency is Urgency.SAME_DAY
    assert [line.line.id for line in result.open] == ["RFX-02a"]
    assert result.open[0].facts == ("onset",)


@pytest.mark.requirement("SR-03")
def test_an_unanswered_cold_foot_leaves_the_flag_undecided_and_names_the_question() -> None:
    result = flag(assess(patient(foot_cold_pale_blue=NOT_SURE, onset="sudden")), "RFX-02")
    assert result.verdict is Verdict.UNDECIDED
    assert result.lines[0].facts == ("foot_cold_pale_blue",)


def test_a_verdict_names_the_answers_that_decided_it_and_no_others() -> None:
    result = flag(assess(patient(foot_cold_pale_blue=YES, onset="sudden", numb_tingling=NO)), "RFX-02")
    assert result.fired[0].facts == ("foot_cold_pale_blue", "onset")


def test_a_verdict_that_rests_on_a_score_names_the_findings_that_gave_points() -> None:
    result = flag(assess(patient(active_cancer=YES, major_surgery_12w=YES)), "RFX-15")
    assert result.fired[0].facts == ("active_cancer", "major_surgery_12w")


def test_a_verdict_that_rests_on_an_absent_fact_names_it() -> None:
    result = flag(assess(patient(leg_swollen_one_side=YES)), "RFX-12")
    assert result.fired[0].facts == ("leg_swollen_one_side", "cramp_pattern")


def test_unknown_weight_bearing_after_an_injury_counts_as_unable() -> None:
    assessment = assess(patient(trauma=YES, cannot_walk_4_steps=NOT_SURE, mechanism="fall"))
    assert line_verdict(assessment, "RFX-28") == "fired"


@pytest.mark.requirement("SR-03")
def test_unknown_cramps_do_not_silence_a_swollen_leg() -> None:
    assessment = assess(patient(leg_swollen_one_side=YES, cramp_pattern=NOT_SURE))
    assert line_verdict(assessment, "RFX-12") == "fired"


def test_known_cramps_do() -> None:
    assessment = assess(patient(leg_swollen_one_side=YES, cramp_pattern=YES))
    assert line_verdict(assessment, "RFX-12") == "not_fired"


def test_a_flag_open_only_for_want_of_an_examination_does_not_count_against_self_care() -> None:
    assessment = assess(patient(age_years=9, injury_story_unclear=NOT_SURE))
    assert flag(assessment, "RFX-25").examination_only
    assert assessment.urgency is Urgency.SELF_CARE


def test_a_clinicians_unclear_injury_story_in_a_child_is_an_emergency() -> None:
    assessment = assess(patient(age_years=9, injury_story_unclear=YES, respondent=Respondent.CLINICIAN))
    assert assessment.urgency is Urgency.EMERGENCY


@pytest.mark.requirement("REQ-24")
@pytest.mark.parametrize("text", ["I CAN’T   breathe well", "can't breathe", "…blue foot!", "a Blue-Foot"])
def test_emergency_words_in_free_text_ask_for_a_clinicians_review_and_set_no_urgency(text: str) -> None:
    assessment = assess(patient(other_concerns=text))
    assert assessment.needs_review
    assert assessment.urgency is Urgency.ROUTINE
    assert flag(assessment, "RFX-40").urgency is None


@pytest.mark.parametrize("text", ["bluefoot", "I can breathe well", ""])
def test_other_words_in_free_text_change_nothing(text: str) -> None:
    assessment = assess(patient(other_concerns=text))
    assert not assessment.needs_review
    assert assessment.urgency is Urgency.SELF_CARE


@pytest.mark.requirement("SR-10")
def test_page_1_alone_with_chest_pain_is_an_emergency() -> None:
    assessment = assess(Findings({"chest_pain": Finding(YES)}), scope="page_1")
    assert assessment.urgency is Urgency.EMERGENCY
    assert assessment.floors == ()


def test_page_1_alone_without_a_danger_sign_has_no_urgency_yet() -> None:
    page_1 = {name: Finding(NO) for name in ("chest_pain", "foot_cold_pale_blue", "bone_visible")}
    assessment = assess(Findings(page_1), scope="page_1")
    assert assessment.urgency is None
    assert "RFX-01" in assessment.not_fired
    assert assessment.not_reached == 6


def test_page_1_alone_reports_a_danger_sign_that_is_not_sure_as_undecided() -> None:
    assessment = assess(Findings({"chest_pain": Finding(NOT_SURE)}), scope="page_1")
    assert [result.flag.id for result in assessment.undecided][:1] == ["RFX-01"]
    assert assessment.urgency is None


@pytest.mark.requirement("SR-21")
def test_page_1_alone_sees_bone_although_the_line_also_asks_about_later_questions() -> None:
    assessment = assess(Findings({"bone_visible": Finding(YES)}), scope="page_1")
    assert line_verdict(assessment, "RFX-04") == "fired"


def test_page_1_alone_never_counts_a_later_unanswered_question_as_yes() -> None:
    later = {"trauma": Finding(YES), "cannot_walk_4_steps": Finding(NOT_SURE)}
    assessment = assess(Findings(later), scope="page_1")
    assert line_verdict(assessment, "RFX-28") == "not_reached"


def test_a_finding_of_the_wrong_kind_is_a_fault_of_the_mapping_and_stops() -> None:
    with pytest.raises(ValueError, match="severity_0_10"):
        assess(patient(severity_0_10=frozenset({"seven"})))
    with pytest.raises(ValueError, match="chest_pain"):
        assess(patient(chest_pain=Finding(Decimal(1))))


def test_the_engines_urgencies_are_those_of_the_rest_of_the_system() -> None:
    assert [urgency.value for urgency in Urgency] == [urgency.value for urgency in codes.Urgency]
    assert [urgency.rank for urgency in Urgency] == [urgency.rank for urgency in codes.Urgency]


@pytest.mark.requirement("REQ-18")
@pytest.mark.parametrize("case", read_cases(EXAMPLE), ids=lambda case: case.id)
def test_every_case_of_the_pack_comes_out_as_agreed(case: CaseTable) -> None:
    assert list(disagreements(case, run_case(example_pack(), case))) == []


def test_a_case_that_disagrees_says_how() -> None:
    case = read_cases(EXAMPLE)[0]
    changed = assess(case_findings(example_pack(), read_cases(EXAMPLE)[1]))
    assert list(disagreements(case, changed)) == [
        "RFX-02a is not_fired, expected fired",
        "urgency is same_day, expected emergency",
    ]


YES_NO = [fact.name for fact in example_pack().content.facts if fact.kind is FactKind.PRESENCE]
POSITIVE = [
    "chest_pain",
    "foot_cold_pale_blue",
    "bone_visible",
    "leg_swollen_one_side",
    "active_cancer",
    "trauma",
]
presences = st.sampled_from([YES, NO, NOT_SURE])


@st.composite
def patients(draw: st.DrawFn) -> dict[str, Any]:
    facts: dict[str, Any] = {name: draw(presences) for name in YES_NO}
    facts["severity_0_10"] = draw(st.sampled_from([0, 5, 9, UNKNOWN]))
    facts["onset"] = draw(st.sampled_from(["sudden", "gradual", UNKNOWN]))
    facts["age_years"] = draw(st.sampled_from([2, 17, 41, UNKNOWN]))
    facts["mechanism"] = draw(st.sampled_from(["high_energy", "none", NOT_APPLICABLE, UNKNOWN]))
    return facts


def rank(assessment: Assessment) -> int:
    assert assessment.urgency is not None
    return assessment.urgency.rank


@pytest.mark.requirement("SR-20")
@given(patients(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_answers_does_not_matter(facts: dict[str, Any], rng: random.Random) -> None:
    findings = patient(**facts)
    names = list(findings.by_name)
    rng.shuffle(names)
    shuffled = Findings({name: findings.by_name[name] for name in names}, findings.respondent)
    one, other = assess(findings), assess(shuffled)
    assert (one.urgency, one.fired, one.undecided, one.not_fired, one.floors, one.scores, one.quality) == (
        other.urgency,
        other.fired,
        other.undecided,
        other.not_fired,
        other.floors,
        other.scores,
        other.quality,
    )


@pytest.mark.requirement("SR-01")
@given(patients(), st.sampled_from(POSITIVE))
@settings(max_examples=80, deadline=None)
def test_a_further_danger_sign_never_lowers_what_the_flags_say(facts: dict[str, Any], name: str) -> None:
    before = fired_lines(assess(patient(**{**facts, name: NOT_SURE})))
    after = fired_lines(assess(patient(**{**facts, name: YES})))
    assert before <= after


@pytest.mark.requirement("SR-03")
@given(patients(), st.sampled_from(YES_NO))
@settings(max_examples=80, deadline=None)
def test_forgetting_an_answer_never_makes_a_fired_line_not_fire(facts: dict[str, Any], name: str) -> None:
    before = assess(patient(**facts))
    after = assess(patient(**{**facts, name: NOT_SURE}))
    for line_id in fired_lines(before) - {"RFX-15"}:
        assert line_verdict(after, line_id) in (Verdict.FIRED, Verdict.UNDECIDED)


@pytest.mark.requirement("SR-05")
@given(patients(), st.sampled_from(YES_NO))
@settings(max_examples=60, deadline=None)
def test_answering_one_question_both_ways_fires_every_line_that_either_answer_fires(
    facts: dict[str, Any], name: str
) -> None:
    both = fired_lines(assess(patient(**{**facts, name: two_answers(YES, NO)})))
    either = fired_lines(assess(patient(**{**facts, name: YES}))) | fired_lines(assess(patient(**{**facts, name: NO})))
    assert either <= both


def fired_lines(assessment: Assessment) -> set[str]:
    return {line.line.id for result in assessment.fired for line in result.fired}
