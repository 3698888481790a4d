"""`sural evaluate`: what a clinical record becomes as a form, what it is measured by, and how well the engine does."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from deploy.local.evaluation.answers import Silence, fill_in
from deploy.local.evaluation.cases import Case, Fact, Facts, Gold, read_cases
from deploy.local.evaluation.command import evaluate_cases, evaluate_file
from deploy.local.evaluation.measures import Judge, Share
from deploy.local.evaluation.robustness import falls_without_a_fact
from deploy.local.evaluation.run import Evaluator, Reading, Result, open_evaluator
from deploy.local.evaluation.stated import stated_answers
from deploy.local.folder import CHECKOUT
from shared.fhir.codes import Urgency

DEVELOPMENT_CASES = CHECKOUT / "tests" / "evaluation" / "cases-dev.jsonl"

CALF_PAIN: dict[str, Fact] = {
    "age_years": Decimal(44),
    "sex": "male",
    "location": "calf",
    "laterality": "left",
    "onset": "gradual",
    "duration_days": Decimal(9),
    "severity_0_10": Decimal(3),
}

RECORD: dict[str, Any] = {
    "id": "T-7731",
    "summary": "A man with calf pain.",
    "source": "constructed",
    "provenance": "constructed",
    "source_grade": "C",
    "tags": [],
    "facts": {"age_years": 44, "sex": "male", "location": "calf", "duration_days": 9, "dark_urine": True},
    "gold": {
        "diagnosis": "rhabdomyolysis",
        "acceptable": [],
        "must_not_miss": True,
        "urgency": "emergency",
        "acceptable_urgency": ["emergency"],
        "expected_red_flags": ["rhabdomyolysis"],
        "expected_scores": {},
    },
}


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    return open_evaluator()


@pytest.fixture(scope="module")
def development(evaluator: Evaluator) -> Mapping[Reading, Sequence[Result]]:
    return evaluate_cases(evaluator, read_cases(DEVELOPMENT_CASES), [*Reading])


def form(evaluator: Evaluator, silence: Silence = Silence.UNKNOWN, **facts: Fact) -> dict[str, Any]:
    """The answers that a record of calf pain with these facts leads to."""
    stated = stated_answers(evaluator.mapping, CALF_PAIN | facts)
    answers = fill_in(evaluator.mapping, stated, silence).form.answers
    return {
        name: value[0] if isinstance(value, tuple) and len(value) == 1 else value for name, value in answers.items()
    }


def result(evaluator: Evaluator, reading: Reading = Reading.WITHOUT_FLOOR, **facts: Fact) -> Result:
    """What the engine makes of a record of calf pain with these facts."""
    return evaluator.results(case(CALF_PAIN | facts), [reading])[reading]


def case(facts: Facts, **gold: Any) -> Case:
    """A case; its label matters only where a test says so."""
    return Case("T-7731", facts, Gold.model_validate(RECORD["gold"] | gold))


# --- facts to answers ----------------------------------------------------------------------------


def test_a_chill_is_a_fever_although_fever_is_denied(evaluator: Evaluator) -> None:
    assert form(evaluator, fever=False)["fever_or_chills"] == "N"
    assert form(evaluator, fever=False, chills=True)["fever_or_chills"] == "Y"
    assert "fever_or_chills" not in form(evaluator, chills=False)


def test_silence_never_contradicts_what_is_stated(evaluator: Evaluator) -> None:
    answers = form(
        evaluator,
        Silence.DENIED,
        temp_c=Decimal("38.2"),
        foot_drop=True,
        laterality="bilateral",
        numbness=True,
        pulsatile_mass=True,
    )

    assert [answers[name] for name in ("fever_or_chills", "weak_leg", "both_legs_numb")] == ["Y"] * 3
    assert answers["lump_behind_knee"] == "ASKU"


def test_who_limps_walks_unless_the_leg_takes_no_weight(evaluator: Evaluator) -> None:
    assert form(evaluator, limp=True)["can_walk_4_steps"] == "Y"
    assert form(evaluator, limp=True, unable_to_weight_bear=True)["can_walk_4_steps"] == "N"


def test_a_knee_that_is_not_swollen_says_nothing_about_the_ankle(evaluator: Evaluator) -> None:
    answers = form(evaluator, swelling_knee=False)

    assert answers["knee_swollen"] == "N"
    assert "swelling_ankle_foot" not in answers


def test_a_finding_opens_the_question_that_asks_for_it(evaluator: Evaluator) -> None:
    answers = form(evaluator, active_cancer=True, pulsatile_mass=True, cold_foot=True, recent_surgery_4w=True)

    assert [answers[gate] for gate in ("cancer_ever", "leg_lump", "foot_cold_pale_blue", "operation_12w")] == ["Y"] * 4


def test_a_denied_detail_opens_its_question_with_not_sure_and_denies_no_more_than_was_said(
    evaluator: Evaluator,
) -> None:
    answers = form(evaluator, active_cancer=False, bedridden_3d=False, immobilised=True)

    assert (answers["cancer_ever"], answers["active_cancer"]) == ("ASKU", "N")
    assert (answers["less_mobile_lately"], answers["bedridden_3d"]) == ("Y", "N")


def test_what_a_person_cannot_do_is_the_no_to_whether_they_can(evaluator: Evaluator) -> None:
    assert form(evaluator, cannot_walk_4_steps=True)["can_walk_4_steps"] == "N"
    assert form(evaluator, cannot_walk_4_steps=False)["can_walk_4_steps"] == "Y"


@pytest.mark.parametrize(
    ("facts", "hot"),
    [
        ({"swelling_knee": True, "warmth": True}, "Y"),
        ({"swelling_knee": True, "redness": True}, "Y"),
        ({"swelling_ankle": True, "redness": True, "warmth": False}, None),
        ({"joint_effusion": True, "redness": False, "warmth": False}, "N"),
        ({"swelling_calf": True, "warmth": True}, None),
    ],
)
def test_a_swollen_joint_is_hot_when_it_is_warm_or_red_and_not_known_to_be_cool(
    evaluator: Evaluator, facts: dict[str, Fact], hot: str | None
) -> None:
    assert form(evaluator, **facts).get("joint_hot_swollen") == hot


@pytest.mark.parametrize(
    ("facts", "one_side", "both"),
    [
        ({"calf_circumference_diff_cm": Decimal(2)}, "Y", None),
        ({"calf_circumference_diff_cm": Decimal("1.9")}, None, None),
        ({"pitting_oedema": True}, "Y", None),
        ({"swelling_calf": True, "laterality": "bilateral"}, None, "Y"),
        ({"swelling_calf": False}, "N", None),
    ],
)
def test_a_leg_is_swollen_as_it_was_seen_or_measured(
    evaluator: Evaluator, facts: dict[str, Fact], one_side: str | None, both: str | None
) -> None:
    answers = form(evaluator, **facts)

    assert (answers.get("leg_swollen_one_side"), answers.get("both_legs_swollen")) == (one_side, both)


def test_silence_denies_the_safety_questions_of_a_finished_form_but_nothing_that_takes_trying(
    evaluator: Evaluator,
) -> None:
    answers = form(evaluator, Silence.DENIED)

    assert [answers[name] for name in ("chest_pain", "bone_visible", "can_lift_foot")] == ["N", "N", "Y"]
    assert [answers[name] for name in ("can_walk_4_steps", "can_single_heel_raise", "cannot_move_joint")] == [
        "ASKU"
    ] * 3
    assert form(evaluator).keys() & {"chest_pain", "bone_visible", "can_walk_4_steps"} == set()


def test_a_number_that_no_person_has_is_left_out_and_said_to_be(evaluator: Evaluator) -> None:
    stated = stated_answers(evaluator.mapping, {"severity_0_10": Decimal(11), "duration_days": Decimal("0.04")})

    assert stated.answers == {"respondent": ("clinician",), "duration_days": Decimal(0)}
    assert stated.remarks == ("severity_0_10: 11 is out of its range (0 to 10) and is left out",)


def test_whatever_a_record_says_the_form_would_be_accepted_at_intake(evaluator: Evaluator) -> None:
    chance = random.Random(20611)

    for _ in range(12):
        for silence in Silence:
            evaluator.run(anything(evaluator, chance), silence)  # raises where intake would refuse


def anything(evaluator: Evaluator, chance: random.Random) -> dict[str, Fact]:
    """A record that mentions a good part of the vocabulary, without sense."""
    file = evaluator.mapping.file
    facts: dict[str, Fact] = {name: Decimal(chance.randint(0, 90)) for name in file.number if chance.random() < 0.5}
    for name, choice in file.choice.items():
        codes = tuple(chance.sample([*choice.codes], 2))
        facts[name] = codes if choice.several else codes[0]
    return facts | {name: chance.random() < 0.5 for name in evaluator.mapping.stands if chance.random() < 0.3}


# --- through the engine --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [
        {"fever": False, "temp_c": Decimal("38.4")},
        {"severity_0_10": Decimal(0), "rest_pain": True},
        {"swelling_calf": False, "calf_circumference_diff_cm": Decimal(4)},
        {"swelling_leg_whole": False, "entire_leg_swollen": True},
        {"thompson_positive": True, "cannot_single_heel_raise": False},
        {"foot_drop": True, "weakness": False},
        {"trauma": False, "mechanism": "road_traffic"},
        {"sex": "male", "pregnant": True, "gestation_weeks": Decimal(9)},
        {"lump_behind_knee": False, "calf_mass": False, "pulsatile_mass": True},
        {"unable_to_weight_bear": True, "ran_today": True},
        {"laterality": "bilateral", "calf_circumference_diff_cm": Decimal(3)},
    ],
)
@pytest.mark.parametrize("reading", [Reading.COMPLETED, Reading.WITHOUT_FLOOR])
def test_a_record_that_contradicts_itself_reaches_the_engine_as_a_contradiction(
    evaluator: Evaluator, facts: dict[str, Fact], reading: Reading
) -> None:
    assert "inconsistent_answers" in result(evaluator, reading, **facts).red_flags


def test_the_floor_for_an_incomplete_screen_is_kept_apart(evaluator: Evaluator) -> None:
    facts: dict[str, Fact] = {"mechanism": "overuse", "laterality": "bilateral", "training_increase": True}

    assert result(evaluator, Reading.AS_GIVEN, **facts).urgency is Urgency.SAME_DAY
    assert result(evaluator, Reading.WITHOUT_FLOOR, **facts).urgency.rank > Urgency.SAME_DAY.rank


WELLS_DENIED: dict[str, Fact] = dict.fromkeys(
    (
        "active_cancer",
        "leg_paralysis_or_cast",
        "bedridden_3d",
        "major_surgery_12w",
        "localized_deep_vein_tenderness",
        "entire_leg_swollen",
        "pitting_oedema",
        "collateral_superficial_veins",
        "previous_dvt",
        "alternative_dx_at_least_as_likely",
    ),
    False,
) | {"calf_circumference_diff_cm": Decimal("3.4")}


@pytest.mark.parametrize("reading", Reading)
def test_a_wells_score_is_given_when_all_of_it_is_stated_and_else_in_no_reading(
    evaluator: Evaluator, reading: Reading
) -> None:
    less = {name: value for name, value in WELLS_DENIED.items() if name != "previous_dvt"}

    assert result(evaluator, reading, **WELLS_DENIED).scores == {"wells_dvt": 1, "wells_dvt_2level": "unlikely"}
    assert result(evaluator, reading, **less).scores == {}


def test_a_rule_for_x_rays_is_not_settled_by_an_injury_that_may_be_another_or_by_an_estimated_age(
    evaluator: Evaluator,
) -> None:
    knee = {"location": "knee", "duration_days": Decimal(2), "fibular_head_tenderness": True}
    old = {name: value for name, value in CALF_PAIN.items() if name != "age_years"} | {
        "location": "knee",
        "acute_knee_injury": True,
        "elderly_unspecified_age": True,
    }

    assert result(evaluator, **knee, acute_knee_injury=True).scores == {"ottawa_knee": "xray"}
    assert result(evaluator, **knee, trauma=True).scores == {}
    assert evaluator.results(case(old))[Reading.WITHOUT_FLOOR].scores == {}


def test_an_alarm_does_not_fall_away_with_a_fact_that_is_not_mentioned(evaluator: Evaluator) -> None:
    record = case(CALF_PAIN | {"dark_urine": True, "swelling_calf": True})

    falls = falls_without_a_fact(evaluator, [record])

    assert [fall.fact for fall in falls[Reading.WITHOUT_FLOOR]] == ["dark_urine"]


# --- the command ---------------------------------------------------------------------------------


def run(path: Path, *records: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, output and errors of the command on a file of these lines."""
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("\n".join(lines), encoding="utf-8")
    code = evaluate_file(path, as_json=True, reading=None, drop_facts=False)
    return code, *capsys.readouterr()


