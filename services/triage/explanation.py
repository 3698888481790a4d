"""An assessment in words: ordered sentences from the pack's texts, each naming the answers that it stands on.

Only what a patient or carer may read is put into sentences here: lines for clinicians only are left out, and
a flag that has such a line is never named by what it guards against (SR-17). Every sentence is the pack's;
this module decides which are said, about which answers, and in which order. It is kept short, because what is
not read helps nobody: the coded result (`rule_results.py`) has every line, question and score. What is said of
conditions is in `predictions.py`, what would change the urgency in `what_would_change.py`.

Texts that a pack may leave out: `not_excluded.more` (the word after the number of further open questions),
`not_excluded.less_urgent` (names the flags that are not decided and would not be urgent, in one sentence),
`not_excluded.note` (said at the end of that list, always), and, for the text of a floor, the same key with
".emergency" (and so on) after it: what is said instead when the whole assessment is of that urgency.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.triage.engine.advice import AdviceKind
from services.triage.engine.pack import Pack
from services.triage.engine.results import AppliedFloor, Assessment, FloorKind
from services.triage.predictions import (
    Prediction,
    is_urgent,
    open_conditions,
    predictions,
    public,
    urgency_from_conditions,
)
from services.triage.score_words import scores_in_words
from services.triage.what_would_change import what_would_change
from services.triage.words import Words


@dataclass(frozen=True, slots=True)
class Explanation:
    """All sentences of an assessment, in the order in which they are read."""

    urgency: str
    disposition: str
    predictions: tuple[Prediction, ...]
    ranking: tuple[str, ...]
    review: tuple[str, ...]
    reasons: tuple[str, ...]
    not_excluded: tuple[str, ...]
    changes: tuple[str, ...]
    advice: tuple[tuple[AdviceKind, tuple[str, ...]], ...]
    quality: tuple[str, ...]
    scores: tuple[str, ...]
    limits: str
    safety_net: str


def explain(pack: Pack, assessment: Assessment) -> Explanation:
    """Put the assessment into words. (The text of every output names the time of the answers: `risk_assessment.py`.)"""
    words = Words(pack, assessment)
    predicted = predictions(words)
    key = "none" if assessment.urgency is None else assessment.urgency.value
    return Explanation(
        urgency=pack.text(f"urgency.{key}"),
        disposition=pack.text(f"disposition.{key}"),
        predictions=predicted,
        ranking=open_conditions(words, predicted),
        review=tuple(_review(words)),
        reasons=tuple(_reasons(words)),
        not_excluded=tuple(_not_excluded(words)),
        changes=what_would_change(words),
        advice=tuple(_advice(words)),
        quality=tuple(_quality(words)),
        scores=tuple(scores_in_words(words)),
        limits=pack.head.note,
        safety_net=pack.text(f"safety_net.{key}"),
    )


def _review(words: Words) -> Iterator[str]:
    for result in words.assessment.fired:
        for line in public(result.fired):
            if line.line.urgency is None:
                yield words.text("review", text=words.text(line.line.text))


def _reasons(words: Words) -> Iterator[str]:
    """Why the urgency has a floor: incomplete screen, and the pack's own rules."""
    for floor in words.assessment.floors:
        if floor.kind is FloorKind.SCREEN:
            items = words.joined(words.question(name) for name in floor.facts)
            yield words.text(floor.text, items=items)
        elif floor.kind is FloorKind.RULE and _still_says_something(words, floor):
            yield words.text(words.worded(floor.text))
    yield from urgency_from_conditions(words)


def _still_says_something(words: Words, floor: AppliedFloor) -> bool:
    """False for a floor that only gives a least urgency, when the whole is more urgent and no other words fit."""
    whole = words.assessment.urgency
    less = whole is not None and whole.rank < floor.urgency.rank
    return not less or bool(floor.raises) or words.worded(floor.text) != floor.text


def _not_excluded(words: Words) -> Iterator[str]:
    """The urgent flags with what keeps them open, the others by name, and what all of this does not mean."""
    open_flags = [result for result in words.assessment.undecided if not result.flag.confidential]
    in_short = words.optional("not_excluded.less_urgent")
    by_name: dict[str, None] = {}
    for result in open_flags:
        if result.examination_only:
            continue
        urgent = public(line for line in result.lines if is_urgent(line))
        if in_short is not None and not urgent:
            by_name[result.flag.guards] = None
            continue
        facts = dict.fromkeys(name for line in urgent or result.lines for name in line.facts)
        yield words.text("not_excluded", guards=result.flag.guards, answers=words.few(facts))
    if by_name:
        yield f"{in_short}: {words.joined(by_name)}."
    note = words.optional("not_excluded.note")
    if note is not None and open_flags:
        yield note


def _advice(words: Words) -> Iterator[tuple[AdviceKind, tuple[str, ...]]]:
    """What not to do, next steps, self-care: each kind that holds anything."""
    for kind in (AdviceKind.DO_NOT, AdviceKind.REFERRAL, AdviceKind.SELF_CARE):
        given = tuple(words.text(one.advice.text) for one in words.assessment.advice if one.advice.kind is kind)
        if given:
            yield kind, given


def _quality(words: Words) -> Iterator[str]:
    quality = words.assessment.quality
    if quality.contradictions or quality.conflicting:
        yield words.text("quality.contradictory")
    for contradiction in quality.contradictions:
        yield words.text(contradiction.text)
    if quality.conflicting:
        yield words.text(words.pack.content.safety.conflict_text)
        yield words.answers(quality.conflicting)
    for name in quality.unusable:
        problem = words.assessment.findings.get(name).problem
        if problem is not None:
            yield words.text(f"quality.{problem.value}", question=words.question(name))
