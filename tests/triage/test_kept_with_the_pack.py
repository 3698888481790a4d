"""What is kept from one patient to the next never shows: neither who came before, nor who is only imagined."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.questionnaires import shipped
from services.triage import written as written_module
from services.triage.engine import flag_plans, generate, scales, scores, sites
from services.triage.engine.assess import evaluate, urgency_of
from services.triage.engine.keeping import keep
from services.triage.engine.model import FactKind, Finding, Findings, Missing, Presence, Respondent, Urgency
from services.triage.engine.pack import Pack, build_pack
from services.triage.engine.results import Assessment, Scope
from services.triage.engine.state import State
from services.triage.engine.weighing import Weighing
from services.triage.findings import FactReader
from services.triage.risk_assessment import build_resources
from services.triage.told import ROOM
from services.triage.told import told as told_answer
from services.triage.written import written
from shared.fhir.questionnaire import QuestionnaireIndex
from tests.builders import a_response
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
    """It is told to whoever reads this assessment, and forgotten; what the form itself says is told once for all."""
    pack, name = build_pack(REAL.pack.content), REAL.yes_no[0]
    listed = Finding(Presence.PRESENT, answer="Yes", lasting=True)
    assert told_answer(pack, name, listed) is told_answer(pack, name, listed)
    typed = {name: Finding(Presence.UNKNOWN, answer="I fell in Leeds") for name in REAL.yes_no}
    typed |= {name: Finding("I fell in Leeds", answer="I fell in Leeds") for name in TEXTS}
    assert TEXTS
    for name, finding in typed.items():
        assert told_answer(pack, name, finding) is not told_answer(pack, name, finding)


@pytest.mark.requirement("SR-20")
@pytest.mark.parametrize("published", [True, False], ids=["options with words", "options without words"])
@pytest.mark.parametrize("moved", [False, True], ids=["in its place", "out of its place"])
def test_the_words_that_a_sender_gave_to_an_option_are_not_kept(published: bool, moved: bool) -> None:
    """Where the form has no words for it they are shown, to whoever reads this assessment alone."""
    pack, canary = build_pack(REAL.pack.content), "John Smith, 12 Mill Lane"
    form = json.loads(shipped()[-1].read_bytes())
    response = a_response({"chest_pain": "Y"})
    if not published:
        for option in _below(form, "answerOption"):
            option.get("valueCoding", {}).pop("display", None)
    for answer in _below(response, "answer"):
        if "valueCoding" in answer:
            answer["valueCoding"]["display"] = canary
    if moved:
        response["item"].reverse()
    reader = FactReader(QuestionnaireIndex.build(form), pack.content.facts)
    findings = reader.read(response).findings
    assert any(canary in one.answer for one in findings.by_name.values()) is not published
    for name, finding in findings.by_name.items():
        told_answer(pack, name, finding)
    (kept,) = [held for held in pack.kept.values() if isinstance(held, dict)]
    assert kept
    assert not [one for one in kept.values() if canary in one.sentence + one.in_full or canary.encode() in one.element]


def test_no_more_answers_are_kept_than_there_is_room_for() -> None:
    pack = build_pack(REAL.pack.content)
    name = REAL.yes_no[0]
    many = [
        Finding(Presence.PRESENT, question=f"Question {number}?", answer="Yes", lasting=True)
        for number in range(ROOM + 10)
    ]
    sentences = [told_answer(pack, name, one).sentence for one in many]
    (kept,) = [held for held in pack.kept.values() if isinstance(held, dict) and (name, id(many[-1])) in held]
    assert len(kept) <= ROOM
    assert [told_answer(pack, name, one).sentence for one in many] == sentences


@pytest.mark.parametrize("room", [1, 3])
def test_a_full_memory_shuts_nobody_out_and_never_grows(room: int) -> None:
    known: dict[Any, Any] = {}
    for number in range(5 * room):
        keep(known, number, -number, room=room)
        assert known[number] == -number
        assert len(known) <= room


def memories(pack: Pack) -> list[tuple[dict[Any, Any], int]]:
    """Everything in which the pack keeps what came of values before, as far as it was used, and its room."""
    made = written(pack)
    several = [
        ([plan.known for plan in pack.flag_plans], flag_plans._REMEMBERED),
        ([line.known for plan in pack.flag_plans for line in plan.lines], flag_plans._LINES_REMEMBERED),
        ([scale.known for one in pack.scales._made.values() for scale in one.scales], scales._REMEMBERED),
        ([score.known for score in pack.scores], scores._REMEMBERED),
        ([] if pack.ranking is None else [pack.ranking.sites.known], sites._REMEMBERED),
        ([one._known for one in remembered(pack)], generate._REMEMBERED),
        ([made._fired, made._undecided, made._scores], written_module._KEPT_RESULTS),
    ]
    assert all(any(found) for found, _ in several)
    return [(one, room) for found, room in several for one in found if one]


def remembered(pack: Pack) -> list[generate._Remembered]:
    """Of every fact that is compared, the truths that are kept."""
    constants = getattr(pack.compute_steps, "__defaults__", ())
    return [one for one in constants if isinstance(one, generate._Remembered)]


@pytest.mark.parametrize("seed", range(3))
def test_whoever_comes_after_many_odd_patients_is_kept_like_anybody(seed: int) -> None:
    """The first patients may be the oddest; their results do not stay for ever in the place of everybody else's."""
    pack, findings = build_pack(REAL.pack.content), anybody(seed)
    alone = _resources(pack, findings)
    for known, room in (full := memories(pack)):
        known.clear()
        known.update({("odd", number): None for number in range(room)})

    assert _resources(pack, findings) == alone
    assert [known for known, room in full if len(known) > room or all("odd" in key for key in map(_parts, known))] == []
    assert _resources(pack, findings) == alone


def _parts(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def test_an_answer_in_several_ways_is_not_kept_as_there_is_no_end_to_how_long_it_may_be() -> None:
    pack = build_pack(REAL.pack.content)
    fact = next(one for one in pack.content.facts if one.kind is FactKind.QUANTITY and one.maximum)
    several = tuple(Decimal(number) / 100 for number in range(400))
    for one in (Finding(Missing.UNKNOWN, alternatives=several), Finding(Decimal(1)), Finding(Missing.UNKNOWN)):
        evaluate(pack, Findings({fact.name: one}))
    kept = [value for one in remembered(pack) for value in one._known]
    assert kept
    assert {len(value) for value in kept} == {1}


def _below(holder: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Everything under this name in any item below."""
    for item in holder.get("item", ()):
        yield from item.get(name, ())
        yield from _below(item, name)


def _resources(pack: Pack, findings: Findings) -> bytes:
    return orjson.dumps(build_resources(evaluate(pack, findings), pack, basis=BASIS, run=RUN))
