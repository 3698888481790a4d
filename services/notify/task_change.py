"""What a client may change on a Task, and what it did change: status, owner, reason and further notes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.notify.alert import BY_PERSON, State
from services.notify.task import Task
from shared.problems import Category, Problem, ProblemError

MAY_CHANGE = ("status", "statusReason", "owner", "note")
SERVER_WRITES = ("meta", "text", "lastModified")
"""Ignored when they come back: the server writes them anew."""


PERSONS = {"Practitioner", "PractitionerRole"}
_TYPED = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?$")


@dataclass(frozen=True, slots=True)
class TaskChange:
    """What changed. `person` is the owner in words, for the ledger."""

    state: State | None = None
    owner: Mapping[str, Any] | None = None
    person: str | None = None
    reason: Mapping[str, Any] | None = None
    notes: Sequence[Mapping[str, Any]] = ()

    @property
    def is_empty(self) -> bool:
        """True when the client sent the Task back as it was."""
        return self.state is None and self.owner is None and self.reason is None and not self.notes

    def applied_to(self, held: Task, state: State) -> Task:
        """The Task with this change."""
        changed: Task = {**held, "status": state.value}
        if self.owner is not None:
            changed["owner"] = dict(self.owner)
        if self.reason is not None:
            changed["statusReason"] = dict(self.reason)
        if self.notes:
            changed["note"] = [*held.get("note", []), *self.notes]
        return changed


def read_change(held: Task, sent: Mapping[str, Any], *, state: State) -> TaskChange:
    """Compare what was sent with what is held. Raises ProblemError with everything that is not allowed."""
    problems = [*_fixed(held, sent), *_status_problems(sent, state), *_owner_problems(held, sent)]
    notes, before = sent.get("note", []), held.get("note", [])
    if notes[: len(before)] != before:
        problems.append(_problem("Notes may be added after those that are there, not changed or left out.", "note"))
    if problems:
        raise ProblemError(problems)
    owner = sent.get("owner")
    reason = sent.get("statusReason")
    return TaskChange(
        state=State(sent["status"]) if sent["status"] != state else None,
        owner=owner if owner != held.get("owner") else None,
        person=_name(owner or held.get("owner") or {}),
        reason=reason if reason != held.get("statusReason") else None,
        notes=notes[len(before) :],
    )


def _fixed(held: Task, sent: Mapping[str, Any]) -> list[Problem]:
    names = sorted((held.keys() | sent.keys()) - {*MAY_CHANGE, *SERVER_WRITES})
    return [
        _problem(
            f"Task.{name} differs from what is stored. Only status, statusReason, owner and note may change.", name
        )
        for name in names
        if held.get(name) != sent.get(name)
    ]


def _status_problems(sent: Mapping[str, Any], state: State) -> list[Problem]:
    wanted = sent.get("status")
    if wanted == state:
        return []
    allowed = sorted(BY_PERSON[state])
    if wanted not in allowed:
        nexts = f"It may become: {', '.join(allowed)}." if allowed else "It is closed and stays as it is."
        return [_problem(f"A Task that is '{state}' cannot become '{str(wanted)[:20]}'. {nexts}", "status")]
    if wanted == State.ACCEPTED and _name(sent.get("owner") or {}) is None:
        return [_problem("Say who acknowledges: owner.display, owner.reference or owner.identifier.", "owner")]
    if wanted == State.REJECTED and not sent.get("statusReason"):
        return [_problem("Say why it is rejected: statusReason.text.", "statusReason")]
    return []


def _owner_problems(held: Task, sent: Mapping[str, Any]) -> list[Problem]:
    """Only a person can know of an alert: no device, patient or organisation acknowledges."""
    owner = sent.get("owner") or {}
    typed = _TYPED.search(str(owner.get("reference", "")))
    stated = {typed[1] if typed else None, owner.get("type")} - {None}
    if owner == held.get("owner") or stated <= PERSONS:
        return []
    return [_problem("The owner must be a person: a Practitioner, a PractitionerRole, or just a name.", "owner")]


def _name(owner: Mapping[str, Any]) -> str | None:
    """The person in words: display, else reference, else the identifier's value."""
    name = owner.get("display") or owner.get("reference") or owner.get("identifier", {}).get("value")
    return str(name)[:200] if name else None


def _problem(message: str, element: str) -> Problem:
    return Problem(
        Category.UNPROCESSABLE, "task-change", message, expression=f"Task.{element}", issue_code="business-rule"
    )
