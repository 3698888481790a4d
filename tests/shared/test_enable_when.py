"""Which questions were asked, and whether one that was not asked is "no" or unknown."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.fhir import enable_when
from shared.fhir.answer_values import DATA_ABSENT_REASON, AnswerValue
from shared.fhir.codes import YES_NO_SYSTEM
from shared.fhir.enable_when import Enablement, Place, ResponseView, enablement, said_by
from shared.fhir.questionnaire import Condition, QuestionItem
from tests.forms import (
    Json,
    answered,
    between,
    choice,
    coding,
    extension,
    group,
    if_no,
    if_yes,
    index,
    inside,
    question,
    response,
    when,
    yes_no,
)

ON, OFF, OPEN = Enablement.ENABLED, Enablement.DISABLED, Enablement.DISABLED_UNKNOWN

CODED = {code: {"answerCoding": coding(code, YES_NO_SYSTEM)} for code in ("Y", "N", "ASKU")}
KG = {"system": "http://unitsofmeasure.org", "code": "kg"}

GATES = [
    yes_no("yn"),
    yes_no("many", repeats=True),
    question("int", "integer", extension=between(0, 120)),
    question("dec", "decimal"),
    question("day", "date"),
    question("instant", "dateTime"),
    question("clock", "time"),
    question("word", "string"),
    question("flag", "boolean"),
    question("weight", "quantity"),
    question("link", "url"),
]


def state_of(condition: Json, *items: Json) -> Enablement:
    """State of an item behind one condition."""
    compiled = index(*GATES, yes_no("x", enableWhen=[condition]))
    return enablement(compiled, response(*items)).state("x")


def days(value: str) -> Json:
    return {"valueDate": value}


def weighs(value: int, **unit: Any) -> Json:
    return {"valueQuantity": {"value": value, **unit}}


VECTORS: list[tuple[str, str, Json, list[Any], Enablement]] = [
    # yes/no, with "not sure"
    ("yn", "=", CODED["Y"], ["Y"], ON),
    ("yn", "=", CODED["Y"], ["N"], OFF),
    ("yn", "=", CODED["Y"], ["ASKU"], OPEN),
    ("yn", "=", CODED["Y"], [], OPEN),
    ("yn", "!=", CODED["N"], ["Y"], ON),
    ("yn", "!=", CODED["N"], ["ASKU"], ON),
    ("yn", "!=", CODED["N"], ["N"], OFF),
    ("yn", "!=", CODED["N"], [], OPEN),
    ("yn", "=", CODED["ASKU"], ["ASKU"], ON),
    ("yn", "=", CODED["ASKU"], ["Y"], OFF),
    ("yn", "=", CODED["ASKU"], [], OPEN),
    ("yn", "!=", CODED["ASKU"], ["ASKU"], OPEN),
    # coding: display ignored, system counts; without expected system the code alone
    ("yn", "=", {"answerCoding": {"code": "Y"}}, ["Y"], ON),
    ("yn", "=", CODED["Y"], [{"valueCoding": {"system": YES_NO_SYSTEM, "code": "Y", "display": "Ja"}}], ON),
    ("yn", "=", CODED["Y"], [{"valueCoding": {"system": "urn:other", "code": "Y"}}], OPEN),
    ("yn", "=", CODED["Y"], [{"valueCoding": {"system": "urn:other", "code": "N"}}], OPEN),
    ("yn", "=", CODED["Y"], [{"valueBoolean": False}], OPEN),
    # several answers: any one satisfies
    ("many", "=", CODED["Y"], ["N", "Y"], ON),
    ("many", "!=", CODED["N"], ["N", "Y"], ON),
    ("many", "!=", CODED["N"], ["N", "N"], OFF),
    ("many", "=", CODED["Y"], ["N", "ASKU"], OPEN),
    # numbers, exact
    ("int", ">=", {"answerInteger": 7}, [7], ON),
    ("int", ">", {"answerInteger": 7}, [7], OFF),
    ("int", "<=", {"answerInteger": 7}, [8], OFF),
    ("int", "<", {"answerInteger": 7}, [6], ON),
    ("int", "=", {"answerDecimal": Decimal("7.0")}, [7], ON),
    ("int", "!=", {"answerInteger": 7}, [7], OFF),
    ("int", "!=", {"answerInteger": 7}, [], OPEN),
    ("int", ">=", {"answerInteger": 7}, [], OPEN),
    ("int", "<=", {"answerInteger": 55}, [300], OPEN),
    ("dec", ">", {"answerDecimal": Decimal("0.3")}, [Decimal("0.30000000000000001")], ON),
    ("dec", "=", {"answerDecimal": Decimal("36.6")}, [Decimal("36.60")], ON),
    ("dec", "=", {"answerDecimal": Decimal("36.6")}, ["Y"], OPEN),
    # dates, as far as both are precise
    ("day", ">", {"answerDate": "2026-03-31"}, [days("2026-04-01")], ON),
    ("day", ">", {"answerDate": "2026-03-31"}, [days("2026-03-31")], OFF),
    ("day", ">", {"answerDate": "2026-03-15"}, [days("2026-03")], OPEN),
    ("day", "<", {"answerDate": "2026-03-15"}, [days("2026-02")], ON),
    (
        "instant",
        "=",
        {"answerDateTime": "2026-03-15T12:00:00Z"},
        [{"valueDateTime": "2026-03-15T13:00:00+01:00"}],
        ON,
    ),
    ("instant", ">", {"answerDateTime": "2026-03-15T12:00:00Z"}, [{"valueDateTime": "2026-03-15"}], OPEN),
    (
        "instant",
        ">",
        {"answerDateTime": "2026-03-15T12:00:00Z"},
        [{"valueDateTime": "2026-03-15T12:00:00"}],
        OPEN,
    ),
    ("clock", ">=", {"answerTime": "08:30:00"}, [{"valueTime": "08:29:59"}], OFF),
    # text, boolean, url
    ("word", "=", {"answerString": "left"}, [{"valueString": "left"}], ON),
    ("word", "=", {"answerString": "left"}, [{"valueString": "Left"}], OFF),
    ("flag", "=", {"answerBoolean": False}, [False], ON),
    ("flag", "=", {"answerBoolean": True}, [False], OFF),
    # quantity: only in the same unit
    ("weight", ">", {"answerQuantity": {"value": 70, **KG}}, [weighs(71, **KG)], ON),
    ("weight", ">", {"answerQuantity": {"value": 70, **KG}}, [weighs(69, **KG)], OFF),
    ("weight", ">", {"answerQuantity": {"value": 70, **KG}}, [weighs(154, unit="lb")], OPEN),
    ("weight", "!=", {"answerQuantity": {"value": 70, **KG}}, [weighs(154, unit="lb")], OPEN),
    ("weight", ">", {"answerQuantity": {"value": 70, **KG}}, [weighs(60, comparator=">", **KG)], OPEN),
    # exists
    ("yn", "exists", {"answerBoolean": True}, ["N"], ON),
    ("yn", "exists", {"answerBoolean": True}, ["ASKU"], ON),
    ("yn", "exists", {"answerBoolean": True}, [], OPEN),
    ("yn", "exists", {"answerBoolean": False}, [], ON),
    ("yn", "exists", {"answerBoolean": False}, ["N"], OFF),
    ("yn", "exists", {"answerBoolean": False}, ["ASKU"], OPEN),
    ("link", "exists", {"answerBoolean": True}, [{"valueUri": "urn:a"}], ON),
]


@pytest.mark.parametrize(("gate", "operator", "expected", "answers", "state"), VECTORS)
def test_a_condition_enables_rules_out_or_leaves_open(
    gate: str, operator: str, expected: Json, answers: list[Any], state: Enablement
) -> None:
    condition = when(gate, operator, **expected)

    assert state_of(condition, answered(gate, *answers)) is state


@pytest.mark.parametrize(("gate", "operator", "expected", "answers", "state"), VECTORS)
def test_an_empty_and_a_missing_gate_are_the_same(
    gate: str, operator: str, expected: Json, answers: list[Any], state: Enablement
) -> None:
    condition = when(gate, operator, **expected)

    assert state_of(condition, {"linkId": gate}) is state_of(condition)


def test_an_answer_that_only_says_why_there_is_none_counts_as_no_answer() -> None:
    absent = {"extension": [{"url": DATA_ABSENT_REASON, "valueCode": "asked-declined"}]}

    assert state_of(when("yn", "=", **CODED["Y"]), answered("yn", absent)) is OPEN
    assert state_of(when("yn", "exists", answerBoolean=False), answered("yn", absent)) is ON


# Combinations

PREGNANCY = index(
    choice("sex", "male", "female", "intersex"),
    question("age", "integer"),
    yes_no(
        "pregnant",
        enableBehavior="all",
        enableWhen=[
            when("sex", "!=", answerCoding=coding("male")),
            when("age", ">=", answerInteger=10),
            when("age", "<=", answerInteger=55),
        ],
    ),
)


@pytest.mark.parametrize(
    ("items", "state"),
    [
        ([answered("sex", "female"), answered("age", 30)], ON),
        ([answered("sex", "female"), answered("age", 10)], ON),
        ([answered("sex", "female"), answered("age", 9)], OFF),
        ([answered("sex", "male")], OFF),
        ([answered("age", 80)], OFF),
        ([answered("age", 30)], OPEN),
        ([answered("sex", "female")], OPEN),
        ([answered("sex", "ASKU"), answered("age", 30)], ON),
        ([], OPEN),
    ],
)
def test_pregnancy_is_asked_unless_sex_or_age_rules_it_out(items: list[Json], state: Enablement) -> None:
    assert enablement(PREGNANCY, response(*items)).state("pregnant") is state


SEVERE_OR_INJURED = index(
    question("severity", "integer"),
    yes_no("trauma"),
    yes_no(
        "tense",
        enableBehavior="any",
        enableWhen=[when("severity", ">=", answerInteger=7), *if_yes("trauma")],
    ),
    yes_no(
        "pop",
        enableBehavior="any",
        enableWhen=[*if_yes("trauma"), when("trauma", "=", **CODED["ASKU"])],
    ),
)


@pytest.mark.parametrize(
    ("items", "tense", "pop"),
    [
        ([answered("severity", 7), answered("trauma", "N")], ON, OFF),
        ([answered("severity", 3), answered("trauma", "Y")], ON, ON),
        ([answered("severity", 3), answered("trauma", "N")], OFF, OFF),
        ([answered("severity", 3), answered("trauma", "ASKU")], OPEN, ON),
        ([answered("severity", 3)], OPEN, OPEN),
        ([answered("trauma", "N")], OPEN, OFF),
        ([], OPEN, OPEN),
    ],
)
def test_either_gate_enables_and_only_both_together_rule_out(
    items: list[Json], tense: Enablement, pop: Enablement
) -> None:
    view = enablement(SEVERE_OR_INJURED, response(*items))

    assert (view.state("tense"), view.state("pop")) == (tense, pop)


# Chains and nesting

CHAIN = index(
    yes_no("a"),
    yes_no("b", enableWhen=if_yes("a")),
    yes_no("if_b", enableWhen=if_yes("b")),
    yes_no("if_not_b", enableWhen=if_no("b")),
    yes_no("unless_b", enableWhen=[when("b", "!=", **CODED["Y"])]),
    yes_no("b_left_out", enableWhen=[when("b", "exists", answerBoolean=False)]),
)


def test_a_gate_that_is_ruled_out_rules_out_what_waits_for_its_yes() -> None:
    view = enablement(CHAIN, response(answered("a", "N")))

    assert (view.state("b"), view.state("if_b")) == (OFF, OFF)


def test_a_gate_that_is_ruled_out_does_not_rule_out_what_waits_for_its_no() -> None:
    view = enablement(CHAIN, response(answered("a", "N")))

    assert (view.state("if_not_b"), view.state("unless_b"), view.state("b_left_out")) == (OPEN, OPEN, ON)


@pytest.mark.requirement("REQ-17")
def test_a_gate_hidden_as_unknown_leaves_everything_behind_it_unknown() -> None:
    view = enablement(CHAIN, response(answered("a", "ASKU")))

    assert [view.state(name) for name in ("b", "if_b", "if_not_b")] == [OPEN, OPEN, OPEN]


def test_an_answer_to_a_disabled_gate_opens_nothing_and_rules_nothing_out() -> None:
    view = enablement(CHAIN, response(answered("a", "N"), answered("b", "Y")))

    assert (view.state("b"), view.state("if_b")) == (OFF, OPEN)


def test_a_disabled_group_disables_everything_in_it() -> None:
    compiled = index(
        choice("respondent", "self", "clinician"),
        group(
            "exam",
            group("deep", yes_no("pulse"), yes_no("gap", enableWhen=if_yes("pulse"))),
            enableWhen=[when("respondent", "=", answerCoding=coding("clinician"))],
        ),
    )

    for answer, state in (("self", OFF), ("clinician", ON), ("ASKU", OPEN)):
        assert enablement(compiled, response(answered("respondent", answer))).state("pulse") is state
    view = enablement(
        compiled,
        response(answered("respondent", "ASKU"), inside("exam", inside("deep", answered("pulse", "N")))),
    )
    assert view.state("gap") is OPEN


def test_a_question_that_its_own_gate_rules_out_stays_ruled_out_in_an_open_group() -> None:
    compiled = index(yes_no("a"), yes_no("b"), group("g", yes_no("x", enableWhen=if_yes("b")), enableWhen=if_yes("a")))

    assert enablement(compiled, response(answered("b", "N"))).state("x") is OFF


# Occurrences: repeating groups, nested answers

VISITS = index(
    yes_no("first"),
    group(
        "visit",
        yes_no("early", enableWhen=if_yes("fall")),
        yes_no("fall"),
        group("detail", yes_no("late", enableWhen=if_yes("fall"))),
        repeats=True,
    ),
    yes_no("after", enableWhen=if_yes("fall")),
    yes_no("before", enableWhen=if_yes("tail_fall")),
    group("tail", yes_no("tail_fall"), repeats=True),
)


def states_per_visit(link_id: str, *visits: list[Json]) -> list[Enablement]:
    """State of one question in each repetition of the visit."""
    view = enablement(VISITS, response(*(inside("visit", *items) for items in visits)))
    item = VISITS.items[link_id]
    return [view.state_at(item, node.places[0]) for node in view.root.nodes]


@pytest.mark.parametrize("link_id", ["early", "late"])
def test_each_repetition_of_a_group_looks_at_its_own_gate(link_id: str) -> None:
    visits = ([answered("fall", "Y")], [answered("fall", "N")], [answered("fall", "Y")])

    assert states_per_visit(link_id, *visits) == [ON, OFF, ON]


@pytest.mark.parametrize("link_id", ["early", "late"])
@pytest.mark.parametrize("other", ["Y", "N"])
def test_another_repetition_never_speaks_for_a_gate_that_was_left_out(link_id: str, other: str) -> None:
    visits = ([answered("fall", other)], [inside("detail")], [answered("fall", other)])

    assert states_per_visit(link_id, *visits)[1] is OPEN


def test_from_outside_the_nearest_preceding_occurrence_counts_then_the_nearest_following() -> None:
    items = [
        inside("visit", answered("fall", "N")),
        inside("visit", answered("fall", "Y")),
        inside("tail", answered("tail_fall", "N")),
        inside("tail", answered("tail_fall", "Y")),
    ]
    view = enablement(VISITS, response(*items))

    assert (view.state("after"), view.state("before")) == (ON, OFF)


def visits_in_any_order() -> st.SearchStrategy[list[Json]]:
    """Repetitions of both groups, questions sent twice or beside the group that they belong to."""
    answers = [answered(name, code) for name in ("early", "fall", "late", "tail_fall") for code in ("Y", "N", "ASKU")]
    leaf = st.sampled_from([*answers, answered("first", "Y"), answered("after", "N"), answered("before", "Y")])
    held = st.lists(leaf, max_size=3)
    detail = held.map(lambda items: inside("detail", *items))
    visit = st.lists(leaf | detail, max_size=4).map(lambda items: inside("visit", *items))
    return st.lists(leaf | visit | held.map(lambda items: inside("tail", *items)), max_size=7)


def places_of(view: ResponseView) -> list[Place]:
    return [view.root, *(place for nodes in view.occurrences.values() for node in nodes for place in node.places)]


@given(visits_in_any_order(), st.randoms(use_true_random=False))
def test_what_was_asked_of_a_response_before_changes_no_state(items: list[Json], random: Random) -> None:
    asked = enablement(VISITS, response(*items))
    questions = [
        (item, number)
        for item in VISITS.items.values()
        for number, place in enumerate(places_of(asked))
        if place.link_id in (None, *item.path) and (item.parent is not None or place is asked.root)
    ]
    random.shuffle(questions)

    for item, number in questions:
        fresh = enablement(VISITS, response(*items))
        assert asked.state_at(item, places_of(asked)[number]) is fresh.state_at(item, places_of(fresh)[number])


@pytest.mark.parametrize("repeated", [1, 20])
def test_a_gate_is_judged_once_for_all_places_that_look_at_it(repeated: int, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []

    def noted(condition: Condition, gate: QuestionItem, values: list[tuple[str, AnswerValue]]) -> bool | None:
        judged.append(gate.link_id)
        return said_by(condition, gate, values)

    monkeypatch.setattr(enable_when, "said_by", noted)
    form = index(
        yes_no("gate", repeats=True), group("g", *(yes_no(name, enableWhen=if_yes("gate")) for name in ("x", "y")))
    )
    view = enablement(form, response(answered("gate", "N", "Y"), *[inside("g", answered("x", "Y"))] * repeated))
    places = [node.places[0] for node in view.occurrences["g"]]

    assert {view.state_at(form.items[name], place) for name in ("x", "y") for place in places} == {ON}
    assert judged == ["gate"]


NESTED = index(
    choice(
        "drug",
        "aspirin",
        "heparin",
        repeats=True,
        item=[
            yes_no("daily"),
            yes_no("since_long", enableWhen=if_yes("daily")),
            yes_no("injected", enableWhen=[when("drug", "=", answerCoding=coding("heparin"))]),
        ],
    )
)


def test_questions_under_an_answer_look_at_their_siblings_under_the_same_answer() -> None:
    drugs = {
        "linkId": "drug",
        "answer": [
            {"valueCoding": coding("aspirin"), "item": [answered("daily", "N")]},
            {"valueCoding": coding("heparin"), "item": [answered("daily", "Y")]},
        ],
    }
    view = enablement(NESTED, response(drugs))
    places = view.root.nodes[0].places

    assert [view.state_at(NESTED.items["since_long"], place) for place in places] == [OFF, ON]


def test_a_question_under_an_answer_can_look_at_the_question_above_it() -> None:
    assert enablement(NESTED, response(answered("drug", "heparin"))).state("injected") is ON
    assert enablement(NESTED, response(answered("drug", "aspirin"))).state("injected") is OFF
    assert enablement(NESTED, response()).state("injected") is OPEN


def test_answers_split_over_repeated_items_are_judged_together() -> None:
    compiled = index(yes_no("many", repeats=True), yes_no("x", enableWhen=if_yes("many")))

    view = enablement(compiled, response(answered("many", "Y"), answered("many", "N")))

    assert view.state("x") is ON
    assert [answer.expression for answer in view.answers("many")] == [
        "QuestionnaireResponse.item[0].answer[0].value",
        "QuestionnaireResponse.item[1].answer[0].value",
    ]


def test_answers_are_found_wherever_they_stand_with_state_and_place() -> None:
    compiled = index(group("g", yes_no("a"), yes_no("b", enableWhen=if_yes("a"))))

    view = enablement(compiled, response(answered("b", "Y"), inside("g", answered("a", "N"))))
    (misplaced,) = view.answers("b")

    assert (misplaced.expression, misplaced.state) == ("QuestionnaireResponse.item[0].answer[0].value", OFF)
    assert view.misplaced == {"b"}


# Properties

BATTERY = index(
    yes_no("a"),
    yes_no("b", enableWhen=if_yes("a")),
    yes_no("c", enableWhen=[*if_yes("a"), *if_no("b")], enableBehavior="any"),
    yes_no("d", enableWhen=[*if_yes("b"), when("c", "!=", **CODED["N"])], enableBehavior="all"),
    group("g", yes_no("e"), yes_no("f", enableWhen=if_yes("e")), enableWhen=if_no("a")),
    yes_no("pad", repeats=True),
)
CODES = st.sampled_from([None, "Y", "N", "ASKU"])
ANSWERS = st.fixed_dictionaries(dict.fromkeys("abcdef", CODES))


def battery(answers: dict[str, str | None]) -> Json:
    items = {name: answered(name, code) for name, code in answers.items() if code is not None}
    top = [items[name] for name in "abcd" if name in items]
    deep = [items[name] for name in "ef" if name in items]
    return response(*top, *([inside("g", *deep)] if deep else []))


@pytest.mark.requirement("REQ-17", "SR-03")
@given(ANSWERS, st.sampled_from("abcdef"))
def test_forgetting_the_answer_to_a_question_that_was_asked_rules_nothing_out(
    answers: dict[str, str | None], forgotten: str
) -> None:
    before = enablement(BATTERY, battery(answers))
    after = enablement(BATTERY, battery({**answers, forgotten: None}))
    assume(before.state(forgotten) is ON)

    for name in BATTERY.items:
        assert after.state(name) is not OFF or before.state(name) is OFF


@given(ANSWERS)
def test_a_repeated_item_elsewhere_changes_no_state(answers: dict[str, str | None]) -> None:
    plain = battery(answers)
    padded = {**plain, "item": [*plain["item"], answered("pad", "Y"), answered("pad", "N")]}
    one, two = enablement(BATTERY, plain), enablement(BATTERY, padded)

    assert [one.state(name) for name in BATTERY.items] == [two.state(name) for name in BATTERY.items]


def test_extensions_that_are_not_understood_are_no_condition() -> None:
    compiled = index(yes_no("a", extension=[extension("questionnaire-displayCategory", valueCode="x")]))

    assert enablement(compiled, response()).state("a") is ON
