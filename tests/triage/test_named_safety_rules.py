"""The clinical safety rules by name, each on the real engine and the real pack.

What a rule says in full stands in docs/safety/requirements.toml; further tests of the same rules bear its marker. SR-16
is in tests/notify, SR-18 and SR-21 in test_resubmission.py, SR-20 in test_properties.py, SR-22 in test_wording.py.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.intake.conformance import check_conformance
from services.triage.basis import Basis, Resource, Run
from services.triage.engine.advice import AdviceKind
from services.triage.engine.assess import evaluate
from services.triage.engine.model import Findings, Presence, Urgency, most_urgent
from services.triage.engine.results import Assessment, DataQuality, Support
from services.triage.findings import FactReader
from services.triage.knowledge.cases import CaseTable, line_verdict, run_case
from services.triage.knowledge.files import PackError
from services.triage.knowledge.loader import load_pack
from services.triage.risk_assessment import build_resources, plain
from shared.fhir.codes import EXT_DATA_QUALITY, EXT_NOT_FIRED, EXT_RED_FLAG
from shared.problems import Severity
from tests.builders import a_response, posterior_lower_limb
from tests.triage.packs import NO, NOT_SURE, UNKNOWN, YES, edited, two_answers
from tests.triage.test_pack_cases import (
    CASES,
    CONTRADICTIONS,
    COUNTED_ONLY_WHEN_KNOWN,
    LINES,
    PACK,
    assess,
    at_least,
    examined,
    page_1,
)

FIRING = [case for case in CASES if case.kind == "firing"]
BASIS = Basis.of({"id": "qr-7", "subject": {"reference": "Patient/p-7"}}, version=2, sha256="7a" * 32)
RUN = Run("a-7", 1, datetime(2026, 11, 22, 8, 0, tzinfo=UTC))
FIRST_ALONE = ("baker_cyst", "ruptured_baker_cyst", "gastrocnemius_strain", "soleus_strain", "cellulitis")
PAINFUL_HEEL = {"location": "under_heel", "start_up_pain": YES, "tender_plantar_heel": YES}


def resources(assessment: Assessment) -> list[Resource]:
    return plain(build_resources(assessment, PACK, basis=BASIS, run=RUN))


def values(resource: Resource, url: str, name: str) -> list[Any]:
    """Every value of that name in the extensions of that url."""
    parts = [part for one in resource["extension"] if one["url"] == url for part in one["extension"]]
    return [value for part in parts if part["url"] == name for key, value in part.items() if key != "url"]


def read(answers: dict[str, object], **more: Any) -> Assessment:
    """A response to the real Questionnaire, read and assessed."""
    form = posterior_lower_limb()
    return evaluate(PACK, FactReader(form, PACK.content.facts).read(a_response(answers, **more)).findings)


@pytest.mark.requirement("SR-01")
@pytest.mark.parametrize("case", FIRING, ids=lambda case: case.id)
def test_SR_01_the_urgency_is_the_most_urgent_of_everything_that_was_found(case: CaseTable) -> None:
    assessment = run_case(PACK, case)
    found = [flag.urgency for flag in assessment.fired] + [floor.urgency for floor in assessment.floors]
    found += [one.condition.urgency for one in assessment.candidates[:1]]
    found += [
        one.condition.urgency
        for one in assessment.candidates
        if one.condition.must_not_miss and one.support is not Support.WEAK
    ]

    highest = most_urgent(*found, PACK.content.safety.default_undecided)
    assert assessment.urgency is highest


@pytest.mark.requirement("SR-01")
@pytest.mark.parametrize("normal", ["xray_normal", "ultrasound_dvt_negative", "pulses"])
def test_SR_01_a_normal_examination_lowers_no_flag_that_fired(normal: str) -> None:
    danger = {"location": "calf", "foot_cold_pale_blue_answer": YES, "onset": "sudden", "calf_swelling": YES}
    finding = {"pedal_pulses": "present"} if normal == "pulses" else {normal: YES}

    before, after = examined(**danger), examined(**danger, **finding)

    assert before.urgency is after.urgency is Urgency.EMERGENCY
    assert {flag.flag.id for flag in before.fired} <= {flag.flag.id for flag in after.fired}


@pytest.mark.requirement("SR-02")
@pytest.mark.parametrize("danger", ["chest_pain", "saddle_numbness_answer", "dark_urine", "leg_blue_massively_swollen"])
def test_SR_02_a_typical_harmless_complaint_suppresses_no_flag(danger: str) -> None:
    typical = examined(**PAINFUL_HEEL)
    alarming = examined(**PAINFUL_HEEL, **{danger: YES})

    assert typical.candidates[0].condition.urgency is Urgency.SELF_CARE
    assert typical.candidates[0].support is not Support.WEAK
    assert alarming.urgency is Urgency.EMERGENCY


@pytest.mark.requirement("SR-03")
def test_SR_03_where_nothing_was_answered_no_line_counts_as_denied() -> None:
    assessment = evaluate(PACK, Findings({}))

    assert set(assessment.not_fired) == COUNTED_ONLY_WHEN_KNOWN
    assert at_least(assessment, Urgency.SAME_DAY)


@pytest.mark.requirement("SR-03")
def test_SR_03_an_item_that_is_missing_from_the_response_is_unknown_and_says_so() -> None:
    missing = read({}, leave_out={"diabetes", "saddle_numbness"})

    assert missing.findings.get("saddle_numbness_answer").value is Presence.UNKNOWN
    assert "diabetes" in missing.quality.required_unknown
    assert line_verdict(missing, "RFX-03") == "undecided"


@pytest.mark.requirement("SR-04")
@pytest.mark.parametrize(
    ("open_questions", "urgency", "floor"),
    [
        ({"chest_pain": NOT_SURE}, Urgency.SAME_DAY, "screen-page-1"),
        ({"diabetes": NOT_SURE, "severity_0_10": 5}, Urgency.ROUTINE, "screen-required"),
        ({"diabetes": NOT_SURE, "dark_urine": NOT_SURE}, Urgency.ROUTINE, "screen-required"),
        ({"diabetes": NOT_SURE, "dark_urine": NOT_SURE, "severity_0_10": 5}, Urgency.SAME_DAY, "screen-raised"),
        ({"diabetes": NOT_SURE, "dark_urine": NOT_SURE, "onset": "sudden"}, Urgency.SAME_DAY, "screen-raised"),
    ],
)
def test_SR_04_an_incomplete_screen_is_never_self_care(
    open_questions: dict[str, object], urgency: Urgency, floor: str
) -> None:
    complete, incomplete = assess(**PAINFUL_HEEL), assess(**PAINFUL_HEEL, **open_questions)

    assert complete.floors == ()
    assert [one.id for one in incomplete.floors] == [floor]
    assert incomplete.urgency is urgency


@pytest.mark.requirement("SR-04")
def test_SR_04_one_unanswered_question_of_page_1_is_a_same_day_call() -> None:
    unanswered = read({}, leave_out={"chest_pain"})

    assert unanswered.urgency is Urgency.SAME_DAY
    assert "call the patient" in resources(unanswered)[0]["text"]["div"]


@pytest.mark.requirement("SR-05")
def test_SR_05_of_two_readings_the_more_urgent_one_counts_and_the_contradiction_is_reported() -> None:
    denied = assess(trauma=NO, mechanism="none", pain_passive_stretch=YES)
    assessment = assess(trauma=NO, mechanism="blow_to_shin", pain_passive_stretch=YES)

    assert denied.urgency is Urgency.SAME_DAY
    assert assessment.urgency is Urgency.EMERGENCY
    assert DataQuality.CONTRADICTORY in assessment.quality.codes
    assert values(resources(assessment)[0], EXT_DATA_QUALITY, "contradiction") == ["injury-denied-with-mechanism"]


@pytest.mark.requirement("SR-05")
def test_SR_05_a_contradiction_that_guards_an_emergency_is_seen_the_same_day_also_when_nothing_fires() -> None:
    assessment = assess(trauma=NO, mechanism="fall", duration_days=20)

    assert [flag.flag.id for flag in assessment.fired] == []
    assert assessment.urgency is Urgency.SAME_DAY


@pytest.mark.requirement("SR-06")
@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_SR_06_each_contradiction_of_the_list_is_found(name: str) -> None:
    assert name in [one.id for one in examined(**CONTRADICTIONS[name]).quality.contradictions]


@pytest.mark.requirement("SR-06")
@pytest.mark.parametrize(("fact", "answers"), [("chest_pain", (YES, NO)), ("severity_0_10", (Decimal(1), Decimal(9)))])
def test_SR_06_two_answers_to_one_question_contradict_each_other(fact: str, answers: tuple[Any, ...]) -> None:
    assessment = assess(**{fact: two_answers(*answers)})

    assert assessment.quality.conflicting == (fact,)
    assert "inconsistent_answers" in assessment.raises
    assert at_least(assessment, Urgency.SAME_DAY)


@pytest.mark.requirement("SR-07")
@pytest.mark.parametrize(("link_id", "number"), [("severity_0_10", 11), ("age_years", 121), ("duration_days", -1)])
def test_SR_07_a_number_that_cannot_be_right_is_refused_and_never_used(link_id: str, number: int) -> None:
    form, response = posterior_lower_limb(), a_response({link_id: number})

    refused = [one for one in check_conformance(form, response) if one.severity is Severity.ERROR]
    assessment = evaluate(PACK, FactReader(form, PACK.content.facts).read(response).findings)

    assert [problem.link_id for problem in refused] == [link_id]
    assert assessment.quality.unusable == (link_id,)
    assert assessment.findings.get(link_id).is_unknown
    assert str(number) in assessment.findings.get(link_id).answer
    assert values(resources(assessment)[0], EXT_DATA_QUALITY, "notUsed") == [link_id]


@pytest.mark.requirement("SR-08")
@pytest.mark.parametrize("age", [0, 1, 2])
def test_SR_08_under_three_years_a_person_looks_the_same_day(age: int) -> None:
    assessment = assess(age_years=age, **PAINFUL_HEEL)

    assert [(floor.id, floor.urgency) for floor in assessment.floors] == [("SR-08-under-3", Urgency.SAME_DAY)]
    assert at_least(assessment, Urgency.SAME_DAY)


@pytest.mark.requirement("SR-08")
def test_SR_08_no_adult_score_is_computed_for_a_child() -> None:
    adult = {"wells_dvt", "wells_dvt_3level", "oudega", "ottawa_knee", "ottawa_ankle", "ottawa_foot", "edinburgh"}
    adult |= {"janssens"}

    computed = {one.definition.id for one in examined(age_years=17).scores if one.known_points is not None}

    assert adult <= {one.id for one in PACK.content.scores}
    assert computed & adult == set()


@pytest.mark.requirement("SR-08")
@pytest.mark.parametrize("facts", [{"knee_swollen": YES}, {"trauma": YES, "mechanism": "minor"}])
def test_SR_08_from_80_years_a_swollen_joint_or_an_injury_is_seen_the_same_day(facts: dict[str, object]) -> None:
    assert at_least(assess(age_years=80, **facts), Urgency.SAME_DAY)


@pytest.mark.requirement("SR-09")
def test_SR_09_a_complaint_outside_the_leg_keeps_its_flags_and_an_appointment() -> None:
    quiet = assess(location="lower_back")

    assert "out_of_scope" in quiet.raises
    assert at_least(quiet, Urgency.ROUTINE)
    assert assess(location="chest", chest_pain=YES).urgency is Urgency.EMERGENCY
    assert assess(location="lower_back", saddle_numbness_answer=YES).urgency is Urgency.EMERGENCY
    assert "nothing wrong" not in orjson.dumps(resources(quiet)).decode().casefold()


@pytest.mark.requirement("SR-10")
@pytest.mark.parametrize("danger", ["chest_pain", "breathless_new", "coughing_blood", "collapse_faint"])
def test_SR_10_each_sign_from_the_chest_is_an_emergency_on_page_1_alone(danger: str) -> None:
    alone = read({danger: "Y"}, status="in-progress", only={danger})

    assert page_1(**{danger: YES}).urgency is Urgency.EMERGENCY
    assert alone.urgency is Urgency.EMERGENCY
    assert "call the local emergency number now" in PACK.content.texts["safety_net.emergency"].casefold()


@pytest.mark.requirement("SR-11")
@pytest.mark.parametrize("case", CASES[::7], ids=lambda case: case.id)
def test_SR_11_no_result_says_that_a_danger_is_excluded(case: CaseTable) -> None:
    said = orjson.dumps(resources(run_case(PACK, case))).decode().casefold()

    for phrase in ("not dvt", "no dvt", "dvt excluded", "no clot", "no rupture", "ruled out", "no cancer", "all clear"):
        assert phrase not in said, phrase


@pytest.mark.requirement("SR-11")
def test_SR_11_a_pack_that_claims_to_exclude_a_danger_does_not_load(tmp_path: Path) -> None:
    claim = ("One leg is more swollen than the other.", "One leg is more swollen, but this is not DVT.")

    with pytest.raises(PackError, match="must never say"):
        load_pack(edited(tmp_path, "texts.en.toml", claim))


@pytest.mark.requirement("SR-12")
@pytest.mark.parametrize(
    "facts",
    [
        {"location": "posterior_knee", "known_bakers_cyst": YES, "lump_behind_knee": YES, "leg_lump": YES},
        {"location": "calf", "trauma": YES, "mechanism": "sprint_or_stretch", "onset": "sudden"},
        {"location": "calf", "redness": YES, "warmth": YES, "fever_or_chills_answer": YES, "break_in_skin": YES},
    ],
    ids=["cyst", "strain", "cellulitis"],
)
@pytest.mark.parametrize("swelling", [YES, NOT_SURE])
def test_SR_12_thrombosis_stands_beside_a_cyst_a_strain_and_cellulitis(
    facts: dict[str, object], swelling: Presence
) -> None:
    assessment = assess(**facts, calf_swelling=swelling, leg_swollen_one_side=swelling)

    assert assessment.candidates[0].condition.id in FIRST_ALONE
    assert "deep_vein_thrombosis" in [one.condition.id for one in assessment.must_not_miss]
    assert "thrombosis" in orjson.dumps(resources(assessment)[0]["text"]).decode()


@pytest.mark.requirement("SR-13")
@pytest.mark.parametrize("facts", [{}, {"location": "calf", "calf_swelling": YES}, {"age_years": 9}])
def test_SR_13_every_condition_that_cannot_wait_stands_in_the_panel(facts: dict[str, object]) -> None:
    assessment = assess(**facts)
    panel = {one.condition.id for one in assessment.must_not_miss}
    ruled_out = {
        one.id for one in PACK.content.conditions if one.only_when is not None and one.id not in ranked(assessment)
    }

    for condition in PACK.content.conditions:
        if condition.urgency in (Urgency.EMERGENCY, Urgency.SAME_DAY) and condition.id not in ruled_out:
            assert condition.id in panel


def ranked(assessment: Assessment) -> set[str]:
    """Conditions that the assessment names anywhere."""
    named = [one.condition.id for one in assessment.candidates]
    return {*named, *(one.condition.id for one in assessment.must_not_miss)}


@pytest.mark.requirement("SR-14")
@pytest.mark.parametrize(
    "alarming",
    [
        {"chest_pain": YES},
        {"calf_swelling": YES},
        {"numbness": YES},
        {"weak_leg": NOT_SURE},
        {"saddle_numbness_answer": NOT_SURE},
        {"location": UNKNOWN, "location_other": UNKNOWN},
    ],
)
def test_SR_14_self_care_is_advised_only_when_every_flag_is_known_not_to_fire(alarming: dict[str, object]) -> None:
    calm, alarmed = assess(**PAINFUL_HEEL), assess(**(PAINFUL_HEEL | alarming))

    assert AdviceKind.SELF_CARE in [given.advice.kind for given in calm.advice]
    assert AdviceKind.SELF_CARE not in [given.advice.kind for given in alarmed.advice]


@pytest.mark.requirement("SR-15")
@pytest.mark.parametrize("case", FIRING[::11], ids=lambda case: case.id)
def test_SR_15_every_result_says_when_to_come_back_and_when_to_call_an_ambulance(case: CaseTable) -> None:
    risk_assessment = resources(run_case(PACK, case))[0]

    for text in (risk_assessment["note"][-1]["text"], risk_assessment["text"]["div"]):
        for words in ("local emergency number", "24 hours", "72 hours", "14 days"):
            assert words in text


@pytest.mark.requirement("SR-17")
@pytest.mark.parametrize(
    "facts",
    [{"unexplained_bruises": YES}, {"not_walking_yet": YES, "trauma": YES}, {"unexplained_bruises": NOT_SURE}],
    ids=["bruises", "not-walking", "open"],
)
def test_SR_17_nothing_that_a_carer_may_read_hints_at_the_safety_of_the_child(facts: dict[str, object]) -> None:
    assessment = assess(age_years=1, **facts)
    risk_assessment, *issues = resources(assessment)
    readable = orjson.dumps([risk_assessment[name] for name in ("text", "note", "mitigation", "prediction")]).decode()

    fired = "RFX-25" in [flag.flag.id for flag in assessment.fired]
    assert fired is ("safeguarding" in orjson.dumps(issues).decode())
    assert fired or "RFX-25" in [flag.flag.id for flag in assessment.undecided]
    for word in ("safeguard", "abuse", "inflicted", "account of", *guarded_words()):
        assert word not in readable.casefold(), word


def guarded_words() -> list[str]:
    """What the flags and conditions for clinicians only are called."""
    flags = [flag.guards for flag in PACK.content.flags if flag.confidential]
    return [*flags, *(one.title for one in PACK.content.conditions if one.confidential)]


@pytest.mark.requirement("SR-19")
def test_SR_19_every_rule_is_accounted_for_with_its_version_its_answers_and_its_sources() -> None:
    assessment = assess(foot_cold_pale_blue_answer=YES, tingling=NOT_SURE)
    risk_assessment, *others = resources(assessment)
    flags = [one["extension"] for one in risk_assessment["extension"] if one["url"] == EXT_RED_FLAG]
    lines = {part["valueCode"] for parts in flags for part in parts if part["url"] in ("line", "openLine")}
    [not_fired] = [one["valueString"] for one in risk_assessment["extension"] if one["url"] == EXT_NOT_FIRED]
    sources = {one["what"]["identifier"]["value"] for one in others[-1]["entity"]}

    assert lines | set(not_fired.split()) | less_urgent(assessment) == set(LINES)
    for parts in flags:
        named = {part["valueString"] for part in parts if part["url"] == "source"}
        assert named
        assert named <= set(PACK.content.evidence)
        assert any(part["url"] == "citation" for part in parts) is ({"url": "result", "valueCode": "fired"} in parts)
    assert sources == {"7a" * 32, PACK.head.sha256}
    assert risk_assessment["basis"] == [{"reference": "QuestionnaireResponse/qr-7/_history/2"}]
    assert risk_assessment["method"]["coding"][0]["version"] == PACK.head.version


def less_urgent(assessment: Assessment) -> set[str]:
    """Undecided lines of a flag that fired more urgently: they could change nothing."""
    lines = [line for flag in assessment.fired for line in flag.lines if line not in (*flag.fired, *flag.open)]
    return {line.line.id for line in lines}


@pytest.mark.requirement("SR-23")
@pytest.mark.parametrize(
    "unknown", [("location", "location_other"), ("onset", "duration_days", "severity_0_10")], ids=["site", "basics"]
)
def test_SR_23_too_little_information_is_a_call_the_same_day_and_no_order_is_shown(unknown: tuple[str, ...]) -> None:
    assessment = assess(**dict.fromkeys(unknown, UNKNOWN))

    assert "insufficient_information" in assessment.raises
    assert at_least(assessment, Urgency.SAME_DAY)
    assert any(floor.withholds_ranking for floor in assessment.floors)
    assert "rank" not in orjson.dumps(resources(assessment)[0].get("prediction", [])).decode()
