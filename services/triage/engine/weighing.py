"""Why a condition stands where it does: each finding with the answers behind it, worked out when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence

from services.triage.engine.conditions import Condition, ConditionFinding
from services.triage.engine.deciding import Deciding
from services.triage.engine.model import Presence
from services.triage.engine.pack import Pack
from services.triage.engine.ranking import weight_of
from services.triage.engine.results import Assessment, FindingVerdict
from services.triage.engine.safety import active_contradictions
from services.triage.engine.state import State
from services.triage.engine.truth import NO, UNKNOWN, YES


class Weighing:
    """The findings of conditions on the answers of one assessment. `state`: all values, every reading considered."""

    def __init__(self, pack: Pack, assessment: Assessment) -> None:
        self.state = State(pack, assessment.findings, assessment.scope)
        self.state.consider(active_contradictions(self.state))
        self._deciding = Deciding(self.state, self.state.of_what_was_asked())
        self._known: dict[str, tuple[FindingVerdict, ...]] = {}

    def of(self, condition: Condition) -> tuple[FindingVerdict, ...]:
        """Findings that counted, and those that are unknown and would; in the pack's order.

        Of a group that is the strongest known one, or all of them as long as none is known. The weights of those that
        counted add up to `Candidate.ratio`.
        """
        if condition.id not in self._known:
            counted = self._counted(condition.findings)
            verdicts = (self._verdict(one) for place, one in enumerate(condition.findings) if counted[place])
            self._known[condition.id] = tuple(verdict for verdict in verdicts if verdict is not None)
        return self._known[condition.id]

    def _counted(self, findings: Sequence[ConditionFinding]) -> list[bool]:
        """By place: False for a finding whose group has a stronger one that is known, or an earlier equal one."""
        strongest: dict[str, tuple[int, int]] = {}
        weights = [weight_of(one, self._deciding.truths(one.when)) for one in findings]
        for place, (one, weight) in enumerate(zip(findings, weights, strict=True)):
            if one.group is not None and weight is not None:
                best = strongest.get(one.group)
                if best is None or abs(weight) > best[0]:
                    strongest[one.group] = (abs(weight), place)
        return [one.group not in strongest or strongest[one.group][1] == place for place, one in enumerate(findings)]

    def _verdict(self, finding: ConditionFinding) -> FindingVerdict | None:
        truths = self._deciding.truths(finding.when)
        weight = weight_of(finding, truths)
        if weight is None:
            facts = self._deciding.facts(finding.when, UNKNOWN)
            return FindingVerdict(finding, Presence.UNKNOWN, 0, facts) if finding.yes or finding.no else None
        if weight == 0:
            return None
        present = bool(truths & YES)
        presence, truth = (Presence.PRESENT, YES) if present else (Presence.ABSENT, NO)
        return FindingVerdict(finding, presence, weight, self._deciding.facts(finding.when, truth))
