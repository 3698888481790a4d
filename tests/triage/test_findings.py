"""How answers become findings, and that nothing unknown ever becomes a "no"."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.triage.engine.model import (
    MORE_UNKNOWN,
    FactDefinition,
    FactKind,
    Finding,
    FindingProblem,
    Findings,
    Missing,
    Presence,
    Respondent,
    Visibility,
)
from services.triage.findings import Doubt, FactReader, Reading
from shared.fhir.answer_values import DATA_ABSENT_REASON
from shared.fhir.questionnaire import QuestionnaireIndex
from tests.builders import posterior_lower_limb
from tests.forms import (
    Json,
    answered,
    choice,
    coding,
    extension,
    group,
    if_yes,
    index,
    inside,
    question,
    response,
    when,
    yes_no,
)
from tests.shared.test_gates import answers_to, filled_in
from tests.triage.test_pack_cases import PACK

UCUM = "http://unitsofmeasure.org"
AGE_UNIT = extension("questionnaire-unit", valueCoding={"system": UCUM, "code": "a", "display": "years"})

FORM = index(
    choice("respondent", "self", "parent", "clinician"),
    question("age_years", "integer", extension=[AGE_UNIT]),
    choice("location", "calf", "foot"),
    choice("location_other", "calf", "foot", "back", repeats=True),
    yes_no("can_walk_4_steps"),
    yes_no("trauma"),
    choice("mechanism", "fall", "twist", enableWhen=if_yes("trauma")),
    yes_no("felt_pop", enableWhen=if_yes("trauma")),
    yes_no("can_push_off", enableWhen=if_yes("felt_pop")),
    question("days_since_injury", "integer", enableWhen=if_yes("trauma")),
    question("ddimer", "quantity"),
    question("other_concerns", "text"),
    group(
        "clinician",
        yes_no("pulse_absent"),
        question("temp_c", "decimal"),
        enableWhen=[when("respondent", "=", answerCoding=coding("clinician"))],
    ),
)


def read_response(form: QuestionnaireIndex, response: dict[str, Any], facts: Sequence[FactDefinition]) -> Reading:
    return FactReader(form, facts).read(response)


def read_findings(form: QuestionnaireIndex, response: dict[str, Any], facts: Sequence[FactDefinition]) -> Findings:
    return read_response(form, response, facts).findings


def fact(name: str, kind: FactKind = FactKind.PRESENCE, **more: Any) -> FactDefinition:
    return FactDefinition(name, more.pop("link_id", name), kind, label=name, **more)


CHOICES = {"codes": frozenset({"self", "parent", "clinician", "calf", "foot", "back", "fall", "twist"})}
FACTS = (
    fact("respondent", FactKind.CHOICE),
    fact("age_years", FactKind.QUANTITY, unit="a", minimum=Decimal(0), maximum=Decimal(120)),
    fact("location", FactKind.CHOICE, **CHOICES),
    fact("location_other", FactKind.CHOICE, **CHOICES),
    fact("cannot_walk_4_steps", link_id="can_walk_4_steps", negated=True),
    fact("trauma"),
    fact("mechanism", FactKind.CHOICE, **CHOICES),
    fact("felt_pop_or_kick", link_id="felt_pop"),
    fact("cannot_push_off", link_id="can_push_off", negated=True),
    fact("days_since_injury", FactKind.QUANTITY),
    fact("ddimer", FactKind.QUANTITY, unit="ng/mL"),
    fact("other_concerns", FactKind.TEXT),
    fact("pulse_absent", clinician=True),
    fact("temp_c", FactKind.QUANTITY, clinician=True, minimum=Decimal(30), maximum=Decimal(43)),
    fact("limp"),
)


def read(*items: Json, status: str = "completed") -> Reading:
    return read_response(FORM, response(*items, status=status), FACTS)


def finding(name: str, *items: Json) -> Finding:
    return read(*items).findings.by_name[name]


def doubts(*items: Json) -> list[tuple[Doubt, str]]:
    return [(each.doubt, each.link_id) for each in read(*items).doubts]


def amount(value: Any, **more: str) -> Json:
    return {"valueQuantity": {"value": value, **more}}


# Yes, no, not sure

YES_NO = [("Y", Presence.PRESENT), ("N", Presence.ABSENT), ("ASKU", Presence.UNKNOWN)]
TURNED = [("Y", Presence.ABSENT), ("N", Presence.PRESENT), ("ASKU", Presence.UNKNOWN)]


@pytest.mark.requirement("SR-03", "REQ-16")
@pytest.mark.parametrize(("answer", "presence"), YES_NO)
def test_yes_is_present_no_is_absent_not_sure_is_unknown(answer: str, presence: Presence) -> None:
    assert finding("trauma", answered("trauma", answer)).value is presence


@pytest.mark.requirement("SR-03", "REQ-16")
@pytest.mark.parametrize(("answer", "presence"), TURNED)
def test_a_positively_worded_question_is_turned_round_and_unknown_stays_unknown(
    answer: str, presence: Presence
) -> None:
    assert finding("cannot_walk_4_steps", answered("can_walk_4_steps", answer)).value is presence


@pytest.mark.requirement("SR-03")
def test_missing_empty_and_declined_answers_are_unknown() -> None:
    declined = {"extension": [{"url": DATA_ABSENT_REASON, "valueCode": "asked-declined"}]}

    for items in ([], [{"linkId": "trauma"}], [answered("trauma", declined)]):
        assert finding("trauma", *items).value is Presence.UNKNOWN
        assert finding("age_years", *items).value is Missing.UNKNOWN


def test_a_fact_whose_question_is_not_in_this_questionnaire_is_unknown() -> None:
    assert finding("limp", answered("limp", "N")) == Finding(Presence.UNKNOWN, ("limp",))


def test_a_boolean_question_reads_the_same_way() -> None:
    form = index(question("limp", "boolean"), question("can", "boolean"))
    facts = (fact("limp"), fact("cannot", link_id="can", negated=True))

    found = read_findings(form, response(answered("limp", False), answered("can", False)), facts)

    assert found.get("limp").value is Presence.ABSENT
    assert found.get("cannot").value is Presence.PRESENT


@pytest.mark.requirement("REQ-16")
def test_an_alarming_answer_under_another_code_system_counts_and_a_reassuring_one_does_not() -> None:
    other = {code: {"valueCoding": coding(code, "urn:other")} for code in ("Y", "N")}

    for link_id, name, alarming, reassuring in (
        ("trauma", "trauma", "Y", "N"),
        ("can_walk_4_steps", "cannot_walk_4_steps", "N", "Y"),
    ):
        assert finding(name, answered(link_id, other[alarming])).value is Presence.PRESENT
        assert finding(name, answered(link_id, other[reassuring])).value is Presence.UNKNOWN
        assert doubts(answered(link_id, other[alarming])) == [(Doubt.UNREADABLE, link_id)]


# Choices, numbers, text


def test_a_choice_is_the_set_of_chosen_codes() -> None:
    assert finding("location", answered("location", "calf")).value == {"calf"}
    assert finding("location_other", answered("location_other", "foot", "back")).value == {"foot", "back"}
    assert finding("location", answered("location", "ASKU")).value is Missing.UNKNOWN


def test_not_sure_among_several_choices_means_perhaps_others() -> None:
    assert finding("location_other", answered("location_other", "foot", "ASKU")).value == {
        "foot",
        MORE_UNKNOWN,
    }
    assert finding("location_other", answered("location_other", "ASKU")).value is Missing.UNKNOWN


def test_a_repeating_choice_sent_as_several_items_is_one_set() -> None:
    split = (answered("location_other", "foot"), answered("location_other", "back"))

    assert finding("location_other", *split).value == {"foot", "back"}
    assert doubts(*split) == []


@pytest.mark.requirement("REQ-16")
def test_a_code_that_is_no_option_is_unknown_and_reported() -> None:
    items = [answered("location", "elbow")]

    assert finding("location", *items).value is Missing.UNKNOWN
    assert finding("location", *items).problem is FindingProblem.UNREADABLE
    assert doubts(*items) == [(Doubt.UNREADABLE, "location")]


@pytest.mark.requirement("SR-07")
@pytest.mark.parametrize(("age", "value"), [(0, Decimal(0)), (120, Decimal(120)), (121, None), (-1, None)])
def test_a_number_out_of_range_is_unknown_and_reported(age: int, value: Decimal | None) -> None:
    items = [answered("age_years", age)]

    assert finding("age_years", *items).value == (Missing.UNKNOWN if value is None else value)
    assert doubts(*items) == ([(Doubt.OUT_OF_RANGE, "age_years")] if value is None else [])
    assert finding("age_years", *items).answer == f"{age} years"


@pytest.mark.requirement("SR-07")
@pytest.mark.parametrize(
    ("answer", "value", "problem"),
    [
        (amount(480, unit="ng/mL"), Decimal(480), None),
        (amount(Decimal("0.50"), system=UCUM, code="ng/mL"), Decimal("0.5"), None),
        (amount(480, unit="ug/L"), Missing.UNKNOWN, FindingProblem.WRONG_UNIT),
        (amount(480), Missing.UNKNOWN, FindingProblem.WRONG_UNIT),
        (amount(480, unit="ng/mL", comparator="<"), Missing.UNKNOWN, FindingProblem.UNREADABLE),
        ({"valueString": "high"}, Missing.UNKNOWN, FindingProblem.UNREADABLE),
    ],
)
def test_a_quantity_is_read_only_in_the_units_of_its_fact(
    answer: Json, value: object, problem: FindingProblem | None
) -> None:
    found = finding("ddimer", answered("ddimer", answer))

    assert (found.value, found.problem) == (value, problem)


def test_text_is_kept_as_it_was_written() -> None:
    items = [answered("other_concerns", {"valueString": "My toes are Blue"})]

    assert finding("other_concerns", *items).value == "My toes are Blue"


# Hidden questions

BEHIND_TRAUMA = ("mechanism", "felt_pop_or_kick", "cannot_push_off", "days_since_injury")


def test_questions_ruled_out_by_a_known_answer_are_no_or_not_applicable() -> None:
    found = read(answered("trauma", "N")).findings

    assert [found.get(name).value for name in BEHIND_TRAUMA] == [
        Missing.NOT_APPLICABLE,
        Presence.ABSENT,
        Presence.ABSENT,
        Missing.NOT_APPLICABLE,
    ]
    assert found.get("mechanism").visibility is Visibility.HIDDEN_NO


@pytest.mark.requirement("SR-03", "REQ-17")
@pytest.mark.parametrize("gate", [[], [answered("trauma", "ASKU")]])
def test_questions_hidden_behind_an_unknown_gate_are_unknown(gate: list[Json]) -> None:
    found = read(*gate).findings

    assert all(found.get(name).is_unknown for name in BEHIND_TRAUMA)
    assert found.get("mechanism").visibility is Visibility.HIDDEN_UNKNOWN


@pytest.mark.requirement("SR-03")
def test_a_question_that_was_shown_and_not_answered_is_unknown() -> None:
    found = finding("felt_pop_or_kick", answered("trauma", "Y"))

    assert (found.value, found.visibility) == (Presence.UNKNOWN, Visibility.SHOWN)


@pytest.mark.requirement("SR-03", "REQ-21")
def test_an_examination_that_a_patient_was_never_asked_for_is_unknown_not_normal() -> None:
    found = read(answered("respondent", "self")).findings

    assert found.get("pulse_absent").value is Presence.UNKNOWN
    assert found.get("temp_c").value is Missing.UNKNOWN
    assert found.get("pulse_absent").visibility is Visibility.HIDDEN_NO


@pytest.mark.requirement("REQ-16")
def test_a_yes_given_to_a_hidden_question_counts_and_is_reported() -> None:
    items = [answered("trauma", "N"), answered("felt_pop", "Y")]

    assert finding("felt_pop_or_kick", *items).value is Presence.PRESENT
    assert finding("cannot_push_off", *items).value is Presence.UNKNOWN
    assert doubts(*items) == [(Doubt.ANSWERED_WHILE_HIDDEN, "felt_pop")]


# Contradictions


@pytest.mark.requirement("SR-05", "SR-06")
@pytest.mark.parametrize(
    "items",
    [
        [answered("trauma", "Y", "N")],
        [answered("trauma", "Y"), answered("trauma", "N")],
        [answered("trauma", "Y"), inside("clinician", answered("trauma", "N"))],
    ],
)
def test_two_different_answers_to_one_question_keep_both_readings(items: list[Json]) -> None:
    found = finding("trauma", *items)

    assert (found.value, found.alternatives) == (Presence.UNKNOWN, (Presence.PRESENT, Presence.ABSENT))
    assert found.answer == "Yes; No"
    assert not found.is_unknown
    assert (Doubt.CONTRADICTORY, "trauma") in doubts(*items)


def test_the_same_answer_twice_is_no_contradiction() -> None:
    found = finding("trauma", answered("trauma", "Y"), answered("trauma", "Y"))

    assert (found.value, found.alternatives) == (Presence.PRESENT, ())
    assert doubts(answered("trauma", "Y"), answered("trauma", "Y")) == []


@pytest.mark.requirement("SR-06")
def test_two_places_or_two_ages_keep_both_readings() -> None:
    place = finding("location", answered("location", "calf", "foot"))
    age = finding("age_years", answered("age_years", 4, 40))

    assert place.alternatives == (frozenset({"calf"}), frozenset({"foot"}))
    assert age.alternatives == (Decimal(4), Decimal(40))


# Provenance


def test_a_finding_names_its_question_its_answer_and_its_place() -> None:
    reading = read(answered("respondent", "clinician"), inside("clinician", answered("pulse_absent", "Y")))
    found = reading.findings.get("pulse_absent")

    assert (found.link_ids, found.question, found.answer) == (("pulse_absent",), "Pulse Absent?", "Yes")
    assert reading.expressions["pulse_absent"] == ("QuestionnaireResponse.item[1].item[0].answer[0].value",)
    assert "trauma" not in reading.expressions


@pytest.mark.requirement("REQ-16")
def test_a_display_sent_with_a_code_cannot_change_what_the_reader_sees() -> None:
    lying = {"valueCoding": {**coding("calf"), "display": "No pain at all"}}

    assert finding("location", answered("location", lying)).answer == "Calf"


def test_numbers_are_shown_as_given_with_their_unit() -> None:
    assert finding("ddimer", answered("ddimer", amount(Decimal("0.50"), unit="mg/L"))).answer == "0.50 mg/L"
    assert finding("ddimer", answered("ddimer", amount(0, unit="mg/L"))).answer == "0 mg/L"


@pytest.mark.requirement("REQ-21")
@pytest.mark.parametrize(
    ("items", "respondent"),
    [
        ([answered("respondent", "self")], Respondent.PATIENT),
        ([answered("respondent", "parent")], Respondent.PROXY),
        ([answered("respondent", "clinician")], Respondent.CLINICIAN),
        ([answered("respondent", "ASKU")], Respondent.UNKNOWN),
        ([answered("respondent", "self", "clinician")], Respondent.UNKNOWN),
        ([], Respondent.UNKNOWN),
    ],
)
def test_who_answered_is_kept(items: list[Json], respondent: Respondent) -> None:
    assert read(*items).findings.respondent is respondent


# Properties

CODES = st.sampled_from([None, "Y", "N", "ASKU"])
ANSWERS = st.fixed_dictionaries(
    {
        "can_walk_4_steps": CODES,
        "trauma": CODES,
        "felt_pop": CODES,
        "can_push_off": CODES,
    }
)
WITHOUT_DEPENDANTS = {"can_walk_4_steps": "cannot_walk_4_steps", "can_push_off": "cannot_push_off"}
REASSURING = (Presence.ABSENT, Missing.NOT_APPLICABLE)


def body(answers: dict[str, str | None]) -> Json:
    return response(*(answered(name, code) for name, code in answers.items() if code is not None))


@settings(deadline=None)
@given(ANSWERS, st.sampled_from(sorted(WITHOUT_DEPENDANTS)))
def test_forgetting_an_answer_without_dependants_changes_its_own_fact_alone(
    answers: dict[str, str | None], forgotten: str
) -> None:
    before = read_findings(FORM, body(answers), FACTS).by_name
    after = read_findings(FORM, body({**answers, forgotten: None}), FACTS).by_name
    own = WITHOUT_DEPENDANTS[forgotten]

    assert {name for name in before if before[name] != after[name]} <= {own}
    assert after[own].is_unknown or after[own].visibility is Visibility.HIDDEN_NO


@pytest.mark.requirement("SR-03")
@settings(deadline=None)
@given(ANSWERS, st.sampled_from(["can_walk_4_steps", "trauma", "felt_pop", "can_push_off"]))
def test_forgetting_the_answer_to_a_question_that_was_shown_never_makes_a_fact_absent(
    answers: dict[str, str | None], forgotten: str
) -> None:
    before = read_response(FORM, body(answers), FACTS)
    after = read_findings(FORM, body({**answers, forgotten: None}), FACTS).by_name

    if forgotten not in {each.link_id for each in before.doubts}:
        for name, earlier in before.findings.by_name.items():
            assert after[name].value not in REASSURING or earlier.value in REASSURING


@settings(deadline=None)
@given(ANSWERS)
def test_in_progress_and_completed_are_read_alike(answers: dict[str, str | None]) -> None:
    early = read_response(FORM, {**body(answers), "status": "in-progress"}, FACTS)
    finished = read_response(FORM, body(answers), FACTS)

    assert (early.findings, early.expressions, early.doubts) == (
        finished.findings,
        finished.expressions,
        finished.doubts,
    )


STRAY = {"linkId": "not_of_this_form", "answer": [{"valueString": "x"}]}


@pytest.mark.requirement("SR-03")
@settings(deadline=None)
@given(ANSWERS)
def test_an_item_that_is_not_of_this_form_changes_nothing(answers: dict[str, str | None]) -> None:
    """It also has the whole response laid over the form, where otherwise answers are looked up: both are the same."""
    plain, beside = body(answers), body(answers)
    beside["item"].append(STRAY)

    found, other = read_response(FORM, plain, FACTS), read_response(FORM, beside, FACTS)
    assert [*found.findings.by_name.items()] == [*other.findings.by_name.items()]
    assert (found.expressions, found.doubts) == (other.expressions, other.doubts)


@pytest.mark.requirement("SR-03")
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_looked_up_and_laid_over_are_the_same_for_the_shipped_form(data: st.DataObject) -> None:
    form, facts = posterior_lower_limb(), PACK.content.facts
    plain = filled_in(form, data.draw(answers_to(form)))
    beside = {**plain, "item": [*plain["item"], STRAY]}

    reader = FactReader(form, facts)
    assert [*reader.read(plain).findings.by_name.items()] == [*reader.read(beside).findings.by_name.items()]