def test_what_describes_a_case_never_reaches_the_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described_otherwise = RECORD | {
        "summary": "Chest pain, cold white leg, 40 degrees.",
        "source": "Example J. 1999",
        "tags": ["child", "hard"],
        "dx_class": "benign",
        "gold": RECORD["gold"] | {"diagnosis": "doms", "urgency": "self_care", "acceptable_urgency": ["self_care"]},
    }

    _, plain, _ = run(tmp_path / "cases.jsonl", RECORD, capsys=capsys)
    _, other, _ = run(tmp_path / "cases.jsonl", described_otherwise, capsys=capsys)

    cases = {name: part["cases"] for name, part in json.loads(plain).items()}
    assert cases == {name: part["cases"] for name, part in json.loads(other).items()}
    assert cases["completed"][0]["urgency"] == "emergency"


def test_the_object_holds_the_three_readings_with_rates_and_cases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, errors = run(tmp_path / "cases.jsonl", RECORD, capsys=capsys)
    found = json.loads(output)

    assert (code, errors, [*found]) == (0, "", ["completed", "as_given", "as_given_without_floor"])
    assert found["completed"]["n"] == 1
    assert found["completed"]["emergency_strict"] == 1.0
    assert found["completed"]["benign_false_alarm"] is None
    assert [*found["as_given"]["cases"][0]] == ["id", "urgency", "red_flags", "differential", "scores"]


