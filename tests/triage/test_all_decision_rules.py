"""What holds for every decision rule: stated population and sources, no false reassurance, no change of urgency."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from services.triage.engine.assess import evaluate
from services.triage.engine.criteria import names_in
from services.triage.engine.model import FactKind, Finding, Findings, Respondent, ScoreDefinition, Value
from services.triage.engine.pack import build_pack
from services.triage.engine.results import Assessment
from services.triage.knowledge.cases import read_cases, run_case
from tests.triage.examined import (
    ANKLE_INJURY,
    COLD_FOOT,
    FOLDER,
    GOUT_RULE,
    KNEE_INJURY,
    PACK,
    PREGNANT,
    SCORES,
    SWOLLEN,
    WALKING_PAIN,
    WOMAN,
    all_words,
    examined,
)
from tests.triage.packs import NO, NOT_SURE, UNKNOWN, YES

PAGE = (Path(__file__).parents[2] / "docs" / "decision-rules.md").read_text(encoding="utf-8")


@pytest.mark.requirement("REQ-19")
@pytest.mark.parametrize("one", SCORES.values(), ids=list(SCORES))
def test_every_rule_states_its_purpose_population_figures_and_sources_in_words_of_its_own(
    one: ScoreDefinition,
) -> None:
    assert one.evidence
    assert any(letter.isdigit() for letter in one.performance)
    for words in (one.purpose, one.population, one.performance):
        assert words.endswith(".")
        assert words[0].isupper() or words[0].isdigit()
    assert one.indeterminate is not None


@pytest.mark.requirement("SR-11")
def test_no_sentence_of_a_rule_claims_that_a_danger_is_gone() -> None:
    claims = (
        "ruled out",
        "rules out",
        "excluded.",
        "is excluded",
        "no need to",
        "harmless",
        "not dvt",
        "no clot",
        "no rupture",
    )

    for words in all_words():
        assert not [claim for claim in claims if claim in words.casefold()], words


def facts_of(one: ScoreDefinition) -> frozenset[str]:
    """Every answer and examination item that the rule depends on."""
    whens = [*(item.when for item in one.items), *(exclusion.when for exclusion in one.exclusions)]
    whens += [each.when for each in one.classes if each.when is not None]
    whens += [] if one.applies_when is None else [one.applies_when]
    return frozenset(base for when in whens for name in names_in(when) for base in PACK.base_facts[name])


FACTS = sorted(frozenset().union(*map(facts_of, SCORES.values())) - {"respondent"})
SEVERAL_SOURCES = {
    *("entire_leg_swollen_exam", "pitting_oedema", "calf_circumference_diff_cm"),  # else what the patient says
    *("ddimer", "d_dimer_raised_answer", "tachycardia"),  # a figure or a word for it
    *("arterial_doppler_audible", "pedal_pulses", "cool_skin"),  # else what the patient says of the foot
}
"""Facts whose absence leaves the question to another source, by a derived fact that says so."""

NOT_CHECKED = {
    base
    for one in SCORES.values()
    for exclusion in one.exclusions
    if not exclusion.unknown_counts
    for name in names_in(exclusion.when)
    for base in PACK.base_facts[name]
}
"""Facts behind exclusions that are only reported as not checked while they are unknown."""


def random_answers(random: Random) -> dict[str, Finding]:
    """A clinician's answer to everything that some rule reads."""
    findings = {}
    for name in FACTS:
        fact = PACK.facts[name]
        value: Value = random.choice((YES, NO, NO))
        if fact.kind is FactKind.CHOICE:
            value = frozenset({random.choice(sorted(fact.codes))})
        elif fact.kind is FactKind.QUANTITY:
            value = random.choice(QUANTITIES[name])
        findings[name] = Finding(value)
    return findings


QUANTITIES: dict[str, list[Decimal]] = {
    "age_years": [Decimal(number) for number in (9, 17, 18, 54, 55, 77)],
    "duration_days": [Decimal(number) for number in (1, 7, 14, 60)],
    "calf_circumference_diff_cm": [Decimal(number) for number in (0, 2, 3)],
    "temp_c": [Decimal(37), Decimal("38.6")],
    "esr_mm_h": [Decimal(9), Decimal(41)],
    "wbc_10e9_l": [Decimal(9), Decimal(13)],
    "hr": [Decimal(70), Decimal(100), Decimal(101)],
    "spo2": [Decimal(94), Decimal(95)],
    "ddimer": [Decimal(number) for number in (200, 300, 600, 1200)],
    "urate_mg_dl": [Decimal(5), Decimal(7)],
    "abi": [Decimal("0.8"), Decimal("0.95"), Decimal("1.2"), Decimal("1.5")],
    "gestation_weeks": [Decimal(8), Decimal(30)],
}


