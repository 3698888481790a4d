"""A timeline in words, for people who sent a submission: what was done, and what happens next. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from services.intake.timeline import State, Step, Timeline

NAMES = {
    "received": "Received",
    "validated": "Checked",
    "quarantined": "Kept for a safety check",
    "triaged": "Assessed",
    "alerted": "Alert opened",
    "delivered": "Somebody was told",
    "acknowledged": "A person knows",
    "withdrawn": "Withdrawn",
}
STATES = {
    State.DONE: ("✓", "done"),
    State.PENDING: ("…", "not yet"),
    State.NOT_NEEDED: ("–", "not needed"),
    State.FAILED: ("✗", "failed"),
}
REFUSED = {"validated": "refused", "triaged": "looked at for emergency answers"}
"""What a step of a refused submission is called instead, where it was taken."""


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One line of the page."""

    name: str
    state: str
    mark: str
    word: str
    at: str
    reference: str


@dataclass(frozen=True, slots=True)
class Shown:
    """The page. `refreshes`: more will happen by itself."""

    id: str
    title: str
    next: str
    steps: tuple[ShownStep, ...]
    silent: tuple[str, ...]
    refreshes: bool
    urgent: bool


def shown(timeline: Timeline) -> Shown:
    """The page of this timeline."""
    refused = timeline.step("quarantined") is not None
    return Shown(
        id=timeline.id,
        title="A refused submission" if refused else "A submission",
        next=" ".join(_next(timeline, refused=refused)),
        steps=tuple(_line(step, refused=refused) for step in timeline.steps),
        silent=timeline.silent,
        refreshes=not timeline.is_final,
        urgent=timeline.urgency == "emergency",
    )


def _line(step: Step, *, refused: bool) -> ShownStep:
    mark, word = STATES[step.state]
    if refused and step.state in (State.DONE, State.FAILED):
        word = REFUSED.get(step.name, word)
    return ShownStep(
        NAMES[step.name], step.state.value, mark, word, _clock(step.at) if step.at else "", step.reference or ""
    )


def _next(timeline: Timeline, *, refused: bool) -> Iterator[str]:
    """What happens next, in the order in which it happens."""
    states = {step.name: step.state for step in timeline.steps}
    if refused:
        yield "This was refused and is not stored as a response: correct it and send it again."
    if states.get("withdrawn") is not None:
        done = states["withdrawn"] is State.DONE
        yield "It was entered in error." + ("" if done else " Its assessment is being withdrawn.")
        yield "Whoever was told of an alert is told that it was withdrawn."
        return
    if states["triaged"] is State.PENDING:
        what = "It is being looked at for emergency answers" if refused else "It is being assessed"
        yield f"{what}; that takes seconds."
    elif states["alerted"] is State.NOT_NEEDED:
        yield _calm(refused=refused)
    elif states["alerted"] is State.PENDING:
        yield "It needs a clinician: an alert is being opened."
    elif states["acknowledged"] is State.DONE:
        yield "A clinician has seen the alert and decides what follows."
    elif states["acknowledged"] is State.NOT_NEEDED:
        yield "The alert is closed."
    elif states["delivered"] is State.FAILED:
        yield "No message has reached anybody. The alert stands on the worklist and is sent again. Call the clinicians."
    elif states["delivered"] is State.DONE:
        yield "Clinicians were told and are told again until one of them acknowledges."
    else:
        yield "Clinicians are being told."


def _calm(*, refused: bool) -> str:
    if refused:
        return "No emergency answer was found in it, as far as it can be read. Nobody was told."
    return "The assessment is ready to be read; it is not urgent enough to alert anybody."


def _clock(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
