"""Two packs compared: what they say differently, and what they make of the same patients."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.triage.engine.model import Urgency
from services.triage.knowledge.cases import read_cases
from services.triage.knowledge.review.comparison import Comparison, compare
from services.triage.knowledge.review.difference import FieldChange, Kind, differences
from services.triage.knowledge.review.edition import Edition
from services.triage.knowledge.review.patients import CasePatient, Form, ResponsePatient
from tests.triage.example_form import example_form, example_response
from tests.triage.packs import EXAMPLE, added, edited, example_pack

FORM = Form(example_form())
FLAG = """
[[flag]]
id = "RFX-99"
guards = "a new danger"
rationale = "x"

[[flag.line]]
id = "RFX-99"
urgency = "same_day"
when = "numb_tingling"
text = "RFX-01"
"""


def changes(newer: Path) -> list[tuple[str, str, tuple[FieldChange, ...]]]:
    found = differences(Edition.load(EXAMPLE), Edition.load(newer))
    return [(change.kind.value, str(change.place), change.fields) for change in found]


def compared(newer: Path, *patients: ResponsePatient) -> Comparison:
    return compare(example_pack(), Edition.load(newer).pack, patients)


def patient(name: str, **answers: object) -> ResponsePatient:
    return ResponsePatient(name, example_response(**answers), FORM)


# --- what the packs say --------------------------------------------------------------------------


def test_a_pack_says_the_same_as_itself() -> None:
    assert changes(EXAMPLE) == []


@pytest.mark.parametrize(
    ("file", "old", "becomes", "place", "field", "before", "after"),
    [
        (
            "red_flags.toml",
            'when = "leg_swollen_one_side & !cramp_only"',
            'when = "leg_swollen_one_side"',
            "red_flags.toml: RFX-12",
            "when",
            "leg_swollen_one_side & !cramp_only",
            "leg_swollen_one_side",
        ),
        (
            "facts.toml",
            "maximum = 30\n",
            "maximum = 20\n",
            "facts.toml: calf_circumference_diff_cm",
            "most",
            "30",
            "20",
        ),
        (
            "scores.toml",
            "at_least = 2\n",
            "at_least = 3\n",
            "scores.toml: wells_dvt",
            "class 1",
            "likely: 2 to … (score.wells_dvt.likely)",
            "likely: 3 to … (score.wells_dvt.likely)",
        ),
        (
            "safety_rules.toml",
            'when = "age_years<3"',
            'when = "age_years<2"',
            "safety_rules.toml: SR-08-infant",
            "when",
            "age_years<3",
            "age_years<2",
        ),
        ("differential.toml", "rank = 5\n", "rank = 4\n", "differential.toml", "among the first", "5", "4"),
        (
            "conditions/leg.toml",
            "yes = 2.7\n",
            "yes = 3.1\n",
            "conditions/*.toml: thrombosis",
            "finding active_cancer",
            "present ×2.7, absent ×1 (S1)",
            "present ×3.1, absent ×1 (S1)",
        ),
        (
            "conditions/leg.toml",
            "posterior_knee = 0.03",
            "posterior_knee = 0.04",
            "conditions/*.toml: thrombosis",
            "prior",
            "calf 0.05, other 0.025, posterior_knee 0.03",
            "calf 0.05, other 0.025, posterior_knee 0.04",
        ),
        (
            "texts.en.toml",
            "Emergency care now.",
            "Go now.",
            "texts.en.toml: disposition.emergency",
            "text",
            "Emergency care now.",
            "Go now.",
        ),
        (
            "evidence.toml",
            'status = "knowledge"',
            'status = "computed"',
            "evidence.toml: S30",
            "status",
            "knowledge",
            "computed",
        ),
    ],
)
def test_a_change_is_told_with_its_place_and_both_wordings(
    tmp_path: Path, file: str, old: str, becomes: str, place: str, field: str, before: str, after: str
) -> None:
    newer = edited(tmp_path, file, (old, becomes))

    assert changes(newer) == [("changed", place, (FieldChange(field, before, after),))]


def test_a_new_flag_is_told_with_everything_that_it_says_and_a_lost_one_too(tmp_path: Path) -> None:
    newer = added(tmp_path, "red_flags.toml", FLAG)
    added_now = changes(newer)
    removed = differences(Edition.load(newer), Edition.load(EXAMPLE))

    assert [(kind, place) for kind, place, _ in added_now] == [
        ("added", "red_flags.toml: flag RFX-99"),
        ("added", "red_flags.toml: RFX-99"),
    ]
    assert FieldChange("when", "", "numb_tingling") in added_now[1][2]
    assert {change.kind for change in removed} == {Kind.REMOVED}
    assert FieldChange("when", "numb_tingling", "") in removed[1].fields


# --- what they make of patients ------------------------------------------------------------------


def test_patients_of_whom_both_packs_make_the_same_are_only_counted(tmp_path: Path) -> None:
    newer = edited(tmp_path, "texts.en.toml", ("Emergency care now.", "Go now."))

    assert compared(newer, patient("a.json"), patient("b.json", chest_pain="Y")) == Comparison(2, (), ())


def test_who_becomes_less_urgent_comes_first_with_the_line_that_is_gone(tmp_path: Path) -> None:
    edited(tmp_path, "red_flags.toml", ("severity_0_10>=7", "severity_0_10>=9"))
    newer = added(tmp_path, "red_flags.toml", FLAG)
    found = compared(
        newer,
        patient("numb.json", numb_tingling="Y"),
        patient("cold.json", foot_cold_pale_blue="Y", severity_0_10=8),
    )
    less, more = found.differences

    assert (less.name, less.before.urgency, less.after.urgency) == ("cold.json", Urgency.EMERGENCY, Urgency.SAME_DAY)
    assert less.less_urgent
    assert less.responsible == ("line RFX-02a",)
    assert (less.before.flags, less.after.flags) == ({"RFX-02": "emergency"}, {"RFX-02": "same_day"})
    assert (more.name, more.after.urgency) == ("numb.json", Urgency.SAME_DAY)
    assert more.more_urgent
    assert more.responsible == ("line RFX-99",)


def test_a_floor_that_is_gone_is_named_as_the_reason(tmp_path: Path) -> None:
    floor = 'when = "age_years<3"\nurgency = "routine"'
    older = edited(tmp_path / "older", "safety_rules.toml", (floor, floor.replace("routine", "emergency")))
    newer = edited(tmp_path / "newer", "safety_rules.toml", (floor, floor.replace("3", "1")))
    found = compare(Edition.load(older).pack, Edition.load(newer).pack, [patient("infant.json", age_years=1)])

    assert [one.responsible for one in found.differences] == [("floor SR-08-infant",)]


def test_a_changed_default_is_named_as_the_reason(tmp_path: Path) -> None:
    unknown = patient("unsure.json", bone_visible="ASKU")
    newer = edited(tmp_path, "safety_rules.toml", ('page_1_floor = "same_day"', 'page_1_floor = "routine"'))
    edited(tmp_path, "safety_rules.toml", ('undecided = "routine"', 'undecided = "emergency"'))

    assert [one.responsible for one in compared(newer, unknown).differences] == [("the default urgency",)]


def test_a_changed_order_of_conditions_is_told(tmp_path: Path) -> None:
    newer = edited(tmp_path, "conditions/leg.toml", ("calf = 0.3,", "calf = 0.001,"))
    (found,) = compared(newer, patient("calf.json", location="calf", bone_visible="Y")).differences

    assert not found.less_urgent
    assert not found.more_urgent
    assert (found.before.first[0], found.after.first[0]) == ("strain", "thrombosis")


def test_cases_are_patients_and_a_case_that_one_pack_cannot_read_is_named(tmp_path: Path) -> None:
    facts = '[[fact]]\nname = "itching"\nkind = "presence"'
    case = '[[case]]\nid = "itch"\nkind = "journey"\ntitle = "x"\nfacts = { itching = "yes" }\nexpect = { floors = [] }'
    newer = added(tmp_path, "facts.toml", facts)
    added(tmp_path, "cases/rfx-02.toml", case)
    cases = [CasePatient(one) for one in read_cases(newer)]
    found = compare(example_pack(), Edition.load(newer).pack, cases)

    assert found.compared == len(cases) - 1
    assert found.not_compared == (("case itch", "case itch: unknown fact 'itching'"),)
