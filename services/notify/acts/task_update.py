"""A FHIR client updates the Task of an alert: the same acts as on the page, in the same ledger.

If-Match names the version that the client read. A version that differs from the present one only in that a message was
delivered in between (requested became received) counts as read: nobody decides otherwise because of it, and an
acknowledgement must not fail on it. Any other difference is refused (412).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from services.notify import store
from services.notify.acts.acknowledge import accept, begin
from services.notify.acts.actor import Actor
from services.notify.acts.hand_over import pass_on
from services.notify.acts.held import Held, held, not_found
from services.notify.acts.people import document_of, named_by
from services.notify.acts.resolve import close, read_codes
from services.notify.acts.snooze import rest
from services.notify.acts.task_change import TaskChange, read_change
from services.notify.alert import Act, State
from services.notify.escalation import Plan
from services.notify.task import Task
from shared.audit.act import asker_or
from shared.postgres import Pool
from shared.problems import Category, Problem, ProblemError


def update_task(pool: Pool, plan: Plan, tenant: UUID, task_id: str, sent: Mapping[str, Any], *, version: int) -> None:
    """Apply what a FHIR client changed on the Task of an alert, if what it read of `version` still holds.

    A Task that says what is already so makes no new version. Raises ProblemError: unknown (404), changed in between
    (412), a change that is not allowed (422), or not possible beside another alert of the patient (409).
    """
    with held(pool, tenant, _uuid(task_id)) as now:
        read = _as_read(now, version)
        if sent.get("status") == read["status"]:
            sent = {**sent, "status": now.task["status"]}
        change = read_change(now.task, sent, state=now.alert.state)
        if not change.is_empty:
            _do(replace(now, task=change.noted_on(now.task)), plan, change)


def _as_read(now: Held, version: int) -> Task:
    """The Task that the client read. Raises ProblemError 412 when it is not what is stored, deliveries apart."""
    if version == now.alert.task_version:
        return now.task
    read = store.read_task_version(now.connection, now.alert, version)
    if read is not None and _only_delivered(read, now.task):
        return read
    message = (
        f"If-Match names version {version}, the current one is {now.alert.task_version}. "
        "Read the Task again and decide anew."
    )
    raise ProblemError(Problem(Category.CONFLICT, "version", message, issue_code="conflict", status=412))


def _only_delivered(read: Task, current: Task) -> bool:
    """True when all that happened since is that somebody was told for the first time."""
    told = (State.REQUESTED, State.RECEIVED)
    apart = {"meta", "lastModified", "status"}
    same = all(read.get(name) == current.get(name) for name in (read.keys() | current.keys()) - apart)
    return same and (read["status"], current["status"]) == told


def _do(now: Held, plan: Plan, change: TaskChange) -> None:
    by = (change.by or Actor(asker_or("service/notify").agent, None, "task")).checked()
    match change.act:
        case Act.ACKNOWLEDGE:
            accept(now, by, owner=change.owner)
        case Act.START:
            begin(now, by, owner=change.owner)
        case Act.SNOOZE:
            assert change.until is not None
            rest(now, by, until=change.until, owner=change.owner)
        case Act.RESOLVE:
            outcome, reason = read_codes(change.outcome, change.override_reason)
            close(now, by, outcome, reason, words=change.words, state=change.to, owner=change.owner)
        case Act.HAND_OVER:
            assert change.owner is not None
            pass_on(now, plan, by, named_by(change.owner, document_of(now.connection, now.alert.tenant_id)))
        case None:
            owner = {"owner": dict(change.owner)} if change.owner else {}
            now.stored("noted", by, {**now.task, **owner})


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise not_found(text) from None
