"""Each way in which a response can depart from its Questionnaire, and the valid response next to it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.conformance import MOST_ERRORS, check_conformance
from shared.fhir.answer_values import DATA_ABSENT_REASON
from shared.fhir.codes import CS_ANSWER, YES_NO_SYSTEM
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.problems import Category, Severity
from tests.forms import (
    Json,
    answered,
    between,
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

UCUM = "http://unitsofmeasure.org"
NG_ML = {"system": UCUM, "code": "ng/mL", "unit": "ng/mL"}
DECLINED = {"extension": [{"url": DATA_ABSENT_REASON, "valueCode": "asked-declined"}]}

FORM = index(
    group(
        "page-1",
        yes_no("chest_pain", required=True),
        yes_no("faint"),
        question("note", "display"),
    ),
    choice("respondent", "self", "clinician"),
    question("age_years", "integer", required=True, extension=between(0, 120)),
    yes_no("trauma"),
    yes_no("felt_pop", required=True, enableWhen=if_yes("trauma")),
    choice(
        "sites",
        "calf",
        "foot",
        "none_of_these",
        repeats=True,
        extension=[
            extension("questionnaire-minOccurs", valueInteger=1),
            extension("questionnaire-maxOccurs", valueInteger=2),
        ],
    ),
    choice("drug", "aspirin", "heparin", repeats=True, item=[question("dose", "decimal", required=True)]),
    choice("activity", "run", "dance", type="open-choice"),
    question(
        "temp_c",
        "decimal",
        extension=[*between(Decimal("30"), Decimal("43")), extension("maxDecimalPlaces", valueInteger=1)],
    ),
    question(
        "ddimer",
        "quantity",
        extension=[
            extension("questionnaire-unit", valueCoding={"system": UCUM, "code": "ng/mL", "display": "ng/mL"}),
            extension("minValue", valueDecimal=Decimal("0.1")),
        ],
    ),
    question("born", "date", extension=[extension("minValue", valueDate="1900-01-01")]),
    question("other", "text", maxLength=10),
    group("visit", question("place", "string", required=True), yes_no("fever"), repeats=True),
    group(
        "clinician",
        yes_no("pulse", required=True),
        required=True,
        enableWhen=[when("respondent", "=", answerCoding=coding("clinician"))],
    ),
)


def complete(*more: Json, status: str = "completed", without: str = "") -> Json:
    """A response with every required question answered, these items in their places."""
    base = [inside("page-1", answered("chest_pain", "N")), answered("age_years", 41)]
    items = {item["linkId"]: [item] for item in base if item["linkId"] != without}
    for item in more:
        items.setdefault(item["linkId"], []).append(item)
    for item in more:
        if item["linkId"] in ("page-1", "age_years"):
            items[item["linkId"]] = [item]
    order = [*FORM.roots, *(name for name in items if name not in FORM.roots)]
    return response(*(item for name in order for item in items.get(name, [])), status=status)


def codes(body: Json, *, severity: Severity | None = None, form: QuestionnaireIndex = FORM) -> list[str]:
    problems = check_conformance(form, body)
    return [each.code for each in problems if severity is None or each.severity is severity]


def text(value: str) -> Json:
    return {"valueString": value}


def amount(value: Any, **unit: str) -> Json:
    return {"valueQuantity": {"value": value, **unit}}


def other_system(code: str) -> Json:
    return {"valueCoding": coding(code, "urn:x")}


def aspirin(*inner: Json) -> Json:
    """The drug question answered, with these questions under the answer."""
    return answered("drug", {"valueCoding": coding("aspirin"), "item": list(inner)})


CHEST_PAIN = answered("chest_pain", "N")
PAGE_1 = inside("page-1", CHEST_PAIN)
PLACE = answered("place", text("a"))
DOSE = answered("dose", Decimal("100.0"))
EXAMINED = inside("clinician", answered("pulse", "Y"))
NOTE = "item[0].item[1]"
AGE = "item[1].item[1]"
DISABLED = "enablewhen-disabled-answered"


def test_a_complete_response_conforms() -> None:
    assert check_conformance(FORM, complete()) == []


VALID = [
    complete(answered("sites", "calf", "foot")),
    complete(answered("trauma", "Y"), answered("felt_pop", "ASKU")),
    complete(answered("trauma", "N"), {"linkId": "felt_pop"}),
    complete(answered("activity", "run")),
    complete(answered("activity", text("Climbing"))),
    complete(answered("temp_c", Decimal("36.6"))),
    complete(answered("temp_c", {"valueDecimal": 30}), answered("other", text("x" * 10))),
    complete(answered("ddimer", amount(480, **NG_ML))),
    complete(answered("ddimer", amount(480, unit="ng/mL"))),
    complete(answered("born", {"valueDate": "1900"})),
    complete(inside("page-1", CHEST_PAIN, {"linkId": "note", "text": "Note?"})),
    complete(answered("respondent", "clinician"), EXAMINED),
    complete(inside("visit", PLACE), inside("visit", PLACE, answered("fever", "N"))),
    complete(aspirin(DOSE)),
    complete(answered("age_years", DECLINED)),
]


@pytest.mark.parametrize("body", VALID)
def test_valid_neighbours_have_no_problem(body: Json) -> None:
    assert check_conformance(FORM, body) == []


QR = "QuestionnaireResponse"
VALUE = "item[2].answer[0].value"

STRUCTURE = [
    ("unknown-link-id", complete(answered("chest-pain", "Y")), "item[2]", "chest-pain"),
    (
        "misplaced-item",
        complete(inside("visit", PLACE, answered("trauma", "N"))),
        "item[2].item[1]",
        "trauma",
    ),
    ("misplaced-item", response(PAGE_1, inside("visit", PLACE, answered("age_years", 41))), AGE, "age_years"),
    ("item-order", response(answered("age_years", 41), PAGE_1), "item[1]", "page-1"),
    ("group-with-answer", complete(answered("page-1", {"item": PAGE_1["item"]})), "item[0]", "page-1"),
    ("display-with-answer", complete(inside("page-1", CHEST_PAIN, answered("note", True))), NOTE, "note"),
    ("question-with-items", complete({**aspirin(DOSE), "item": []}), "item[2]", "drug"),
]
INVALID = [
    ("not-repeating", complete(answered("trauma", "N", "N")), "item[2].answer", "trauma"),
    ("not-repeating", complete(answered("trauma", "N"), answered("trauma", "N")), "item[3]", "trauma"),
    (DISABLED, complete(answered("trauma", "N"), answered("felt_pop", "N")), "item[3]", "felt_pop"),
    (DISABLED, complete(answered("trauma", "ASKU"), answered("felt_pop", "Y")), "item[3]", "felt_pop"),
    (DISABLED, complete(answered("respondent", "self"), EXAMINED), "item[3]", "clinician"),
]
ANSWERS = [
    ("answer-type", complete(answered("trauma", True)), VALUE, "trauma"),
    ("answer-type", complete(answered("temp_c", 37)), VALUE, "temp_c"),
    ("answer-type", complete(answered("activity", 7)), VALUE, "activity"),
    ("out-of-range", complete(answered("age_years", 121)), "item[1].answer[0].value", "age_years"),
    ("out-of-range", complete(answered("age_years", -1)), "item[1].answer[0].value", "age_years"),
    ("out-of-range", complete(answered("temp_c", Decimal("43.1"))), VALUE, "temp_c"),
    ("out-of-range", complete(answered("ddimer", amount(0, **NG_ML))), VALUE, "ddimer"),
    ("out-of-range", complete(answered("born", {"valueDate": "1899-12-31"})), VALUE, "born"),
    ("decimal-places", complete(answered("temp_c", Decimal("36.60"))), VALUE, "temp_c"),
    ("unit", complete(answered("ddimer", amount(480))), VALUE, "ddimer"),
    ("unit", complete(answered("ddimer", amount(480, system=UCUM, code="ug/L"))), VALUE, "ddimer"),
    ("unit", complete(answered("ddimer", amount(480, system="urn:x", code="ng/mL"))), VALUE, "ddimer"),
    ("max-length", complete(answered("other", text("x" * 11))), VALUE, "other"),
    ("occurrences", complete(answered("sites", "calf", "foot", "none_of_these")), "item[2]", "sites"),
]
OPTIONS = [
    ("answer-option", complete(answered("sites", "knee")), VALUE, "sites"),
    ("answer-option", complete(answered("activity", "swim")), VALUE, "activity"),
    ("answer-option-system", complete(answered("trauma", {"valueCoding": {"code": "N"}})), VALUE, "trauma"),
    ("answer-option-system", complete(answered("trauma", other_system("N"))), VALUE, "trauma"),
]
REQUIRED = [
    ("required", complete(without="age_years"), "", "age_years"),
    ("required", complete({"linkId": "age_years"}), "item[1]", "age_years"),
    ("required", complete(inside("page-1", answered("faint", "N"))), "item[0]", "chest_pain"),
    ("required", complete(answered("trauma", "Y")), "", "felt_pop"),
    ("required", complete(answered("respondent", "clinician")), "", "pulse"),
    ("required", complete(inside("visit", answered("fever", "N"))), "item[2]", "place"),
    ("required", complete(aspirin()), "item[2].answer[0]", "dose"),
]
FAULTS = [
    (issue_code, *row)
    for issue_code, rows in {
        "structure": STRUCTURE,
        "invalid": INVALID,
        "value": ANSWERS,
        "code-invalid": OPTIONS,
        "required": REQUIRED,
    }.items()
    for row in rows
]


@pytest.mark.requirement("REQ-03", "SR-07")
@pytest.mark.parametrize(("issue_code", "code", "body", "place", "link_id"), FAULTS)
def test_each_fault_is_told_once_at_its_place_in_the_questions_words(
    issue_code: str, code: str, body: Json, place: str, link_id: str
) -> None:
    (problem,) = check_conformance(FORM, body)

    assert (problem.code, problem.issue_code, problem.link_id) == (code, issue_code, link_id)
    assert problem.expression == (f"{QR}.{place}" if place else QR)
    assert (problem.category, problem.severity) == (Category.UNPROCESSABLE, Severity.ERROR)
    if link_id in FORM.items:
        assert problem.message.startswith(f"{FORM.items[link_id].label}: found ")
    assert problem.message.endswith(".")


def test_a_long_question_is_shortened_in_messages() -> None:
    form = index(question("q", "string", text="Why " * 40, maxLength=1))

    (problem,) = check_conformance(form, response(answered("q", {"valueString": "ab"})))

    assert re.match(r"^(Why )+.*…: found 2 characters", problem.message)
    assert len(problem.message.split(":")[0]) <= 80


@pytest.mark.requirement("REQ-15")
def test_free_text_of_a_patient_is_never_repeated() -> None:
    secret = "my name is Zebulon 4417"
    body = complete(
        answered("other", {"valueString": secret}),
        answered("trauma", {"valueCoding": {"system": secret, "code": "N", "display": secret}}),
        answered("activity", {"valueCoding": coding(secret)}),
        {"linkId": secret, "text": secret, "answer": [{"valueString": secret}]},
        {"linkId": "temp_c", "text": secret, "answer": [{"valueString": secret}]},
    )
    problems = check_conformance(FORM, body)

    assert len(problems) == 6
    assert not any("Zebulon" in f"{each.message}{each.link_id}" for each in problems)


@pytest.mark.requirement("REQ-03")
def test_all_problems_come_at_once_in_document_order() -> None:
    body = response(
        inside("page-1", answered("faint", True), answered("note", True)),
        answered("trauma", "maybe"),
        {"linkId": "zz"},
    )

    assert [(each.code, each.link_id) for each in check_conformance(FORM, body)] == [
        ("required", "chest_pain"),
        ("answer-type", "faint"),
        ("display-with-answer", "note"),
        ("required", "age_years"),
        ("answer-option", "trauma"),
        ("unknown-link-id", "zz"),
    ]


def test_a_repeating_question_sent_as_several_items_is_accepted_with_the_right_shape() -> None:
    (problem,) = check_conformance(FORM, complete(answered("sites", "calf"), answered("sites", "foot")))

    assert (problem.code, problem.severity) == ("repeating-question-split", Severity.WARNING)
    assert '"answer": [{...}, {...}]' in problem.message


def test_split_answers_are_counted_together() -> None:
    split = [answered("sites", code) for code in ("calf", "foot", "none_of_these")]

    assert codes(complete(*split), severity=Severity.ERROR) == ["occurrences"]


def test_another_wording_of_the_question_is_a_warning() -> None:
    (problem,) = check_conformance(FORM, complete({**answered("trauma", "N"), "text": "Hurt yourself?"}))

    assert (problem.code, problem.severity) == ("item-text-differs", Severity.WARNING)
    assert problem.expression == f"{QR}.item[2].text"
    assert check_conformance(FORM, complete({**answered("trauma", "N"), "text": "Trauma?"})) == []


def test_an_option_that_excludes_all_others_stands_alone() -> None:
    exclusive = {
        "valueCoding": coding("none"),
        "extension": [extension("questionnaire-optionExclusive", valueBoolean=True)],
    }
    form = index(question("risk", "choice", repeats=True, answerOption=[{"valueCoding": coding("smoker")}, exclusive]))

    assert codes(response(answered("risk", "none", "smoker")), form=form) == ["exclusive-option"]
    assert codes(response(answered("risk", "none")), form=form) == []


def test_options_may_be_numbers_or_words() -> None:
    options = [{"valueInteger": 1}, {"valueInteger": 2}, {"valueString": "many"}]
    form = index(question("falls", "choice", answerOption=options))

    assert codes(response(answered("falls", 2)), form=form) == []
    assert codes(response(answered("falls", {"valueString": "many"})), form=form) == []
    assert codes(response(answered("falls", 3)), form=form) == ["answer-option"]
    assert codes(response(answered("falls", "one")), form=form) == ["answer-type"]


def test_a_required_group_needs_one_answered_question() -> None:
    form = index(group("outer", group("g", yes_no("a"), yes_no("b")), required=True))

    assert codes(response(), form=form) == ["required"]
    assert codes(response(inside("outer", inside("g", {"linkId": "a"}))), form=form) == ["required"]
    assert codes(response(inside("outer", inside("g", answered("b", "N")))), form=form) == []


def test_the_required_questions_of_a_missing_optional_group_are_not_asked_for() -> None:
    assert codes(complete(without="page-1")) == []


def test_a_disabled_group_hides_its_required_questions_and_is_named_once() -> None:
    body = complete(answered("respondent", "self"), inside("clinician", {"linkId": "pulse"}))
    assert check_conformance(FORM, body) == []

    form = index(
        yes_no("a"),
        group("g", yes_no("b", required=True), yes_no("c", enableWhen=if_yes("b")), enableWhen=if_yes("a")),
    )
    answers = inside("g", answered("b", "N"), answered("c", "Y"))
    assert [each.link_id for each in check_conformance(form, response(answered("a", "N"), answers))] == ["g"]


def test_the_message_about_a_disabled_question_says_when_it_is_asked() -> None:
    (problem,) = check_conformance(FORM, complete(answered("trauma", "N"), answered("felt_pop", "N")))

    assert "asked only when [Trauma?] = Y" in problem.message


# Status

INCOMPLETE = response(inside("page-1", answered("faint", "N")), answered("trauma", "Y"))


@pytest.mark.requirement("REQ-03")
@pytest.mark.parametrize("status", ["completed", "amended"])
def test_a_finished_response_must_answer_what_is_required(status: str) -> None:
    assert codes({**INCOMPLETE, "status": status}, severity=Severity.ERROR) == ["required"] * 3


@pytest.mark.requirement("SR-10")
def test_a_response_in_progress_is_only_reminded_of_what_is_required() -> None:
    problems = check_conformance(FORM, {**INCOMPLETE, "status": "in-progress"})

    assert [(each.link_id, each.severity) for each in problems] == [
        ("chest_pain", Severity.WARNING),
        ("age_years", Severity.WARNING),
        ("felt_pop", Severity.WARNING),
    ]


@pytest.mark.requirement("SR-10")
def test_an_emergency_answer_is_not_refused_because_its_gate_comes_on_a_later_page() -> None:
    waiting = check_conformance(FORM, response(answered("felt_pop", "Y"), status="in-progress"))
    ruled_out = check_conformance(
        FORM, response(answered("trauma", "N"), answered("felt_pop", "Y"), status="in-progress")
    )

    assert [each.severity for each in waiting if each.link_id == "felt_pop"] == [Severity.WARNING]
    assert [each.severity for each in ruled_out if each.link_id == "felt_pop"] == [Severity.ERROR]


@pytest.mark.parametrize("status", ["entered-in-error", "stopped"])
def test_a_withdrawn_or_stopped_response_is_checked_for_shape_alone(status: str) -> None:
    values = response(
        answered("age_years", 300),
        answered("trauma", "N"),
        answered("felt_pop", "N"),
        answered("sites", "knee"),
        status=status,
    )
    shape = response(answered("age_years", True), {"linkId": "zz"}, answered("trauma", "N", "Y"), status=status)

    assert check_conformance(FORM, values) == []
    assert codes(shape) == ["answer-type", "unknown-link-id", "not-repeating"]


# Properties

LINK_IDS = st.sampled_from([*FORM.items, "zz", "a b"])
VALUES: st.SearchStrategy[Json] = st.one_of(
    st.builds(lambda value: {"valueInteger": value}, st.integers(-5, 500)),
    st.builds(lambda value: {"valueDecimal": value}, st.decimals(-5, 500, places=2)),
    st.builds(lambda value: {"valueString": value}, st.text(max_size=20)),
    st.builds(lambda value: {"valueDate": value}, st.sampled_from(["2026", "2026-02", "2026-02-03"])),
    st.builds(
        lambda code, system: {"valueCoding": coding(code, system)},
        st.sampled_from(["Y", "N", "ASKU", "clinician", "calf", "zz"]),
        st.sampled_from([None, YES_NO_SYSTEM, CS_ANSWER]),
    ),
    st.builds(lambda value: {"valueQuantity": value}, st.sampled_from([{}, {"value": 3}, {"value": 3, **NG_ML}])),
    st.just({"valueBoolean": True}),
    st.just({"valueReference": {"reference": "Patient/1"}}),
    st.just(DECLINED),
)


def items(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    inner: st.SearchStrategy[Json] = st.just({}) | nested(children)
    answers = st.lists(st.builds(lambda value, more: {**value, **more}, VALUES, inner), min_size=1, max_size=3)
    content = inner | st.builds(lambda given: {"answer": given}, answers)
    return st.lists(st.builds(lambda name, rest: {"linkId": name, **rest}, LINK_IDS, content), max_size=4)


def nested(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.builds(lambda inner: {"item": inner}, children)


STATUS = st.sampled_from(["completed", "amended", "in-progress", "entered-in-error", "stopped"])
NOTHING: list[Json] = []
TREES = st.recursive(st.just(NOTHING), items, max_leaves=12)


@pytest.mark.requirement("REQ-03")
@settings(max_examples=300, deadline=None)
@given(TREES, STATUS)
def test_any_response_of_valid_structure_gets_problems_and_no_exception(tree: list[Json], status: str) -> None:
    problems = check_conformance(FORM, response(*tree, status=status))

    assert problems == check_conformance(FORM, response(*tree, status=status))
    assert all(each.http_status == 422 and each.expression for each in problems)


@settings(max_examples=100, deadline=None)
@given(TREES)
def test_what_is_refused_in_progress_is_refused_when_completed(tree: list[Json]) -> None:
    early = check_conformance(FORM, response(*tree, status="in-progress"))
    late = check_conformance(FORM, response(*tree))

    assert [(each.code, each.expression, each.link_id) for each in early] == [
        (each.code, each.expression, each.link_id) for each in late
    ]
    assert all(each.severity is Severity.ERROR or each.code == "repeating-question-split" for each in late)


def test_a_response_with_hundreds_of_errors_is_not_read_to_its_end() -> None:
    form = index(yes_no("pain"))
    problems = check_conformance(form, response(*[answered("pain", "Y") for _ in range(2000)]))

    assert len(problems) == MOST_ERRORS


def test_an_error_is_found_after_any_number_of_warnings() -> None:
    form = index(group("attack", yes_no("pain", required=True), yes_no("worse"), repeats=True), yes_no("end"))
    attacks = [inside("attack", answered("worse", "Y")) for _ in range(2 * MOST_ERRORS)]
    problems = check_conformance(form, response(*attacks, answered("end", "banana"), status="in-progress"))

    assert [problem.code for problem in problems if problem.severity is Severity.ERROR] == ["answer-option"]
