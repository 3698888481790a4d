"""What the page reads out of what triage writes, and that a part that cannot be read is said and stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.notify.detail.assessed import Kind, read_assessed
from services.notify.detail.narrative import read_narrative
from shared.fhir.codes import EXT_DATA_QUALITY, EXT_RED_FLAG, EXT_SCORE, Urgency
from tests.notify.detail.triaged import EXAMPLES, Resource, example, read, triaged

NAMES = sorted(path.stem for path in EXAMPLES.glob("*.json") if path.stem != "invalid")


@pytest.mark.parametrize("name", NAMES)
def test_all_that_triage_writes_of_an_example_can_be_read(name: str) -> None:
    resources = example(name)
    assessed = read(resources)

    assert assessed.unreadable == ()
    assert assessed.why
    assert assessed.do == resources[0]["mitigation"]
    assert len(assessed.candidates) == len(resources[0].get("prediction", []))
    assert {flag.id for flag in assessed.fired} == {
        one["identifier"][0]["value"].rpartition("/")[2] for one in resources if one["resourceType"] == "DetectedIssue"
    }
    assert all(flag.sentence and flag.severity for flag in assessed.fired)
    assert all(section.name for section in assessed.narrative.sections)


@pytest.mark.parametrize("name", NAMES)
def test_every_sentence_of_the_narrative_is_kept(name: str) -> None:
    resource = example(name)[0]
    narrative = read_narrative(resource["text"]["div"])
    said = {sentence for section in narrative.sections for sentence in section.sentences}

    notes = {line for note in resource["note"] for line in note["text"].split("\n")}
    assert {note for note in notes if not note.endswith(":")} - said - set(narrative.opening) == set()


def test_the_reason_is_that_of_the_most_urgent_flag() -> None:
    assessed = read(example("dvt-with-chest-pain"))

    assert assessed.urgency is Urgency.EMERGENCY
    assert assessed.why == (
        "Chest pain, new breathlessness, coughing up blood or collapse is reported; this is acted on first, whatever "
        "the leg answers say. 2 more red flags fired."
    )


def test_without_a_flag_the_reason_is_that_of_the_floor() -> None:
    assessed = read(example("incomplete"))

    assert assessed.fired == ()
    assert assessed.why.startswith("Safety screen incomplete: call the patient.")
    assert assessed.quality.not_answered_page_1 == ("breathless_new", "bladder_bowel_change")
    assert assessed.narrative.section("changes").items


def test_an_answer_that_fired_a_flag_is_known_by_its_question() -> None:
    assessed = read(example("dvt-with-chest-pain"))

    assert assessed.fired_by_link_id["chest_pain"] == ("RFX-01",)
    assert set(assessed.fired_by_link_id["calf_swelling"]) == {"RFX-01", "RFX-12", "RFX-13"}


@pytest.mark.requirement("SR-17")
def test_a_flag_for_clinicians_only_is_marked(tmp_path: Path) -> None:
    answers = {"age_years": 1, "trauma": "Y", "child_walks_alone": "N", "respondent": "parent_carer"}
    _, resources = triaged(tmp_path, answers)
    assessed = read(resources)

    marked = [flag for flag in assessed.fired if flag.confidential]
    assert [flag.id for flag in marked] == ["RFX-25"]
    assert assessed.confidential
    assert marked[0].guards == "a safeguarding concern"


def test_scores_say_how_far_they_are_known() -> None:
    [wells] = [score for score in read(example("dvt-after-surgery")).scores if score.id == "wells_dvt"]

    assert wells.title.startswith("Wells score for deep vein thrombosis")
    assert float(wells.minimum) <= float(wells.known) <= float(wells.maximum)
    assert "localized_deep_vein_tenderness" in wells.missing


def test_candidates_come_in_triages_order_with_what_speaks_for_and_against() -> None:
    assessed = read(example("calf-strain"))

    assert [one.place for one in assessed.candidates if not one.danger] == sorted(
        one.place or 0 for one in assessed.candidates if not one.danger
    )
    first = assessed.candidates[0]
    assert first.saying("for")
    assert all(weight.ratio for weight in first.saying("for"))


def broken(resource: Resource, url: str, value: object) -> Resource:
    """The same with the first extension of that url replaced."""
    found = list(resource["extension"])
    number = next(n for n, one in enumerate(found) if one["url"] == url)
    found[number] = {"url": url, "extension": value}
    return {**resource, "extension": found}


@pytest.mark.parametrize("value", [None, [], [{"url": "flag"}], "text", [{"url": "flag", "valueCode": "RFX-01"}]])
@pytest.mark.parametrize(
    ("url", "part"),
    [(EXT_RED_FLAG, "red flags"), (EXT_SCORE, "scores"), (EXT_DATA_QUALITY, "quality of the answers")],
)
def test_a_part_that_cannot_be_read_is_named_and_the_rest_is_shown(url: str, part: str, value: object) -> None:
    resource, *rest = example("dvt-with-chest-pain")
    whole = read([resource, *rest])
    assessed = read([broken(resource, url, value), *rest])

    quality_without_parts = url == EXT_DATA_QUALITY and isinstance(value, list) and value != [{"url": "flag"}]
    assert assessed.unreadable == (() if quality_without_parts else (part,))
    assert assessed.candidates == whole.candidates
    assert len(assessed.fired) >= len(whole.fired) - 1
    assert assessed.urgency is Urgency.EMERGENCY
    assert assessed.do == whole.do


@pytest.mark.parametrize(
    "resource",
    [
        {},
        {"extension": "x", "prediction": 3, "note": {"text": 1}, "text": None, "meta": [], "basis": "x"},
        {"extension": [3], "prediction": [None], "note": [None], "identifier": 3, "method": "x"},
        {"resourceType": "RiskAssessment", "status": None, "occurrenceDateTime": "yesterday"},
    ],
    ids=str,
)
def test_whatever_stands_there_reading_never_fails(resource: Resource) -> None:
    assessed = read_assessed(resource, [{"resourceType": "DetectedIssue"}])

    assert assessed.unreadable
    assert assessed.why


def test_a_narrative_without_our_marks_keeps_its_headings() -> None:
    narrative = read_narrative(
        '<div xmlns="http://www.w3.org/1999/xhtml"><p><b>Now</b> Go &amp; look.</p><p>A reason.</p>'
        "<p><b>Anderes</b></p><ul><li>Ein <i>Satz</i>.</li></ul></div>"
    )

    assert narrative.opening == ("Now Go & look.", "A reason.")
    assert [(one.name, one.heading, one.sentences) for one in narrative.sections] == [("", "Anderes", ("Ein Satz.",))]


def test_an_assessment_without_rules_says_so() -> None:
    resource = example("calf-strain")[0]
    resource["method"]["coding"][0]["code"] = "not-assessable"
    resource["note"] = [{"text": "There are no rules for this questionnaire."}]

    assessed = read([resource])

    assert assessed.kind is Kind.NOT_ASSESSABLE
    assert assessed.why == "There are no rules for this questionnaire."
