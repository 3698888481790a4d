"""Conditions are ranked by relative support, and what cannot wait is never out of sight."""

from __future__ import annotations

import pytest

from services.triage.engine.assess import evaluate
from services.triage.engine.model import Findings, Presence, Urgency, Visibility
from services.triage.engine.results import Assessment, Candidate, FindingVerdict, Standing, Support
from services.triage.engine.weighing import Weighing
from tests.triage.packs import NO, NOT_SURE, UNKNOWN, YES, example_pack, hidden, patient, two_answers


def assess(findings: Findings, scope: str = "full") -> Assessment:
    return evaluate(example_pack(), findings, scope=scope)


def calf(**facts: object) -> Assessment:
    """Somebody with calf pain; every yes/no question that is not named is answered No."""
    return assess(patient(location="calf", **facts))


def order(assessment: Assessment) -> list[str]:
    return [one.condition.id for one in assessment.candidates]


def weighed(assessment: Assessment, name: str) -> tuple[FindingVerdict, ...]:
    return Weighing(example_pack(), assessment).of(candidate(assessment, name).condition)


def candidate(assessment: Assessment, name: str) -> Candidate:
    return next(one for one in assessment.candidates if one.condition.id == name)


def test_what_is_common_at_the_site_comes_first_when_the_answers_say_little() -> None:
    assert order(calf(onset="sudden"))[0] == "strain"


def test_an_essential_finding_that_is_denied_moves_a_condition_to_the_end() -> None:
    assert order(calf())[-1] in ("cramp", "ischaemia")


def test_a_finding_counts_for_a_condition_and_another_against_it() -> None:
    swollen = calf(leg_swollen_one_side=YES, active_cancer=YES)
    assert candidate(swollen, "thrombosis").rank == 1
    assert [(one.presence, one.weight > 0, one.facts) for one in weighed(swollen, "thrombosis")[:2]] == [
        (Presence.PRESENT, True, ("active_cancer",)),
        (Presence.PRESENT, True, ("leg_swollen_one_side",)),
    ]
    strain = weighed(calf(leg_swollen_one_side=YES, onset="sudden"), "strain")
    assert [one.facts for one in strain if one.weight < 0] == [("leg_swollen_one_side",)]


def test_findings_that_restate_each_other_count_once() -> None:
    once = candidate(calf(leg_swollen_one_side=YES), "thrombosis")
    twice = candidate(calf(leg_swollen_one_side=YES, calf_circumference_diff_cm=4), "thrombosis")
    assert once.ratio == twice.ratio


@pytest.mark.requirement("SR-03")
def test_an_unknown_key_feature_moves_the_order_but_gives_no_support_and_takes_none() -> None:
    assert (
        candidate(calf(cramp_pattern=NOT_SURE, onset="sudden"), "strain").support
        is candidate(calf(cramp_pattern=NO, onset="sudden"), "strain").support
    )
    known, unknown = calf(leg_swollen_one_side=NO), calf(leg_swollen_one_side=NOT_SURE)
    assert candidate(known, "thrombosis").score < candidate(unknown, "thrombosis").score
    assert candidate(unknown, "thrombosis").ratio == 0


def test_a_fired_flag_counts_for_the_condition_that_it_guards_against() -> None:
    flagged = candidate(calf(leg_swollen_one_side=YES), "thrombosis")
    silenced = candidate(calf(leg_swollen_one_side=YES, cramp_pattern=YES), "thrombosis")
    assert flagged.score - silenced.score == pytest.approx(1099, abs=1)
    assert flagged.ratio == silenced.ratio


@pytest.mark.requirement("SR-01")
def test_a_supported_condition_that_cannot_wait_sets_the_urgency_and_reports_its_name_without_any_flag() -> None:
    assessment = calf(leg_swollen_one_side=YES, cramp_pattern=YES)
    assert [result.flag.id for result in assessment.fired] == []
    assert candidate(assessment, "thrombosis").support is Support.MODERATE
    assert assessment.urgency is Urgency.SAME_DAY
    assert "suspected_dvt" in assessment.raises


@pytest.mark.requirement("SR-01", "SR-02")
def test_nothing_that_ranks_first_lowers_what_a_flag_found() -> None:
    assessment = calf(onset="sudden", chest_pain=YES)
    assert order(assessment)[0] == "strain"
    assert assessment.urgency is Urgency.EMERGENCY


@pytest.mark.requirement("SR-04")
def test_self_care_is_given_only_when_every_flag_is_known_not_to_fire() -> None:
    assert calf(cramp_pattern=YES).urgency is Urgency.SELF_CARE
    assert (
        calf(cramp_pattern=YES, numb_tingling=NOT_SURE, foot_cold_pale_blue=NOT_SURE).urgency is not Urgency.SELF_CARE
    )
    assert calf(cramp_pattern=YES, trauma=two_answers(YES, NO)).urgency is not Urgency.SELF_CARE


def test_a_condition_that_its_precondition_rules_out_is_no_candidate() -> None:
    assert "inflicted_injury" not in order(calf(age_years=41, injury_story_unclear=YES))
    assert "inflicted_injury" in order(calf(age_years=2, injury_story_unclear=YES))
    assert "inflicted_injury" in order(calf(age_years=UNKNOWN, injury_story_unclear=YES))


@pytest.mark.requirement("SR-13")
def test_the_panel_lists_every_condition_that_cannot_wait_flagged_ones_first() -> None:
    assessment = calf(foot_cold_pale_blue=YES, onset="sudden")
    assert [(one.condition.id, one.standing) for one in assessment.must_not_miss] == [
        ("ischaemia", Standing.FLAGGED),
        ("thrombosis", Standing.OPEN),
    ]


def test_page_1_alone_ranks_nothing() -> None:
    assessment = assess(patient(location="calf"), "page_1")
    assert assessment.candidates == ()
    assert assessment.must_not_miss == ()


@pytest.mark.requirement("SR-20")
def test_the_order_of_the_answers_does_not_change_the_order_of_the_candidates() -> None:
    findings = patient(location="calf", leg_swollen_one_side=YES, onset="sudden")
    turned = Findings(dict(reversed(list(findings.by_name.items()))), findings.respondent)
    assert assess(findings).candidates == assess(turned).candidates


def test_a_question_that_was_not_put_speaks_neither_for_a_condition_nor_against_it() -> None:
    denied = calf(leg_swollen_one_side=NO)
    not_put = calf(leg_swollen_one_side=hidden(visibility=Visibility.NOT_PUT))
    assert candidate(denied, "thrombosis").score < candidate(not_put, "thrombosis").score
    assert weighed(not_put, "thrombosis") == ()


def test_the_weights_that_are_reported_add_up_to_what_counted() -> None:
    assessment = calf(leg_swollen_one_side=YES, calf_circumference_diff_cm=4, active_cancer=YES, onset="sudden")
    for one in assessment.candidates:
        assert sum(verdict.weight for verdict in weighed(assessment, one.condition.id)) == one.ratio


def test_first_place_with_weak_support_makes_nothing_an_emergency() -> None:
    assessment = assess(patient(location="other", foot_cold_pale_blue=NOT_SURE, age_years=2, injury_story_unclear=NO))
    assert assessment.urgency is not Urgency.EMERGENCY
    for one in assessment.candidates:
        assert one.asks_for is not Urgency.EMERGENCY or one.support is not Support.WEAK
