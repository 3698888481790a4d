"""SR-22: answers to words that nobody has reviewed keep every red flag and never lead to self-care."""

from __future__ import annotations

from typing import Any

import pytest

from services.triage.engine.assess import evaluate
from services.triage.engine.model import Urgency
from services.triage.wording import wording_floor
from tests.builders import a_response, answer_of, posterior_lower_limb
from tests.triage.line import Line, floors, urgency
from tests.triage.packs import YES, example_pack, patient

FORM = posterior_lower_limb()


def response(**more: Any) -> dict[str, Any]:
    return a_response({}, patient="p-1", identifier="form-1") | more


def reworded(text: str) -> dict[str, Any]:
    """A response in which one question has this text."""
    changed = response()
    answer_of(changed, "trauma")["text"] = text
    return changed


@pytest.mark.requirement("SR-22")
@pytest.mark.parametrize(
    ("filled_in", "reviewed"),
    [
        (response(), True),
        (response(language="en"), True),
        (response(language="en-GB"), True),
        (response(language="EN"), True),
        (response(language="de"), False),
        (response(language="eng"), False),
        (reworded(FORM.items["trauma"].text or ""), True),
        (reworded("Haben Sie sich verletzt?"), False),
    ],
)
def test_SR_22_another_language_or_other_words_are_an_appointment_at_least(
    filled_in: dict[str, Any], reviewed: bool
) -> None:
    floor = wording_floor(FORM, filled_in, "en")

    assert (floor is None) is reviewed
    if floor is not None:
        pack = example_pack()
        assert evaluate(pack, patient()).urgency is Urgency.SELF_CARE
        assert evaluate(pack, patient(), floors=(floor,)).urgency is Urgency.ROUTINE


@pytest.mark.requirement("SR-22")
def test_wording_below_an_answer_is_looked_at_too() -> None:
    nested = response()
    inner = {"linkId": "trauma", "text": "Hurt yourself?", "answer": answer_of(nested, "trauma")["answer"]}
    nested["item"][0]["item"][0]["answer"][0]["item"] = [inner]

    assert wording_floor(FORM, nested, "en") is not None


@pytest.mark.requirement("SR-22")
def test_wording_that_nobody_reviewed_takes_no_red_flag_away() -> None:
    floor = wording_floor(FORM, response(language="fr"), "en")

    assert floor is not None
    assert evaluate(example_pack(), patient(chest_pain=YES), floors=(floor,)).urgency is Urgency.EMERGENCY


@pytest.mark.requirement("SR-22")
def test_an_assessment_of_another_language_says_so(line: Line) -> None:
    response_id = line.post(response(language="de"))
    line.deliver(response_id)

    [assessment] = line.found("RiskAssessment", response_id)
    assert floors(assessment) == ["SR-22"]
    assert urgency(assessment) == "routine"
    assert "another language" in assessment["text"]["div"]
