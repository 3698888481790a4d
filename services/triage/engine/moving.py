"""What conditions weigh after some values changed: only the findings that read these values are weighed again.

`ranking.py` weighs all findings of all conditions at once, which is fastest where everything is new. Both must agree;
tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from services.triage.engine.compile import Compiler, Test, Values
from services.triage.engine.conditions import Condition, ConditionFinding
from services.triage.engine.criteria import Criterion
from services.triage.engine.ranking import Ranking, Sums, number_of, strongest_of
from services.triage.engine.reads import Reads
from services.triage.engine.truth import SETS


@dataclass(frozen=True, slots=True)
class _Group:
    """Findings of one condition, by the numbers of their criteria, of which only the strongest counts."""

    place: int
    criteria: tuple[int, ...]
    strongest: Callable[[Sequence[int]], int]


class Moving:
    """The findings of all conditions by the slots that they read. `compiler`: knows their criteria."""

    def __init__(self, ranking: Ranking, compiler: Compiler, reads: Reads) -> None:
        number = {when: place for place, when in enumerate(ranking.criteria)}
        self._tests: tuple[Test, ...] = tuple(map(compiler.compile, ranking.criteria))
        self._reading = reads.by_slot([[when] for when in ranking.criteria])
        self._alone = _alone(ranking.conditions, number)
        self._groups = _groups(ranking.conditions, number)
        self._in_group: dict[int, list[int]] = {}
        for place, group in enumerate(self._groups):
            for criterion in group.criteria:
                self._in_group.setdefault(criterion, []).append(place)

    def moved(self, before: Sums, values: Values, slots: Iterable[int]) -> Sums:
        """What conditions weigh on these values. `slots`: at least those where they are other than before."""
        truths, tests = before.truths.copy(), self._tests
        changed = []
        for one in set[int]().union(*[self._reading.get(slot, ()) for slot in slots]):
            now = tests[one](values)
            if now != truths[one]:
                truths[one] = now
                changed.append(one)
        return Sums(self._numbers(before, truths, changed), truths) if changed else before

    def _numbers(self, before: Sums, truths: Sequence[int], changed: Iterable[int]) -> list[int]:
        numbers, were = before.numbers.copy(), before.truths
        groups = set()
        for one in changed:
            was, now = were[one], truths[one]
            for place, weighs in self._alone[one]:
                numbers[place] += weighs[now] - weighs[was]
            if one in self._in_group:
                groups.update(self._in_group[one])
        for number in groups:
            group = self._groups[number]
            was_all, now_all = [were[one] for one in group.criteria], [truths[one] for one in group.criteria]
            numbers[group.place] += group.strongest(now_all) - group.strongest(was_all)
        return numbers


def _alone(
    conditions: Sequence[Condition], number: dict[Criterion, int]
) -> list[tuple[tuple[int, tuple[int, ...]], ...]]:
    """By criterion: for each condition that has it as a finding by itself the place, and its numbers by truths."""
    tables: dict[tuple[int, ...], tuple[int, ...]] = {}
    weighs: list[list[tuple[int, tuple[int, ...]]]] = [[] for _ in number]
    for place, condition in enumerate(conditions):
        for finding in condition.findings:
            if finding.group is None:
                numbers = tuple(number_of(finding, truths) for truths in range(SETS))
                weighs[number[finding.when]].append((place, tables.setdefault(numbers, numbers)))
    return [tuple(one) for one in weighs]


def _groups(conditions: Sequence[Condition], number: dict[Criterion, int]) -> list[_Group]:
    groups: list[_Group] = []
    for place, condition in enumerate(conditions):
        by_name: dict[str, list[ConditionFinding]] = {}
        for finding in condition.findings:
            if finding.group is not None:
                by_name.setdefault(finding.group, []).append(finding)
        for findings in by_name.values():
            groups.append(_Group(place, tuple(number[one.when] for one in findings), strongest_of(findings)))
    return groups
