"""How often the result is right: the measures of one reading over a set of cases, each as a share with its interval.

Nothing here is a predictive value: a collection of cases is no sample of the people who ask for help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from deploy.local.evaluation.names import Names
from deploy.local.evaluation.run import Result
from shared.fhir.codes import Urgency

Z_95 = 1.959964
"""Standard normal quantile of a two-sided 95 % interval."""

BENIGN = (Urgency.ROUTINE, Urgency.SELF_CARE)
LESS_CERTAIN = frozenset({"sparse", "hard", "rare"})
"""Tags of cases that are hard to recognise, so that hits are reported with and without them."""


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` out of `total`."""

    hits: int
    total: int

    @property
    def rate(self) -> float | None:
        """0 to 1; None when there is nothing to count."""
        return self.hits / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson score interval, 95 % (Wilson, J Am Stat Assoc 1927;22:209-12)."""
        if not self.total:
            return None
        rate, spread = self.hits / self.total, Z_95 * Z_95 / self.total
        centre = (rate + spread / 2) / (1 + spread)
        half = Z_95 / (1 + spread) * sqrt(rate * (1 - rate) / self.total + spread / (4 * self.total))
        return max(0.0, centre - half), min(1.0, centre + half)


Judgement = Callable[[Result], bool]


@dataclass(frozen=True, slots=True)
class Judge:
    """Compares results with what the cases are labelled with."""

    names: Names

    def measures(self, results: Sequence[Result]) -> dict[str, Share]:
        """Every measure by its name, in the order in which they are reported."""
        emergencies = [one for one in results if one.case.gold.urgency is Urgency.EMERGENCY]
        dangerous = [one for one in results if one.case.gold.must_not_miss]
        benign = [one for one in results if one.case.gold.urgency in BENIGN]
        return {
            "emergency_within_acceptable": _share(emergencies, is_acceptable),
            "emergency_strict": _share(emergencies, lambda one: one.urgency is Urgency.EMERGENCY),
            "must_not_miss_sensitivity": _share(dangerous, lambda one: not is_under_triage(one)),
            "acceptable_urgency": _share(results, is_acceptable),
            "under_triage": _share(results, is_under_triage),
            "over_triage": _share(results, lambda one: tiers_over(one) > 0),
            "over_triage_2plus": _share(results, lambda one: tiers_over(one) > 1),
            "top1": _share(results, lambda one: self.hits(one, 1)),
            "top3": _share(results, lambda one: self.hits(one, 3)),
            "top5": _share(results, lambda one: self.hits(one, 5)),
            "red_flag_recall": _sum(flag_recall(one) for one in results),
            "benign_false_alarm": _share(benign, is_false_alarm),
            "score_exact": _sum(score_share(one) for one in results),
        }

    def hits(self, result: Result, first: int) -> bool:
        """True when one of the first names is the diagnosis or one that is accepted beside it."""
        return not self.wanted(result).isdisjoint(result.differential[:first])

    def wanted(self, result: Result) -> frozenset[str]:
        """Every name that counts as a hit."""
        gold = result.case.gold
        return frozenset(self.names.canonical(name) for name in (gold.diagnosis, *gold.acceptable))


def groups(results: Sequence[Result]) -> Mapping[str, Sequence[Result]]:
    """The parts of the collection that are reported by themselves; hard: tagged as sparse, hard or rare."""
    return {
        "published": [one for one in results if one.case.published],
        "constructed": [one for one in results if not one.case.published],
        "grade A": [one for one in results if one.case.grade_a],
        "plain": [one for one in results if not one.case.tags & LESS_CERTAIN],
        "hard": [one for one in results if one.case.tags & LESS_CERTAIN],
    }


def is_acceptable(result: Result) -> bool:
    """True when the urgency is one of those that count as right."""
    return result.urgency in result.case.gold.tiers


def is_under_triage(result: Result) -> bool:
    """True when the urgency is less than every one that counts as right."""
    return result.urgency.rank > max(tier.rank for tier in result.case.gold.tiers)


def is_false_alarm(result: Result) -> bool:
    """True when a flag of the two most urgent tiers fired on a case that can wait for weeks."""
    return result.case.gold.urgency in BENIGN and bool(result.alarms)


def tiers_over(result: Result) -> int:
    """By how many tiers the urgency is more than the most urgent one that counts as right; 0 when it is not."""
    return max(0, min(tier.rank for tier in result.case.gold.tiers) - result.urgency.rank)


def flag_recall(result: Result) -> Share:
    """Expected red flags that were raised."""
    expected = set(result.case.gold.expected_red_flags)
    return Share(len(expected & set(result.red_flags)), len(expected))


def wrong_scores(result: Result) -> Iterator[str]:
    """Scores that are missing, differ, or were settled although the record does not fix them."""
    expected = result.case.gold.expected_scores
    for name, value in expected.items():
        if name not in result.scores or result.scores[name] != value:
            yield f"{name}: expected {value}, came {result.scores.get(name, 'no exact score')}"
    for name, value in result.scores.items():
        if name not in expected and name not in result.fixed:
            yield f"{name}: {value} was given, although the record does not fix it"


def score_share(result: Result) -> Share:
    """Scores that are right, out of those that are expected or were given without being fixed."""
    expected = result.case.gold.expected_scores
    unfixed = [name for name in result.scores if name not in expected and name not in result.fixed]
    total = len(expected) + len(unfixed)
    return Share(total - len(list(wrong_scores(result))), total)


def _share(results: Sequence[Result], judgement: Judgement) -> Share:
    return Share(sum(map(judgement, results)), len(results))


def _sum(shares: Iterable[Share]) -> Share:
    hits = total = 0
    for one in shares:
        hits, total = hits + one.hits, total + one.total
    return Share(hits, total)
