"""What is kept from one patient to the next never shows: neither who came before, nor who is only imagined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.triage.engine.assess import evaluate, urgency_of
from services.triage.engine.model import FactKind, Finding, Findings, Presence, Respondent, Urgency
from services.triage.engine.pack import Pack, build_pack
from services.triage.engine.results import Assessment, Scope
from services.triage.engine.state import State
from services.triage.engine.weighing import Weighing
from services.triage.risk_assessment import build_resources
from services.triage.told import ROOM
from services.triage.told import told as told_answer
from tests.triage.narrowing import REAL
from tests.triage.people import World
from tests.triage.test_generate import PACK, anybody
from tests.triage.test_properties import BASIS, RUN, both_packs, bounded, somebody

TEXTS = [fact.name for fact in REAL.pack.content.facts if fact.kind is FactKind.TEXT]
OTHERS = 3
"""How many other patients are assessed before, so that something is kept."""


def forget(pack: Pack) -> None:
    """Let the pack forget every result that it kept."""
    for plan in pack.flag_plans:
        plan.known.clear()
        for line in plan.lines:
            line.known.clear()
    for condition in pack.content.conditions:
        for scale in pack.scales.of(condition).scales:
            scale.known.clear()
    for score in pack.scores:
        score.known.clear()
    if pack.alike is not None:
        pack.alike.forget()


def told(pack: Pack, assessment: Assessment) -> tuple[Any, ...]:
    """Everything that may come from what was kept."""
    weighing = Weighing(pack, assessment)
    verdicts = [weighing.of(one.condition) for one in assessment.candidates]
    flags = (assessment.fired, assessment.undecided, assessment.not_fired, assessment.not_reached)
    return (*flags, assessment.scores, assessment.candidates, assessment.must_not_miss, verdicts)


@pytest.mark.requirement("SR-20")
@both_packs
@given(data=st.data())
@bounded(20)
def test_what_is_said_of_a_patient_does_not_depend_on_who_came_before(world: World, data: st.DataObject) -> None:
    forget(world.pack)
    scope = data.draw(st.sampled_from(Scope))
    anything = data.draw(world.anything())
    findings = Findings({**somebody(world, data).by_name, **dict(anything)})
    for _ in range(OTHERS):
        by_whom = data.draw(st.sampled_from(Respondent))
        others = Findings({**findings.by_name, **dict(data.draw(world.anything())[:3])}, by_whom)
        told(world.pack, evaluate(world.pack, others, scope=scope))

    after_others = told(world.pack, evaluate(world.pack, findings, scope=scope))
    forget(world.pack)
    assert told(world.pack, evaluate(world.pack, findings, scope=scope)) == after_others


@pytest.mark.requirement("SR-20")
@pytest.mark.parametrize("seed", range(0, 24, 4))
def test_what_is_said_of_a_patient_does_not_depend_on_others_with_quite_other_answers(seed: int) -> None:
    forget(PACK)
    for other in range(seed + 1, seed + 1 + OTHERS):
        told(PACK, evaluate(PACK, anybody(other)))

    after_others = told(PACK, evaluate(PACK, anybody(seed)))
    forget(PACK)
    assert told(PACK, evaluate(PACK, anybody(seed))) == after_others


@pytest.mark.requirement("SR-17", "SR-20")
@both_packs
@given(data=st.data())
@bounded(30)
def test_the_urgency_with_one_answer_imagined_otherwise_is_that_of_somebody_who_answered_so(
    world: World, data: st.DataObject
) -> None:
    """What an urgency is said to rest on is tried in this way (`counterfactual.py`)."""
    findings = somebody(world, data)
    known = [name for name in world.yes_no if not findings.get(name).is_unknown]
    remarkable = [name for name in known if findings.get(name).value is Presence.PRESENT]
    name = data.draw(st.sampled_from(remarkable or known))
    finding = findings.get(name)
    other = Presence.ABSENT if finding.value is Presence.PRESENT else Presence.PRESENT

    imagined = State(world.pack, findings, Scope.FULL).changed({name: other})
    answered = Findings({**findings.by_name, name: replace(finding, value=other)}, findings.respondent)
    assert urgency_of(imagined, floors=(), enough=Urgency.EMERGENCY) is evaluate(world.pack, answered).urgency


@pytest.mark.requirement("SR-20")
def test_the_resources_of_a_patient_do_not_depend_on_who_came_before() -> None:
    """Parts of them are kept as text; whoever comes first makes them, whoever comes later is given them."""
    people = [REAL.findings({name: Presence.PRESENT}) for name in REAL.yes_no[:60]]
    first = [_resources(build_pack(REAL.pack.content), one) for one in people[::6]]
    pack = build_pack(REAL.pack.content)
    later = [_resources(pack, one) for one in (*people, *people[::6])][-len(first) :]
    assert later == first


@pytest.mark.requirement("SR-20")
def test_what_somebody_typed_is_not_kept() -> None:
    """It is told to whoever reads this assessment, and forgotten here; a plain yes is told once for all."""
    pack, name = build_pack(REAL.pack.content), REAL.yes_no[0]
    plain = Finding(Presence.PRESENT, answer="Yes")
    assert told_answer(pack, name, plain) is told_answer(pack, name, plain)
    typed = {name: Finding(Presence.UNKNOWN, answer="I fell in Leeds") for name in REAL.yes_no}
    typed |= {name: Finding("I fell in Leeds", answer="I fell in Leeds") for name in TEXTS}
    assert TEXTS
    for name, finding in typed.items():
        assert told_answer(pack, name, finding) is not told_answer(pack, name, finding)


def test_no_more_answers_are_kept_than_there_is_room_for() -> None:
    pack = build_pack(REAL.pack.content)
    name = REAL.yes_no[0]
    many = [Finding(Presence.PRESENT, question=f"Question {number}?", answer="Yes") for number in range(ROOM + 10)]
    sentences = [told_answer(pack, name, one).sentence for one in many]
    (kept,) = [held for held in pack.kept.values() if isinstance(held, dict) and (name, id(many[-1])) in held]
    assert len(kept) <= ROOM
    assert [told_answer(pack, name, one).sentence for one in many] == sentences


def _resources(pack: Pack, findings: Findings) -> bytes:
    return orjson.dumps(build_resources(evaluate(pack, findings), pack, basis=BASIS, run=RUN))