def reassuring(assessment: Assessment) -> dict[str, str]:
    return {
        one.definition.id: one.score_class.code
        for one in assessment.scores
        if one.score_class is not None and one.score_class.reassures
    }


STARTS: tuple[dict[str, object], ...] = (
    {"d_dimer_raised_answer": NO},
    {**WOMAN, "d_dimer_raised_answer": NO, "ultrasound_dvt_negative": YES, **SWOLLEN},
    {**PREGNANT, "gestation_weeks": 20},
    {"chest_pain": YES, "pe_chance_below_15": YES, "hr": 70, "spo2": 98, "ddimer": 200, "ddimer_unit": "feu"},
    {**KNEE_INJURY, "mechanism": "fall"},
    ANKLE_INJURY,
    {"age_years": 7, "temp_c": 37, "esr_mm_h": 5, "wbc_10e9_l": 8},
    {**COLD_FOOT, **dict.fromkeys(("arterial_doppler_audible", "venous_doppler_audible"), YES)},
    {**COLD_FOOT, "sensory_loss_foot": "none", "motor_loss_foot": "none", "abi": Decimal("1.1")},
    {**WALKING_PAIN, "location": "foot", "abi": 1},
    {**GOUT_RULE, "urate_mg_dl": 4},
)
"""Patients whom some rule reassures when nothing more is found."""


@pytest.mark.requirement("REQ-20", "SR-03")
def test_forgetting_an_answer_never_makes_a_rule_reassure() -> None:
    random = Random(20261122)
    seen: set[str] = set()
    for _ in range(90):
        start = random.choice(STARTS)
        found = {name: YES for name in random.sample(FACTS, 3) if PACK.facts[name].kind is FactKind.PRESENCE}
        known = {**start, **found}
        before = reassuring(examined(**known))
        seen |= before.keys()
        for name in random.sample(FACTS, 12):
            if name in SEVERAL_SOURCES | NOT_CHECKED:
                continue
            forgotten = NOT_SURE if PACK.facts[name].kind is FactKind.PRESENCE else UNKNOWN
            assert reassuring(examined(**{**known, name: forgotten})).items() <= before.items(), (name, known)
    assert len(seen) > 12


def test_only_the_x_ray_rules_have_exclusions_that_an_unknown_answer_does_not_bring_about() -> None:
    lenient = {
        name for name, one in SCORES.items() if any(not exclusion.unknown_counts for exclusion in one.exclusions)
    }

    assert lenient == {"ottawa_knee", "ottawa_ankle", "ottawa_foot", "pittsburgh_knee"}


def test_when_everything_is_known_every_rule_that_applies_has_a_class() -> None:
    random = Random(1851)
    for _ in range(200):
        assessment = evaluate(PACK, Findings(random_answers(random), Respondent.CLINICIAN))
        for one in assessment.scores:
            if one.applies is YES and not assessment.quality.contradictions:
                assert one.points_class is not None, one.definition.id
                assert one.exact is not None, one.definition.id


@pytest.mark.requirement("REQ-21")
def test_a_patients_answers_never_lead_to_a_reassuring_class_of_a_rule_for_clinicians() -> None:
    random = Random(404)
    for _ in range(200):
        found = reassuring(evaluate(PACK, Findings(random_answers(random), Respondent.PATIENT)))
        assert {name for name in found if SCORES[name].clinician_only} == set()


@pytest.mark.requirement("SR-02")
def test_no_rule_changes_an_urgency_or_a_flag() -> None:
    used = tuple(one for one in PACK.content.scores if one.known_points_fact is not None)
    without = build_pack(replace(PACK.content, scores=used))

    assert [one.id for one in used] == ["wells_dvt"]
    for case in read_cases(FOLDER):
        with_rules, bare = run_case(PACK, case), run_case(without, case)
        assert with_rules.urgency is bare.urgency, case.id
        assert with_rules.raises == bare.raises, case.id


@pytest.mark.parametrize("one", SCORES.values(), ids=list(SCORES))
def test_the_page_of_decision_rules_says_what_the_pack_says(one: ScoreDefinition) -> None:
    (row,) = [line for line in PAGE.splitlines() if f"(`{one.id}`)" in line]

    for words in (one.title, one.purpose, one.population, one.performance, ", ".join(one.evidence)):
        assert words in row


@pytest.mark.parametrize("number", range(1, 24))
def test_the_page_of_decision_rules_answers_for_every_rule_looked_at(number: int) -> None:
    assert f"| R-{number:02} |" in PAGE
