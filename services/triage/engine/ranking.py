"""The conditions of a pack made ready to be ranked: one function weighs them all (`generate.py`).

For each condition it gives one whole number, `total * 2**32 + ratio`: the weight of all findings, unknown key features
among them, and the weight of the known ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from services.triage.engine.compile import Slots, Values
from services.triage.engine.conditions import Condition, ConditionFinding, RankingMethod
from services.triage.engine.criteria import Criterion
from services.triage.engine.generate import Generator
from services.triage.engine.sites import Sites
from services.triage.engine.truth import NO, NOT_REACHED, SETS, UNKNOWN, YES

TOTAL = 32
"""By how many bits the total is shifted."""
OUT = -(1 << 62)
"""Of a condition that is known to be out of the question: less than any number of a candidate, whatever its prior."""
HALF, MASK = 1 << (TOTAL - 1), (1 << TOTAL) - 1
"""The ratio is `((number + HALF) & MASK) - HALF`."""
_KINDS = (NO, UNKNOWN, YES, NOT_REACHED)
_STATES = tuple(
    2 if truths & YES else 0 if truths == NO else 3 if truths & NOT_REACHED else 1 for truths in range(SETS)
)
_LARGEST_TABLE = 4
"""Groups of up to that many findings are looked up, larger ones are worked out."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What findings add up to. `numbers`: of all conditions, whether or not they are in the question.

    `truths`: of all criteria of the ranking.
    """

    numbers: list[int]
    truths: list[int]


@dataclass(frozen=True, slots=True)
class Ranking:
    """All conditions of a pack, ready to be ranked.

    `criteria`: of all findings, and those that say whether a condition is in the question, each once; `only_when`: the
    places of conditions that have one, with the number of that criterion. `function`: the numbers of all conditions,
    and after them the truths of all criteria.
    `guarded`: by flag, the places of the conditions that it guards against.
    """

    method: RankingMethod
    conditions: tuple[Condition, ...]
    sites: Sites
    criteria: tuple[Criterion, ...]
    only_when: tuple[tuple[int, int], ...]
    function: Callable[[Values], list[int]]
    must_not_miss: tuple[bool, ...]
    guarded: Mapping[str, tuple[int, ...]]

    def weigh(self, values: Values) -> Sums:
        """What all conditions weigh on these values, everything anew."""
        found, conditions = self.function(values), len(self.conditions)
        return Sums(found[:conditions], found[conditions:])


def compile_ranking(
    method: RankingMethod, conditions: Sequence[Condition], slots: Slots, generator: Generator
) -> Ranking:
    """Make the ranking fast. Raises KeyError for a fact that has no slot."""
    weighers = _Weighers(generator)
    criteria = tuple(dict.fromkeys(when for condition in conditions for when in criteria_of_condition(condition)))
    numbers = [weighers.expression(condition) for condition in conditions]
    function = generator.function([*numbers, *map(generator.truth, criteria)])
    return Ranking(
        method=method,
        conditions=tuple(conditions),
        sites=_sites(method, conditions, slots),
        criteria=criteria,
        only_when=tuple(
            (place, criteria.index(one.only_when)) for place, one in enumerate(conditions) if one.only_when is not None
        ),
        function=function,
        must_not_miss=tuple(one.must_not_miss for one in conditions),
        guarded={
            flag: tuple(place for place, one in enumerate(conditions) if flag in one.guarded_by)
            for flag in {flag for one in conditions for flag in one.guarded_by}
        },
    )


def _sites(method: RankingMethod, conditions: Sequence[Condition], slots: Slots) -> Sites:
    named = {site for condition in conditions for site in condition.prior}
    return Sites(
        main_slot=slots[method.site_fact],
        other_slot=None if method.other_sites_fact is None else slots[method.other_sites_fact],
        priors={site: tuple(one.prior.get(site, one.prior_elsewhere) for one in conditions) for site in named},
        elsewhere=tuple(one.prior_elsewhere for one in conditions),
        anywhere=tuple(one.prior_unknown for one in conditions),
        other_site=method.other_site,
        occurring={site: tuple(place for place, one in enumerate(conditions) if site in one.prior) for site in named},
        shift=TOTAL,
    )


def criteria_of_condition(condition: Condition) -> Iterator[Criterion]:
    """What is asked to rank a condition."""
    yield from (finding.when for finding in condition.findings)
    if condition.only_when is not None:
        yield condition.only_when


def weight_of(finding: ConditionFinding, truths: int) -> int | None:
    """What a finding weighs under these truths, yes under any reading first; None when it is unknown.

    Nothing when the question was not put to this person.
    """
    if truths & YES:
        return finding.yes
    if truths == NO:
        return finding.no
    return 0 if truths & NOT_REACHED else None


def number_of(finding: ConditionFinding, truths: int) -> int:
    """The number of a finding by itself under these truths."""
    return _number(weight_of(finding, truths), finding.unknown)


def split(number: int) -> tuple[int, int]:
    """The total, and the weight of the known findings."""
    total = (number + HALF) >> TOTAL
    return total, number - (total << TOTAL)


class _Weighers:
    """Writes the expression of a condition: a sum over findings by themselves, and over groups."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._tables: dict[tuple[int, ...], str] = {}

    def expression(self, condition: Condition) -> str:
        """The condition's number."""
        alone = [one for one in condition.findings if one.group is None]
        parts = [f"{self._table(one)}[{self._generator.truth(one.when)}]" for one in alone]
        for name in dict.fromkeys(one.group for one in condition.findings if one.group is not None):
            parts.append(self._group([one for one in condition.findings if one.group == name]))
        return "+".join(parts) or "0"

    def _table(self, finding: ConditionFinding) -> str:
        """A table from truths to the finding's number; made once for all findings that weigh the same."""
        return self._constant(tuple(number_of(finding, truths) for truths in range(SETS)))

    def _constant(self, table: tuple[int, ...]) -> str:
        if table not in self._tables:
            self._tables[table] = self._generator.constant(table)
        return self._tables[table]

    def _group(self, findings: Sequence[ConditionFinding]) -> str:
        """A look-up by the states of all findings, four for each, where that is small enough."""
        truths = [self._generator.truth(one.when) for one in findings]
        strongest = strongest_of(findings)
        if len(findings) > _LARGEST_TABLE:
            return f"{self._generator.constant(strongest)}(({','.join(truths)},))"
        table = tuple(strongest(states) for states in product(_KINDS, repeat=len(findings)))
        states = self._constant(_STATES)
        place = f"{states}[{truths[0]}]"
        for one in truths[1:]:
            place = f"({place})*4+{states}[{one}]"
        return f"{self._constant(table)}[{place}]"


def _number(weight: int | None, unknown: int) -> int:
    return unknown << TOTAL if weight is None else (weight << TOTAL) + weight


def strongest_of(findings: Sequence[ConditionFinding]) -> Callable[[Sequence[int]], int]:
    """The number of a group: its strongest known finding; if none is known, its most telling silence."""

    def number(truths: Sequence[int]) -> int:
        strongest: int | None = None
        silence = 0
        for finding, possible in zip(findings, truths, strict=True):
            weight = weight_of(finding, possible)
            if weight is None:
                silence = min(silence, finding.unknown)
            elif strongest is None or abs(weight) > abs(strongest):
                strongest = weight
        return _number(strongest, silence)

    return number
