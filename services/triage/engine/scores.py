"""Published scores as intervals over what is unknown.

minimum: every unknown item at its least, maximum: at its most. known points: what is certain to count, so an
unknown item adds nothing, and a negative item counts only when it is surely there. Alarms use the known
points; a class is given only when minimum and maximum agree on it, so that the unknown can never reassure.

A patient's yes to a `proxy` item adds to the known points and to the maximum but does not raise the minimum,
and the no does not lower the maximum: only an examination settles the item. `clinician` items count only from
a clinician.

A reassuring class is withheld unless the score is known to apply, nothing that excludes the patient is open, and, for
a score that is for clinicians only, a clinician answered. An alarming class needs less: `reached` is the one to which
the least points lead, also when it is unknown whether the score applies. No class changes an urgency: that is done by
red flags, which read known points and findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple

from services.triage.engine.compile import Compiler, Test, Values
from services.triage.engine.criteria import Criterion
from services.triage.engine.keeping import keep
from services.triage.engine.model import (
    AnsweredBy,
    Exclusion,
    Presence,
    Respondent,
    ScoreClass,
    ScoreDefinition,
    Withholds,
)
from services.triage.engine.reads import Reads
from services.triage.engine.results import ScoreResult
from services.triage.engine.truth import NO, UNKNOWN, YES

_ZERO = Decimal(0)
_PATIENT, _PROXY = AnsweredBy.PATIENT, AnsweredBy.PROXY
_REMEMBERED: Final = 100
"""For how many different sets of values the result of one score is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class CompiledScore:
    """A score with its criteria compiled. `items`: id, test, points, whether they add, and whose answer settles it.

    `read`: from all values those that decide it. `known`: what came of these, and of whether a clinician answered.
    """

    definition: ScoreDefinition
    items: tuple[tuple[str, Test, Decimal, bool, AnsweredBy], ...]
    classes: tuple[tuple[ScoreClass, Test | None], ...]
    exclusions: tuple[tuple[Exclusion, Test], ...]
    applies: Test | None
    not_applicable: ScoreResult
    read: Callable[[Values], Any]
    known: dict[Any, ScoreResult] = field(init=False, repr=False, default_factory=dict)


def criteria_of_score(definition: ScoreDefinition) -> Iterator[Criterion]:
    """Every criterion of a score."""
    yield from (item.when for item in definition.items)
    yield from (exclusion.when for exclusion in definition.exclusions)
    yield from (one.when for one in definition.classes if one.when is not None)
    if definition.applies_when is not None:
        yield definition.applies_when


def compile_score(definition: ScoreDefinition, compiler: Compiler, reads: Reads) -> CompiledScore:
    """Make the score fast. Raises KeyError for a fact that has no slot."""
    entry = definition.applies_when
    return CompiledScore(
        definition=definition,
        items=tuple(
            (item.id, compiler.compile(item.when), item.points, item.points > 0, item.answered_by)
            for item in definition.items
        ),
        classes=tuple((one, None if one.when is None else compiler.compile(one.when)) for one in definition.classes),
        exclusions=tuple((exclusion, compiler.compile(exclusion.when)) for exclusion in definition.exclusions),
        applies=None if entry is None else compiler.compile(entry),
        not_applicable=ScoreResult(definition, Presence.ABSENT),
        read=reads.deciding(criteria_of_score(definition)),
    )


def known_points(score: CompiledScore, values: Values, respondent: Respondent) -> Decimal | None:
    """The points that count for an alarm; None when the score is known not to apply."""
    if score.applies is not None and score.applies(values) == NO:
        return None
    return _points(score, values, respondent is Respondent.CLINICIAN).known


def result_of(score: CompiledScore, values: Values, respondent: Respondent) -> ScoreResult:
    """The score of this patient (`compute`). The same values say the same once more."""
    key = (score.read(values), respondent is Respondent.CLINICIAN)
    result = score.known.get(key)
    if result is None:
        result = compute(score, values, respondent)
        keep(score.known, key, result, room=_REMEMBERED)
    return result


