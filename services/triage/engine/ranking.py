"""The conditions of a pack made ready to be ranked: each different criterion is compiled, and computed, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.triage.engine.compile import Compiler, Slots, Test
from services.triage.engine.conditions import Condition, ConditionFinding, RankingMethod
from services.triage.engine.criteria import Criterion


@dataclass(frozen=True, slots=True)
class CompiledCondition:
    """A condition with its criteria compiled. Tests are places in the list of all finding tests of the ranking.

    `single`: findings that count by themselves, `groups`: those of which only the strongest counts, each as (place,
    weights by no, unknown, yes).
    """

    condition: Condition
    only_when: Test | None
    single: tuple[tuple[int, tuple[int, int, int]], ...]
    groups: tuple[tuple[tuple[int, tuple[int, int, int]], ...], ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """All conditions of a pack, ready to be ranked. Each different criterion is computed once."""

    method: RankingMethod
    site_slot: int
    other_sites_slot: int
    tests: tuple[Test, ...]
    conditions: tuple[CompiledCondition, ...]


def compile_ranking(
    method: RankingMethod, conditions: Sequence[Condition], slots: Slots, compiler: Compiler
) -> Ranking:
    """Make the ranking fast. Raises KeyError for a fact that has no slot."""
    places: dict[Criterion, int] = {}
    tests: list[Test] = []

    def place_of(finding: ConditionFinding) -> int:
        if finding.when not in places:
            places[finding.when] = len(tests)
            tests.append(compiler.compile(finding.when))
        else:
            compiler.compile(finding.when)
        return places[finding.when]

    compiled = []
    for condition in conditions:
        weighed = [(one.group, (place_of(one), (one.no, one.unknown, one.yes))) for one in condition.findings]
        names = dict.fromkeys(group for group, _ in weighed if group is not None)
        compiled.append(
            CompiledCondition(
                condition=condition,
                only_when=None if condition.only_when is None else compiler.compile(condition.only_when),
                single=tuple(one for group, one in weighed if group is None),
                groups=tuple(tuple(one for group, one in weighed if group == name) for name in names),
            )
        )
    return Ranking(
        method=method,
        site_slot=slots[method.site_fact],
        other_sites_slot=slots[method.other_sites_fact],
        tests=tuple(tests),
        conditions=tuple(compiled),
    )
