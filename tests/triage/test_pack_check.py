"""The check of packs: a complete pack passes, and each kind of mistake is found and said where it is."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from services.triage.knowledge.required_texts import OPTIONAL_TEXTS
from services.triage.knowledge.review.check import Report, check_folder
from services.triage.knowledge.review.patients import Form, ResponsePatient
from services.triage.knowledge.review.remarks import Severity
from shared.fhir.questionnaire import QuestionnaireIndex
from tests.forms import yes_no
from tests.triage.example_form import example_form, example_response
from tests.triage.packs import EXAMPLE, added, edited

TRIAGE = Path(__file__).resolve().parents[2] / "services" / "triage"
SAID = tuple[str, str, str, str]
"""Severity, file, id, message."""


def checked(folder: Path, form: QuestionnaireIndex | None = None, *responses: ResponsePatient) -> Report:
    form = example_form() if form is None else form
    return check_folder(folder, {form.canonical: form}, responses)


def said(report: Report) -> list[SAID]:
    return [(one.severity.value, one.place.file, one.place.about, one.message) for one in report.remarks]


@cache
def usual() -> frozenset[SAID]:
    """What the check says about the tiny pack as it is: notes only."""
    return frozenset(said(checked(EXAMPLE)))


def new(report: Report) -> list[SAID]:
    """What it says beyond that."""
    return [one for one in said(report) if one not in usual()]


def test_a_complete_pack_has_no_error_and_is_counted() -> None:
    report = checked(EXAMPLE)

    assert report.of(Severity.ERROR) == ()
    assert report.head is not None
    assert report.head.name == "example"
    assert (report.counts["flag lines"], report.counts["conditions"], report.counts["cases"]) == (9, 5, 34)


def test_what_the_loader_refuses_is_an_error_by_file_and_stops_the_check(tmp_path: Path) -> None:
    edited(tmp_path, "red_flags.toml", ('when = "chest_pain"', 'when = "chest"'))
    report = checked(edited(tmp_path, "texts.en.toml", ('"RFX-28"', '"RFX-29"')))

    assert report.head is None
    assert said(report) == [
        ("error", "red_flags.toml", "", "RFX-01: column 1: unknown fact 'chest'"),
        ("error", "texts.en.toml", "", "'RFX-28' is missing"),
    ]


def test_a_folder_without_a_pack_is_said_in_words(tmp_path: Path) -> None:
    assert said(checked(tmp_path)) == [
        ("error", "pack.toml", "", "cannot be read (No such file or directory)"),
    ]


# --- the Questionnaire ---------------------------------------------------------------------------


def test_a_pack_for_a_questionnaire_that_nobody_has_is_an_error() -> None:
    assert [one for one in said(check_folder(EXAMPLE, {})) if one not in usual()] == [
        (
            "error",
            "pack.toml",
            "questionnaires",
            "there is no https://sural.example/fhir/Questionnaire/example|0.0.1; its questions were not looked at",
        )
    ]


@pytest.mark.parametrize(
    ("old", "becomes", "expected"),
    [
        (
            'name = "numb_tingling"',
            'name = "numb_tingling"\nlink_id = "numb"',
            [
                ("error", "numb_tingling", "the Questionnaire has no question 'numb'"),
                ("note", "", "no fact reads the question 'numb_tingling'"),
            ],
        ),
        (
            '["fall", "high_energy", "none"]',
            '["fall", "high_energy", "none", "kick"]',
            [("error", "mechanism", "the question does not offer 'kick'")],
        ),
        (
            '["sudden", "over_hours", "gradual"]',
            '["sudden", "gradual"]',
            [("error", "onset", "the question offers 'over_hours', which this fact cannot read")],
        ),
        (
            'unit = "cm"',
            'unit = "mm"',
            [("error", "calf_circumference_diff_cm", "the fact is in mm, the question in cm")],
        ),
        ("maximum = 10\n", "maximum = 9\n", [("note", "severity_0_10", "most: 9, in the question 10")]),
        (
            'name = "bedridden_3d"\n',
            'name = "bedridden_3d"\nlink_id = "severity_0_10"\n',
            [
                ("error", "bedridden_3d", "a presence cannot be read from a question of type integer"),
                ("note", "", "no fact reads the question 'bedridden_3d'"),
            ],
        ),
        (
            'name = "bedridden_3d"\n',
            'name = "bedridden_3d"\nlink_id = "onset"\n',
            [
                (
                    "error",
                    "bedridden_3d",
                    "a presence is read from Y and N; the question offers gradual, over_hours, sudden",
                ),
                ("note", "", "no fact reads the question 'bedridden_3d'"),
            ],
        ),
    ],
)
def test_a_fact_that_does_not_fit_its_question_is_found(
    tmp_path: Path, old: str, becomes: str, expected: list[tuple[str, str, str]]
) -> None:
    report = checked(edited(tmp_path, "facts.toml", (old, becomes)))

    assert new(report) == [(severity, "facts.toml", about, message) for severity, about, message in expected]


def test_a_question_that_no_fact_reads_is_noted() -> None:
    report = checked(EXAMPLE, example_form(yes_no("itching")))

    assert new(report) == [("note", "facts.toml", "", "no fact reads the question 'itching'")]


# --- cases ---------------------------------------------------------------------------------------


@pytest.mark.requirement("REQ-18")
@pytest.mark.parametrize(
    ("old", "becomes", "case", "message"),
    [
        (
            'urgency = "emergency" }',
            'urgency = "same_day" }',
            "RFX-01-firing",
            "urgency is emergency, expected same_day",
        ),
        (
            'floors = ["screen-page-1"]',
            'floors = ["SR-09"]',
            "RFX-01-unknown",
            "the floor SR-09 does not hold",
        ),
        (
            'candidates = ["thrombosis"]',
            'candidates = ["haemorrhage"]',
            "RFX-12-firing",
            "haemorrhage is not among the first 5",
        ),
        (
            'raises = ["suspected_dvt"]',
            'not_raises = ["suspected_dtv"]',
            "RFX-12-firing",
            "no flag and no safety rule reports 'suspected_dtv'",
        ),
        (
            'foot_cold_pale_blue = "no", onset = "gradual", severity_0_10 = 3 }\nexpect = { line = "not_fired" }',
            'foot_cold_pale_blue = "yes", onset = "gradual", severity_0_10 = 3 }\nexpect = { line = "fired" }',
            "RFX-02b-near-miss",
            "is a near-miss case, but RFX-02b fires",
        ),
        (
            'trauma = "yes", mechanism = "unknown" }\nexpect = { line = "undecided" }',
            'trauma = "no", mechanism = "unknown" }\nexpect = { line = "not_fired" }',
            "RFX-04-unknown",
            "is an unknown case, but RFX-04 does not fire whatever the answer",
        ),
        (
            'trauma = "yes", mechanism = "unknown" }\nexpect = { line = "undecided" }',
            'bone_visible = "yes", mechanism = "unknown" }\nexpect = { line = "fired" }',
            "RFX-04-unknown",
            "is an unknown case, but RFX-04 fires on what is known",
        ),
        (
            'leg_swollen_one_side = "unknown" }\nexpect = { line = "undecided" }',
            'leg_swollen_one_side = "no" }\nexpect = { line = "not_fired" }',
            "RFX-12-unknown",
            "is an unknown case, but everything that RFX-12 asks is known",
        ),
    ],
)
def test_a_case_that_does_not_do_what_it_says_is_an_error(
    tmp_path: Path, old: str, becomes: str, case: str, message: str
) -> None:
    report = checked(edited(tmp_path, "cases/rfx-others.toml", (old, becomes)))

    assert ("error", "cases/rfx-others.toml", case, message) in new(report)
    assert {about for severity, _, about, _ in new(report) if severity == "error"} <= {case, case[: case.index("-", 4)]}


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            'id = "odd"\nkind = "journey"\ntitle = "x"\nfacts = {}\nexpect = {}',
            "expects nothing",
        ),
        (
            'id = "odd"\nkind = "firing"\ntitle = "x"\nfacts = {}\nexpect = { urgency = "routine" }',
            "a firing case names the line that it is about",
        ),
        (
            'id = "odd"\nline = "RFX-99"\nkind = "firing"\ntitle = "x"\nfacts = {}\nexpect = { urgency = "routine" }',
            "there is no line 'RFX-99'",
        ),
        (
            'id = "odd"\nkind = "journey"\ntitle = "x"\nfacts = { chess = "yes" }\nexpect = { urgency = "routine" }',
            "unknown fact 'chess'",
        ),
        (
            'id = "odd"\nkind = "journey"\ntitle = "x"\nfacts = { onset = "slow" }\nexpect = { urgency = "routine" }',
            "onset is a choice and cannot have this value",
        ),
    ],
)
def test_a_case_that_cannot_be_run_or_shows_nothing_is_an_error(tmp_path: Path, case: str, message: str) -> None:
    report = checked(added(tmp_path, "cases/rfx-02.toml", f"[[case]]\n{case}"))

    assert new(report) == [("error", "cases/rfx-02.toml", "odd", message)]


def test_two_cases_of_one_id_are_an_error(tmp_path: Path) -> None:
    report = checked(edited(tmp_path, "cases/rfx-others.toml", ('id = "RFX-40-near-miss"', 'id = "RFX-40-firing"')))

    assert new(report) == [("error", "cases/rfx-others.toml", "RFX-40-firing", "2 cases have this id")]


@pytest.mark.requirement("REQ-18")
@pytest.mark.parametrize(
    ("kind", "missing"),
    [("firing", "no firing case"), ("near_miss", "no near-miss case"), ("unknown", "no unknown case")],
)
def test_a_line_without_one_of_its_three_cases_is_an_error(tmp_path: Path, kind: str, missing: str) -> None:
    line = f'line = "RFX-12"\nkind = "{kind}"'
    report = checked(edited(tmp_path, "cases/rfx-others.toml", (line, line.replace(kind, "journey"))))

    assert new(report) == [("error", "red_flags.toml", "RFX-12", missing)]


@pytest.mark.requirement("SR-03")
def test_a_line_that_a_forgotten_answer_leaves_open_has_a_case_that_shows_it(tmp_path: Path) -> None:
    case = 'id = "RFX-28-unknown-injury"\nline = "RFX-28"\nkind = "unknown"'
    report = checked(edited(tmp_path, "cases/rfx-others.toml", (case, case.replace('unknown"', 'journey"'))))

    assert new(report) == [
        (
            "error",
            "red_flags.toml",
            "RFX-28",
            "no unknown case leaves the line undecided, though an answer less would",
        )
    ]


def test_a_near_miss_that_two_answers_separate_from_the_line_is_noted(tmp_path: Path) -> None:
    near, far = 'trauma = "yes", mechanism = "fall" }', 'trauma = "no", mechanism = "none" }'
    folder = edited(tmp_path, "cases/rfx-others.toml", (near, far))
    flags = ('when = "bone_visible | (trauma & mechanism=high_energy)"', 'when = "trauma & mechanism=high_energy"')
    edited(tmp_path, "red_flags.toml", flags)

    message = "no single other answer would make RFX-04 fire: it is no near miss"
    assert ("note", "cases/rfx-others.toml", "RFX-04-near-miss", message) in new(checked(folder))


# --- what no case exercises ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "becomes", "about", "message"),
    [
        (
            'age_years = 2 }\nexpect = { floors = ["SR-08-infant"] }',
            'age_years = 20 }\nexpect = { not_raises = ["out_of_scope"] }',
            "SR-08-infant",
            "no case reaches this floor",
        ),
        (
            'facts = { trauma = "no", mechanism = "high_energy" }\nexpect = { contradictions = ["trauma-denied-with-'
            'mechanism"], floors = ["trauma-denied-with-mechanism"], raises = ["inconsistent_answers"] }',
            'facts = { trauma = "no" }\nexpect = { not_raises = ["out_of_scope"] }',
            "trauma-denied-with-mechanism",
            "no case has this contradiction",
        ),
    ],
)
def test_a_safety_rule_that_no_case_exercises_is_an_error(
    tmp_path: Path, old: str, becomes: str, about: str, message: str
) -> None:
    report = checked(edited(tmp_path, "cases/safety-rules.toml", (old, becomes)))

    assert new(report) == [("error", "safety_rules.toml", about, message)]


def test_a_line_that_fires_in_no_case_is_an_error(tmp_path: Path) -> None:
    facts = (
        'facts = { chest_pain = "yes" }\nexpect = { line = "fired", urgency = "emergency" }',
        "facts = {}\nexpect = {}",
    )
    report = checked(edited(tmp_path, "cases/rfx-others.toml", facts))

    assert ("error", "red_flags.toml", "RFX-01", "no case makes this line fire") in new(report)


def test_conditions_findings_and_classes_that_no_case_exercises_are_noted(tmp_path: Path) -> None:
    nothing = ' }\nexpect = { not_raises = ["out_of_scope"] }'
    folder = edited(
        tmp_path,
        "cases/safety-rules.toml",
        ('cramp_pattern = "yes", location = "calf" }\nexpect = { candidates = ["cramp"] }', nothing.lstrip()),
        ('active_cancer = "yes", leg_swollen_one_side = "yes", calf_circumference_diff_cm = 4, ', ""),
        (', location = "calf" }\nexpect = { raises = ["suspected_dvt"], candidates = ["thrombosis"] }', nothing),
    )
    cramps = 'leg_swollen_one_side = "yes", cramp_pattern = "yes"'
    edited(tmp_path, "cases/rfx-others.toml", (cramps, 'cramp_pattern = "no"'))

    silent = "findings are yes in no case"
    assert [one for one in new(checked(folder)) if one[0] == "note"] == [
        ("note", "conditions/leg.toml", "thrombosis", f"1 of 3 {silent}: calf_circumference_diff_cm>=3"),
        ("note", "conditions/leg.toml", "cramp", f"1 of 1 {silent}: cramp_pattern"),
        ("note", "scores.toml", "wells_dvt", "no case leads to the class likely"),
    ]


CONDITION = """
[[condition]]
id = "{id}"
title = "{id}"
urgency = "routine"
next_step = "x"
evidence = ["opinion"]
prior = {{ any = {prior} }}
finding = [{{ when = "chest_pain", mark = "M" }}]
"""


def test_a_condition_that_is_never_among_the_first_five_is_noted(tmp_path: Path) -> None:
    rare = CONDITION.format(id="rare", prior="0.00001")
    common = "".join(CONDITION.format(id=f"common_{number}", prior="0.9") for number in range(5))
    report = checked(added(tmp_path, "conditions/leg.toml", rare + common))

    assert ("note", "conditions/leg.toml", "rare", "is among the first 5 in no case") in new(report)


def test_a_filled_questionnaire_exercises_rules_like_a_case(tmp_path: Path) -> None:
    folder = edited(
        tmp_path,
        "cases/safety-rules.toml",
        ('age_years = 2 }\nexpect = { floors = ["SR-08-infant"] }', "}\nexpect = { not_raises = ['out_of_scope'] }"),
    )
    infant = ResponsePatient("infant.json", example_response(age_years=1), Form(example_form()))

    assert new(checked(folder)) == [("error", "safety_rules.toml", "SR-08-infant", "no case reaches this floor")]
    assert new(checked(folder, None, infant)) == []


# --- sources, links, words -----------------------------------------------------------------------

NO_SOURCE = "has no source; name one, or an entry with status expert, which says openly that there is none"


@pytest.mark.requirement("REQ-19")
@pytest.mark.parametrize(
    ("file", "old", "becomes", "severity", "about", "message"),
    [
        ("red_flags.toml", 'evidence = ["S30"]\n', "", "error", "RFX-02", NO_SOURCE),
        ("scores.toml", 'evidence = ["S1"]\n', "", "error", "wells_dvt", NO_SOURCE),
        ("safety_rules.toml", 'evidence = ["opinion"]\n', "", "error", "SR-08-infant", NO_SOURCE),
        (
            "evidence.toml",
            "checked = 2026-11-22\n",
            "",
            "error",
            "S1",
            "is called verified, without the day on which somebody opened it",
        ),
        (
            "red_flags.toml",
            "general = true\n",
            "",
            "error",
            "RFX-01",
            "guards no condition (guarded_by) and is not marked as general",
        ),
        (
            "red_flags.toml",
            'evidence = ["S30"]\n',
            'evidence = ["S30"]\ngeneral = true\n',
            "error",
            "RFX-02",
            "is marked as general, but conditions name it in guarded_by",
        ),
        (
            "pack.toml",
            'status = "draft"',
            'status = "active"',
            "error",
            "status",
            "is active, but approved_on and approved_by name no clinician who signed it off",
        ),
    ],
)
def test_what_has_no_source_no_link_or_no_signature_is_found(
    tmp_path: Path, file: str, old: str, becomes: str, severity: str, about: str, message: str
) -> None:
    report = checked(edited(tmp_path, file, (old, becomes)))

    assert (severity, file, about, message) in new(report)
    assert {one[2] for one in new(report)} <= {about, "S30"}


def test_a_source_that_nothing_cites_is_noted(tmp_path: Path) -> None:
    report = checked(added(tmp_path, "evidence.toml", '[[evidence]]\nkey = "S2"\ncitation = "x"\nstatus = "knowledge"'))

    assert new(report) == [("note", "evidence.toml", "S2", "is cited by nothing")]


@pytest.mark.parametrize(
    ("old", "becomes", "message"),
    [
        (
            'guarded_by = ["RFX-25"]\n',
            "",
            "cannot wait, and no flag guards against it (guarded_by)",
        ),
        (
            'guarded_by = ["RFX-25"]\n',
            'guarded_by = ["RFX-25"]\nraises = ["safegarding"]\n',
            "no flag and no safety rule reports 'safegarding'",
        ),
    ],
)
def test_a_dangerous_condition_is_guarded_and_reports_known_names(
    tmp_path: Path, old: str, becomes: str, message: str
) -> None:
    report = checked(edited(tmp_path, "conditions/leg.toml", (old, becomes)))

    assert ("error", "conditions/leg.toml", "inflicted_injury", message) in new(report)
    assert {one[2] for one in new(report)} <= {"inflicted_injury", "RFX-25"}


def test_a_condition_that_claims_too_much_cannot_even_be_loaded(tmp_path: Path) -> None:
    claim = ('next_step = "The safeguarding team."', 'next_step = "This is no DVT."')
    report = checked(edited(tmp_path, "conditions/leg.toml", claim))

    message = "inflicted_injury says 'no DVT', which this pack must never say"
    assert ("error", "conditions/*.toml", "", message) in new(report)


def test_facts_that_no_rule_uses_are_noted(tmp_path: Path) -> None:
    report = checked(
        edited(tmp_path, "scores.toml", ('when = "bedridden_3d | major_surgery_12w"', 'when = "bedridden_3d"'))
    )

    assert new(report) == [("note", "facts.toml", "", "facts that no rule uses: major_surgery_12w")]


def test_a_text_that_nothing_uses_and_a_sentence_that_nobody_can_follow_are_noted(tmp_path: Path) -> None:
    folder = added(tmp_path, "texts.en.toml", f'"RFX-99" = "Short. {" ".join(["word"] * 46)}."')

    assert new(checked(folder)) == [
        ("note", "texts.en.toml", "RFX-99", "nothing uses this text"),
        ("note", "texts.en.toml", "RFX-99", "a sentence of 46 words; 45 is long"),
    ]


def test_the_texts_that_a_pack_may_leave_out_are_those_that_the_programme_looks_for() -> None:
    sources = (path.read_text(encoding="utf-8") for path in TRIAGE.glob("*.py"))

    assert {key for text in sources for key in re.findall(r'optional\("([^"]+)"\)', text)} == OPTIONAL_TEXTS