GOLD = RECORD["gold"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "line 1: not JSON: "),
        ("[]", "line 1: a case is a JSON object."),
        ({"id": "T-1", "gold": GOLD}, "line 1: the field facts is missing."),
        (RECORD | {"gold": {**GOLD, "urgency": "soon"}}, "line 1: gold.urgency: Input should be 'emergency'"),
        (RECORD | {"facts": {"feever": True}}, "case T-7731: the fact feever is not in the vocabulary, found true."),
        (RECORD | {"facts": {"fever": "yes"}}, "the fact fever is yes, expected true or false."),
        (RECORD | {"facts": {"onset": "hyperacute"}}, "the fact onset is hyperacute, expected one of sudden, gradual."),
        (RECORD | {"facts": {"age_years": "old"}}, "the fact age_years is old, expected a number."),
        (RECORD | {"facts": {"location": ["calf"]}}, "the fact location is [calf], expected one of ankle, "),
        ('{"id": "T-1", "id": "T-2"}', "id is stated twice"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_with_what_was_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: object, sentence: str
) -> None:
    code, output, errors = run(tmp_path / "cases.jsonl", line, capsys=capsys)

    assert (code, output, len(errors.splitlines())) == (2, "", 1)
    assert errors.startswith("line 1: ")
    assert sentence in errors


