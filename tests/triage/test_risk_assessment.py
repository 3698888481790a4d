"""The assessment as FHIR: what clinicians, patients and machines find in it, and what is never in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import orjson
import pytest

from services.triage.engine.assess import evaluate
from services.triage.engine.model import Findings, Respondent
from services.triage.knowledge.loader import load_not_assessable_texts
from services.triage.prediction_elements import EXT_ROLE
from services.triage.risk_assessment import (
    Basis,
    Run,
    Status,
    assessment_id,
    build_resources,
    device,
    not_assessable,
    plain,
    withdrawn,
)
from services.triage.written import EXT_EVIDENCE
from shared.fhir.codes import (
    EXT_DATA_QUALITY,
    EXT_DISPOSITION,
    EXT_NOT_FIRED,
    EXT_RED_FLAG,
    EXT_SCORE,
)
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from tests.triage.packs import NOT_SURE, UNKNOWN, YES, example_pack, patient, two_answers

TENANT = UUID("00000000-0000-0000-0000-000000000007")
BASIS = Basis.of(
    {
        "id": "qr-4711",
        "subject": {"reference": "Patient/p-93"},
        "encounter": {"reference": "Encounter/e-5"},
        "basedOn": [{"reference": "ServiceRequest/s-1"}, {"reference": "CarePlan/c-1"}],
        "authored": "2026-11-22T08:15:00+01:00",
    },
    version=3,
    sha256="5e" * 32,
)
RUN = Run(
    assessment_id(TENANT, "qr-4711", "example"),
    version=2,
    at=datetime(2026, 11, 22, 7, 16, 17, tzinfo=UTC),
    status=Status.AMENDED,
)
COLD_FOOT = patient(foot_cold_pale_blue=YES, onset="sudden", numb_tingling=NOT_SURE)
UNCLEAR_STORY = patient(age_years=2, injury_story_unclear=YES, respondent=Respondent.CLINICIAN)


def built(findings: Findings, *, scope: str = "full", run: Run = RUN) -> list[dict[str, Any]]:
    pack = example_pack()
    return plain(build_resources(evaluate(pack, findings, scope=scope), pack, basis=BASIS, run=run))


def extensions(resource: dict[str, Any], url: str) -> list[dict[str, Any]]:
    return [one for one in resource["extension"] if one["url"] == url]


def values(extension: dict[str, Any], name: str) -> list[Any]:
    """All values of that name in a complex extension, whatever their type."""
    parts = [part for part in extension["extension"] if part["url"] == name]
    return [value for part in parts for key, value in part.items() if key != "url"]


PEOPLE = {
    "healthy": patient(),
    "cold foot": COLD_FOOT,
    "nothing answered": Findings({}),
    "contradictory": patient(trauma=two_answers(), mechanism="fall", chest_pain=two_answers(YES, NOT_SURE)),
    "child": UNCLEAR_STORY,
    "free text": patient(other_concerns='Blue foot <script>alert("1")</script> & \x00\x0b more'),
    "likely clot": patient(active_cancer=YES, bedridden_3d=YES, chest_pain=YES),
}


@pytest.mark.requirement("REQ-25")
@pytest.mark.parametrize("findings", PEOPLE.values(), ids=PEOPLE)
def test_every_resource_is_structurally_r4_by_two_independent_checks(findings: Findings) -> None:
    for resource in built(findings):
        assert check_structure(resource, resource_type=resource["resourceType"]) == []
        assert validate_with_fhir_resources(resource) == []


def test_the_risk_assessment_says_what_it_stands_on_and_who_made_it() -> None:
    assessment = built(COLD_FOOT)[0]
    assert assessment["basis"][0] == {"reference": "QuestionnaireResponse/qr-4711/_history/3"}
    assert assessment["basedOn"] == {"reference": "ServiceRequest/s-1"}
    assert assessment["encounter"] == {"reference": "Encounter/e-5"}
    assert assessment["subject"] == {"reference": "Patient/p-93"}
    assert assessment["status"] == "amended"
    assert assessment["meta"]["versionId"] == "2"
    assert assessment["occurrenceDateTime"] == "2026-11-22T07:16:17.000Z"
    assert assessment["method"]["coding"][0]["version"] == "0.0.1"
    assert assessment["performer"]["reference"].startswith("Device/")
    assert [one["value"] for one in assessment["identifier"]] == ["qr-4711/3/example/0.0.1", "qr-4711"]


@pytest.mark.requirement("REQ-25")
def test_urgency_is_a_coded_disposition_and_never_a_likelihood() -> None:
    assessment = built(COLD_FOOT)[0]
    assert extensions(assessment, EXT_DISPOSITION)[0]["valueCoding"]["code"] == "emergency"
    text = json.dumps(assessment)
    assert "qualitativeRisk" not in text
    assert "probabilityDecimal" not in text


def test_what_a_fired_flag_guards_against_is_predicted_first_with_the_answers_that_decided_it() -> None:
    prediction, *others = built(COLD_FOOT)[0]["prediction"]
    assert prediction["outcome"]["text"] == "acute limb ischaemia"
    assert "“Question about cold, pale or blue foot?”: Yes; “Question about onset?”: sudden" in prediction["rationale"]
    assert "Must not reassure: A pulse in the groin." in prediction["rationale"]
    assert values({"extension": prediction["extension"]}, EXT_ROLE) == ["must-not-miss"]
    assert {role for one in others for role in values(one, EXT_ROLE)} == {"candidate"}


def test_a_candidate_says_what_speaks_for_it_and_against_it_in_words_and_in_code() -> None:
    swollen = built(patient(location="calf", leg_swollen_one_side=YES, onset="sudden"))[0]["prediction"]
    strain = next(one for one in swollen if one["outcome"]["text"] == "calf strain")
    assert "For: “Question about onset?”: sudden." in strain["rationale"]
    assert "Against: “Question about leg swollen one side?”: Yes." in strain["rationale"]
    evidence = [one for one in strain["extension"] if one["url"] == EXT_EVIDENCE]
    assert [(values(one, "polarity"), values(one, "likelihoodRatio")) for one in evidence] == [
        (["for"], [3.0]),
        (["against"], [0.4]),
    ]


def test_a_condition_carries_only_codes_that_the_pack_gives_and_one_of_its_own() -> None:
    thrombosis = built(patient(leg_swollen_one_side=YES))[0]["prediction"][0]
    assert [(one["system"], one["code"]) for one in thrombosis["outcome"]["coding"]] == [
        ("https://sural.example/fhir/CodeSystem/condition", "thrombosis"),
        ("http://snomed.info/sct", "404223003"),
    ]


def test_the_reader_is_told_which_missing_answer_would_change_most() -> None:
    notes = [note["text"] for note in built(patient(chest_pain=NOT_SURE))[0]["note"]]
    assert any("could make this more urgent: “Question about chest pain?” Yes: Emergency" in note for note in notes)


@pytest.mark.requirement("SR-19")
def test_the_machine_readable_result_names_lines_answers_and_citation() -> None:
    (result, *_) = extensions(built(COLD_FOOT)[0], EXT_RED_FLAG)
    assert values(result, "line") == ["RFX-02a", "RFX-02b"]
    assert values(result, "result") == ["fired"]
    assert values(result, "urgency") == ["emergency"]
    assert values(result, "raises") == ["acute_limb_ischaemia"]
    assert values(result, "citation") == ["An invented standard on limb ischaemia. Example Press, 1997."]
    answers = [{part["url"]: part.get("valueString") for part in one} for one in values(result, "answer")]
    assert [(one["linkId"], one["answer"]) for one in answers] == [
        ("foot_cold_pale_blue", "Yes"),
        ("onset", "sudden"),
    ]


@pytest.mark.requirement("SR-19", "SR-03")
def test_what_did_not_fire_is_listed_and_what_is_open_names_the_missing_answers() -> None:
    assessment = built(patient(foot_cold_pale_blue=NOT_SURE, onset="sudden"))[0]
    assert "RFX-01" in extensions(assessment, EXT_NOT_FIRED)[0]["valueString"].split()
    undecided = extensions(assessment, EXT_RED_FLAG)[0]
    assert values(undecided, "result") == ["undecided"]
    assert values(undecided, "notAssessed") == ["foot_cold_pale_blue"]
    assert any("Could not be excluded: acute limb ischaemia." in note["text"] for note in assessment["note"])


def test_the_score_is_given_as_an_interval_with_its_open_items() -> None:
    (score,) = extensions(built(patient(active_cancer=YES))[0], EXT_SCORE)
    assert (values(score, "minimum"), values(score, "maximum"), values(score, "known")) == ([-1], [3], [1])
    assert values(score, "class") == ["indeterminate"]
    assert values(score, "unknownItem") == ["leg_swollen", "calf_difference", "alternative"]


def test_data_quality_is_said_in_code_and_in_words() -> None:
    assessment = built(patient(chest_pain=two_answers(YES, NOT_SURE), severity_0_10=UNKNOWN))[0]
    quality = extensions(assessment, EXT_DATA_QUALITY)[0]
    assert values(quality, "code") == ["contradictory", "screen-incomplete"]
    assert values(quality, "twoAnswers") == ["chest_pain"]
    assert values(quality, "notAnswered") == ["severity_0_10"]
    assert any("contradict each other" in note["text"] for note in assessment["note"])


@pytest.mark.requirement("SR-15", "REQ-26")
def test_every_output_carries_the_limits_the_time_of_the_answers_and_a_safety_net() -> None:
    for findings in PEOPLE.values():
        notes = [note["text"] for note in built(findings)[0]["note"]]
        assert notes[0] == "Not signed off by a clinician. Not for use on patients."
        assert "Based only on the answers given on 2026-11-22T08:15:00+01:00." in notes[-2]
        assert notes[-1]


@pytest.mark.requirement("SR-17")
def test_nothing_that_a_carer_may_read_mentions_a_line_for_clinicians_only() -> None:
    assessment, issue, *_ = built(UNCLEAR_STORY)
    readable = json.dumps([assessment[name] for name in ("text", "note", "mitigation")])
    readable += json.dumps(assessment.get("prediction", []))
    assert "story" not in readable
    assert assessment["mitigation"] == "Emergency care now."
    assert "story" in json.dumps(issue)
    (result, *_) = extensions(assessment, EXT_RED_FLAG)
    assert values(result, "clinicianOnly") == [True]


@pytest.mark.requirement("SR-17")
def test_an_undecided_line_for_clinicians_only_is_not_mentioned_either() -> None:
    assessment = built(patient(age_years=2))[0]
    readable = json.dumps([assessment[name] for name in ("text", "note", "mitigation")])
    assert "story" not in readable


@pytest.mark.parametrize(
    ("facts", "severity"),
    [
        ({"chest_pain": YES}, "high"),
        ({"leg_swollen_one_side": YES}, "moderate"),
        ({"other_concerns": "blue foot"}, "moderate"),
    ],
)
def test_each_fired_flag_is_a_detected_issue_of_fitting_severity(facts: dict[str, Any], severity: str) -> None:
    (issue,) = [one for one in built(patient(**facts)) if one["resourceType"] == "DetectedIssue"]
    assert issue["severity"] == severity
    assert issue["implicated"] == [
        {"reference": "QuestionnaireResponse/qr-4711/_history/3"},
        {"reference": f"RiskAssessment/{RUN.assessment_id}/_history/2"},
    ]
    assert issue["patient"] == {"reference": "Patient/p-93"}


def test_a_flag_keeps_the_id_of_its_issue_when_the_response_is_assessed_again() -> None:
    first = Run(RUN.assessment_id, version=1, at=RUN.at)
    assert built(COLD_FOOT, run=first)[1]["id"] == built(COLD_FOOT)[1]["id"]
    assert built(COLD_FOOT)[1]["id"] != built(patient(chest_pain=YES))[1]["id"]


@pytest.mark.requirement("SR-19")
def test_the_provenance_names_answers_and_rules_by_their_hash_and_what_it_replaces() -> None:
    provenance = built(COLD_FOOT)[-1]
    assert [one["reference"].split("/")[0] for one in provenance["target"]] == [
        "RiskAssessment",
        "DetectedIssue",
    ]
    response, library, replaced = provenance["entity"]
    assert response["what"]["identifier"]["value"] == "5e" * 32
    assert library["what"]["identifier"]["value"] == example_pack().head.sha256
    assert library["what"]["reference"] == "Library/example-0.0.1"
    assert replaced["what"]["reference"] == f"RiskAssessment/{RUN.assessment_id}/_history/1"


def test_the_narrative_is_well_formed_and_escapes_what_patients_write() -> None:
    findings = patient(other_concerns='Blue foot <script>alert("1")</script>', trauma=two_answers(YES, NOT_SURE))
    div = built(findings)[0]["text"]["div"]
    assert "<script" not in div
    assert ElementTree.fromstring(div).tag == "{http://www.w3.org/1999/xhtml}div"


def test_long_answers_are_shortened_wherever_they_are_shown() -> None:
    text = json.dumps(built(patient(other_concerns="blue foot " * 5000)), ensure_ascii=False)
    assert len(text) < 30_000


@pytest.mark.requirement("SR-11")
def test_no_output_ever_says_that_something_is_excluded() -> None:
    for findings in PEOPLE.values():
        assert "not dvt" not in json.dumps(built(findings)).casefold()


@pytest.mark.requirement("SR-20")
def test_the_same_answers_give_the_same_bytes() -> None:
    assert orjson.dumps(built(COLD_FOOT)) == orjson.dumps(built(COLD_FOOT))


def test_page_1_alone_without_a_danger_sign_is_preliminary_and_has_no_disposition() -> None:
    run = Run(RUN.assessment_id, version=1, at=RUN.at, status=Status.PRELIMINARY)
    assessment = built(patient(), scope="page_1", run=run)[0]
    assert assessment["status"] == "preliminary"
    assert extensions(assessment, EXT_DISPOSITION) == []
    assert assessment["mitigation"] == "No urgency yet: only the first page was answered."


@pytest.mark.requirement("REQ-07")
@pytest.mark.parametrize("reason", ["no-pack", "unreadable"])
def test_what_cannot_be_assessed_is_read_by_a_human_the_same_day(reason: str) -> None:
    bare = Basis.of({"id": "qr-1"}, version=1, sha256="00" * 32)
    run = Run(assessment_id(TENANT, "qr-1", "none"), version=1, at=RUN.at)
    resources = not_assessable(load_not_assessable_texts(), basis=bare, run=run, reason=reason)
    assert [one["resourceType"] for one in resources] == ["RiskAssessment", "Provenance"]
    assert extensions(resources[0], EXT_DISPOSITION)[0]["valueCoding"]["code"] == "same_day"
    assert "call your local emergency number" in resources[0]["note"][-1]["text"]
    for resource in resources:
        assert check_structure(resource, resource_type=resource["resourceType"]) == []
        assert validate_with_fhir_resources(resource) == []


@pytest.mark.requirement("SR-21")
def test_a_withdrawn_assessment_keeps_everything_but_its_status_and_version() -> None:
    before = built(COLD_FOOT)[0]
    run = Run(RUN.assessment_id, version=3, at=RUN.at, status=Status.ENTERED_IN_ERROR)
    after = withdrawn(before, run=run)
    assert (after["status"], after["meta"]["versionId"]) == ("entered-in-error", "3")
    assert {**after, "meta": before["meta"], "status": before["status"]} == before


def test_the_engine_is_a_device_with_its_version() -> None:
    resource = device(version="0.1.0", run=RUN)
    assert check_structure(resource, resource_type="Device") == []
    assert validate_with_fhir_resources(resource) == []
    assert built(COLD_FOOT)[0]["performer"]["reference"] == f"Device/{resource['id']}"


def test_of_a_senders_references_only_what_names_the_target_is_taken_over() -> None:
    odd = [{"url": "http://ehr.example.org/score", "valueDecimal": Decimal("0.97")}]
    basis = Basis.of(
        {
            "id": "qr-1",
            "subject": {"display": "A", "identifier": {"system": "urn:x", "value": "7", "extension": odd}, "_x": 2**80},
            "encounter": {"reference": "Encounter/1", "type": "Encounter", "extension": odd},
            "basedOn": [{"extension": odd}],
            "authored": Decimal("1.5"),
        },
        version=1,
        sha256="",
    )
    assert basis.subject == {"display": "A", "identifier": {"system": "urn:x", "value": "7"}}
    assert basis.encounter == {"reference": "Encounter/1", "type": "Encounter"}
    assert (basis.based_on, basis.authored) == (None, None)


@pytest.mark.requirement("REQ-07")
@pytest.mark.parametrize("odd", [7, "x", [], {}, {"reference": 7}, {"identifier": [1]}, {"extension": 2**80}])
def test_a_response_of_any_shape_can_be_called_not_assessable(odd: object) -> None:
    response = {"id": "qr-1", "subject": odd, "encounter": odd, "basedOn": odd, "authored": odd}
    basis = Basis.of(response, version=1, sha256="")
    run = Run(assessment_id(TENANT, "qr-1", "none"), version=1, at=RUN.at)
    for resource in not_assessable(load_not_assessable_texts(), basis=basis, run=run, reason="unreadable"):
        assert check_structure(orjson.loads(orjson.dumps(resource)), resource_type=resource["resourceType"]) == []
