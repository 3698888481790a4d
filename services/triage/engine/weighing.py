"""Why a condition stands where it does: each finding with the answers behind it, worked out when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence

from services.triage.engine.compile import Values
from services.triage.engine.conditions import Condition
from services.triage.engine.deciding import Deciding
from services.triage.engine.model import Presence
from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment, FindingVerdict
from services.triage.engine.safety import active_contradictions
from services.triage.engine.scales import Scale, Weighed
from services.triage.engine.state import State


class Weighing:
    """The findings of conditions on the answers of one assessment. `state`: all values, every reading considered."""

    def __init__(self, pack: Pack, assessment: Assessment) -> None:
        self.state = assessment.state or _state(pack, assessment)
        self._scales = pack.scales
        self._deciding = Deciding(self.state, self.state.of_what_was_asked())
        self._truths = _truths(pack, assessment, self._deciding.values)
        self._known: dict[str, tuple[FindingVerdict, ...]] = {}

    def of(self, condition: Condition) -> tuple[FindingVerdict, ...]:
        """Findings that counted, and those that are unknown and would; in the pack's order.

        Of a group that is the strongest known one, or all of them as long as none is known. The weights of those that
        counted add up to `Candidate.ratio`.
        """
        known = self._known.get(condition.id)
        if known is None:
            weighed = self._scales.of(condition)
            known = self._known[condition.id] = tuple(self._verdicts(weighed, weighed.verdicts))
        return known

    def unknown_of(self, condition: Condition) -> Sequence[FindingVerdict]:
        """Of these findings those that are unknown: what nobody asks about is not looked for."""
        if condition.id in self._known:
            return [one for one in self._known[condition.id] if one.presence is Presence.UNKNOWN]
        weighed = self._scales.of(condition)
        return self._verdicts(weighed, weighed.open)

    def _verdicts(self, weighed: Weighed, wanted: Sequence[Sequence[FindingVerdict | None]]) -> list[FindingVerdict]:
        """`wanted`: by finding, the verdicts to be given by its truths."""
        truths = weighed.truths(self._truths)
        found = [
            (place, verdict)
            for place, (verdicts, possible) in enumerate(zip(wanted, truths, strict=True))
            if (verdict := verdicts[possible]) is not None
        ]
        counted = _strongest(weighed, truths) if weighed.grouped else {}
        verdicts = []
        for place, verdict in found:
            scale = weighed.scales[place]
            if scale.group is not None and counted.get(scale.group, place) != place:
                continue
            verdicts.append(verdict if scale.complete else self._explained(scale, verdict, scale.by[truths[place]]))
        return verdicts

    def _explained(self, scale: Scale, verdict: FindingVerdict, truth: int) -> FindingVerdict:
        """The verdict with the answers behind it. The same values say the same once more."""
        values = scale.read(self._deciding.values)
        explained = scale.known.get(values)
        if explained is None:
            facts = self._deciding.facts(scale.finding.when, truth)
            explained = FindingVerdict(verdict.finding, verdict.presence, verdict.weight, facts)
            scale.remember(values, explained)
        return explained


def _state(pack: Pack, assessment: Assessment) -> State:
    state = State(pack, assessment.findings, assessment.scope)
    state.consider(active_contradictions(state))
    return state


def _truths(pack: Pack, assessment: Assessment, values: Values) -> Sequence[int]:
    """Of all criteria of the ranking: those that it was made with, where it was."""
    if assessment.weights is not None:
        return assessment.weights.sums.truths
    return () if pack.ranking is None else pack.ranking.weigh(values).truths


def _strongest(weighed: Weighed, truths: Sequence[int]) -> dict[str | None, int]:
    """By group: the place of its strongest known finding, the earliest of equal ones; no group without a known one."""
    best: dict[str | None, int] = {}
    strengths: dict[str | None, int] = {}
    for place in weighed.grouped:
        scale = weighed.scales[place]
        strength = scale.strength[truths[place]]
        if strength is not None and strength > strengths.get(scale.group, -1):
            strengths[scale.group], best[scale.group] = strength, place
    return best
