"""Use case: an assessment that was alerted is withdrawn, or its newest version is no longer urgent.

Every alert in which a version of it stood is looked at, acknowledged and closed ones too: a clinician may be on the
way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.notify import store, task
from services.notify.alert import Effect, Seen, after_withdrawal
from services.notify.assessment import Assessment
from services.notify.notice import CHANGED, WITHDRAWN, give_notice
from services.notify.records import Alert
from shared.postgres import DictConnection


def take_back(
    connection: DictConnection, assessment: Assessment, effect: Effect, seen: Sequence[Seen], now: datetime
) -> None:
    """Note it, close what nothing stands behind any more, and tell whoever was told, in the caller's transaction."""
    newest = max(seen, key=lambda earlier: earlier.version)
    for number, alert_id in enumerate(sorted({earlier.alert_id for earlier in seen})):
        alert = store.lock_alert(connection, assessment.ref.tenant, alert_id)
        assert alert is not None
        if number == 0:
            holder = replace(alert, id=newest.alert_id)
            store.add_assessment(connection, holder, assessment, now, stands=False)
        if effect is Effect.WITHDRAW:
            _withdraw(connection, alert, assessment, now)
        elif not alert.state.is_closed:
            note_change(connection, alert, assessment, now)


def note_change(connection: DictConnection, alert: Alert, assessment: Assessment, now: datetime) -> None:
    """The newest version is less urgent than what was told: the Task gets a note, whoever was told hears of it."""
    alert = replace(alert, task_version=alert.task_version + 1)
    content = task.with_note(store.read_task(connection, alert), task.changed_note(assessment), now)
    content = task.stamped(content, version=alert.task_version, now=now)
    store.save_task(connection, alert, content, now)
    give_notice(connection, alert, content, CHANGED, assessment.ref, now)
    store.add_event(connection, alert, "eased", assessment=assessment.ref, detail=assessment.urgency)


def _withdraw(connection: DictConnection, alert: Alert, assessment: Assessment, now: datetime) -> None:
    was_closed = alert.state.is_closed
    standing = store.standing_assessment(connection, alert, but=assessment.ref.id)
    state = after_withdrawal(alert.state, others_stand=standing is not None)
    alert = replace(alert, task_version=alert.task_version + 1)
    content = store.read_task(connection, alert)
    note = task.withdrawn_note(assessment, others_stand=standing is not None, was_closed=was_closed)
    content = task.with_note(content, note, now)
    if state is not alert.state:
        alert = replace(alert, state=state, due_at=None, withdrawn_at=now, closed_at=now)
        content = task.withdrawn(content)
    elif standing is not None and not was_closed:
        content = {**content, "focus": {"reference": f"RiskAssessment/{standing}"}}
    content = task.stamped(content, version=alert.task_version, now=now)
    store.save_task(connection, alert, content, now)
    give_notice(connection, alert, content, WITHDRAWN, assessment.ref, now)
    store.add_event(connection, alert, "assessment_withdrawn", assessment=assessment.ref)
