"""A patient as an examining clinician records him, and what the decision rules say about him.

A finding that a test does not name is known to be absent; tests without a result are unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from services.triage.engine.assess import evaluate
from services.triage.engine.model import FactKind, Respondent, Urgency, Value
from services.triage.engine.results import Assessment, ScoreResult
from services.triage.knowledge.loader import PACKS, load_pack
from tests.triage.packs import NO, NOT_APPLICABLE, UNKNOWN, YES, described

FOLDER = PACKS / "posterior-lower-limb" / "1.0.0"
PACK = load_pack(FOLDER)
SCORES = {score.id: score for score in PACK.content.scores}

CALF_PAIN: dict[str, Value] = {
    "respondent": frozenset({"clinician"}),
    "age_years": Decimal(41),
    "sex_at_birth": frozenset({"male"}),
    "pregnancy_status": NOT_APPLICABLE,
    "location": frozenset({"calf"}),
    "location_other": frozenset({"none"}),
    "laterality": frozenset({"right"}),
    "onset": frozenset({"gradual"}),
    "duration_days": Decimal(5),
    "severity_0_10": Decimal(3),
    "pain_trend": frozenset({"same"}),
    "mechanism": frozenset({"none"}),
    "fall_kind": NOT_APPLICABLE,
    "calf_circumference_diff_cm": Decimal(0),
    "nsaid_caution": frozenset({"none"}),
    "other_concerns": NOT_APPLICABLE,
}
"""A man of 41 with pain in the right calf for five days, and nothing else."""

NOT_TESTED = (
    *("d_dimer_raised_answer", "ultrasound_dvt_negative", "arterial_doppler_audible", "venous_doppler_audible"),
    *("joint_infection_settled", "pe_chance_below_15"),
)
WOMAN: dict[str, object] = {"sex_at_birth": "female", "pregnancy_status": "neither"}
PREGNANT: dict[str, object] = {"sex_at_birth": "female", "pregnancy_status": "pregnant"}
KNEE_INJURY: dict[str, object] = {
    "location": "front_of_knee",
    "onset": "sudden",
    "duration_days": 3,
    "trauma": YES,
    "mechanism": "direct_blow",
    "single_heel_raise_possible": YES,
}
ANKLE_INJURY: dict[str, object] = {
    "location": "outer_ankle",
    "onset": "sudden",
    "duration_days": 6,
    "trauma": YES,
    "mechanism": "twist",
    "malleolar_zone_pain": YES,
    "midfoot_zone_pain": YES,
    "single_heel_raise_possible": YES,
}
SWOLLEN: dict[str, object] = {"entire_leg_swollen_exam": YES, "pitting_oedema": YES}
WALKING_PAIN: dict[str, object] = {"pain_on_walking": YES, "worse_hurry_uphill": YES, "relief_10min_standing": YES}
GOUT_RULE: dict[str, object] = {"location": "foot", "joint_infection_settled": YES, "swelling_ankle_foot": YES}
COLD_FOOT: dict[str, object] = {
    "location": "foot",
    "duration_days": 1,
    "foot_cold_pale_blue_answer": YES,
    "foot_cold_answer": YES,
}


def examined(**facts: object) -> Assessment:
    """The patient as a clinician records him after looking for everything."""
    absent: dict[str, Value] = {
        fact.name: NO
        for fact in PACK.content.facts
        if fact.clinician and fact.kind is FactKind.PRESENCE and fact.name not in NOT_TESTED
    }
    return evaluate(PACK, described(PACK, absent | CALF_PAIN, Respondent.CLINICIAN, facts))


def answered(**facts: object) -> Assessment:
    """The same patient answering for himself; nobody has examined him."""
    unexamined: dict[str, Value] = {"respondent": frozenset({"self"}), "calf_circumference_diff_cm": UNKNOWN}
    return evaluate(PACK, described(PACK, CALF_PAIN | unexamined, Respondent.PATIENT, facts))


def score(name: str, assessment: Assessment) -> ScoreResult:
    """The result of one rule."""
    return next(one for one in assessment.scores if one.definition.id == name)


def group(result: ScoreResult) -> str | None:
    """The code of the class that may be used."""
    return None if result.score_class is None else result.score_class.code


def interval(result: ScoreResult) -> tuple[Decimal | None, Decimal | None]:
    """Least and most points."""
    return result.minimum, result.maximum


def at_least(assessment: Assessment, urgency: Urgency) -> bool:
    """Whether the whole assessment is that urgent or more."""
    return assessment.urgency is not None and assessment.urgency.rank <= urgency.rank


def open_text(name: str) -> str:
    """The sentence for a rule that stays open."""
    key = SCORES[name].indeterminate
    assert key is not None
    return PACK.text(key)


def all_words() -> Iterator[str]:
    """Every sentence about scores, and every text of the pack."""
    for one in SCORES.values():
        yield from (one.title, one.purpose, one.population, one.performance)
    yield from PACK.content.texts.values()
