"""Stories told in the answers of patients: what each is today is the least that a dangerous one may be tomorrow.

They were written in a review to break the rules, dangerous ones with mild or odd answers among them. The urgency that
is kept with each is no gold standard: some dangerous ones are still less urgent than they should be.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from deploy.local.folder import CHECKOUT
from services.triage.engine.assess import evaluate
from services.triage.engine.model import Urgency
from services.triage.engine.pack import Pack
from services.triage.findings import FactReader
from services.triage.knowledge.loader import load_packs
from tests.builders import a_response, posterior_lower_limb

STORIES = [json.loads(line) for line in (CHECKOUT / "tests/evaluation/stories.jsonl").read_text("utf-8").splitlines()]
UNLESS_SAID: dict[str, object] = {
    "mechanism": "none",
    "pain_trend": "same",
    "duration_days": 5,
    "severity_0_10": 4,
    "pregnancy_status": "neither",
    "nsaid_caution": ["none"],
    "fall_kind": "other",
    "location_other": ["none"],
    "morning_stiffness_min": 0,
}
"""What a story does not say; every yes/no question that it does not name is answered No."""


@cache
def pack() -> Pack:
    return load_packs()[posterior_lower_limb().canonical]


@cache
def reader() -> FactReader:
    return FactReader(posterior_lower_limb(), pack().content.facts)


def urgency_of(story: dict[str, Any]) -> Urgency:
    response = a_response({**UNLESS_SAID, **story["answers"]}, optional=True)
    urgency = evaluate(pack(), reader().read(response).findings).urgency
    assert urgency is not None
    return urgency


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [story for story in STORIES if story["kind"] == kind]


@pytest.mark.requirement("SR-01", "SR-14")
@pytest.mark.parametrize("story", of_kind("dangerous"), ids=lambda story: story["id"])
def test_a_dangerous_story_never_becomes_less_urgent_and_never_gets_self_care(story: dict[str, Any]) -> None:
    urgency = urgency_of(story)
    assert urgency.rank <= Urgency(story["urgency"]).rank
    assert urgency is not Urgency.SELF_CARE


@pytest.mark.parametrize("story", of_kind("everyday"), ids=lambda story: story["id"])
def test_an_everyday_story_raises_no_more_alarm_than_it_does(story: dict[str, Any]) -> None:
    assert urgency_of(story).rank >= Urgency(story["urgency"]).rank