def test_the_same_case_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, errors = run(tmp_path / "cases.jsonl", RECORD, RECORD, capsys=capsys)

    assert (code, errors) == (2, "line 2: case T-7731 is already on line 1.\n")


def test_a_label_that_nothing_can_match_is_told_and_the_case_still_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = RECORD | {"gold": GOLD | {"acceptable": ["tired_legs"]}}

    code, _, errors = run(tmp_path / "cases.jsonl", record, capsys=capsys)

    assert code == 0
    assert errors == (
        "line 1: case T-7731: the diagnosis tired_legs is not a canonical name, so that nothing can match it.\n"
    )


# --- measures ------------------------------------------------------------------------------------


def test_the_interval_is_wilsons() -> None:
    low, high = Share(9, 10).interval or (0, 0)

    assert (round(low, 4), round(high, 4)) == (0.5958, 0.9821)
    assert Share(10, 10).interval == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert Share(0, 0).rate is None


def judged(evaluator: Evaluator, came: Urgency, **gold: Any) -> dict[str, float | None]:
    """Measures of one result of that urgency against that label."""
    labelled = case({}, **gold)
    one = Result(
        case=labelled,
        urgency=came,
        red_flags=("suspected_dvt",),
        differential=("baker_cyst", "doms"),
        scores={},
        fixed=frozenset(),
        alarms=("RFX-12",),
        lines=(),
        floors=(),
        remarks=(),
    )
    return {name: share.rate for name, share in Judge(evaluator.names).measures([one]).items()}


