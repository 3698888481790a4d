"""The Questionnaire, the knowledge pack and the examples agree: no question unread, no fact without a question."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

import services.intake.questionnaires
from services.intake.conformance import check_conformance
from services.triage.engine.assess import evaluate
from services.triage.engine.criteria import All, AnyOf, Compare, Criterion, Not, OrUnknown, names_in
from services.triage.engine.model import FactKind, Finding, Findings, Missing, Presence, Screen, Visibility
from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment, Scope, Verdict
from services.triage.engine.state import State
from services.triage.engine.truth import NO as ABSENT
from services.triage.engine.truth import UNKNOWN, YES
from services.triage.findings import FactReader
from services.triage.knowledge.loader import PACKS, load_pack
from shared.fhir.answer_values import Coding
from shared.fhir.codes import NO, NOT_SURE
from shared.fhir.codes import YES as Y
from shared.fhir.enable_when import Enablement, enablement
from shared.fhir.parse import parse_resource
from shared.fhir.questionnaire import QuestionItem, QuestionnaireIndex
from shared.fhir.structure import check_structure
from shared.problems import Severity
from tests.builders import a_response
from tests.forms import answered, response

QUESTIONNAIRE = Path(services.intake.questionnaires.__file__).parent / "posterior-lower-limb-1.0.0.json"
EXAMPLES = Path(__file__).parent.parent / "examples"
Json = dict[str, Any]

POSITIVELY_WORDED = {
    "can_walk_4_steps": "cannot_walk_4_steps_answer",
    "could_walk_right_after": "cannot_walk_right_after",
    "can_single_heel_raise": "cannot_single_heel_raise",
    "can_push_off": "cannot_push_off",
    "can_bend_knee_90": "cannot_flex_knee_90",
    "can_straighten_knee": "knee_locked",
    "can_lift_straight_leg": "cannot_straight_leg_raise",
    "can_lift_foot": "foot_drop",
    "child_walks_alone": "not_walking_yet",
    "patient_can_answer": "respondent_cannot_answer",
}
DESCRIBES_ONLY = {"mechanism", "location_other"}
"""Required, and used by flags, but no safety question: left out of the incomplete-screen rule."""

RULED_OUT = ("joint_procedure_3m", "immunosuppressed", "steroid_systemic", "could_walk_right_after")
"""Asked only where the answer can matter. What they are worth is proved below, not argued."""


@cache
def index() -> QuestionnaireIndex:
    return QuestionnaireIndex.build(parse_resource(QUESTIONNAIRE.read_bytes(), resource_type="Questionnaire").resource)


@cache
def pack() -> Pack:
    return load_pack(PACKS / "posterior-lower-limb" / "1.0.0")


@cache
def reader() -> FactReader:
    return FactReader(index(), pack().content.facts)


def read_findings(response: dict[str, Any]) -> Findings:
    """What the pack reads from a response to its Questionnaire."""
    return reader().read(response).findings


def questions() -> Iterator[QuestionItem]:
    return (item for item in index().items.values() if item.is_question)


def codes(item: QuestionItem) -> set[str]:
    return {option.value.code or "" for option in item.options if isinstance(option.value, Coding)}


def kind(item: QuestionItem) -> FactKind:
    if item.type == "choice":
        return FactKind.PRESENCE if codes(item) == {Y, NO, NOT_SURE} else FactKind.CHOICE
    return FactKind.TEXT if item.type == "text" else FactKind.QUANTITY


def criteria() -> Iterator[Criterion]:
    content = pack().content
    yield from (line.when for flag in content.flags for line in flag.lines)
    yield from (derived.when for derived in content.derived)
    yield from (item.when for score in content.scores for item in score.items)
    yield from (contradiction.when for contradiction in content.safety.contradictions)
    yield from (floor.when for floor in content.safety.floors)
    yield from (finding.when for condition in content.conditions for finding in condition.findings)
    yield from (one.when for one in content.advice if one.when is not None)
    yield from (caution for one in content.advice for caution in one.unless)


def comparisons(criterion: Criterion) -> Iterator[Compare]:
    match criterion:
        case Compare():
            yield criterion
        case Not(part) | OrUnknown(part):
            yield from comparisons(part)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from comparisons(part)


def form(answers: Json) -> Json:
    """A response that holds these answers, each in its group, in the order of the Questionnaire."""
    return response(*_fill((index().items[root] for root in index().roots), answers))


def _fill(items: Iterator[QuestionItem], answers: Json) -> Iterator[Json]:
    for item in items:
        if item.link_id in answers:
            given = answers[item.link_id]
            yield answered(item.link_id, *(given if isinstance(given, list) else [given]))
        elif inner := list(_fill((index().items[child] for child in item.children), answers)):
            yield {"linkId": item.link_id, "item": inner}


def truth(name: str, **answers: Any) -> int:
    """What a fact is, given these answers: YES, ABSENT or UNKNOWN."""
    state = State(pack(), read_findings(form(answers)), Scope.FULL)
    value = state.values[pack().slots[name]]
    assert isinstance(value, int)
    return value


def finding(name: str, **answers: Any) -> Any:
    return read_findings(form(answers)).get(name).value


def test_the_pack_is_for_this_version_of_the_questionnaire() -> None:
    assert pack().head.questionnaires == (index().canonical,)


@pytest.mark.requirement("REQ-16")
def test_every_fact_is_read_from_a_question_of_a_fitting_type() -> None:
    wrong = [
        fact.name
        for fact in pack().content.facts
        if fact.link_id not in index().items or kind(index().items[fact.link_id]) is not fact.kind
    ]

    assert wrong == []


def test_every_question_is_read_by_a_fact() -> None:
    assert {item.link_id for item in questions()} == {fact.link_id for fact in pack().content.facts}


@pytest.mark.requirement("REQ-16")
def test_the_codes_of_a_choice_are_the_options_of_its_question() -> None:
    for fact in pack().content.facts:
        if fact.kind is FactKind.CHOICE:
            assert fact.codes == codes(index().items[fact.link_id]) - {NOT_SURE}, fact.name


def test_every_code_in_a_criterion_is_an_option_of_its_question() -> None:
    used = [(one.name, one.literal) for when in criteria() for one in comparisons(when) if isinstance(one.literal, str)]

    assert used
    assert [pair for pair in used if pair[1] not in codes(index().items[pack().facts[pair[0]].link_id])] == []


def test_every_name_in_a_red_flag_leads_to_a_question() -> None:
    lines = [line for flag in pack().content.flags for line in flag.lines]
    known = {*pack().facts, *pack().computed, *pack().text_matches}

    assert {name for line in lines for name in names_in(line.when)} <= known
    assert all(pack().base_facts[name] for line in lines for name in names_in(line.when) if name in pack().base_facts)


@pytest.mark.requirement("REQ-16", "SR-07")
def test_bounds_and_units_are_those_of_the_question() -> None:
    for fact in pack().content.facts:
        if fact.kind is FactKind.QUANTITY:
            item = index().items[fact.link_id]
            assert item.unit is not None
            assert (fact.minimum, fact.maximum, fact.unit) == (item.min_value, item.max_value, item.unit.code), (
                fact.name
            )


def test_the_facts_of_page_1_are_the_required_questions_of_page_1_and_nothing_else() -> None:
    page_1 = {item.link_id for item in questions() if "page-1" in item.path} - {"respondent", "sex_at_birth"}
    patient_facts = [fact for fact in pack().content.facts if not fact.clinician]

    assert {fact.link_id for fact in patient_facts if fact.screen is Screen.PAGE_1} == page_1
    assert all(index().items[link_id].required for link_id in page_1)


def test_examination_counts_on_page_1_only_where_it_adds_to_an_answer_of_page_1() -> None:
    examined = {fact.name for fact in pack().content.facts if fact.clinician and fact.screen is not Screen.NONE}
    page_1 = ("fever_or_chills", "feels_very_unwell", "foot_cold_pale_blue", "saddle_numbness")

    assert examined == {name for fact in page_1 for name in pack().base_facts[fact] if pack().facts[name].clinician}


@pytest.mark.requirement("SR-04")
def test_every_other_required_question_that_a_flag_uses_is_in_the_incomplete_screen_rule() -> None:
    used: set[str] = set()
    for flag in pack().content.flags:
        for line in flag.lines:
            for name in names_in(line.when):
                used |= {name, *pack().base_facts.get(name, frozenset())}
    expected = {
        fact.link_id
        for fact in pack().content.facts
        if fact.name in used and index().items[fact.link_id].required and not fact.clinician
    }
    page_1 = {item.link_id for item in questions() if "page-1" in item.path}

    screened = {fact.link_id for fact in pack().content.facts if fact.screen is Screen.REQUIRED}
    assert screened == expected - page_1 - DESCRIBES_ONLY


def test_every_required_question_serves_a_rule_or_opens_a_question_that_does() -> None:
    content = pack().content
    rules = [line.when for flag in content.flags for line in flag.lines]
    rules += [item.when for score in content.scores for item in score.items]
    rules += [contradiction.when for contradiction in content.safety.contradictions]
    rules += [floor.when for floor in content.safety.floors]
    used = {
        pack().facts[base].link_id
        for when in rules
        for name in names_in(when)
        for base in pack().base_facts.get(name, frozenset({name}))
    }
    gates = {gate.question for item in questions() if item.link_id in used for gate in item.enable_when}
    asked = {item.link_id for item in questions() if item.required and "clinician" not in item.path}

    assert asked <= used | gates | {"respondent"}


@pytest.mark.requirement("REQ-17")
@pytest.mark.parametrize("link_id", RULED_OUT)
def test_a_question_that_is_not_put_could_not_have_raised_or_silenced_a_flag(link_id: str) -> None:
    """Whatever else was answered: yes, no and not sure give the same lines and floors. (They may rank differently.)"""
    random, hidden = Random(4711), 0
    while hidden < 20:
        body = a_response(_some_answers(random), patient="4711", identifier="4711")
        if enablement(index(), body).state(link_id) is not Enablement.DISABLED:
            continue
        hidden += 1
        given = read_findings(body)
        name = next(fact.name for fact in pack().content.facts if fact.link_id == link_id)
        answered_as = (Finding(value, visibility=Visibility.HIDDEN_NO) for value in Presence)
        results = [
            _result(evaluate(pack(), Findings({**given.by_name, name: finding}, given.respondent)))
            for finding in answered_as
        ]
        assert results[0] == results[1] == results[2]


def _some_answers(random: Random) -> Json:
    """Answers of somebody with few symptoms to every question that patients are asked."""
    positive = random.choice((0.03, 0.1))
    answers: Json = {}
    for item in questions():
        if "clinician" in item.path or item.type == "text":
            continue
        if kind(item) is FactKind.PRESENCE:
            likely = Y if item.link_id in POSITIVELY_WORDED else NO
            answers[item.link_id] = likely if random.random() > positive else random.choice((Y, NO, NOT_SURE))
        elif kind(item) is FactKind.CHOICE:
            answers[item.link_id] = random.choice(sorted(codes(item)))
        else:
            assert isinstance(item.min_value, int)
            assert isinstance(item.max_value, int)
            answers[item.link_id] = random.randint(item.min_value, min(item.max_value, 90))
    return answers | {"respondent": random.choice(("self", "parent_carer"))}


def _result(assessment: Assessment) -> tuple[object, ...]:
    fired = [line.line.id for flag in assessment.fired for line in flag.lines if line.verdict is Verdict.FIRED]
    floors = [(floor.id, floor.urgency) for floor in assessment.floors]
    return fired, floors, [name for flag in assessment.fired for name in flag.raises]


def test_examination_facts_are_the_questions_of_the_clinicians_group() -> None:
    examined = {item.link_id for item in questions() if "clinician" in item.path}

    assert {fact.link_id for fact in pack().content.facts if fact.clinician} == examined


@pytest.mark.requirement("REQ-16")
def test_only_the_positively_worded_questions_are_turned_round() -> None:
    turned = {fact.link_id: fact.name for fact in pack().content.facts if fact.negated}

    assert turned == POSITIVELY_WORDED


@pytest.mark.requirement("REQ-16")
@pytest.mark.parametrize(("link_id", "fact"), POSITIVELY_WORDED.items())
def test_can_do_it_means_no_problem_and_cannot_means_the_problem_is_there(link_id: str, fact: str) -> None:
    assert finding(fact, **{link_id: Y}) is Presence.ABSENT
    assert finding(fact, **{link_id: NO}) is Presence.PRESENT
    assert finding(fact, **{link_id: NOT_SURE}) is Presence.UNKNOWN


KNEE_ONLY = {"location": "front_of_knee", "location_other": ["none"], "trauma": NO, "onset": "gradual"}


def test_a_heel_raise_that_was_never_asked_for_is_no_problem_and_no_proof_of_weight_bearing() -> None:
    assert finding("cannot_single_heel_raise", **KNEE_ONLY) is Presence.ABSENT
    assert truth("cannot_walk_4_steps", **KNEE_ONLY, can_walk_4_steps=NOT_SURE) == UNKNOWN


@pytest.mark.requirement("SR-03", "REQ-21")
def test_examination_that_was_not_done_is_unknown_also_when_a_patient_answers() -> None:
    assert finding("thompson_positive", respondent="self") is Presence.UNKNOWN
    assert finding("pedal_pulses", respondent="self") is Missing.UNKNOWN


@pytest.mark.parametrize(
    ("name", "answers", "expected"),
    [
        ("sudden", {"onset": "sudden"}, YES),
        ("sudden", {"onset": "over_hours"}, ABSENT),
        ("sudden", {"onset": NOT_SURE}, UNKNOWN),
        ("new_or_worse", {"duration_days": 42, "pain_trend": "same"}, YES),
        ("new_or_worse", {"duration_days": 43, "pain_trend": "same"}, ABSENT),
        ("new_or_worse", {"duration_days": 43, "pain_trend": "worse"}, YES),
        ("new_or_worse", {"pain_trend": "same"}, UNKNOWN),
        ("within_14_or_worse", {"duration_days": 14, "pain_trend": "better"}, YES),
        ("injury_recent", {"duration_days": 15}, ABSENT),
        ("injury_recent", {}, UNKNOWN),
        ("numb_tingling", {"numbness": NO, "tingling": Y}, YES),
        ("numb_tingling", {"numbness": NO, "tingling": NOT_SURE}, UNKNOWN),
        ("redness_or_warmth", {"redness": Y}, YES),
        ("pain_wakes_at_night", {"rest_pain": NO, "night_pain": NO}, ABSENT),
        ("weight_loss_sweats", {"weight_loss": NO, "night_sweats": Y}, YES),
        ("foot_cold_pale_blue", {"foot_cold_pale_blue": NO}, ABSENT),
        ("foot_cold_pale_blue", {"foot_cold_pale_blue": NOT_SURE, "foot_blue": Y}, YES),
        ("foot_cold_pale_blue", {"foot_cold_pale_blue": NOT_SURE}, UNKNOWN),
        ("both_legs_weak_or_numb", {"both_legs_weak_or_numb": NOT_SURE, "both_legs_numb": Y}, YES),
        ("both_legs_weak_or_numb", {"both_legs_weak_or_numb": NO, "laterality": "left"}, ABSENT),
        ("both_legs_weak_or_numb", {"both_legs_weak_or_numb": NO, "laterality": "both", "weak_leg": Y}, YES),
        ("both_legs_weak", {"both_legs_weak_or_numb": NO, "laterality": "both", "weak_leg": Y}, YES),
        ("both_legs_weak", {"both_legs_weak_or_numb": NO, "laterality": "left", "weak_leg": Y}, ABSENT),
        ("fever_or_chills", {"fever_or_chills": NO}, ABSENT),
        ("fever_or_chills", {"respondent": "clinician", "fever_or_chills": NO, "temp_c": Decimal("38.0")}, YES),
        ("fever_or_chills", {"respondent": "clinician", "fever_or_chills": NO, "temp_c": Decimal("37.9")}, ABSENT),
        ("feels_very_unwell", {"respondent": "clinician", "feels_very_unwell": NO, "hypotension": Y}, YES),
        ("pulse_absent", {"respondent": "clinician", "pedal_pulses": "absent"}, YES),
        ("pulse_absent", {"respondent": "clinician", "pedal_pulses": "reduced"}, ABSENT),
        ("pulse_reduced", {"respondent": "clinician", "pedal_pulses": NOT_SURE}, UNKNOWN),
        ("saddle_numbness", {"respondent": "clinician", "saddle_numbness": NO, "perianal_sensation": Y}, YES),
        ("any_swelling", {"leg_swollen_one_side": NO}, ABSENT),
        ("any_swelling", {"leg_swollen_one_side": NOT_SURE}, UNKNOWN),
        (
            "any_swelling",
            {"respondent": "clinician", "leg_swollen_one_side": NO, "calf_circumference_diff_cm": Decimal("2.0")},
            YES,
        ),
        ("joint_swollen", {"knee_swollen": NO, "swelling_ankle_foot": NO}, ABSENT),
        ("joint_swollen", {"knee_swollen": NO, "swelling_ankle_foot": Y}, YES),
        ("knee_site", {"location": "calf", "location_other": ["outer_knee"]}, YES),
        ("knee_site", {"location": "calf", "location_other": ["none"]}, ABSENT),
        ("knee_site", {"location": "calf"}, UNKNOWN),
        ("calf_pain", {"location": "whole_leg"}, YES),
        ("calf_pain", {"location": "thigh", "location_other": [NOT_SURE]}, UNKNOWN),
        ("tendon_heel_pain", {"location": "under_heel"}, YES),
        ("dvt_site", {"location": "posterior_ankle", "location_other": ["shin"]}, YES),
        ("dvt_site", {"location": "posterior_ankle", "location_other": ["none"]}, ABSENT),
        ("out_of_scope_site", {"location": "lower_back", "location_other": ["buttock"]}, YES),
        ("out_of_scope_site", {"location": "lower_back", "location_other": ["calf"]}, ABSENT),
        ("one_sided", {"laterality": NOT_SURE}, UNKNOWN),
        ("calf_mass", {"leg_lump": NO}, ABSENT),
        ("calf_mass", {"leg_lump": Y, "lump_behind_knee": Y, "calf_mass": NO}, ABSENT),
        ("calf_mass", {"leg_lump": Y, "lump_behind_knee": NO, "calf_mass": NO}, YES),
        ("cannot_walk_4_steps", {"can_walk_4_steps": NO, "location": "calf", "can_single_heel_raise": Y}, YES),
        ("cannot_walk_4_steps", {"can_walk_4_steps": NOT_SURE, "location": "calf", "can_single_heel_raise": Y}, ABSENT),
        ("cannot_walk_4_steps", {"can_walk_4_steps": NOT_SURE, "location": "calf"}, UNKNOWN),
        ("cramp_only", {"location": "calf"}, ABSENT),
        ("news_red", {"respondent": "clinician", "age_years": 16, "rr": Decimal(25)}, YES),
        ("news_red", {"respondent": "clinician", "age_years": 16, "temp_c": Decimal("35.0")}, YES),
        ("news_red", {"respondent": "clinician", "age_years": 16, "hr": Decimal(40)}, YES),
        ("news_red", {"respondent": "clinician", "age_years": 15, "rr": Decimal(25)}, UNKNOWN),
        ("news_red", {"respondent": "clinician", "age_years": 15, "hr": Decimal(131)}, YES),
        ("adult_vital_sign_red", {"respondent": "clinician", "age_years": 15, "rr": Decimal(25)}, ABSENT),
        ("adult_vital_sign_red", {"respondent": "clinician", "rr": Decimal(25)}, UNKNOWN),
        ("adult_vital_sign_red", {"respondent": "clinician", "age_years": 70}, UNKNOWN),
        ("d_dimer_raised", {"respondent": "clinician", "ddimer": Decimal(300), "ddimer_unit": "ddu"}, YES),
        ("d_dimer_raised", {"respondent": "clinician", "ddimer": Decimal(300), "ddimer_unit": "feu"}, UNKNOWN),
        (
            "d_dimer_raised",
            {"respondent": "clinician", "ddimer": Decimal(700), "ddimer_unit": "feu", "d_dimer_raised": NO},
            ABSENT,
        ),
        ("d_dimer_raised", {"respondent": "clinician", "ddimer": Decimal(700)}, YES),
        ("d_dimer_raised", {"respondent": "clinician", "ddimer": Decimal(499)}, UNKNOWN),
        ("dvt_site", {"location": "other", "location_other": ["none"]}, YES),
        ("out_of_scope_site", {"location": "other", "location_other": ["lower_back"]}, ABSENT),
    ],
)
def test_a_computed_fact_has_the_right_truth_also_for_unknowns(name: str, answers: Json, expected: int) -> None:
    assert truth(name, **answers) == expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"age_years": 30, "sex_at_birth": "female", "pregnancy_status": "postpartum_12w"}, YES),
        ({"age_years": 30, "sex_at_birth": "female", "pregnancy_status": "neither"}, ABSENT),
        ({"age_years": 30, "sex_at_birth": "female", "pregnancy_status": NOT_SURE}, UNKNOWN),
        ({"age_years": 30, "sex_at_birth": "female"}, UNKNOWN),
        ({"age_years": 30, "sex_at_birth": "male"}, ABSENT),
        ({"age_years": 70, "sex_at_birth": "female"}, ABSENT),
        ({"sex_at_birth": "female"}, UNKNOWN),
    ],
)
def test_pregnancy_is_no_only_when_said_or_ruled_out_by_sex_or_age(answers: Json, expected: int) -> None:
    assert truth("pregnant_or_postpartum", **answers) == expected


CALF = {
    "location": "calf",
    "location_other": ["none"],
    "laterality": "left",
    "trauma": NO,
    "mechanism": "none",
    "duration_days": 6,
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, YES),
        ({"mechanism": "long_sitting_travel"}, YES),
        ({"mechanism": NOT_SURE, "trauma": NOT_SURE, "laterality": NOT_SURE}, YES),
        ({"duration_days": 43}, ABSENT),
        ({"laterality": "both"}, ABSENT),
        ({"mechanism": "minor"}, YES),
        ({"mechanism": "running"}, ABSENT),
        ({"trauma": Y}, ABSENT),
        ({"statin": Y}, YES),
        ({"red_tender_cord": NOT_SURE}, YES),
        ({"location": "posterior_knee"}, ABSENT),
    ],
)
def test_calf_pain_is_unexplained_until_something_is_known_to_explain_it(change: Json, expected: int) -> None:
    assert truth("calf_unexplained", **(CALF | change)) == expected


def test_a_new_cough_counts_only_with_calf_pain_and_a_risk_of_clots() -> None:
    cough = {"previous_dvt": Y, "new_cough": Y}

    assert truth("cough_with_clot_risk", **cough, location="calf") == YES
    assert truth("cough_with_clot_risk", **cough, location="under_heel", location_other=["none"]) == ABSENT
    assert truth("cough_with_clot_risk", **(cough | {"previous_dvt": NOT_SURE}), location="calf") == UNKNOWN


@pytest.mark.requirement("SR-10")
def test_page_1_is_decided_by_page_1_alone() -> None:
    denied = {fact.link_id: NO for fact in pack().content.facts if fact.screen is Screen.PAGE_1}
    follow_ups = {"foot_cold", "foot_pale", "foot_blue", "both_legs_weak", "both_legs_numb"}
    answers = {link_id: answer for link_id, answer in denied.items() if link_id not in follow_ups}
    findings = read_findings(form({**answers, "age_years": 40}))
    assessment = evaluate(pack(), findings, scope=Scope.PAGE_1)

    assert assessment.fired == ()
    assert assessment.undecided == ()
    assert {"RFX-01", "RFX-03", "RFX-10"} <= set(assessment.not_fired)


def expected_examples() -> list[Json]:
    table: list[Json] = tomllib.loads((EXAMPLES / "expected.toml").read_text())["example"]
    return table


def example_id(example: Json) -> str:
    return str(example["file"]).removesuffix(".json")


def test_every_example_has_an_expectation_and_a_patient_of_its_own() -> None:
    files = sorted(path.name for path in EXAMPLES.glob("*.json"))
    bodies = [
        parse_resource((EXAMPLES / name).read_bytes(), resource_type="QuestionnaireResponse").resource for name in files
    ]

    assert sorted(example["file"] for example in expected_examples()) == files
    assert len({body["identifier"]["value"] for body in bodies}) == len(files)
    assert len({body["subject"]["reference"] for body in bodies}) == len(files)
    assert all(body["subject"]["display"].startswith("Test patient ") for body in bodies)


@pytest.mark.parametrize("example", expected_examples(), ids=example_id)
def test_an_example_is_accepted_or_refused_as_expected(example: Json) -> None:
    body = parse_resource((EXAMPLES / example["file"]).read_bytes(), resource_type="QuestionnaireResponse").resource
    problems = check_structure(body, resource_type="QuestionnaireResponse") + check_conformance(index(), body)
    errors = {problem.code for problem in problems if problem.severity is Severity.ERROR}

    if example["status"] == 422:
        assert errors == {"required", "answer-option", "out-of-range", "enablewhen-disabled-answered"}
    else:
        assert errors == set()


@pytest.mark.requirement("REQ-18")
@pytest.mark.parametrize(
    "example", [example for example in expected_examples() if example["status"] == 201], ids=example_id
)
def test_an_example_gets_its_urgency_and_its_red_flags(example: Json) -> None:
    body = parse_resource((EXAMPLES / example["file"]).read_bytes(), resource_type="QuestionnaireResponse").resource
    scope = Scope.PAGE_1 if body["status"] == "in-progress" else Scope.FULL
    assessment = evaluate(pack(), read_findings(body), scope=scope)

    assert assessment.urgency == example["urgency"]
    assert sorted(result.flag.id for result in assessment.fired) == example["flags"]
    assert (example["urgency"] in ("emergency", "same_day")) is example["alert"]


def test_a_cold_foot_three_weeks_after_a_major_operation_is_an_emergency_of_the_circulation() -> None:
    operated = {"operation_12w": Y, "major_surgery_12w": Y, "recent_surgery_4w": Y}
    body = a_response({"foot_cold_pale_blue": Y, "foot_cold": Y, "onset": "gradual", **operated})
    assessment = evaluate(pack(), read_findings(body))

    fired = [line.line.id for flag in assessment.fired for line in flag.lines if line.verdict is Verdict.FIRED]
    assert "RFX-02e" in fired


@pytest.mark.parametrize(
    ("name", "required", "asked"),
    [("calf-strain", 73, 92), ("achilles-tendinopathy", 69, 93), ("hamstring-strain", 71, 99)],
)
def test_a_simple_complaint_must_answer_no_more_than_this(name: str, required: int, asked: int) -> None:
    body = parse_resource((EXAMPLES / f"{name}.json").read_bytes(), resource_type="QuestionnaireResponse").resource
    view = enablement(index(), body)
    shown = [item for item in questions() if view.state(item.link_id) is Enablement.ENABLED]

    assert sum(item.required for item in shown) <= required
    assert len(shown) <= asked
