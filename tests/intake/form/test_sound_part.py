"""While somebody types, one impossible answer does not keep an emergency among the others from being seen."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.intake.form.sound_part import sound_part
from shared.fhir.codes import YES_NO_SYSTEM
from tests.builders import a_response, posterior_lower_limb
from tests.intake.form.conftest import FORM

YES = {"system": YES_NO_SYSTEM, "code": "Y", "display": "Yes"}


def page_1(*items: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"linkId": "page-1", "item": list(items)}]


def age(value: object, kind: str = "valueInteger") -> dict[str, Any]:
    return {"linkId": "age_years", "answer": [{kind: value}]}


CHEST_PAIN = {"linkId": "chest_pain", "answer": [{"valueCoding": YES}]}


def advice(client: httpx.Client, items: list[dict[str, Any]]) -> dict[str, Any]:
    client.get(FORM)
    answer = client.post(f"{FORM}/advice", json={"item": items})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.requirement("SR-16", "REQ-40")
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(age(400), id="an age of 400"),
        pytest.param(age("forty", "valueString"), id="an age in words"),
        pytest.param(age(40.5), id="an age with a fraction"),
        pytest.param(
            {"linkId": "not-asked", "answer": [{"valueBoolean": True}]}, id="a question that the form has not"
        ),
        pytest.param({"linkId": "age_years", "answer": [{}]}, id="an answer without a value"),
    ],
)
def test_chest_pain_calls_for_help_beside_an_answer_that_the_form_does_not_allow(
    intake: httpx.Client, wrong: dict[str, Any]
) -> None:
    said = advice(intake, page_1(wrong, CHEST_PAIN))

    assert said["known"]
    assert said["emergency"]
    assert "do not drive yourself" in said["text"]


def test_a_wrong_answer_alone_calls_for_nothing(intake: httpx.Client) -> None:
    assert not advice(intake, page_1(age(400))).get("emergency")


def test_nesting_without_end_is_refused_and_nothing_breaks(intake: httpx.Client) -> None:
    intake.get(FORM)
    deep = b'{"item":' + b'[{"linkId":"a","item":' * 800 + b"[]" + b"}]" * 800 + b"}"

    assert intake.post(f"{FORM}/advice", content=deep).status_code == 400
    assert intake.post(f"{FORM}/answers", content=deep).status_code == 400


def test_what_is_sound_stays_as_it_is() -> None:
    response = {**a_response({"chest_pain": "Y"}), "status": "in-progress"}

    assert sound_part(posterior_lower_limb(), response) == response


def test_only_the_wrong_answer_is_left_out() -> None:
    response = {**a_response({}), "status": "in-progress", "item": page_1(age(400), CHEST_PAIN)}

    assert sound_part(posterior_lower_limb(), response) == {**response, "item": page_1(CHEST_PAIN)}


def test_what_is_wrong_outside_of_the_items_is_not_repaired() -> None:
    response = {**a_response({}), "status": "banana"}

    assert sound_part(posterior_lower_limb(), response) is None
