"""What is kept from one patient to the next never shows: neither who came before, nor who is only imagined."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.triage.basis import Basis, Run, Status
from services.triage.engine.assess import evaluate, urgency_of
from services.triage.engine.model import Findings, Presence, Respondent, Urgency
from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment, Scope
from services.triage.engine.state import State
from services.triage.engine.weighing import Weighing
from services.triage.risk_assessment import build_resources, withdrawn
from services.triage.written import written
from tests.triage.narrowing import REAL
from tests.triage.people import World
from tests.triage.test_properties import BASIS, RUN, both_packs, bounded, somebody

OTHERS = 3
"""How many other patients are assessed before, so that something is kept."""


def forget(pack: Pack) -> None:
    """Let the pack forget every result that it kept."""
    for plan in pack.flag_plans:
        plan.known.clear()
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
def test_nobody_changes_what_is_written_of_a_pack() -> None:
    """Its parts stand in the resources of many patients."""
    pack, parts = REAL.pack, written(REAL.pack)
    people = [REAL.findings({name: Presence.PRESENT}) for name in REAL.yes_no[:60]]
    write = [build_resources(evaluate(pack, one), pack, basis=BASIS, run=RUN) for one in people]
    before = _parts_of(parts)
    assert before

    later = Run(RUN.assessment_id, 2, datetime(2026, 11, 23, tzinfo=UTC), Status.ENTERED_IN_ERROR)
    other = Basis.of({"id": "qr-2", "subject": {"reference": "Group/1"}}, version=2, sha256="ab")
    for one, resources in zip(people, write, strict=True):
        for resource in resources:
            withdrawn(resource, run=later)
        build_resources(evaluate(pack, one), pack, basis=other, run=later)
    after = _parts_of(parts)
    assert {key: after[key] for key in before} == before


def _parts_of(parts: object) -> dict[tuple[str, str], bytes]:
    """Every part that is kept, by where it is kept, as bytes."""
    kept = {name: value for name, value in vars(parts).items() if isinstance(value, dict)}
    return {
        (name, repr(key)): orjson.dumps(part[1] if name == "_undecided" else part)
        for name, held in kept.items()
        for key, part in held.items()
    }
