"""What people did, as elements of the FHIR Task: who has it, until when it rests, what became of it. Pure.

`owner` is a person with the id of the on-call document, where it names them, and always with a name in words.
`output` holds the outcome, `statusReason` the override reason, `restriction.period.end` the end of a snooze.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.notify.acts.actor import Actor
from services.notify.acts.outcomes import CS_OUTCOME, CS_OVERRIDE, Outcome, OverrideReason, display
from services.notify.task import CS_ALERT, Task
from shared.fhir.codes import SID_PERSON
from shared.fhir.identity import instant

OUTCOME_TYPE = {"coding": [{"system": CS_ALERT, "code": "outcome"}], "text": "Outcome"}


def owner_of(by: Actor) -> dict[str, Any]:
    """The person who acts, as Task.owner."""
    if by.person is None:
        return {"display": by.name}
    return {"type": "Practitioner", "identifier": {"system": SID_PERSON, "value": by.person}, "display": by.name}


def owned(task: Task, owner: Mapping[str, Any]) -> Task:
    """The Task with this owner."""
    return {**task, "owner": dict(owner)}


def resting(task: Task, until: datetime) -> Task:
    """Nobody is told until then."""
    return {**task, "restriction": {"period": {"end": instant(until)}}}


def resolved(task: Task, outcome: Outcome, reason: OverrideReason | None, words: str) -> Task:
    """What became of it, and why that is less than the urgency asks for. A reason coded by a client stays as it is."""
    coding = {"system": CS_OUTCOME, "code": outcome.value, "display": display(CS_OUTCOME, outcome)}
    closed = {**task, "output": [{"type": OUTCOME_TYPE, "valueCodeableConcept": {"coding": [coding]}}]}
    if reason is None or code_in(task.get("statusReason"), CS_OVERRIDE) == reason:
        return closed
    why = {"system": CS_OVERRIDE, "code": reason.value, "display": display(CS_OVERRIDE, reason)}
    return {**closed, "statusReason": {"coding": [why], "text": words or why["display"]}}


def code_in(concept: object, system: str) -> str | None:
    """The code of this system in a CodeableConcept, or None."""
    codings = concept.get("coding", []) if isinstance(concept, Mapping) else []
    return next((str(coding.get("code")) for coding in codings if coding.get("system") == system), None)
