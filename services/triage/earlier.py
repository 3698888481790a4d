"""SR-18: what was found urgent within the last 24 hours stays urgent until a clinician looks.

A form that a patient or carer fills in again, or amends, never lowers the urgency that the earlier answers had. The
earlier urgency is an argument of the evaluation (`store.earlier_urgency` finds it) and holds as a floor with a reason.
What ends it is a clinician's own answers, or that the earlier response was entered in error. An acknowledged alert does
not: it says that somebody knows, not that the danger has passed.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.triage.engine.model import Respondent, Urgency
from services.triage.engine.results import AppliedFloor, Assessment, FloorKind

WINDOW_H = 24
"""For how many hours an urgency is kept."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a later evaluation must know of this one.

    `patient` tells the patient from all others; None where nothing does. `urgency` is that of these answers alone, so
    that nothing is kept for longer than the window; None when there is none.
    """

    patient: str | None = None
    urgency: Urgency | None = None
    withdrawn: bool = False
    by_clinician: bool = False

    @property
    def waits_for_nothing(self) -> bool:
        """True when no earlier version of the same response could change what comes of this one.

        It is an emergency by its own answers, or it takes back all that was said.
        """
        return self.withdrawn or self.urgency == Urgency.EMERGENCY


def kept_floor(assessment: Assessment, earlier: Urgency | None) -> AppliedFloor | None:
    """The floor of a more urgent earlier assessment; None where there is none, or where a clinician answered now."""
    if earlier is None or answered_by_clinician(assessment):
        return None
    if assessment.urgency is not None and assessment.urgency.rank <= earlier.rank:
        return None
    return AppliedFloor(id="SR-18", kind=FloorKind.RULE, urgency=earlier, text="floor.earlier", facts=())


def answered_by_clinician(assessment: Assessment) -> bool:
    """True when a clinician filled in the form: the only answers that may lower an earlier urgency."""
    return assessment.findings.respondent is Respondent.CLINICIAN
