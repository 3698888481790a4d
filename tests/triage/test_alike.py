"""What a patient's conditions weigh is the same, whoever was weighed before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.triage.engine import alike
from services.triage.engine.alike import Alike
from services.triage.engine.assess import evaluate
from services.triage.engine.differential import rank
from services.triage.engine.model import Findings
from services.triage.engine.pack import build_pack
from services.triage.engine.ranking import Ranking
from services.triage.engine.results import Scope
from services.triage.engine.safety import active_contradictions
from services.triage.engine.state import State
from services.triage.engine.truth import NO
from tests.triage.people import World
from tests.triage.test_generate import PACK, anybody
from tests.triage.test_properties import both_packs, bounded, somebody

FEW = 4
"""So many answers are other ones: such patients are alike."""


def ranked(world: World) -> tuple[Ranking, Alike]:
    """What ranks the conditions of this pack, with nobody weighed yet."""
    ranking, weighs = world.pack.ranking, world.pack.alike
    assert ranking is not None
    assert weighs is not None
    weighs.forget()
    return ranking, weighs


def asked(world: World, findings: Findings) -> list[object]:
    """The values by which conditions are ranked, with every reading of contradictory answers."""
    state = State(world.pack, findings, Scope.FULL)
    state.consider(active_contradictions(state))
    return list(state.of_what_was_asked())


@pytest.mark.requirement("SR-20")
@both_packs
@given(data=st.data())
@bounded(60)
def test_whoever_is_like_somebody_of_before_weighs_what_he_would_weigh_alone(world: World, data: st.DataObject) -> None:
    """With answers that are not known, that contradict each other, and questions that were not put."""
    ranking, weighs = ranked(world)
    findings = somebody(world, data)
    for _ in range(3):
        others = Findings({**findings.by_name, **dict(data.draw(world.anything())[:FEW])})
        values = asked(world, others)
        assert weighs.weigh(values) == ranking.weigh(values)


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_whoever_is_like_nobody_of_before_is_weighed_anew_and_kept_beside_them(seed: int) -> None:
    assert PACK.ranking is not None
    assert PACK.alike is not None
    PACK.alike.forget()
    for one in range(seed, seed + alike._REMEMBERED + 3):
        values = State(PACK, anybody(one), Scope.FULL).of_what_was_asked()
        assert PACK.alike.weigh(values) == PACK.ranking.weigh(values)
    assert len(PACK.alike._kept) == alike._REMEMBERED


def test_what_is_kept_of_a_patient_are_truths_and_sums() -> None:
    assert PACK.alike is not None
    PACK.alike.forget()
    PACK.alike.weigh(State(PACK, anybody(1), Scope.FULL).of_what_was_asked())
    (kept,) = PACK.alike._kept
    assert all(isinstance(one, int) for one in (kept.bits, *kept.sums.numbers, *kept.sums.truths))


def test_a_pack_whose_conditions_ask_for_nothing_ranks_them_by_where_it_hurts() -> None:
    content = PACK.content
    one, other = (replace(one, findings=(), only_when=None) for one in content.conditions[:2])
    pack = build_pack(replace(content, conditions=(one, other), advice=()))
    assert pack.alike is not None
    assert pack.ranking is not None
    for seed in range(5):
        assessment = evaluate(pack, anybody(seed))
        values = State(pack, anybody(seed), Scope.FULL).of_what_was_asked()
        assert pack.alike.weigh(values) == pack.ranking.weigh(values)
        assert {each.condition.id for each in assessment.candidates} <= {one.id, other.id}


@pytest.mark.parametrize("seed", range(20))
def test_a_condition_that_is_out_of_the_question_is_not_ranked(seed: int) -> None:
    ranking, values = PACK.ranking, State(PACK, anybody(seed), Scope.FULL).of_what_was_asked()
    assert ranking is not None
    panel = rank(ranking, values, ()).panel
    assert panel is not None
    out = {
        place
        for place, one in enumerate(PACK.content.conditions)
        if one.only_when is not None and PACK.compiler.compile(one.only_when)(values) == NO
    }
    assert set(panel.order) == set(range(len(PACK.content.conditions))) - out
