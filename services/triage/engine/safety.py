"""The rules over all flags: incomplete screen, contradictions, floors. They only ever raise an urgency."""

from __future__ import annotations

from collections.abc import Sequence

from services.triage.engine.deciding import Deciding
from services.triage.engine.model import Contradiction, Screen, Visibility
from services.triage.engine.pack import Pack
from services.triage.engine.results import AppliedFloor, FloorKind, Quality, Scope
from services.triage.engine.state import State
from services.triage.engine.truth import YES


def active_contradictions(state: State) -> tuple[Contradiction, ...]:
    """The contradictions that hold, before any of their readings is considered."""
    found = state.pack.contradiction_truths(state.values)
    return tuple([one for one, truth in zip(state.pack.contradictions, found, strict=True) if truth & YES])


def data_quality(state: State, contradictions: Sequence[Contradiction]) -> Quality:
    """Everything about the answers that a reader must know. On page 1 alone, only page-1 items count."""
    screened, found = state.pack.screened_slots, state.found
    unknown = [
        screened[slot]
        for slot in state.unclear
        if slot in screened and found[slot].visibility is Visibility.SHOWN and found[slot].is_unknown
    ]
    required = [fact.name for fact in unknown if fact.screen is Screen.REQUIRED]
    return Quality(
        contradictions=tuple(contradictions),
        conflicting=tuple(state.conflicting),
        unusable=tuple(state.unusable),
        page_1_unknown=tuple(fact.name for fact in unknown if fact.screen is Screen.PAGE_1),
        required_unknown=tuple(required) if state.scope is Scope.FULL else (),
    )


def applied_floors(state: State, quality: Quality, deciding: Deciding) -> tuple[AppliedFloor, ...]:
    """Every floor that holds: contradictions, then the screen (SR-04), then the pack's own rules."""
    return (
        *_contradiction_floors(state.pack, quality, deciding),
        *_screen_floors(state, quality),
        *_rule_floors(state, deciding),
    )


def page_1_floors(state: State, quality: Quality) -> tuple[AppliedFloor, ...]:
    """SR-04 for page 1 alone: "not sure" is an answer and is final, silence may still be broken."""
    answered = tuple(name for name in quality.page_1_unknown if state.findings.get(name).answer)
    return (_page_1_floor(state, answered),) if answered else ()


def _contradiction_floors(pack: Pack, quality: Quality, deciding: Deciding) -> list[AppliedFloor]:
    rules = pack.content.safety
    floors = [
        AppliedFloor(
            id=one.id,
            kind=FloorKind.CONTRADICTION,
            urgency=rules.contradiction_floor,
            text=one.text,
            facts=deciding.facts(one.when, YES),
            raises=one.raises,
        )
        for one in quality.contradictions
        if one.guards_emergency
    ]
    if any(name in pack.emergency_facts for name in quality.conflicting):
        floors.append(
            AppliedFloor(
                id="two-answers",
                kind=FloorKind.CONTRADICTION,
                urgency=rules.contradiction_floor,
                text=rules.conflict_text,
                facts=quality.conflicting,
                raises=rules.conflict_raises,
            )
        )
    return floors


def _screen_floors(state: State, quality: Quality) -> list[AppliedFloor]:
    rule = state.pack.content.safety.screen
    floors = []
    if quality.page_1_unknown:
        floors.append(_page_1_floor(state, quality.page_1_unknown))
    if quality.required_unknown:
        questions = {state.pack.facts[name].link_id for name in quality.required_unknown}
        raised = len(questions) >= rule.raised_at and state.pack.raised_screen(state.values) & YES
        floors.append(
            AppliedFloor(
                id="screen-raised" if raised else "screen-required",
                kind=FloorKind.SCREEN,
                urgency=rule.raised_floor if raised else rule.required_floor,
                text=rule.raised_text if raised else rule.required_text,
                facts=quality.required_unknown,
            )
        )
    return floors


def _page_1_floor(state: State, facts: tuple[str, ...]) -> AppliedFloor:
    rule = state.pack.content.safety.screen
    return AppliedFloor(
        id="screen-page-1", kind=FloorKind.SCREEN, urgency=rule.page_1_floor, text=rule.page_1_text, facts=facts
    )


def _rule_floors(state: State, deciding: Deciding) -> list[AppliedFloor]:
    return [
        AppliedFloor(
            id=floor.id,
            kind=FloorKind.RULE,
            urgency=floor.urgency,
            text=floor.text,
            facts=deciding.facts(floor.when, YES),
            raises=floor.raises,
            evidence=floor.evidence,
            withholds_ranking=floor.withholds_ranking,
        )
        for floor, truth in zip(state.pack.floors, state.pack.floor_truths(state.values), strict=True)
        if truth & YES
    ]
