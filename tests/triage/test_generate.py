"""Criteria computed all at once come out as they do one by one, for every line and every condition of the real pack."""

from __future__ import annotations

from random import Random

import pytest

from services.triage.engine.conditions import Condition
from services.triage.engine.model import (
    FactDefinition,
    FactKind,
    Finding,
    Findings,
    Missing,
    Presence,
    Respondent,
    Value,
)
from services.triage.engine.pack import CompiledDerived, Pack
from services.triage.engine.ranking import split, weight_of
from services.triage.engine.results import Scope
from services.triage.engine.state import State
from services.triage.engine.truth import UNKNOWN_IS_NO
from services.triage.knowledge.loader import PACKS, load_pack

PACK = load_pack(PACKS / "posterior-lower-limb" / "1.0.0")


def anybody(seed: int) -> Findings:
    """Answers by lot: some known, some not, a few in several ways."""
    lot = Random(seed)
    found = {fact.name: _finding(fact, lot) for fact in PACK.content.facts}
    return Findings(found, lot.choice(list(Respondent)))


def _finding(fact: FactDefinition, lot: Random) -> Finding:
    if lot.random() < 0.02:
        return Finding(Missing.UNKNOWN, alternatives=(_value(fact, lot), _value(fact, lot)))
    return Finding(_value(fact, lot))


def _value(fact: FactDefinition, lot: Random) -> Value:
    if fact.kind is FactKind.PRESENCE:
        return lot.choice(list(Presence))
    if lot.random() < 0.3:
        return lot.choice(list(Missing))
    if fact.kind is FactKind.CHOICE:
        return frozenset(lot.sample(sorted(fact.codes), k=lot.randint(1, 2)))
    if fact.kind is FactKind.QUANTITY:
        low, high = fact.minimum or 0, fact.maximum or 100
        return low + (high - low) * lot.randint(0, 20) / 20
    return "nothing else"


def state(seed: int) -> State:
    return State(PACK, anybody(seed), Scope.FULL)


@pytest.mark.parametrize("seed", range(40))
def test_every_line_of_every_flag_is_the_same_computed_alone(seed: int) -> None:
    values = state(seed).values
    alone = [PACK.compiler.test_of(line.when)(values) for flag in PACK.content.flags for line in flag.lines]
    assert PACK.line_truths(values) == alone


@pytest.mark.requirement("SR-05")
@pytest.mark.parametrize("seed", range(40))
def test_every_contradiction_and_every_floor_is_the_same_computed_alone(seed: int) -> None:
    values, safety = state(seed).values, PACK.content.safety
    assert PACK.contradiction_truths(values) == [_truths(PACK, one.when, values) for one in safety.contradictions]
    assert PACK.floor_truths(values) == [_truths(PACK, one.when, values) for one in safety.floors]


@pytest.mark.parametrize("seed", range(40))
def test_every_derived_fact_is_the_same_computed_alone(seed: int) -> None:
    values = state(seed).values
    for step in PACK.steps:
        if isinstance(step, CompiledDerived):
            truths = step.test(values)
            assert values[step.slot] == (UNKNOWN_IS_NO[truths] if step.definition.unknown_is_no else truths)


@pytest.mark.parametrize("seed", range(40))
def test_every_condition_weighs_the_same_finding_by_finding(seed: int) -> None:
    values = state(seed).values
    assert PACK.ranking is not None
    for condition, number in zip(PACK.content.conditions, PACK.ranking.weigh(values).numbers, strict=True):
        assert split(number) == _weighed(condition, values), condition.id


def _weighed(condition: Condition, values: object) -> tuple[int, int]:
    ratio = silent = 0
    for name in dict.fromkeys(one.group or f"alone-{place}" for place, one in enumerate(condition.findings)):
        members = [one for place, one in enumerate(condition.findings) if name in (one.group, f"alone-{place}")]
        weights = [weight_of(one, _truths(PACK, one.when, values)) for one in members]
        known = [weight for weight in weights if weight is not None]
        if known:
            ratio += max(known, key=abs)
        else:
            silent += min(one.unknown for one in members)
    return ratio + silent, ratio


def _truths(pack: Pack, when: object, values: object) -> int:
    return pack.compiler.compile(when)(values)  # type: ignore[arg-type]
