"""What conditions weigh after a few values changed: only the findings that read these values are weighed again.

`ranking.py` weighs all findings of all conditions at once, which is fastest where everything is new. Both must agree;
tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.triage.engine.compile import Compiler, Test, Values
from services.triage.engine.conditions import Condition, ConditionFinding
from services.triage.engine.criteria import Criterion
from services.triage.engine.ranking import number_of, strongest_of
from services.triage.engine.reads import Reads
from services.triage.engine.truth import SETS


@dataclass(frozen=True, slots=True)
class _Alone:
    """One criterion, and for each condition that has it as a finding by itself the place and numbers by truths."""

    test: Test
    weighs: tuple[tuple[int, tuple[int, ...]], ...]

    def move(self, before: Values, values: Values, moved: dict[int, int]) -> None:
        """Add what it weighs more than before."""
        was, now = self.test(before), self.test(values)
        if was != now:
            for place, numbers in self.weighs:
                moved[place] = moved.get(place, 0) + numbers[now] - numbers[was]


@dataclass(frozen=True, slots=True)
class _Group:
    """Findings of one condition of which only the strongest counts."""

    tests: tuple[Test, ...]
    place: int
    strongest: Callable[[Sequence[int]], int]

    def move(self, before: Values, values: Values, moved: dict[int, int]) -> None:
        """Add what it weighs more than before."""
        was, now = [test(before) for test in self.tests], [test(values) for test in self.tests]
        if was != now:
            moved[self.place] = moved.get(self.place, 0) + self.strongest(now) - self.strongest(was)


_Part = _Alone | _Group


class Moving:
    """The findings of all conditions by the slots that they read. `compiler`: knows their criteria."""

    def __init__(self, conditions: Sequence[Condition], compiler: Compiler, reads: Reads) -> None:
        parts = [*_alone(conditions, compiler), *_groups(conditions, compiler)]
        self._parts = tuple(part for part, _ in parts)
        self._reading = reads.by_slot([criteria for _, criteria in parts])
        when = [one.only_when for one in conditions if one.only_when is not None]
        self._in_question = reads.by_slot([when])

    def moved(self, before: Values, values: Values, slots: Iterable[int]) -> Mapping[int, int] | None:
        """By place, what conditions weigh more than before, as numbers (`ranking.py`). `slots`: where values changed.

        None when one of the slots decides whether some condition is in the question at all.
        """
        numbers: dict[int, None] = {}
        for slot in slots:
            if slot in self._in_question:
                return None
            numbers.update(dict.fromkeys(self._reading.get(slot, ())))
        found: dict[int, int] = {}
        for number in numbers:
            self._parts[number].move(before, values, found)
        return found


def _alone(conditions: Sequence[Condition], compiler: Compiler) -> list[tuple[_Part, list[Criterion]]]:
    tables: dict[tuple[int, ...], tuple[int, ...]] = {}
    weighs: dict[Criterion, list[tuple[int, tuple[int, ...]]]] = {}
    for place, condition in enumerate(conditions):
        for finding in condition.findings:
            if finding.group is None:
                numbers = tuple(number_of(finding, truths) for truths in range(SETS))
                weighs.setdefault(finding.when, []).append((place, tables.setdefault(numbers, numbers)))
    return [(_Alone(compiler.compile(when), tuple(one)), [when]) for when, one in weighs.items()]


def _groups(conditions: Sequence[Condition], compiler: Compiler) -> list[tuple[_Part, list[Criterion]]]:
    parts: list[tuple[_Part, list[Criterion]]] = []
    for place, condition in enumerate(conditions):
        groups: dict[str, list[ConditionFinding]] = {}
        for finding in condition.findings:
            if finding.group is not None:
                groups.setdefault(finding.group, []).append(finding)
        for findings in groups.values():
            criteria = [one.when for one in findings]
            tests = tuple(map(compiler.compile, criteria))
            parts.append((_Group(tests, place, strongest_of(findings)), criteria))
    return parts
