"""What would change the urgency: every change that is named was tried on this patient's answers."""

from __future__ import annotations

from services.triage.engine.assess import evaluate
from services.triage.engine.counterfactual import Counterfactual, counterfactual
from services.triage.engine.model import Findings, Presence, Respondent, Urgency, Visibility
from services.triage.engine.weighing import Weighing
from tests.triage.packs import NO, NOT_SURE, UNKNOWN, YES, example_pack, hidden, patient


def changes(findings: Findings, scope: str = "full") -> Counterfactual:
    pack = example_pack()
    assessment = evaluate(pack, findings, scope=scope)
    return counterfactual(pack, assessment, Weighing(pack, assessment))


def test_the_missing_answer_that_would_make_it_an_emergency_is_named_with_its_line() -> None:
    found = changes(patient(chest_pain=NOT_SURE))
    first = found.raising[0]
    assert (first.fact, first.value, first.urgency, first.line) == (
        "chest_pain",
        Presence.PRESENT,
        Urgency.EMERGENCY,
        "RFX-01",
    )
    assert found.most_telling == "chest_pain"


def test_a_missing_number_is_named_with_the_value_that_it_would_need() -> None:
    found = changes(patient(foot_cold_pale_blue=YES, severity_0_10=UNKNOWN, numb_tingling=NO))
    (change,) = [one for one in found.raising if one.fact == "severity_0_10"]
    assert change.comparison is not None
    assert (change.comparison.operator.value, change.comparison.literal) == (">=", 7)


def test_an_answer_that_could_not_change_the_urgency_by_itself_is_not_named() -> None:
    found = changes(patient(foot_cold_pale_blue=NO, severity_0_10=UNKNOWN))
    assert "severity_0_10" not in [one.fact for one in found.raising]


def test_nothing_can_raise_an_emergency() -> None:
    assert changes(patient(chest_pain=YES, foot_cold_pale_blue=NOT_SURE)).raising == ()


def test_the_one_answer_that_an_urgency_rests_on_is_named_with_what_it_would_be_without() -> None:
    (change,) = changes(patient(chest_pain=YES)).lowering
    assert (change.fact, change.value) == ("chest_pain", Presence.ABSENT)
    assert change.urgency in (Urgency.ROUTINE, Urgency.SELF_CARE)


def test_an_urgency_that_two_answers_hold_up_rests_on_neither() -> None:
    assert changes(patient(chest_pain=YES, bone_visible=YES)).lowering == ()


def test_where_no_answer_can_raise_the_urgency_the_one_that_could_move_the_candidates_is_most_telling() -> None:
    found = changes(patient(location="calf", cramp_pattern=NOT_SURE))
    assert found.raising == ()
    assert found.most_telling == "cramp_pattern"


def test_page_1_alone_has_no_counterfactual_because_its_other_answers_are_still_to_come() -> None:
    assert changes(patient(chest_pain=YES), "page_1") == Counterfactual()


def test_all_facts_that_are_read_from_one_question_change_with_its_answer() -> None:
    pack = example_pack()
    answered = [fact.name for fact in pack.facts_of["can_walk_4_steps"]]
    assert answered == ["cannot_walk_4_steps"]


def test_what_fires_by_itself_in_every_patient_is_no_examination_worth_naming() -> None:
    assert "injury_story_unclear" not in [one.fact for one in changes(patient()).raising]


def test_a_question_that_was_never_put_is_not_called_missing() -> None:
    found = changes(patient(chest_pain=hidden(NOT_SURE, visibility=Visibility.HIDDEN_UNKNOWN)))
    assert "chest_pain" not in [one.fact for one in found.raising]


def test_nothing_that_only_clinicians_may_read_of_is_named_as_what_the_urgency_rests_on() -> None:
    story = patient(age_years=2, injury_story_unclear=YES, respondent=Respondent.CLINICIAN)
    assert changes(story).lowering == ()
    unknown_age = patient(age_years=UNKNOWN, injury_story_unclear=YES, respondent=Respondent.CLINICIAN)
    assert "injury_story_unclear" not in [one.fact for one in changes(unknown_age).lowering]
