"""Why a condition stands where it does: each finding with the answers behind it, worked out when somebody asks."""

from __future__ import annotations

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
    """The findings of conditions on the answers of one assessment."""

    def __init__(self, pack: Pack, assessment: Assessment) -> None:
        state = State(pack, assessment.findings, assessment.scope)
        state.consider(active_contradictions(state))
        self._deciding = Deciding(state)

    def of(self, condition: Condition) -> tuple[FindingVerdict, ...]:
        """Findings that counted, and those that are unknown and would; in the pack's order."""
        return tuple(verdict for verdict in map(self._verdict, condition.findings) if verdict is not None)

    def _verdict(self, finding: ConditionFinding) -> FindingVerdict | None:
        weight = weight_of(finding, self._deciding.truths(finding.when))
        if weight is None:
            facts = self._deciding.facts(finding.when, UNKNOWN)
            return FindingVerdict(finding, Presence.UNKNOWN, 0, facts) if finding.yes or finding.no else None
        if weight == 0:
            return None
        present = bool(self._deciding.truths(finding.when) & YES)
        presence, truth = (Presence.PRESENT, YES) if present else (Presence.ABSENT, NO)
        return FindingVerdict(finding, presence, weight, self._deciding.facts(finding.when, truth))
