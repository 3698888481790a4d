"""Published scores as intervals over what is unknown.

minimum: every unknown item at its least, maximum: at its most. known points: what is certain to count, so an
unknown item adds nothing, and a negative item counts only when it is surely there. Alarms use the known
points; a class is given only when minimum and maximum agree on it, so that the unknown can never reassure.

A patient's yes to a `proxy` item adds to the known points and to the maximum but does not raise the minimum,
and the no does not lower the maximum: only an examination settles the item. `clinician` items count only from
a clinician.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.triage.engine.compile import Compiler, Slots, Test, Values
from services.triage.engine.model import AnsweredBy, Respondent, ScoreClass, ScoreDefinition, ScoreItem
from services.triage.engine.results import ScoreResult
from services.triage.engine.truth import NO, UNKNOWN, YES

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class CompiledScore:
    """A score with its criteria compiled. `slot` is the place of its known points."""

    definition: ScoreDefinition
    slot: int
    items: tuple[tuple[ScoreItem, Test], ...]
    exclusions: tuple[tuple[str, Test], ...]
    not_computed: Test | None


def compile_score(definition: ScoreDefinition, slots: Slots, compiler: Compiler) -> CompiledScore:
    """Make the score fast. Raises KeyError for a fact that has no slot."""
    not_computed = definition.not_computed_when
    return CompiledScore(
        definition=definition,
        slot=slots[definition.known_points_fact],
        items=tuple((item, compiler.compile(item.when)) for item in definition.items),
        exclusions=tuple((e.text, compiler.compile(e.when)) for e in definition.exclusions),
        not_computed=None if not_computed is None else compiler.compile(not_computed),
    )


def compute(score: CompiledScore, values: Values, respondent: Respondent) -> ScoreResult:
    """The score of this patient. Points are None when it is known not to be made for this patient."""
    if score.not_computed is not None and score.not_computed(values) == YES:
        return ScoreResult(score.definition, None, None, None, None, (), ())
    minimum = maximum = known = _ZERO
    unknown_items = []
    for item, test in score.items:
        truths = _counted(test(values), item.answered_by, respondent)
        settled = truths if _settles(item.answered_by, respondent) else truths | UNKNOWN
        contributions = _contributions(settled, item.points)
        minimum += min(contributions)
        maximum += max(contributions)
        known += _known(truths, item.points)
        if len(contributions) > 1:
            unknown_items.append(item.id)
    exclusions = tuple(text for text, test in score.exclusions if test(values) & YES)
    return ScoreResult(
        definition=score.definition,
        minimum=minimum,
        maximum=maximum,
        known_points=known,
        score_class=None if exclusions else _common_class(score.definition.classes, minimum, maximum),
        unknown_items=tuple(unknown_items),
        exclusions=exclusions,
    )


def _counted(truths: int, answered_by: AnsweredBy, respondent: Respondent) -> int:
    if answered_by is AnsweredBy.CLINICIAN and respondent is not Respondent.CLINICIAN:
        return UNKNOWN
    return truths


def _settles(answered_by: AnsweredBy, respondent: Respondent) -> bool:
    return answered_by is AnsweredBy.PATIENT or respondent is Respondent.CLINICIAN


def _contributions(truths: int, points: Decimal) -> set[Decimal]:
    """Every number of points that the item may give."""
    if truths == YES:
        return {points}
    return {_ZERO} if truths == NO else {_ZERO, points}


def _known(truths: int, points: Decimal) -> Decimal:
    """Points that count for an alarm: added under any reading, taken away only under all."""
    counts = truths & YES if points > 0 else truths == YES
    return points if counts else _ZERO


def _common_class(classes: Sequence[ScoreClass], minimum: Decimal, maximum: Decimal) -> ScoreClass | None:
    """The class that both ends of the interval belong to, or None (indeterminate)."""
    for score_class in classes:
        if _within(score_class, minimum) and _within(score_class, maximum):
            return score_class
    return None


def _within(score_class: ScoreClass, points: Decimal) -> bool:
    above = score_class.at_least is None or points >= score_class.at_least
    return above and (score_class.at_most is None or points <= score_class.at_most)
