"""What each finding of a condition says, made ready: a verdict for every set of truths that it may have.

Made when somebody first asks about the condition, and kept with the pack.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

from services.triage.engine.conditions import Condition, ConditionFinding
from services.triage.engine.criteria import Compare, Criterion, Fact, Not
from services.triage.engine.keeping import keep
from services.triage.engine.model import Presence
from services.triage.engine.ranking import weight_of
from services.triage.engine.reads import Reads
from services.triage.engine.results import FindingVerdict
from services.triage.engine.truth import NO, SETS, UNKNOWN, YES

_REMEMBERED: Final = 12
"""For how many different sets of values the verdict of one finding is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """One finding. By set of truths: how much it weighs either way, None while it is unknown, and its verdict.

    `group`: the number of its group, None outside groups. `by`: by which truth it is explained (YES, NO or UNKNOWN).
    `complete`: it asks of one answer, which is named in the verdicts; else the answers behind it are still to be found,
    and verdicts that name them are `known` by the values that they rest on (`read`, from all values).
    """

    finding: ConditionFinding
    group: str | None
    strength: tuple[int | None, ...]
    verdicts: tuple[FindingVerdict | None, ...]
    by: tuple[int, ...]
    complete: bool
    read: Callable[[Any], Any]
    known: dict[Any, FindingVerdict] = field(init=False, repr=False, default_factory=dict)

    def remember(self, values: Any, verdict: FindingVerdict) -> None:
        """Keep the verdict of these values (`read`)."""
        keep(self.known, values, verdict, room=_REMEMBERED)


@dataclass(frozen=True, slots=True)
class Weighed:
    """A condition: from the truths of all criteria of the ranking those of its findings, and their scales.

    In the pack's order.
    `verdicts`: of each finding by truths; `open`: only those that say that it is unknown. `grouped`: the places of
    findings in groups.
    """

    truths: Callable[[Sequence[int]], tuple[int, ...]]
    scales: tuple[Scale, ...]
    verdicts: tuple[tuple[FindingVerdict | None, ...], ...]
    open: tuple[tuple[FindingVerdict | None, ...], ...]
    grouped: tuple[int, ...]


class Scales:
    """The scales of one pack. `criteria`: those of its ranking; `base_facts`: names that are answers by themselves."""

    def __init__(self, criteria: Sequence[Criterion], base_facts: Collection[str], reads: Reads) -> None:
        self._reads = reads
        self._number = {when: number for number, when in enumerate(criteria)}
        self._base_facts = base_facts
        self._made: dict[str, Weighed] = {}

    def of(self, condition: Condition) -> Weighed:
        """The condition, made ready."""
        made = self._made.get(condition.id)
        if made is None:
            scales = tuple(self._scale(one) for one in condition.findings)
            made = self._made[condition.id] = Weighed(
                truths=_those([self._number[one.when] for one in condition.findings]),
                scales=scales,
                verdicts=tuple(scale.verdicts for scale in scales),
                open=tuple(tuple(map(_if_unknown, scale.verdicts)) for scale in scales),
                grouped=tuple(place for place, scale in enumerate(scales) if scale.group is not None),
            )
        return made

    def _scale(self, finding: ConditionFinding) -> Scale:
        when = finding.when.part if isinstance(finding.when, Not) else finding.when
        alone = isinstance(when, (Fact, Compare)) and when.name in self._base_facts
        facts = (when.name,) if isinstance(when, (Fact, Compare)) and alone else ()
        weights = [weight_of(finding, truths) for truths in range(SETS)]
        return Scale(
            finding=finding,
            group=finding.group,
            strength=tuple(None if weight is None else abs(weight) for weight in weights),
            verdicts=tuple(_verdict(finding, truths, facts) for truths in range(SETS)),
            by=tuple(
                UNKNOWN if weight is None else YES if truths & YES else NO for truths, weight in enumerate(weights)
            ),
            complete=alone,
            read=self._reads.getter([finding.when]),
        )


def _those(numbers: Sequence[int]) -> Callable[[Sequence[int]], tuple[int, ...]]:
    """From a sequence those at these places."""
    if len(numbers) > 1:
        return itemgetter(*numbers)
    return lambda truths: tuple([truths[number] for number in numbers])


def _verdict(finding: ConditionFinding, truths: int, facts: tuple[str, ...]) -> FindingVerdict | None:
    """None when the finding says nothing, and would say nothing."""
    weight = weight_of(finding, truths)
    if weight is None:
        return FindingVerdict(finding, Presence.UNKNOWN, 0, facts) if finding.yes or finding.no else None
    if weight == 0:
        return None
    return FindingVerdict(finding, Presence.PRESENT if truths & YES else Presence.ABSENT, weight, facts)


def _if_unknown(verdict: FindingVerdict | None) -> FindingVerdict | None:
    return verdict if verdict is not None and verdict.weight == 0 else None
