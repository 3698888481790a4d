"""What became of an alert, and why an urgency was not followed: codes, words, and which need which. Pure.

The displays are those of the CodeSystems `alert-outcome` and `override-reason` (shared/fhir/code_systems.toml).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from services.notify.alert import State
from shared.fhir.codes import CANONICAL, Urgency
from shared.fhir.terminology import listed_concepts
from shared.problems import Category, Problem

CS_OUTCOME = f"{CANONICAL}/CodeSystem/alert-outcome"
CS_OVERRIDE = f"{CANONICAL}/CodeSystem/override-reason"


class Outcome(StrEnum):
    """What became of the patient, or of the alert."""

    SEEN = "seen-and-treated"
    REFERRED = "referred-emergency"
    APPOINTMENT = "appointment-made"
    NO_ACTION = "patient-reached-no-action"
    NOT_REACHED = "patient-not-reached"
    DUPLICATE = "duplicate"
    FALSE_ALARM = "false-alarm"
    IN_ERROR = "entered-in-error"

    @property
    def state(self) -> State:
        """The state in which it closes an alert: completed when somebody cared for the patient, else rejected."""
        rejected = self in (Outcome.DUPLICATE, Outcome.FALSE_ALARM, Outcome.IN_ERROR)
        return State.REJECTED if rejected else State.COMPLETED


class OverrideReason(StrEnum):
    """Why a clinician did less than the urgency asks for."""

    KNOWN = "already-known"
    OTHER_CAUSE = "different-cause-found"
    ANSWERS_WRONG = "answers-wrong"
    DECLINED = "patient-declined"
    LOW_RISK = "low-risk-after-examination"
    OTHER = "other-with-text"


BELOW: Mapping[Outcome, frozenset[Urgency]] = {
    Outcome.APPOINTMENT: frozenset({Urgency.EMERGENCY}),
    Outcome.NO_ACTION: frozenset({Urgency.EMERGENCY, Urgency.SAME_DAY}),
    Outcome.FALSE_ALARM: frozenset({Urgency.EMERGENCY, Urgency.SAME_DAY}),
}
"""Outcomes that are less than what these urgencies ask for."""


def needs_reason(outcome: Outcome, urgency: Urgency) -> bool:
    """Whether this outcome of an alert of this urgency needs an override reason."""
    return urgency in BELOW.get(outcome, ())


def outcome_refusal(outcome: Outcome, urgency: Urgency, reason: OverrideReason | None, note: str) -> Problem | None:
    """What is missing to close an alert of this urgency like this; None when nothing is."""
    if reason is None and needs_reason(outcome, urgency):
        message = (
            f"This outcome is less than the urgency asks for. Give an override reason: {', '.join(OverrideReason)}."
        )
        return _problem("override-reason", message, "Task.statusReason")
    if reason is OverrideReason.OTHER and not note:
        return _problem(
            "override-reason", f"The override reason is {reason}. Say in words why.", "Task.statusReason.text"
        )
    if outcome is Outcome.NOT_REACHED and not note:
        return _problem("outcome", "The patient was not reached. Say what was tried, and who goes on.", "Task.note")
    return None


def unknown_outcome() -> Problem:
    """The outcome is missing, or none that we have."""
    return _problem("outcome", f"Say what became of it, with one of: {', '.join(Outcome)}.", "Task.output")


def unknown_reason() -> Problem:
    """The override reason is none that we have."""
    message = f"This override reason is not known. Give one of: {', '.join(OverrideReason)}."
    return _problem("override-reason", message, "Task.statusReason")


def _problem(code: str, message: str, expression: str) -> Problem:
    return Problem(Category.UNPROCESSABLE, code, message, expression=expression, issue_code="business-rule")


def choices(system: str) -> list[tuple[str, str, str]]:
    """The codes of one of the two CodeSystems in their order, for a page: code, display, definition."""
    _, _, concepts = listed_concepts()[system.rpartition("/")[2]]
    return [(concept.code, concept.display, concept.definition) for concept in concepts]


def display(system: str, code: str) -> str:
    """A code in words; the code itself where we do not have it."""
    return next((words for listed, words, _ in choices(system) if listed == code), code)
