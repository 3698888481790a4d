"""The differential: conditions in order of relative support, and those that must not be missed.

score = weight of how common the condition is at the site + weights of all findings. It ranks and does not diagnose.
It is computed after the red flags and cannot touch them: a candidate may raise the urgency, never lower it.

Weights of unknown key features count for the order alone: they never decide whether a condition is supported, so
what was not asked can neither raise nor lower an urgency through them but by the order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from services.triage.engine.compile import Values
from services.triage.engine.conditions import Condition, RankingMethod
from services.triage.engine.deciding import Deciding
from services.triage.engine.model import Presence, Urgency
from services.triage.engine.ranking import CompiledCondition, Ranking
from services.triage.engine.results import Candidate, FindingVerdict, MustNotMiss, Standing, Support
from services.triage.engine.truth import NO, UNKNOWN, YES

_NO, _UNKNOWN, _YES = 0, 1, 2
_TRUTH = (NO, UNKNOWN, YES)
_PRESENCE = (Presence.ABSENT, Presence.UNKNOWN, Presence.PRESENT)
_KNOWN = tuple(_YES if truths & YES else _NO if truths == NO else _UNKNOWN for truths in range(16))


@dataclass(frozen=True, slots=True)
class Differential:
    """Ranked candidates and the must-not-miss panel."""

    candidates: tuple[Candidate, ...] = ()
    must_not_miss: tuple[MustNotMiss, ...] = ()

    @property
    def supported(self) -> tuple[Candidate, ...]:
        """Those with moderate or strong support."""
        return tuple(one for one in self.candidates if one.support is not Support.WEAK)

    @property
    def urgency(self) -> Urgency | None:
        """The most urgent of: the first candidate's, and that of every supported one that must not be missed."""
        ranks = [one.condition.urgency for one in self.candidates[:1]]
        ranks += [one.condition.urgency for one in self.supported if one.condition.must_not_miss]
        return min(ranks, key=lambda urgency: urgency.rank) if ranks else None

    @property
    def raises(self) -> tuple[str, ...]:
        """Names that supported conditions report."""
        return tuple(name for one in self.supported for name in one.condition.raises)


def rank(ranking: Ranking, values: Values, flags_fired: frozenset[str], deciding: Deciding) -> Differential:
    """All candidates in order, the first `shown` of them with what counted. `flags_fired`: ids of flags."""
    method = ranking.method
    known = [_KNOWN[test(values)] for test in ranking.tests]
    main = _sites(values[ranking.site_slot])
    others = _sites(values[ranking.other_sites_slot])
    scored = []
    for place, compiled in enumerate(ranking.conditions):
        if compiled.only_when is not None and compiled.only_when(values) == NO:
            continue
        condition = compiled.condition
        ratio, silent = _weigh(compiled, known)
        score = _prior(condition, main, others, method) + ratio + silent
        if condition.flagged and not flags_fired.isdisjoint(condition.guarded_by):
            score += condition.flagged
        scored.append((-score, place, ratio, condition))
    scored.sort()
    if not scored:
        return Differential()
    first = -scored[0][0]
    candidates = tuple(
        Candidate(
            condition=condition,
            rank=number,
            score=-negative,
            ratio=ratio,
            support=_support(method, number, first + negative, ratio),
            findings=tuple(_verdicts(condition, deciding)),
        )
        for number, (negative, _, ratio, condition) in enumerate(scored[: method.shown], 1)
    )
    supported = {one.condition.id for one in candidates if one.support is not Support.WEAK}
    panel = [
        MustNotMiss(condition, _standing(condition, flags_fired, supported), number)
        for number, (_, _, _, condition) in enumerate(scored, 1)
        if condition.must_not_miss
    ]
    panel.sort(key=lambda one: (one.standing.order, one.condition.urgency.rank, one.rank))
    return Differential(candidates, tuple(panel))


def _weigh(compiled: CompiledCondition, known: Sequence[int]) -> tuple[int, int]:
    """Weight of the known findings, and of the unknown key features."""
    ratio = silent = 0
    for place, weights in compiled.single:
        state = known[place]
        if state == _UNKNOWN:
            silent += weights[_UNKNOWN]
        else:
            ratio += weights[state]
    for group in compiled.groups:
        counted = [weights[known[place]] for place, weights in group if known[place] != _UNKNOWN]
        if counted:
            ratio += max(counted, key=abs)
        else:
            silent += min(weights[_UNKNOWN] for _, weights in group)
    return ratio, silent


def _sites(values: Sequence[Any]) -> frozenset[str]:
    """All codes of a choice under any reading; empty when it is unknown."""
    return frozenset(code for value in values if isinstance(value, frozenset) for code in value)


def _prior(condition: Condition, main: frozenset[str], others: frozenset[str], method: RankingMethod) -> int:
    prior, elsewhere = condition.prior, condition.prior_elsewhere
    found = [prior.get(site, elsewhere) for site in main]
    found += [prior.get(site, elsewhere) + method.other_site for site in others if site in prior]
    return max(found) if found else condition.prior_unknown


def _support(method: RankingMethod, number: int, behind: int, ratio: int) -> Support:
    if ratio < method.support_at_least or number > method.support_rank or behind > method.support_within:
        return Support.WEAK
    return Support.STRONG if ratio >= method.strong_at_least else Support.MODERATE


def _standing(condition: Condition, flags_fired: Collection[str], supported: Collection[str]) -> Standing:
    if any(flag in flags_fired for flag in condition.guarded_by):
        return Standing.FLAGGED
    return Standing.SUPPORTED if condition.id in supported else Standing.OPEN


def _verdicts(condition: Condition, deciding: Deciding) -> Iterator[FindingVerdict]:
    """What counted, with the answers behind it; findings that weigh nothing as they are known are left out."""
    for finding in condition.findings:
        state = _KNOWN[deciding.truths(finding.when)]
        weight = (finding.no, 0, finding.yes)[state]
        if state == _UNKNOWN and max(abs(finding.yes), abs(finding.no)) == 0:
            continue
        if state != _UNKNOWN and weight == 0:
            continue
        yield FindingVerdict(finding, _PRESENCE[state], weight, deciding.facts(finding.when, _TRUTH[state]))
