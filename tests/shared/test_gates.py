"""Looking up which questions were asked says what working it out says, for whatever is answered."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.fhir.answer_values import DATA_ABSENT_REASON, Coding
from shared.fhir.codes import YES_NO_SYSTEM
from shared.fhir.enable_when import enablement
from shared.fhir.gates import ENABLEMENTS, Gates, fits
from shared.fhir.questionnaire import QuestionnaireIndex
from tests.builders import posterior_lower_limb
from tests.forms import (
    Json,
    answered,
    between,
    coding,
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

CM = {"system": "http://unitsofmeasure.org", "code": "cm"}
FORM = index(
    group(
        "first",
        yes_no("yn"),
        yes_no("after", enableWhen=if_yes("yn")),
        yes_no("after_that", enableWhen=[*if_no("after"), *if_yes("yn")], enableBehavior="any"),
        question("int", "integer", extension=between(0, 120)),
        question("flag", "boolean"),
    ),
    group(
        "second",
        question("day", "date"),
        question("girth", "quantity", enableWhen=[when("int", ">=", answerInteger=16)]),
        group("inner", yes_no("deep"), enableWhen=[when("flag", "!=", answerBoolean=True)]),
        enableWhen=[when("after", "exists", answerBoolean=True)],
    ),
    yes_no("unless_said", enableWhen=[when("deep", "exists", answerBoolean=False)]),
    yes_no(
        "large",
        enableWhen=[when("girth", ">", answerQuantity={"value": 3, **CM}), *if_no("deep")],
        enableBehavior="all",
    ),
    yes_no("early", enableWhen=[when("day", "<", answerDate="2026-03-15")]),
)

SAID = ("Y", "N", "ASKU")
ODD: tuple[Json, ...] = (
    {},
    {"extension": [{"url": DATA_ABSENT_REASON, "valueCode": "asked-unknown"}]},
    {"valueCoding": coding("Y", "https://other.example")},
    {"valueCoding": {"code": "N"}},
    {"valueInteger": 15},
    {"valueInteger": 16},
    {"valueInteger": 500},
    {"valueDecimal": Decimal("36.6")},
    {"valueBoolean": True},
    {"valueBoolean": False},
    {"valueDate": "2026-03"},
    {"valueDate": "2026-03-14"},
    {"valueQuantity": {"value": 2, **CM}},
    {"valueQuantity": {"value": 4, **CM}},
    {"valueQuantity": {"value": 4, "code": "m"}},
    {"valueString": "words"},
)


def answers_to(form: QuestionnaireIndex) -> st.SearchStrategy[dict[str, list[Any]]]:
    """Some questions answered, mostly with yes, no or not sure, or with an option; some oddly, or twice."""
    questions = [item for item in form.items.values() if item.is_question]

    def answers(link_id: str) -> st.SearchStrategy[list[Any]]:
        options = [option.value for option in form.items[link_id].options if isinstance(option.value, Coding)]
        usual = [{"valueCoding": {"system": each.system, "code": each.code}} for each in options]
        one = st.sampled_from((*usual, *usual, *SAID, *ODD))
        return st.lists(one, min_size=1, max_size=2)

    names = st.lists(st.sampled_from([item.link_id for item in questions]), unique=True, max_size=60)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: answers(name) for name in chosen}))


def filled_in(form: QuestionnaireIndex, given: dict[str, list[Any]]) -> Json:
    """The response with these answers, each in its place."""

    def items(link_ids: tuple[str, ...]) -> list[Json]:
        found = []
        for link_id in link_ids:
            if form.items[link_id].type == "group":
                found.append(inside(link_id, *items(form.items[link_id].children)))
            elif link_id in given:
                found.append(answered(link_id, *given[link_id]))
        return found

    return response(*items(form.roots))


@pytest.mark.requirement("SR-03", "REQ-17")
@pytest.mark.parametrize("form", [FORM, posterior_lower_limb()], ids=["small", "shipped"])
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_looked_up_and_worked_out_are_the_same(form: QuestionnaireIndex, data: st.DataObject) -> None:
    body = filled_in(form, data.draw(answers_to(form)))
    gates = Gates(form)
    answers = gates.answers(body)
    assert answers is not None
    states = gates.states(answers)

    view = enablement(form, body)
    assert {link_id: ENABLEMENTS[states[gates.family[link_id]]] for link_id in form.items} == {
        link_id: view.state(link_id) for link_id in form.items
    }


def yes(link_id: str) -> Json:
    return {"linkId": link_id, "answer": [{"valueCoding": coding("Y", YES_NO_SYSTEM)}]}


@pytest.mark.parametrize(
    "body",
    [
        response(yes("yn")),
        response(inside("first", yes("yn"), yes("yn"))),
        response(inside("first", yes("yn")), inside("first")),
        response(inside("first", {**yes("yn"), "item": [yes("after")]})),
        response(inside("first", {"linkId": "yn", "answer": [{**yes("yn")["answer"][0], "item": [yes("after")]}]})),
        response(inside("first", yes("not_ours"))),
        response({**inside("first"), "answer": yes("yn")["answer"]}),
    ],
    ids=["misplaced", "twice", "group twice", "below an item", "below an answer", "unknown", "answered group"],
)
def test_a_response_in_which_an_item_is_not_where_it_belongs_is_not_looked_up(body: Json) -> None:
    assert Gates(FORM).answers(body) is None


def test_a_form_whose_items_stand_in_several_places_is_not_made_into_tables() -> None:
    repeating = index(group("often", yes_no("a"), yes_no("b", enableWhen=if_yes("a")), repeats=True))

    assert not fits(repeating)
    with pytest.raises(ValueError, match="several places"):
        Gates(repeating)
