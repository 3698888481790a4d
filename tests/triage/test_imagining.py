"""What is worked out again for one answer imagined otherwise is what is worked out for somebody who answered so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.triage.engine.assess import evaluate, urgency_of
from services.triage.engine.differential import rank, rank_again
from services.triage.engine.imagining import Imagining
from services.triage.engine.model import FactKind, Findings, Presence, Urgency, Value, Visibility
from services.triage.engine.results import Scope
from services.triage.engine.state import State
from tests.triage.people import World
from tests.triage.test_properties import both_packs, bounded, somebody

OTHERS = 3
"""How many answers are imagined otherwise at most."""


def clear(world: World, data: st.DataObject) -> Findings:
    """Somebody whose answers leave no doubt; some questions were hidden, or never put."""
    found = dict(somebody(world, data).by_name)
    for name, finding in data.draw(world.anything()):
        if finding.problem is None and not finding.alternatives:
            found[name] = finding
    return Findings(found)


def otherwise(world: World, findings: Findings, data: st.DataObject) -> dict[str, Value]:
    """A few known yes/no answers turned round."""
    known = [
        fact.name
        for fact in world.pack.content.facts
        if fact.kind is FactKind.PRESENCE and findings.get(fact.name).value in (Presence.PRESENT, Presence.ABSENT)
    ]
    names = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=OTHERS, unique=True))
    turned = {Presence.PRESENT: Presence.ABSENT, Presence.ABSENT: Presence.PRESENT}
    return {name: turned[value] for name in names if isinstance(value := findings.get(name).value, Presence)}


def answered(findings: Findings, changed: Mapping[str, Value]) -> Findings:
    """Somebody who answered so."""
    others = {name: replace(findings.get(name), value=value) for name, value in changed.items()}
    return Findings({**findings.by_name, **others})


def imagined(world: World, data: st.DataObject) -> tuple[Findings, dict[str, Value], Callable[[], Imagining]]:
    """Somebody without doubts, what is imagined otherwise, and what works that out."""
    findings = clear(world, data)
    changed = otherwise(world, findings, data)
    assessment = evaluate(world.pack, findings)
    quality, state = assessment.quality, assessment.state
    assume(not (quality.contradictions or quality.conflicting or quality.unusable))
    assert state is not None
    return findings, changed, partial(Imagining, world.pack, assessment, state, ())


@pytest.mark.requirement("SR-20")
@both_packs
@given(data=st.data())
@bounded(100)
def test_the_urgency_worked_out_again_is_that_of_somebody_who_answered_so(world: World, data: st.DataObject) -> None:
    findings, changed, imagining = imagined(world, data)
    anew = State(world.pack, answered(findings, changed), Scope.FULL)
    for enough in Urgency:
        again = imagining().urgency(changed, enough=enough)
        assert again is urgency_of(anew, floors=(), enough=enough)


@pytest.mark.requirement("SR-20")
@both_packs
@given(data=st.data())
@bounded(100)
def test_the_candidates_weighed_again_are_those_of_somebody_who_answered_so(world: World, data: st.DataObject) -> None:
    findings = clear(world, data)
    changed = otherwise(world, findings, data)
    state, ranking, moving = State(world.pack, findings, Scope.FULL), world.pack.ranking, world.pack.moving
    assert ranking is not None
    assert moving is not None
    flags = data.draw(st.sets(st.sampled_from([flag.id for flag in world.pack.content.flags]), max_size=3))
    before, imagined = state.of_what_was_asked(), state.changed(changed)
    weights = rank(ranking, before, flags).weights
    assert weights is not None

    values = imagined.of_what_was_asked()
    slots = state.moved_to(values, changed, before)
    again = rank_again(ranking, moving, weights, values, slots, flags)
    assert again.candidates == rank(ranking, values, flags).candidates
    put = {name: value for name, value in changed.items() if findings.get(name).visibility is not Visibility.NOT_PUT}
    anew = State(world.pack, answered(findings, put), Scope.FULL).of_what_was_asked()
    assert values[: len(world.pack.slots)] == anew[: len(world.pack.slots)]


@pytest.mark.requirement("SR-20")
@both_packs
@given(data=st.data())
@bounded(60)
def test_what_was_imagined_of_one_patient_decides_nothing_for_the_next(world: World, data: st.DataObject) -> None:
    findings, changed, imagining = imagined(world, data)
    next_one = answered(findings, changed)

    forget(world)
    imagining().urgency(changed, enough=Urgency.EMERGENCY)
    after = evaluate(world.pack, next_one)
    forget(world)
    alone = evaluate(world.pack, next_one)

    assert (after.urgency, after.fired, after.undecided) == (alone.urgency, alone.fired, alone.undecided)


def forget(world: World) -> None:
    """As in a process that has judged nobody yet."""
    for plan in world.pack.flag_plans:
        plan.known.clear()
        for line in plan.lines:
            line.known.clear()
