"""What the assessment predicts, in words: dangers that must not be missed first, then candidates by support.

Every fired flag is a prediction of what it guards against. Where a condition is known that it guards against and that
is at least as urgent, the likeliest of these gives its codes, its reasons and the next step; flags that share it are
one prediction. Then come conditions that the answers support and that cannot wait, then the first candidates. A
confidential condition is never named here, nor is the flag of one by what it guards against (SR-17).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

from services.triage.engine.conditions import Condition
from services.triage.engine.criteria import names_in
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

FOR, AGAINST, UNKNOWN = 4, 2, 2
"""How many answers are named on each side, the weightiest first."""
CANDIDATES, EXPLAINED = 5, 3
"""How many of the first candidates are predictions, whatever their urgency, and how many of them give their reasons."""
OPEN_CONDITIONS = 8
"""How many conditions that answers alone cannot exclude are named in the sentence; the coded result has all."""


_RANK = attrgetter("rank")


class Role(StrEnum):
    """Why a prediction is made."""

    MUST_NOT_MISS = "must-not-miss"
    CANDIDATE = "candidate"


class Prediction(NamedTuple):
    """One outcome that is predicted, with its reasons. `condition` None: a flag that guards against no condition.

    `place`: among the candidates that may be named, 1 is the first. `flagged`: a sentence per flag line; `weighed`:
    support, answers for and against, what is not known; `to_do`: what must not reassure, and the next step.
    """

    role: Role
    outcome: str
    flagged: tuple[str, ...]
    weighed: tuple[str, ...] = ()
    to_do: tuple[str, ...] = ()
    flags: tuple[FlagResult, ...] = ()
    condition: Condition | None = None
    candidate: Candidate | None = None
    place: int | None = None
    findings: tuple[FindingVerdict, ...] = ()

    @property
    def rationale(self) -> tuple[str, ...]:
        """All sentences, in the order in which they are read."""
        return (*self.flagged, *self.weighed, *self.to_do)


def predictions(words: Words) -> tuple[Prediction, ...]:
    """All predictions in the order in which they are read."""
    return tuple(_Predictions(words).all())


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
        one
        for one in assessment.must_not_miss
        if one.at_site and one.standing is Standing.OPEN and not one.condition.confidential
        if one.condition.id not in named
    ]
    if still_open:
        titles = [one.condition.title for one in sorted(still_open, key=_RANK)[:OPEN_CONDITIONS]]
        sentences.append(words.text("must_not_miss", conditions=words.joined(titles)))
    return tuple(sentences)


def urgency_from_conditions(words: Words) -> Iterator[str]:
    """Where no flag and no floor is as urgent as the whole: the conditions that made it so, by name where allowed."""
    assessment = words.assessment
    urgency = assessment.urgency
    elsewhere = [result.urgency for result in assessment.fired] + [floor.urgency for floor in assessment.floors]
    if urgency is None or urgency.rank > Urgency.WITHIN_2_WEEKS.rank or urgency in elsewhere:
        return
    asking = [one.condition for one in assessment.candidates if one.asks_for is urgency]
    titles = [one.title for one in asking if not one.confidential]
    if titles:
        yield words.text("reason.conditions", conditions=words.joined(titles))
    elif asking:
        yield words.text("reason.coded")


def public(lines: Iterable[LineVerdict]) -> list[LineVerdict]:
    """The lines that anybody may read, most urgent first."""
    found = [line for line in lines if not line.line.clinician_only]
    return sorted(found, key=lambda line: len(Urgency) if line.line.urgency is None else line.line.urgency.rank)


def is_urgent(line: LineVerdict) -> bool:
    """True for a line that asks for somebody today or now."""
    return line.line.urgency in (Urgency.EMERGENCY, Urgency.SAME_DAY)


class _Predictions:
    def __init__(self, words: Words) -> None:
        self._words = words
        self._assessment = words.assessment
        named = [one for one in self._assessment.candidates if not one.condition.confidential]
        self._named = named
        self._places = {one.condition.id: place for place, one in enumerate(named, 1)}

    def all(self) -> Iterator[Prediction]:
        done: set[str] = set()
        for prediction in self._dangers():
            if prediction.condition is not None:
                done.add(prediction.condition.id)
            yield prediction
        if self._assessment.ranking_withheld:
            return
        for candidate in self._named[:CANDIDATES]:
            if candidate.condition.id not in done:
                yield self._prediction(Role.CANDIDATE, candidate.condition, ())

    def _dangers(self) -> Iterator[Prediction]:
        """Fired flags, most urgent first, each with the condition that it shares with others; then supported ones."""
        spoken_for = _spoken_for(self._assessment)
        done: set[str] = set()
        for result in self._assessment.fired:
            fired = public(line for line in result.fired if line.line.urgency is not None)
            if not fired:
                continue
            condition = None if result.flag.confidential else spoken_for.get(result.flag.id)
            if condition is None:
                outcome = self._words.text(fired[0].line.text) if result.flag.confidential else result.flag.guards
                yield Prediction(Role.MUST_NOT_MISS, outcome, tuple(_flagged(self._words, [result])), flags=(result,))
            elif condition.id not in done:
                done.add(condition.id)
                flags = [one for one in self._assessment.fired if spoken_for.get(one.flag.id) is condition]
                yield self._prediction(Role.MUST_NOT_MISS, condition, flags)
        for one in self._assessment.must_not_miss:
            if one.standing is Standing.SUPPORTED and one.condition.id not in done and not one.condition.confidential:
                yield self._prediction(Role.MUST_NOT_MISS, one.condition, ())

    def _prediction(self, role: Role, condition: Condition, flags: Sequence[FlagResult]) -> Prediction:
        words = self._words
        place = None if self._assessment.ranking_withheld else self._places.get(condition.id)
        candidate = None if place is None else self._named[place - 1]
        findings = () if candidate is None else words.weighing.of(condition)
        weighed: tuple[str, ...] = ()
        if candidate is not None and place is not None:
            in_full = role is Role.MUST_NOT_MISS or place <= EXPLAINED
            weighed = tuple(_weighed(words, candidate, place, findings if in_full else (), said=_facts_of(flags)))
        return Prediction(
            role=role,
            outcome=flags[0].flag.guards if flags else condition.title,
            flagged=tuple(_flagged(words, flags)),
            weighed=((words.text("prediction.likeliest", text=condition.title),) if flags else ()) + weighed,
            to_do=tuple(_to_do(words, condition)),
            flags=tuple(flags),
            condition=condition,
            candidate=candidate,
            place=place,
            findings=findings,
        )


def _spoken_for(assessment: Assessment) -> dict[str, Condition]:
    """By fired flag, the likeliest condition that it guards against and that is at least as urgent as the flag."""
    urgencies = {result.flag.id: result.urgency for result in assessment.fired}
    if not urgencies:
        return {}
    likeliest: dict[str, MustNotMiss] = {}
    guarding = [one for one in assessment.must_not_miss if not urgencies.keys().isdisjoint(one.condition.guarded_by)]
    for one in sorted(guarding, key=_RANK):
        for flag in one.condition.guarded_by:
            urgency = urgencies.get(flag)
            if urgency is not None and one.condition.urgency.rank <= urgency.rank and not one.condition.confidential:
                likeliest.setdefault(flag, one)
    return {flag: one.condition for flag, one in likeliest.items()}


def _flagged(words: Words, flags: Iterable[FlagResult]) -> Iterator[str]:
    """One sentence per line that fired, most urgent first. An answer is named where it is first used, and once."""
    named: set[str] = set()
    for result in flags:
        for line in public(line for line in result.fired if line.line.urgency is not None):
            text = words.text(line.line.text)
            facts = [name for name in words.sayable(line.facts) if name not in named and not words.is_unknown(name)]
            named.update(facts)
            yield words.text("finding.fired", text=text, answers=words.answers(facts)) if facts else text
    for result in flags:
        for line in public(result.open):
            yield words.text("finding.open", text=words.text(line.line.text), answers=words.few(line.facts))


def _facts_of(flags: Iterable[FlagResult]) -> frozenset[str]:
    """The answers that the sentences of these flags name."""
    return frozenset(name for result in flags for line in public(result.fired) for name in line.facts)


def _weighed(
    words: Words, candidate: Candidate, place: int, findings: Sequence[FindingVerdict], *, said: frozenset[str]
) -> Iterator[str]:
    """Support and place, then what speaks for it, against it, and what is not known. `said`: not named once more."""
    yield words.text(f"prediction.{candidate.support.value}", rank=str(place))
    net = _net_weights(findings)
    background = said | _background(words)
    told = [one for one, weight in net.items() if weight and one not in background and not words.is_unknown(one)]
    speak_for = sorted([one for one in told if net[one] > 0], key=net.__getitem__, reverse=True)[:FOR]
    speak_against = sorted([one for one in told if net[one] < 0], key=net.__getitem__)[:AGAINST]
    if speak_for:
        yield words.text("prediction.for", answers=words.answers(speak_for))
    if speak_against:
        yield words.text("prediction.against", answers=words.answers(speak_against))
    questions = _unknown_questions(words, findings)
    if questions:
        yield words.text("prediction.unknown", questions=words.joined(questions))


def _background(words: Words) -> frozenset[str]:
    """Facts that every reader knows already: who it is, and where it hurts."""
    ranking = words.pack.content.ranking
    return frozenset() if ranking is None else frozenset(ranking.background)


def _net_weights(findings: Iterable[FindingVerdict]) -> dict[str, int]:
    """What each answer weighs altogether: one may speak for a condition and against it."""
    net: dict[str, int] = {}
    for verdict in findings:
        for name in verdict.facts:
            net[name] = net.get(name, 0) + verdict.weight
    return net


def _unknown_questions(words: Words, findings: Iterable[FindingVerdict]) -> list[str]:
    """Of the weightiest unknown findings, the items that they name themselves."""
    unknown = [one for one in findings if one.presence is Presence.UNKNOWN]
    unknown.sort(key=lambda one: -abs(one.finding.yes - one.finding.no))
    names: dict[str, None] = {}
    for one in unknown:
        names.update(dict.fromkeys(name for name in words.sayable(names_in(one.finding.when)) if name in one.facts))
        if len(names) >= UNKNOWN:
            break
    return [words.question(name) for name in list(names)[:UNKNOWN]]


def _to_do(words: Words, condition: Condition) -> Iterator[str]:
    """What must not reassure, and the next step unless something more urgent comes first (SR-14)."""
    assessment = words.assessment
    if condition.never_excluded_by:
        yield words.text("prediction.never_excluded", text=condition.never_excluded_by)
    if assessment.urgency is None or condition.urgency.rank > assessment.urgency.rank:
        return
    if condition.urgency is not Urgency.SELF_CARE or assessment.all_clear:
        hurries = condition.urgency.rank < assessment.urgency.rank
        yield words.text("prediction.if_so" if hurries else "prediction.next_step", text=condition.next_step)
