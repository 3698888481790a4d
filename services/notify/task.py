"""The FHIR Task that stands for an alert (R4 task.html): built and changed as plain structures, pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.notify.alert import State
from services.notify.assessment import Assessment, Refused
from shared.fhir.codes import (
    CANONICAL,
    CS_URGENCY,
    PRIORITY,
    PROFILES,
    SID_ALERT,
    SID_ASSESSMENT,
    SID_REFUSED,
    SID_RESPONSE,
    Urgency,
)
from shared.fhir.identity import instant

CS_ALERT = f"{CANONICAL}/CodeSystem/alert"

SNOOZE_OVER = "The snooze is over and nobody acknowledged: the alert is open again and starts over."

Task = dict[str, Any]


def new_task(alert_id: UUID, assessment: Assessment, now: datetime) -> Task:
    """The Task of an alert that was just opened, still without version and step."""
    task: Task = {
        "resourceType": "Task",
        "id": str(alert_id),
        "identifier": [{"system": SID_ALERT, "value": str(alert_id)}],
        "status": State.REQUESTED.value,
        "intent": "order",
        "code": {
            "coding": [{"system": CS_ALERT, "code": "acknowledge", "display": "Acknowledge an urgent assessment"}]
        },
        "authoredOn": instant(now),
    }
    if assessment.subject is not None:
        task["for"] = dict(assessment.subject)
    if assessment.refused is not None:
        task["description"] = refused_words(assessment.refused)
        task = with_note(task, refused_words(assessment.refused), now)
    return with_focus(with_assessment(task, assessment), assessment)


def with_assessment(task: Task, assessment: Assessment) -> Task:
    """Findable by this assessment and by the response it came from."""
    wanted = [{"system": SID_ASSESSMENT, "value": assessment.ref.id}]
    if assessment.refused is not None:
        wanted.append({"system": SID_REFUSED, "value": assessment.refused.id})
    if assessment.response_id:
        wanted.append({"system": SID_RESPONSE, "value": assessment.response_id})
    held = task["identifier"]
    return {**task, "identifier": [*held, *(identifier for identifier in wanted if identifier not in held)]}


def with_focus(task: Task, assessment: Assessment) -> Task:
    """This assessment is the one that matters most now; priority and tag are those of its urgency."""
    meta = {"profile": [PROFILES["Task"]], "tag": [{"system": CS_URGENCY, "code": assessment.urgency.value}]}
    priority = PRIORITY[assessment.urgency]
    return {**task, "meta": meta, "priority": priority, "focus": {"reference": assessment.reference}}


def with_patient(task: Task, assessment: Assessment) -> Task:
    """The refused submission was corrected: now it is known whose it is, and it is no riddle any more."""
    named = {**task, "for": dict(assessment.subject or {})}
    named.pop("description", None)
    return named


def withdrawn(task: Task) -> Task:
    """Closed by the system, as nothing stands behind it any more."""
    reason = {"coding": [{"system": CS_ALERT, "code": "withdrawn"}], "text": "Entered in error"}
    return {**task, "status": State.CANCELLED.value, "statusReason": reason}


def with_step(task: Task, *, step: int, due_at: datetime) -> Task:
    """A step began; it asks for acknowledgement until `due_at`."""
    return {
        **task,
        "businessStatus": {"text": f"step {step}"},
        "restriction": {"period": {"end": instant(due_at)}},
    }


def with_note(task: Task, text: str, now: datetime, *, by: str = "Sural") -> Task:
    """One more note, by this system or by a person."""
    return {**task, "note": [*task.get("note", []), {"authorString": by, "time": instant(now), "text": text}]}


def with_state(task: Task, state: State) -> Task:
    """In another state."""
    return {**task, "status": state.value}


def with_period(task: Task, *, start: datetime | None, end: datetime | None) -> Task:
    """Since when a person knows of it, and when it was closed."""
    times = {name: instant(moment) for name, moment in (("start", start), ("end", end)) if moment is not None}
    return {**_without(task, "executionPeriod"), **({"executionPeriod": times} if times else {})}


def reopened(task: Task) -> Task:
    """Open again after a snooze: nobody has it, and nothing says why it rests."""
    return {**_without(task, "owner", "statusReason"), "status": State.REQUESTED.value}


def stamped(task: Task, *, version: int, now: datetime) -> Task:
    """The next version, ready to be stored."""
    meta = {**task["meta"], "versionId": str(version), "lastUpdated": instant(now)}
    return {**task, "meta": meta, "lastModified": instant(now)}


def joined_note(assessment: Assessment) -> str:
    """Says that a further assessment belongs to this alert."""
    return f"{_version(assessment)} ({_word(assessment.urgency)}) joined this alert. Nobody was told again."


def woken_note(assessment: Assessment) -> str:
    """Says that a further assessment ended the snooze."""
    return (
        f"{_version(assessment)} ({_word(assessment.urgency)}) joined this alert and ended its snooze: it starts over."
    )


def raised_note(assessment: Assessment) -> str:
    """Says that the alert became more urgent."""
    return f"{_version(assessment)} is more urgent: the alert is now {_word(assessment.urgency)} and starts over."


def changed_note(assessment: Assessment) -> str:
    """Says that the newest version is less urgent. It closes nothing."""
    if assessment.urgency.alerts:
        return f"{_version(assessment)} is less urgent now ({_word(assessment.urgency)}). The alert stays as it is."
    return f"{_version(assessment)} is no longer urgent. The alert stays open until a person closes it."


def withdrawn_note(assessment: Assessment, *, others_stand: bool, was_closed: bool) -> str:
    """Says that the response behind an assessment was entered in error, and what follows."""
    follows = "The alert was closed before."
    if not was_closed:
        follows = (
            "Other assessments stand: the alert stays." if others_stand else "Nothing else stands: it is cancelled."
        )
    return f"{_version(assessment)} was withdrawn: entered in error. {follows}"


def refused_words(refused: Refused) -> str:
    """What a refused submission is, in one sentence without health data."""
    return (
        f"A submission that was refused looks urgent. It was sent by {refused.client} and received on "
        f"{refused.received_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC. Reach the patient, or else the sender, now."
    )


def _without(task: Task, *names: str) -> Task:
    return {name: value for name, value in task.items() if name not in names}


def _version(assessment: Assessment) -> str:
    return f"{assessment.reference}/_history/{assessment.ref.version}"


def _word(urgency: Urgency) -> str:
    return {Urgency.EMERGENCY: "an emergency", Urgency.SAME_DAY: "same-day"}.get(urgency, urgency.value)
