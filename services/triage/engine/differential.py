"""The differential: conditions in order of relative support, and those that must not be missed.

score = weight of how common the condition is at the site + weights of all findings. It ranks and does not diagnose.
It is computed after the red flags and cannot touch them: a candidate may raise the urgency, never lower it.

Weights of unknown key features count for the order in which candidates are shown, and so for which comes first; whether
a condition is supported is judged by an order without them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import add

from services.triage.engine.alike import Alike
from services.triage.engine.compile import Values
from services.triage.engine.conditions import RankingMethod
from services.triage.engine.model import Urgency
from services.triage.engine.moving import Moving
from services.triage.engine.ranking import HALF, MASK, OUT, TOTAL, Ranking, Sums, split
from services.triage.engine.results import Candidate, Panel, Support
from services.triage.engine.truth import NO


@dataclass(frozen=True, slots=True)
class Weights:
    """What all conditions weigh on one set of values, before any flag adds to it.

    `sums`: of the findings. `numbers`: the same with the prior, or `OUT`. `known`: without what is unknown.
    """

    sums: Sums
    numbers: list[int]
    known: list[int]


@dataclass(frozen=True, slots=True)
class Differential:
    """Ranked candidates and the must-not-miss panel."""

    candidates: tuple[Candidate, ...] = ()
    panel: Panel | None = None
    weights: Weights | None = None

    @property
    def supported(self) -> tuple[Candidate, ...]:
        """Those with moderate or strong support."""
        return tuple(one for one in self.candidates if one.support is not Support.WEAK)

    @property
    def urgency(self) -> Urgency | None:
        """The most urgent that a candidate asks for (`Candidate.asks_for`)."""
        found = [urgency for one in self.candidates if (urgency := one.asks_for) is not None]
        return min(found, key=lambda urgency: urgency.rank) if found else None

    @property
    def raises(self) -> tuple[str, ...]:
        """Names that supported conditions report."""
        return tuple(name for one in self.supported for name in one.condition.raises)


def rank(ranking: Ranking, values: Values, flags_fired: Collection[str], alike: Alike | None = None) -> Differential:
    """All conditions in order, the first `shown` of them as candidates. `flags_fired`: ids of flags.

    `alike`: knows what conditions weighed on other values; without it everything is weighed.
    """
    weights = _weights(ranking, values, ranking.weigh(values) if alike is None else alike.weigh(values))
    order, candidates = _ranked(ranking, weights, flags_fired)
    supported = {one.condition.id for one in candidates if one.support is not Support.WEAK}
    panel = Panel(
        conditions=ranking.conditions,
        urgent=ranking.must_not_miss,
        order=tuple(order),
        flagged=_guarded(ranking, flags_fired),
        supported=frozenset(supported),
        at_site=ranking.sites.of(values).occurring,
    )
    return Differential(candidates, panel, weights)


def rank_again(
    ranking: Ranking,
    moving: Moving,
    weights: Weights,
    values: Values,
    slots: Iterable[int],
    flags_fired: Collection[str],
) -> Differential:
    """The candidates alone, where only these slots hold other values than before, none of them a site.

    `weights`: those of the values before. Only findings that read a changed value are weighed again.
    """
    sums = moving.moved(weights.sums, values, slots)
    if sums is not weights.sums:
        weights = _weights(ranking, values, sums)
    return Differential(_ranked(ranking, weights, flags_fired)[1])


def _weights(ranking: Ranking, values: Values, sums: Sums) -> Weights:
    here = ranking.sites.of(values)
    numbers = list(map(add, sums.numbers, here.shifted))
    ratios = [((one + HALF) & MASK) - HALF for one in sums.numbers]
    known = list(map(add, ratios, here.priors))
    for place, when in ranking.only_when:
        if sums.truths[when] == NO:
            numbers[place] = OUT
    return Weights(sums, numbers, known)


def _ranked(
    ranking: Ranking, weights: Weights, flags_fired: Collection[str]
) -> tuple[Sequence[int], tuple[Candidate, ...]]:
    """The places of all conditions that are in the question, in order, and the first `shown` of them as candidates."""
    method, numbers, known = ranking.method, weights.numbers, weights.known
    guarded = _guarded(ranking, flags_fired)
    if guarded:
        numbers, known = numbers.copy(), known.copy()
        for place in guarded:
            numbers[place] += ranking.conditions[place].flagged << TOTAL
            known[place] += ranking.conditions[place].flagged
    order = sorted(range(len(numbers)), key=numbers.__getitem__, reverse=True)
    while order and numbers[order[-1]] < OUT // 2:
        order.pop()
    best = sorted(map(known.__getitem__, order), reverse=True)[: method.support_rank]
    return order, tuple(
        [
            _candidate(ranking, place, number, numbers[place], supported=_stands_out(method, known[place], best))
            for number, place in enumerate(order[: method.shown], 1)
        ]
    )


def _guarded(ranking: Ranking, flags_fired: Collection[str]) -> frozenset[int]:
    """The places of the conditions that these flags guard against."""
    return frozenset([place for flag in flags_fired for place in ranking.guarded.get(flag, ())])


def _stands_out(method: RankingMethod, known: int, best: Sequence[int]) -> bool:
    """True among the first by what is known, and close enough to the very first."""
    return known >= best[-1] and best[0] - known <= method.support_within


def _candidate(ranking: Ranking, place: int, number: int, weighed: int, *, supported: bool) -> Candidate:
    score, ratio = split(weighed)
    support = Support.WEAK
    if supported and ratio >= ranking.method.support_at_least:
        support = Support.STRONG if ratio >= ranking.method.strong_at_least else Support.MODERATE
    return Candidate(ranking.conditions[place], number, score, ratio, support)
