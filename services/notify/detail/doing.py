"""What people do from the page of an alert: the fields of each form, and the use case that it leads to.

Every form says what was looked at. Nobody starts, snoozes, hands over or closes what came after that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from uuid import UUID

from services.notify.acts.acknowledge import acknowledge, start
from services.notify.acts.actor import Actor
from services.notify.acts.hand_over import hand_over
from services.notify.acts.held import LookedAt, held
from services.notify.acts.resolve import resolve
from services.notify.acts.snooze import snooze
from services.notify.detail.feedback import keep_feedback
from services.notify.detail.names import actor_of
from services.notify.escalation import Plan
from services.notify.sign_in.visitor import Visitor
from services.notify.worklist.pages import looked_at
from shared.postgres import Pool
from shared.problems import Category, Problem, ProblemError

LONGEST_NOTE = 2000
Typed = Mapping[str, str]


class Form(StrEnum):
    """The forms of the page, by the last part of their address."""

    KNOW = "know"  # acknowledge, and stay on this page
    START = "start"
    SNOOZE = "snooze"
    HAND_OVER = "hand-over"
    RESOLVE = "resolve"
    NOTE = "note"
    FEEDBACK = "feedback"


def do(pool: Pool, plan: Plan, visitor: Visitor, alert_id: UUID, form: Form, typed: Typed) -> None:
    """Do what a form asks for, as this visitor. `typed`: its fields.

    Raises ProblemError: no such alert (404); a state in which it cannot be done, or more than the person saw (409); a
    field that is missing or cannot be used (422).
    """
    if form is Form.FEEDBACK:
        keep_feedback(pool, visitor, alert_id, typed)
        return
    by = actor_of(visitor, typed).checked()
    seen = looked_at({name: [value] for name, value in typed.items()})
    if form is Form.HAND_OVER:
        hand_over(pool, plan, visitor.tenant, alert_id, by=by, to=typed.get("to", ""), looked_at=seen)
        return
    _DOES[form](pool, visitor.tenant, alert_id, by, seen, typed)


def _know(pool: Pool, tenant: UUID, alert_id: UUID, by: Actor, seen: LookedAt, _: Typed) -> None:
    acknowledge(pool, tenant, alert_id, by=by, looked_at=seen)


def _start(pool: Pool, tenant: UUID, alert_id: UUID, by: Actor, seen: LookedAt, _: Typed) -> None:
    _require_seen(pool, tenant, alert_id, seen)
    start(pool, tenant, alert_id, by=by)


def _snooze(pool: Pool, tenant: UUID, alert_id: UUID, by: Actor, seen: LookedAt, typed: Typed) -> None:
    minutes = typed.get("minutes", "")
    if not minutes.isdecimal() or len(minutes) > 4:
        raise _refused("minutes", "Choose for how many minutes nobody is told.")
    snooze(pool, tenant, alert_id, by=by, minutes=int(minutes), looked_at=seen)


def _resolve(pool: Pool, tenant: UUID, alert_id: UUID, by: Actor, seen: LookedAt, typed: Typed) -> None:
    _require_seen(pool, tenant, alert_id, seen)
    outcome, reason = typed.get("outcome", ""), typed.get("override_reason") or None
    resolve(pool, tenant, alert_id, by=by, outcome=outcome, override_reason=reason, note=_note(typed))


def _write(pool: Pool, tenant: UUID, alert_id: UUID, by: Actor, _: LookedAt, typed: Typed) -> None:
    """A note changes nothing else, so it may be written whatever came meanwhile."""
    note = _note(typed)
    if not note:
        raise _refused("note", "Write the note first.")
    with held(pool, tenant, alert_id) as now:
        now.stored("noted", by, now.task, note=note)


def _require_seen(pool: Pool, tenant: UUID, alert_id: UUID, seen: LookedAt) -> None:
    with held(pool, tenant, alert_id) as now:
        now.require_seen(seen)


def _note(typed: Typed) -> str:
    note = " ".join(typed.get("note", "").split())
    if len(note) > LONGEST_NOTE:
        raise _refused("note", f"The note has {len(note)} characters; at most {LONGEST_NOTE} are kept.")
    return note


def _refused(code: str, message: str) -> ProblemError:
    return ProblemError(Problem(Category.UNPROCESSABLE, code, message, issue_code="required"))


_DOES: Mapping[Form, Callable[[Pool, UUID, UUID, Actor, LookedAt, Typed], None]] = {
    Form.KNOW: _know,
    Form.START: _start,
    Form.SNOOZE: _snooze,
    Form.RESOLVE: _resolve,
    Form.NOTE: _write,
}
