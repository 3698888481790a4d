"""What a FHIR client changed on the Task of an alert, read as what a person did. Pure.

A client may change status, statusReason, owner, output, restriction (with on-hold) and add notes. One update is one
act: accepted acknowledges, in-progress starts, on-hold snoozes until restriction.period.end, completed, rejected and
cancelled close with the outcome in output. Another owner and no other status hands over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.notify.acts.actor import NAME_LENGTH, Actor
from services.notify.acts.as_task import code_in
from services.notify.acts.outcomes import CS_OUTCOME, CS_OVERRIDE, unknown_outcome
from services.notify.alert import BY_PERSON, LEADS_TO, Act, State, act_between
from services.notify.task import CS_ALERT, Task
from shared.fhir.codes import SID_PERSON, SID_TEAM
from shared.problems import Category, Problem, ProblemError

MAY_CHANGE = ("status", "statusReason", "owner", "note", "output", "restriction")
SERVER_WRITES = ("meta", "text", "lastModified")
"""Ignored when they come back: the server writes them anew."""

PERSONS = {"Practitioner", "PractitionerRole"}
_TYPED = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?$")


@dataclass(frozen=True, slots=True)
class TaskChange:
    """What was done. `act` None: only words were added. `to`: the state that the client asks for.

    `owner`: the owner that was sent, where it is another one. `by`: who does it, as far as the Task says.
    """

    act: Act | None
    to: State
    owner: Mapping[str, Any] | None
    by: Actor | None
    reason: Mapping[str, Any] | None
    notes: Sequence[Mapping[str, Any]]
    until: datetime | None = None
    outcome: str | None = None

    @property
    def is_empty(self) -> bool:
        """True when the client sent the Task back as it was."""
        return self.act is None and self.owner is None and self.reason is None and not self.notes

    @property
    def override_reason(self) -> str | None:
        """The coded reason why less was done than the urgency asks for."""
        return code_in(self.reason, CS_OVERRIDE)

    @property
    def words(self) -> str:
        """What the client said in words, as reason or in new notes."""
        said = [(self.reason or {}).get("text"), *(note.get("text") for note in self.notes)]
        return " ".join(str(text) for text in said if text)

    def noted_on(self, held: Task) -> Task:
        """The Task with the reason and the notes of the client."""
        changed: Task = {**held, "note": [*held.get("note", []), *self.notes]} if self.notes else dict(held)
        return changed | ({"statusReason": dict(self.reason)} if self.reason is not None else {})


def read_change(held: Task, sent: Mapping[str, Any], *, state: State) -> TaskChange:
    """Compare what was sent with what is held. Raises ProblemError with everything that is not allowed."""
    act = _act(held, sent, state)
    problems = [*_fixed(held, sent), *_status_problems(sent, state), *_owner_problems(held, sent, act)]
    notes, before = sent.get("note", []), held.get("note", [])
    if notes[: len(before)] != before:
        problems.append(_problem("Notes may be added after those that are there, not changed or left out.", "note"))
    problems += [*_restriction_problems(held, sent, act), *_output_problems(held, sent, act)]
    if problems:
        raise ProblemError(problems)
    owner, reason = sent.get("owner"), sent.get("statusReason")
    new_owner = owner if owner != held.get("owner") else None
    by = held.get("owner") if act is Act.HAND_OVER else owner or held.get("owner")
    return TaskChange(
        act=act,
        to=State(sent["status"]),
        owner=new_owner,
        by=_actor(by),
        reason=reason if reason != held.get("statusReason") else None,
        notes=notes[len(before) :],
        until=_end(sent) if act is Act.SNOOZE else None,
        outcome=_outcome(sent) if act is Act.RESOLVE else None,
    )


def _act(held: Task, sent: Mapping[str, Any], state: State) -> Act | None:
    """What the person does, or None: nothing, or nothing that is possible."""
    if sent.get("status") == state:
        return Act.HAND_OVER if _someone_else(held, sent) and Act.HAND_OVER in BY_PERSON[state] else None
    wanted = sent.get("status")
    return act_between(state, State(wanted)) if wanted in list(State) else None


def _someone_else(held: Task, sent: Mapping[str, Any]) -> bool:
    """Whether another owner is named, and not the same one in other words."""
    owner = sent.get("owner") or {}
    return owner != held.get("owner", {}) and name_of(owner) != name_of(held.get("owner") or {})


def _fixed(held: Task, sent: Mapping[str, Any]) -> list[Problem]:
    names = sorted((held.keys() | sent.keys()) - {*MAY_CHANGE, *SERVER_WRITES})
    return [
        _problem(f"Task.{name} differs from what is stored. Only {', '.join(MAY_CHANGE)} may change.", name)
        for name in names
        if held.get(name) != sent.get(name)
    ]


def _status_problems(sent: Mapping[str, Any], state: State) -> list[Problem]:
    wanted = sent.get("status")
    if wanted == state:
        return []
    allowed = sorted(end for act in BY_PERSON[state] for end in LEADS_TO[act])
    if wanted not in allowed:
        nexts = f"It may become: {', '.join(allowed)}." if allowed else "It is closed and stays as it is."
        return [_problem(f"A Task that is '{state}' cannot become '{str(wanted)[:20]}'. {nexts}", "status")]
    if wanted == State.REJECTED and not sent.get("statusReason"):
        return [_problem("Say why it is rejected: statusReason.text.", "statusReason")]
    return []


def _owner_problems(held: Task, sent: Mapping[str, Any], act: Act | None) -> list[Problem]:
    """Only a person can know of an alert: no device, patient or organisation acknowledges. A team may be handed one."""
    owner = sent.get("owner") or {}
    if act in (Act.ACKNOWLEDGE, Act.SNOOZE, Act.START) and name_of(owner) is None:
        return [_problem("Say who does this: owner.display, owner.reference or owner.identifier.", "owner")]
    if act is Act.HAND_OVER and name_of(owner) is None:
        return [_problem("Say to whom it is handed over: owner.identifier or owner.display.", "owner")]
    if act is None and owner == held.get("owner", {}):
        return []
    typed = _TYPED.search(str(owner.get("reference", "")))
    by_number = "CareTeam" if owner.get("identifier", {}).get("system") == SID_TEAM else None
    stated = {typed[1] if typed else None, owner.get("type"), by_number} - {None}
    if stated <= PERSONS | ({"CareTeam"} if act is Act.HAND_OVER else set()):
        return []
    return [_problem("The owner must be a person: a Practitioner, a PractitionerRole, or just a name.", "owner")]


def _restriction_problems(held: Task, sent: Mapping[str, Any], act: Act | None) -> list[Problem]:
    if act is Act.SNOOZE:
        if _end(sent) is None:
            return [
                _problem(
                    "Say until when nobody is told: restriction.period.end, date and time with a time zone.",
                    "restriction.period.end",
                )
            ]
        return []
    if held.get("restriction") == sent.get("restriction"):
        return []
    return [
        _problem("restriction changes only together with status on-hold: it is the end of a snooze.", "restriction")
    ]


def _output_problems(held: Task, sent: Mapping[str, Any], act: Act | None) -> list[Problem]:
    if act is Act.RESOLVE:
        return [] if _outcome(sent) is not None else [unknown_outcome()]
    if held.get("output") == sent.get("output"):
        return []
    return [_problem("output is given together with the status that closes: completed, rejected, cancelled.", "output")]


def _end(sent: Mapping[str, Any]) -> datetime | None:
    """The end of the snooze; None without one, or when it is no moment (a date, or a time without zone)."""
    try:
        end = datetime.fromisoformat(sent["restriction"]["period"]["end"])
    except (KeyError, TypeError, ValueError):
        return None
    return end if end.tzinfo is not None else None


def _outcome(sent: Mapping[str, Any]) -> str | None:
    """The code of the one output that is an outcome of ours, or None."""
    outputs = sent.get("output", [])
    typed = [one for one in outputs if code_in(one.get("type"), CS_ALERT) == "outcome"]
    if len(outputs) != 1 or not typed:
        return None
    return code_in(typed[0].get("valueCodeableConcept"), CS_OUTCOME)


def _actor(owner: object) -> Actor | None:
    """The person that an owner names."""
    if not isinstance(owner, Mapping) or (name := name_of(owner)) is None:
        return None
    identifier = owner.get("identifier", {})
    person = identifier.get("value") if identifier.get("system") == SID_PERSON else None
    return Actor(name, person, "task")


def name_of(owner: Mapping[str, Any]) -> str | None:
    """The person in words: display, else reference, else the identifier's value."""
    name = owner.get("display") or owner.get("reference") or owner.get("identifier", {}).get("value")
    return str(name)[:NAME_LENGTH] if name else None


def _problem(message: str, element: str) -> Problem:
    return Problem(
        Category.UNPROCESSABLE, "task-change", message, expression=f"Task.{element}", issue_code="business-rule"
    )
