"""What became of a submission, as steps with their times. Pure: from the resources that followed from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.intake.follow_up import FollowUp
from services.intake.quarantine_store import State as Examined
from services.intake.quarantine_store import Submission
from shared.fhir.codes import CS_URGENCY, REVIEW_TAG, Urgency
from shared.fhir.identity import instant
from shared.fhir.resources import Stored

OPEN = frozenset({"requested", "received", "on-hold"})
"""States of a Task in which nobody has it: a snoozed one comes back by itself."""
SET_ASIDE = frozenset({"snoozed", "restarted", "raised", "acknowledged", "over-budget"})
"""Why a message was not sent although it could have been: another one is, or will be."""
ALERT = "alert"


class State(StrEnum):
    """How far a step is."""

    PENDING = "pending"
    DONE = "done"
    NOT_NEEDED = "not-needed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `at` is a FHIR instant, `reference` names what shows it."""

    name: str
    state: State
    at: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The steps in their order.

    `silent`: services that did not answer: their steps may be further than shown. `cut`: types of which there is more
    than was read.
    """

    id: str
    steps: tuple[Step, ...]
    urgency: str | None
    silent: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()

    @property
    def is_final(self) -> bool:
        """True when nothing more will happen by itself."""
        return not self.silent and all(step.state is not State.PENDING for step in self.steps)

    def step(self, name: str) -> Step | None:
        """The step of that name."""
        return next((step for step in self.steps if step.name == name), None)


def of_response(first: Stored, current: Stored, status: str, followed: FollowUp) -> Timeline:
    """The life of an accepted response: `first` and `current` version, and the status of the current one."""
    here = f"QuestionnaireResponse/{current.id}/_history"
    assessment = _of_version(followed.of("RiskAssessment"), f"{here}/{current.version_id}")
    steps = [
        Step("received", State.DONE, instant(first.last_updated), f"{here}/{first.version_id}"),
        Step("validated", State.DONE, instant(current.last_updated), f"{here}/{current.version_id}"),
        _triaged(assessment),
        *_alert(assessment, followed),
    ]
    if status == "entered-in-error":
        taken_back = assessment is not None and assessment["status"] == "entered-in-error"
        done = _triaged(assessment)
        steps.append(Step("withdrawn", State.DONE if taken_back else State.PENDING, done.at, done.reference))
    return Timeline(current.id, tuple(steps), _urgency(assessment), tuple(followed.silent), tuple(followed.cut))


def of_refused(submission: Submission, followed: FollowUp) -> Timeline:
    """The life of a refused submission: it is examined for emergency answers, and no more."""
    received = instant(submission.received_at)
    assessment = next(iter(followed.of("RiskAssessment")), None)
    examined = Step("triaged", State.PENDING)
    if submission.state is not Examined.WAITING and submission.examined_at is not None:
        examined = Step("triaged", State.DONE, instant(submission.examined_at), _reference(assessment))
    calm = submission.state is Examined.NOT_URGENT
    steps = [
        Step("received", State.DONE, received),
        Step("validated", State.FAILED, received),
        Step("quarantined", State.DONE, received),
        examined,
        *(_not_needed() if calm else _alert(assessment, followed)),
    ]
    return Timeline(submission.id, tuple(steps), _urgency(assessment), tuple(followed.silent), tuple(followed.cut))


def _of_version(assessments: Sequence[Mapping[str, Any]], reference: str) -> Mapping[str, Any] | None:
    """The assessment that stands on this version of the response."""
    for assessment in assessments:
        if any(basis.get("reference") == reference for basis in assessment.get("basis", [])):
            return assessment
    return None


def _triaged(assessment: Mapping[str, Any] | None) -> Step:
    if assessment is None:
        return Step("triaged", State.PENDING)
    return Step("triaged", State.DONE, assessment["meta"]["lastUpdated"], _reference(assessment))


def _alert(assessment: Mapping[str, Any] | None, followed: FollowUp) -> Iterator[Step]:
    """Alerted, delivered, acknowledged."""
    task = max(followed.of("Task"), key=lambda one: str(one["authoredOn"]), default=None)
    if task is None:
        wanted = assessment is None or _alerts(assessment)
        if not wanted:
            yield from _not_needed()
            return
        yield from (Step(name, State.PENDING) for name in ("alerted", "delivered", "acknowledged"))
        return
    yield Step("alerted", State.DONE, task["authoredOn"], f"Task/{task['id']}")
    yield _delivered(task, followed)
    known_at = task.get("executionPeriod", {}).get("start")
    if known_at is not None:
        yield Step("acknowledged", State.DONE, known_at, _reference(task))
    else:
        yield Step("acknowledged", State.PENDING if task["status"] in OPEN else State.NOT_NEEDED)


def _delivered(task: Mapping[str, Any], followed: FollowUp) -> Step:
    messages = [
        one
        for one in followed.of("Communication")
        if {"reference": f"Task/{task['id']}"} in one.get("partOf", []) and _is_alert(one)
    ]
    sent = sorted((one["sent"], one["id"]) for one in messages if "sent" in one)
    if sent:
        return Step("delivered", State.DONE, sent[0][0], f"Communication/{sent[0][1]}")
    if task["status"] not in OPEN:
        return Step("delivered", State.NOT_NEEDED)
    given_up = bool(messages) and all(_is_given_up(one) for one in messages)
    return Step("delivered", State.FAILED if given_up else State.PENDING)


def _is_given_up(communication: Mapping[str, Any]) -> bool:
    codes = {coding.get("code") for coding in communication.get("statusReason", {}).get("coding", [])}
    return communication["status"] == "not-done" and not codes & SET_ASIDE


def _is_alert(communication: Mapping[str, Any]) -> bool:
    codings = [coding for one in communication.get("category", []) for coding in one.get("coding", [])]
    return any(coding.get("code") == ALERT for coding in codings)


def _not_needed() -> Iterator[Step]:
    yield from (Step(name, State.NOT_NEEDED) for name in ("alerted", "delivered", "acknowledged"))


def _alerts(assessment: Mapping[str, Any]) -> bool:
    """Whether it asks for an alert; a withdrawn one does not."""
    if assessment["status"] in ("entered-in-error", "cancelled"):
        return False
    return bool({*Urgency, REVIEW_TAG}.intersection(_tags(assessment)) & {"emergency", "same_day", REVIEW_TAG})


def _urgency(assessment: Mapping[str, Any] | None) -> str | None:
    return next((tag for tag in _tags(assessment or {}) if tag in list(Urgency)), None)


def _tags(assessment: Mapping[str, Any]) -> list[str]:
    given = assessment.get("meta", {}).get("tag", [])
    return [tag["code"] for tag in given if tag.get("system") == CS_URGENCY]


def _reference(resource: Mapping[str, Any] | None) -> str | None:
    if resource is None:
        return None
    return f"{resource['resourceType']}/{resource['id']}/_history/{resource['meta']['versionId']}"
