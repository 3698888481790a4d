"""Use case: an urgent assessment arrives. One open alert per patient and pathway stands for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.notify import store, task
from services.notify.alert import Arrival, Effect, OpenAlert, State, effect_of
from services.notify.assessment import Assessment
from services.notify.escalate import begin_step, restart
from services.notify.escalation import Plan
from services.notify.fatigue.store import note_flags
from services.notify.on_call.route import first_turn_of_new
from services.notify.on_call.store import Mark
from services.notify.records import Alert, Ending, Event
from services.notify.take_back import note_change, take_back
from services.notify.task import Task
from shared.ids import WATCHDOG_TENANT, uuid7
from shared.postgres import DictConnection

JOINED = {Effect.JOIN: "joined", Effect.WAKE: "woken", Effect.RAISE: "raised"}
"""What the ledger says of an assessment that an alert took in."""

TRIES_TO_OPEN = 5


@dataclass(frozen=True, slots=True)
class TakenIn:
    """The effect that an assessment had, and the kinds of jobs that are due with an alert that it opened."""

    effect: Effect
    due: Sequence[str] = ()


def take_in(connection: DictConnection, plan: Plan, assessment: Assessment, ending: Ending) -> TakenIn | None:
    """Let an assessment have its effect in the caller's transaction, whoever else does the same at this moment.

    With it its job ends; None, and nothing done, where that is not ours to end.
    """
    arrival = Arrival(assessment.ref.version, assessment.urgency.rank, assessment.alerts, assessment.withdrawn)
    for number in range(TRIES_TO_OPEN):
        met = store.meet_assessment(connection, assessment, ending if number == 0 else None)
        if met is None:
            return None
        alert, now = met.alert, met.at
        open_alert = OpenAlert(alert.id, alert.urgency.rank, alert.state is State.ON_HOLD) if alert else None
        due: Sequence[str] = ()
        effect = effect_of(arrival, seen=met.seen, open_alert=open_alert, withdrawn_version=met.withdrawn_version)
        match effect:
            case Effect.OPEN:
                opened = _open(connection, plan, assessment, met.document, now)
                if opened is None:
                    continue
                due = opened
            case Effect.JOIN | Effect.WAKE | Effect.RAISE:
                assert alert is not None
                _join(connection, plan, alert, assessment, effect, now)
            case Effect.CHANGE if arrival.alerts:
                assert alert is not None
                store.add_assessment(connection, alert, assessment, now)
                note_change(connection, alert, assessment, now)
            case Effect.CHANGE | Effect.WITHDRAW:
                take_back(connection, assessment, effect, met.seen, now)
        if assessment.withdrawn:
            store.note_withdrawn(connection, assessment.ref)
        return TakenIn(effect, due)
    raise RuntimeError("alerts for one patient were opened and acknowledged faster than this one could join")


def _open(
    connection: DictConnection, plan: Plan, assessment: Assessment, document: Mark | None, now: datetime
) -> Sequence[str] | None:
    """A new alert with its first step; returns the jobs that are due with it, None when another one came first."""
    alert = Alert(
        id=uuid7(),
        tenant_id=assessment.ref.tenant,
        subject_key=assessment.subject_key,
        pathway=assessment.pathway,
        subject=assessment.subject,
        state=State.REQUESTED,
        urgency=assessment.urgency,
        first_step=1,
        step=1,
        task_version=1,
        opened_at=now,
        due_at=None,
        refused_client=assessment.refused.client if assessment.refused else None,
        refused_at=assessment.refused.received_at if assessment.refused else None,
        synthetic=assessment.ref.tenant == WATCHDOG_TENANT,
    )
    alert, turn = first_turn_of_new(connection, plan, alert, document, now)
    content = task.new_task(alert.id, assessment, now)
    opened = Event("opened", assessment=assessment.ref, detail=assessment.urgency)
    return begin_step(connection, alert, content, turn, now, budget=plan.budget, events=[opened], opening=assessment)


def _join(
    connection: DictConnection, plan: Plan, alert: Alert, assessment: Assessment, effect: Effect, now: datetime
) -> None:
    """The alert stands for this assessment too; it starts over where it becomes more urgent, or was snoozed."""
    content = task.with_assessment(store.read_task(connection, alert), assessment)
    if alert.refused_client is not None and assessment.refused is None:
        content = task.with_patient(content, assessment)
        alert = replace(alert, subject_key=assessment.subject_key, subject=assessment.subject)
        alert = replace(alert, refused_client=None, refused_at=None)
    alert = replace(alert, task_version=alert.task_version + 1)
    store.add_assessment(connection, alert, assessment, now)
    note_flags(connection, alert.tenant_id, alert.id, assessment.flags)
    match effect:
        case Effect.RAISE:
            content = task.with_note(task.with_focus(content, assessment), task.raised_note(assessment), now)
            alert = restart(
                connection, plan, replace(alert, urgency=assessment.urgency), content, now, owner_first=False
            )
        case Effect.WAKE:
            content = task.with_note(content, task.woken_note(assessment), now)
            alert = restart(connection, plan, alert, content, now)
        case _:
            alert = _note(connection, alert, task.with_note(content, task.joined_note(assessment), now), now)
    store.add_event(connection, alert, JOINED[effect], assessment=assessment.ref, detail=assessment.urgency)


def _note(connection: DictConnection, alert: Alert, content: Task, now: datetime) -> Alert:
    store.update_alert(connection, alert)
    store.save_task(connection, alert, task.stamped(content, version=alert.task_version, now=now), now)
    return alert