def compute(score: CompiledScore, values: Values, respondent: Respondent) -> ScoreResult:
    """The score of this patient. Points are None when it is known not to apply."""
    entry = YES if score.applies is None else score.applies(values)
    if entry == NO:
        return score.not_applicable
    examined = respondent is Respondent.CLINICIAN
    points = _points(score, values, examined)
    found = _class_of(score.classes, values, points)
    hit, withheld, unchecked = _exclusions(score, values)
    reassures = entry == YES and withheld is None and (examined or not score.definition.clinician_only)
    usable = found is not None and (reassures if found.reassures else entry == YES and withheld is not Withholds.CLASS)
    return ScoreResult(
        definition=score.definition,
        applies=Presence.PRESENT if entry == YES else Presence.UNKNOWN,
        minimum=points.minimum,
        maximum=points.maximum,
        known_points=points.known,
        score_class=found if usable else None,
        reached=None if withheld is Withholds.CLASS else _alarming(found or _at_least(score.classes, points.minimum)),
        points_class=found,
        unknown_items=points.unknown_items,
        exclusions=hit,
        unchecked=unchecked,
    )


class _Points(NamedTuple):
    minimum: Decimal
    maximum: Decimal
    known: Decimal
    unknown_items: tuple[str, ...]


def _points(score: CompiledScore, values: Values, examined: bool) -> _Points:
    """The interval. Known points: added under any reading of the answers, taken away only under all."""
    minimum = maximum = known = _ZERO
    unknown_items = []
    for item, test, points, adds, answered_by in score.items:
        if examined or answered_by is _PATIENT:
            truths = settled = test(values)
        elif answered_by is _PROXY:
            truths = test(values)
            settled = truths | UNKNOWN
        else:
            truths = settled = UNKNOWN
        if settled == NO:
            continue
        if settled == YES:
            minimum += points
            maximum += points
            known += points
            continue
        unknown_items.append(item)
        if adds:
            maximum += points
            known += points if truths & YES else _ZERO
        else:
            minimum += points
            known += points if truths == YES else _ZERO
    return _Points(minimum, maximum, known, tuple(unknown_items))


def _class_of(classes: Sequence[tuple[ScoreClass, Test | None]], values: Values, points: _Points) -> ScoreClass | None:
    """The class that holds at both ends of the interval, if no other class is possible; else None (indeterminate)."""
    certain: ScoreClass | None = None
    possible = None
    for one, test in classes:
        if not _overlaps(one, points.minimum, points.maximum):
            continue
        truths = YES if test is None else test(values)
        if truths == NO:
            continue
        if possible is not None and one.code != possible:
            return None
        possible = one.code
        if certain is None and truths == YES and _within(one, points.minimum) and _within(one, points.maximum):
            certain = one
    return certain


def _at_least(classes: Sequence[tuple[ScoreClass, Test | None]], minimum: Decimal) -> ScoreClass | None:
    """The class of the least points, among those that points alone decide."""
    for one, test in classes:
        if test is None and _within(one, minimum):
            return one
    return None


def _alarming(found: ScoreClass | None) -> ScoreClass | None:
    return None if found is None or found.reassures else found


def _within(score_class: ScoreClass, points: Decimal) -> bool:
    return _overlaps(score_class, points, points)


def _overlaps(score_class: ScoreClass, minimum: Decimal, maximum: Decimal) -> bool:
    above = score_class.at_least is None or maximum >= score_class.at_least
    return above and (score_class.at_most is None or minimum <= score_class.at_most)


def _exclusions(score: CompiledScore, values: Values) -> tuple[tuple[str, ...], Withholds | None, tuple[str, ...]]:
    """Texts of the exclusions that count, what they withhold together, and texts of those that nobody answered."""
    hit, unchecked = [], []
    withheld: Withholds | None = None
    for exclusion, test in score.exclusions:
        truths = test(values)
        if truths == NO:
            continue
        if not truths & YES and not exclusion.unknown_counts:
            unchecked.append(exclusion.text)
            continue
        hit.append(exclusion.text)
        if truths == YES and exclusion.withholds is Withholds.CLASS:
            withheld = Withholds.CLASS
        elif withheld is None:
            withheld = Withholds.REASSURANCE
    return tuple(hit), withheld, tuple(unchecked)
