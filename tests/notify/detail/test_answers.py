"""The patient's answers as a clinician reads them: in the form's order and words, and nothing lost or made up."""

from __future__ import annotations

import pytest

from services.notify.detail.answers import Answers, Form, Question, read_answers
from tests import forms
from tests.builders import a_response
from tests.notify.detail.triaged import form


def asked(answers: Answers, link_id: str) -> Question:
    [found] = [one for group in answers.groups for one in group.questions if one.link_id == link_id]
    return found


def words(answers: Answers, link_id: str) -> list[str]:
    return [value.text for value in asked(answers, link_id).values]


def test_answers_are_in_the_words_of_the_questionnaire() -> None:
    answers = read_answers(a_response({"location": "calf", "age_years": 46, "chest_pain": "ASKU"}), form(), {})

    assert words(answers, "location") == ["Calf"]
    assert words(answers, "age_years") == ["46 years"]
    assert words(answers, "chest_pain") == ["Not sure"]
    assert asked(answers, "chest_pain").text.startswith("Do you have chest pain now")


def test_groups_come_in_the_order_of_the_form() -> None:
    answers = read_answers(a_response(), form(), {})

    titles = [group.title for group in answers.groups]
    assert titles[0] == "Emergency check"
    assert titles.index("Your pain") < titles.index("What happened")


def test_a_question_that_was_asked_and_not_answered_is_there() -> None:
    answers = read_answers(a_response(leave_out={"breathless_new"}), form(), {})

    assert asked(answers, "breathless_new").values == ()
    emergency = answers.groups[0]
    assert [one.link_id for one in emergency.unanswered] == ["breathless_new"]


def test_questions_that_were_not_asked_are_counted_and_not_called_unanswered() -> None:
    man = read_answers(a_response({"sex_at_birth": "male"}, optional=True), form(), {})

    shown = {question.link_id for group in man.groups for question in group.questions}
    assert "pregnancy_status" not in shown
    assert man.not_asked
    assert man.open_gates == 0


def test_questions_behind_an_unanswered_one_are_counted_apart() -> None:
    answers = read_answers(a_response(leave_out={"sex_at_birth"}), form(), {})

    assert answers.open_gates


def test_what_the_patient_typed_is_marked_as_their_words() -> None:
    answers = read_answers(a_response({"other_concerns": "I am <b>afraid</b>"}), form(), {})

    [value] = asked(answers, "other_concerns").values
    assert (value.text, value.own_words) == ("I am <b>afraid</b>", True)
    [chosen] = asked(answers, "location").values
    assert not chosen.own_words


def test_an_answer_names_the_flags_that_it_fired() -> None:
    answers = read_answers(a_response({"chest_pain": "Y"}), form(), {"chest_pain": ("RFX-01",)})

    assert asked(answers, "chest_pain").fired == ("RFX-01",)
    assert asked(answers, "location").fired == ()


def test_without_the_questionnaire_answers_are_shown_under_their_ids() -> None:
    answers = read_answers(a_response({"chest_pain": "Y"}), None, {"chest_pain": ("RFX-01",)})

    assert not answers.with_texts
    assert words(answers, "chest_pain") == ["Y"]
    assert asked(answers, "chest_pain").fired == ("RFX-01",)
    assert answers.not_asked is None


def test_an_answer_that_the_questionnaire_does_not_ask_for_is_shown_too() -> None:
    response = a_response()
    response["item"].append({"linkId": "another-form", "text": "Pets?", "answer": [{"valueString": "A dog"}]})

    answers = read_answers(response, form(), {})

    assert answers.groups[-1].title == "Not in the questionnaire"
    assert words(answers, "another-form") == ["A dog"]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ({"valueBoolean": False}, "No"),
        ({"valueDate": "2026-11-01"}, "2026-11-01"),
        ({"valueQuantity": {"value": 3, "unit": "cm"}}, "3 cm"),
        ({"valueCoding": {"code": "x", "display": "Something else"}}, "Something else"),
        ({"valueReference": {"reference": "Patient/1"}}, "Patient/1"),
        ({"valueMoney": {}}, "an answer that cannot be read"),
        ({"_valueString": {"extension": []}}, "no value was given"),
        ({}, "no value was given"),
    ],
    ids=str,
)
def test_every_kind_of_answer_has_words(answer: forms.Json, shown: str) -> None:
    response = forms.response({"linkId": "a", "answer": [answer]})

    assert words(read_answers(response, None, {}), "a") == [shown]


def test_repeated_groups_and_answers_in_answers_are_all_shown() -> None:
    response = forms.response(
        forms.inside("group", forms.answered("a", 1)),
        forms.inside("group", forms.answered("a", 2)),
        {"linkId": "b", "answer": [{"valueInteger": 3, "item": [forms.answered("c", 4)]}]},
    )

    answers = read_answers(response, None, {})

    assert words(answers, "a") == ["1", "2"]
    assert words(answers, "c") == ["4"]


def test_a_questionnaire_that_cannot_be_compiled_still_gives_its_texts() -> None:
    loop = forms.questionnaire(
        forms.yes_no("a", enableWhen=forms.if_yes("b")), forms.yes_no("b", enableWhen=forms.if_yes("a"))
    )
    answers = read_answers(forms.response(forms.answered("a", "Y")), Form.of(loop), {})

    assert asked(answers, "a").text == "A?"
    assert answers.not_asked is None