@pytest.mark.requirement("REQ-29")
def test_more_urgent_than_accepted_is_over_triage_and_never_a_missed_danger(evaluator: Evaluator) -> None:
    gold = {"urgency": "within_2_weeks", "acceptable_urgency": ["within_2_weeks", "routine"]}

    over = judged(evaluator, Urgency.EMERGENCY, **gold)
    under = judged(evaluator, Urgency.SELF_CARE, **gold)

    assert (over["over_triage"], over["over_triage_2plus"], over["must_not_miss_sensitivity"]) == (1, 1, 1)
    assert (under["under_triage"], under["over_triage"], under["must_not_miss_sensitivity"]) == (1, 0, 0)


@pytest.mark.requirement("REQ-29")
def test_an_alarm_is_false_only_on_a_case_that_can_wait_for_weeks(evaluator: Evaluator) -> None:
    assert judged(evaluator, Urgency.SAME_DAY, urgency="routine")["benign_false_alarm"] == 1
    assert judged(evaluator, Urgency.SAME_DAY, urgency="within_2_weeks")["benign_false_alarm"] is None


def test_a_diagnosis_is_hit_by_its_synonym_and_by_what_is_accepted_beside_it(evaluator: Evaluator) -> None:
    by_synonym = judged(evaluator, Urgency.ROUTINE, diagnosis="popliteal_cyst")
    accepted = judged(evaluator, Urgency.ROUTINE, diagnosis="gout", acceptable=["doms"])

    assert (by_synonym["top1"], accepted["top1"], accepted["top3"]) == (1, 0, 1)


# --- how well the engine does --------------------------------------------------------------------

ELSEWHERE_AT_LEAST = {"emergency_within_acceptable": 0.97, "emergency_strict": 0.90, "must_not_miss_sensitivity": 0.98}
"""For cases other than the development cases, which must lose none."""
AT_LEAST = {
    "acceptable_urgency": 0.92,
    "top1": 0.78,
    "top3": 0.90,
    "top5": 0.94,
    "red_flag_recall": 0.90,
    "score_exact": 1.0,
}
AT_MOST = {"benign_false_alarm": 0.20}


@pytest.mark.requirement("REQ-29")
@pytest.mark.parametrize("reading", Reading)
def test_no_emergency_and_no_danger_among_the_development_cases_is_missed(
    development: Mapping[Reading, Sequence[Result]], evaluator: Evaluator, reading: Reading
) -> None:
    measures = Judge(evaluator.names).measures(development[reading])

    for name in ("emergency_within_acceptable", "emergency_strict", "must_not_miss_sensitivity"):
        assert measures[name].rate == 1.0, name


@pytest.mark.parametrize(("reading", "over_2"), [(Reading.COMPLETED, 0.02), (Reading.WITHOUT_FLOOR, 0.03)])
def test_the_development_cases_are_triaged_and_ranked_as_they_are_labelled(
    development: Mapping[Reading, Sequence[Result]], evaluator: Evaluator, reading: Reading, over_2: float
) -> None:
    measures = Judge(evaluator.names).measures(development[reading])
    rates = {name: share.rate for name, share in measures.items() if share.rate is not None}

    assert {name: rates[name] for name, least in AT_LEAST.items() if rates[name] < least} == {}
    assert {name: rates[name] for name, most in AT_MOST.items() if rates[name] > most} == {}
    assert rates["over_triage_2plus"] <= over_2


@pytest.mark.requirement("REQ-29")
@pytest.mark.parametrize("file", ["cases-own.jsonl", "cases-held-out.jsonl"])
@pytest.mark.parametrize("reading", [Reading.COMPLETED, Reading.WITHOUT_FLOOR])
def test_cases_that_were_written_without_knowing_the_rules_come_out_as_well(
    evaluator: Evaluator, file: str, reading: Reading
) -> None:
    cases = read_cases(CHECKOUT / "tests" / "evaluation" / file)
    measures = Judge(evaluator.names).measures(evaluate_cases(evaluator, cases, [reading])[reading])
    rates = {name: share.rate for name, share in measures.items() if share.rate is not None}

    assert {name: rates[name] for name, least in (AT_LEAST | ELSEWHERE_AT_LEAST).items() if rates[name] < least} == {}
    assert {name: rates[name] for name, most in AT_MOST.items() if rates[name] > most} == {}
    assert rates["over_triage_2plus"] <= 0.02
