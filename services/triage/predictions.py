"""What the assessment predicts, in words: dangers that must not be missed first, then candidates by support.

Every fired flag is spoken for by the likeliest condition that it guards against, or by itself when it guards against
none that is known. Then come conditions that the answers support and that cannot wait, then the first candidates. Each
says what spoke for it and against it, what is not known, and what to do. A confidential condition is never named here,
nor is the flag of one by what it guards against (SR-17).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.triage.engine.conditions import Condition
from services.triage.engine.model import Presence, Urgency
from services.triage.engine.results import (
    Assessment,
    Candidate,
    FindingVerdict,
    FlagResult,
    LineVerdict,
    MustNotMiss,
    Standing,
)
from services.triage.words import Words

FOR, AGAINST, UNKNOWN = 6, 4, 3
"""How many answers are named on each side, the weightiest first."""
CANDIDATES = 5
"""How many of the first candidates are predictions, whatever their urgency."""
OPEN_CONDITIONS = 8
"""How many conditions that answers alone cannot exclude are named in the sentence; the coded result has all."""


class Role(StrEnum):
    """Why a prediction is made."""

    MUST_NOT_MISS = "must-not-miss"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True)
class Prediction:
    """One outcome that is predicted, with its reasons. `condition` None: a flag that guards against no condition."""

    role: Role
    outcome: str
    rationale: tuple[str, ...]
    flags: tuple[FlagResult, ...] = ()
    condition: Condition | None = None
    candidate: Candidate | None = None
    findings: tuple[FindingVerdict, ...] = ()


def predictions(words: Words) -> tuple[Prediction, ...]:
    """All predictions in the order in which they are read."""
    assessment = words.assessment
    ranked = {one.condition.id: one for one in assessment.candidates}
    found = list(_dangers(words, ranked))
    named = {one.condition.id for one in found if one.condition is not None}
    if not assessment.ranking_withheld:
        found += [
            _prediction(words, Role.CANDIDATE, candidate.condition, (), candidate)
            for candidate in assessment.candidates[:CANDIDATES]
            if candidate.condition.id not in named and not candidate.condition.confidential
        ]
    return tuple(found)


def open_conditions(words: Words, predicted: Sequence[Prediction]) -> tuple[str, ...]:
    """What the order of candidates means, and which conditions answers alone do not exclude (SR-13).

    Of the latter, those of the stated sites that are not among the predictions.
    """
    named = {one.condition.id for one in predicted if one.condition is not None}
    assessment = words.assessment
    if not assessment.must_not_miss and not assessment.candidates:
        return ()
    sentences = [words.text("ranking.withheld" if assessment.ranking_withheld else "ranking.note")]
    still_open = [
        one.condition.title
        for one in sorted(assessment.must_not_miss, key=lambda one: one.rank)
        if one.standing is Standing.OPEN and one.at_site and not one.condition.confidential
        if one.condition.id not in named
    ]
    if still_open:
        sentences.append(words.text("must_not_miss", conditions=words.joined(still_open[:OPEN_CONDITIONS])))
    return tuple(sentences)


def public(lines: Iterable[LineVerdict]) -> list[LineVerdict]:
    """The lines that anybody may read, most urgent first."""
    found = [line for line in lines if not line.line.clinician_only]
    return sorted(found, key=lambda line: len(Urgency) if line.line.urgency is None else line.line.urgency.rank)


def is_urgent(line: LineVerdict) -> bool:
    """True for a line that asks for somebody today or now."""
    return line.line.urgency in (Urgency.EMERGENCY, Urgency.SAME_DAY)


def _dangers(words: Words, ranked: dict[str, Candidate]) -> Iterator[Prediction]:
    """Fired flags, most urgent first, each with the conditions that it speaks for; then supported conditions."""
    spoken_for = _spoken_for(words.assessment)
    done: set[str] = set()
    for result in words.assessment.fired:
        fired = public(line for line in result.fired if line.line.urgency is not None)
        if not fired:
            continue
        condition = None if result.flag.confidential else spoken_for.get(result.flag.id)
        if condition is None:
            outcome = words.text(fired[0].line.text) if result.flag.confidential else result.flag.guards
            yield Prediction(Role.MUST_NOT_MISS, outcome, tuple(_flag_sentences(words, [result])), (result,))
        elif condition.id not in done:
            done.add(condition.id)
            flags = tuple(one for one in words.assessment.fired if spoken_for.get(one.flag.id) is condition)
            yield _prediction(words, Role.MUST_NOT_MISS, condition, flags, ranked.get(condition.id))
    for one in words.assessment.must_not_miss:
        if one.standing is Standing.SUPPORTED and one.condition.id not in done and not one.condition.confidential:
            candidate = ranked[one.condition.id]
            yield _prediction(words, Role.MUST_NOT_MISS, one.condition, (), candidate)


def _spoken_for(assessment: Assessment) -> dict[str, Condition]:
    """By flag that fired, the likeliest condition that it guards against."""
    likeliest: dict[str, MustNotMiss] = {}
    for one in sorted(assessment.must_not_miss, key=lambda one: one.rank):
        for flag in one.condition.guarded_by:
            if not one.condition.confidential:
                likeliest.setdefault(flag, one)
    return {flag: one.condition for flag, one in likeliest.items()}


def _prediction(
    words: Words, role: Role, condition: Condition, flags: Sequence[FlagResult], candidate: Candidate | None
) -> Prediction:
    sentences = list(_flag_sentences(words, flags))
    findings = () if candidate is None else words.weighing.of(condition)
    if candidate is not None:
        sentences += _weighed(words, candidate, findings, said=_facts_of(flags))
    if condition.never_excluded_by:
        sentences.append(words.text("prediction.never_excluded", text=condition.never_excluded_by))
    sentences.append(words.text("prediction.next_step", text=condition.next_step))
    return Prediction(role, condition.title, tuple(sentences), tuple(flags), condition, candidate, findings)


def _flag_sentences(words: Words, flags: Iterable[FlagResult]) -> Iterator[str]:
    """One sentence per line that fired, most urgent first. An answer is named where it is first used, and once."""
    named: set[str] = set()
    for result in flags:
        for line in public(line for line in result.fired if line.line.urgency is not None):
            text = words.text(line.line.text)
            facts = [name for name in line.facts if name not in named]
            named.update(facts)
            yield words.text("finding.fired", text=text, answers=words.answers(facts)) if facts else text
    for result in flags:
        for line in public(result.open):
            yield words.text("finding.open", text=words.text(line.line.text), answers=words.few(line.facts))


def _facts_of(flags: Iterable[FlagResult]) -> set[str]:
    """The answers that the sentences of these flags name."""
    return {name for result in flags for line in public(result.fired) for name in line.facts}


def _weighed(
    words: Words, candidate: Candidate, findings: Sequence[FindingVerdict], *, said: Collection[str]
) -> Iterator[str]:
    """Support and place, then what speaks for it, against it, and what is not known. `said`: not named once more."""
    yield words.text(f"prediction.{candidate.support.value}", rank=str(candidate.rank))
    sides = (
        ("prediction.for", [one for one in findings if one.weight > 0], FOR),
        ("prediction.against", [one for one in findings if one.weight < 0], AGAINST),
    )
    for key, verdicts, number in sides:
        facts = _weightiest(verdicts, number, lambda name: name not in said and not words.is_unknown(name))
        if facts:
            yield words.text(key, answers=words.answers(facts))
    unknown = [one for one in findings if one.presence is Presence.UNKNOWN]
    facts = _weightiest(unknown, UNKNOWN, words.is_unknown)
    if facts:
        yield words.text("prediction.unknown", questions=words.joined(words.question(name) for name in facts))


def _weightiest(verdicts: Iterable[FindingVerdict], number: int, wanted: Callable[[str], bool]) -> list[str]:
    """The first wanted facts, those of the weightiest findings first."""
    ordered = sorted(verdicts, key=lambda one: -abs(one.weight or one.finding.yes - one.finding.no))
    return [name for name in dict.fromkeys(name for one in ordered for name in one.facts) if wanted(name)][:number]
