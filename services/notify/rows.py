"""What the functions of notify's database are given, as plain structures. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from services.notify.acts.actor import NOTHING, Actor, Line
from services.notify.assessment import Assessment
from services.notify.records import Alert, Delivery, Event, NewDelivery
from shared.audit.act import Act, Interaction, asker_or, parameters, patient_of
from shared.fhir.resources import NewVersion
from shared.ids import WATCHDOG_TENANT


def versions_of(several: Sequence[Mapping[str, Any]], now: datetime) -> list[NewVersion]:
    """Resources of ours, each as the next version that its meta names."""
    return [
        NewVersion(
            type=resource["resourceType"],
            id=resource["id"],
            version_id=int(resource["meta"]["versionId"]),
            last_updated=now,
            body=orjson.dumps(resource),
            tag=resource["meta"]["tag"][0]["code"],
            content=resource,
        )
        for resource in several
    ]


def opened_row(alert: Alert, assessment: Assessment) -> dict[str, Any]:
    """A new alert, with the assessment and the red flags behind it."""
    return {name: getattr(alert, name) for name in Alert.__dataclass_fields__} | {
        "assessment_id": assessment.ref.id,
        "assessment_version": assessment.ref.version,
        "submission": assessment.submission,
        "flags": assessment.flags,
    }


def rows_of(
    alert: Alert,
    messages: Sequence[NewDelivery],
    outcomes: Sequence[Delivery],
    events: Sequence[Event],
    now: datetime | None,
) -> dict[str, Any]:
    """What is added to an alert: only what there is. `now`: when the messages are ordered."""
    assert now is not None or not messages
    rows = {
        "messages": [_message(alert, message, now) for message in messages if now],
        "outcomes": [_outcome(delivery) for delivery in outcomes],
        "events": [event_row(alert, event) for event in events],
    }
    return {name: some for name, some in rows.items() if some}


def _message(alert: Alert, message: NewDelivery, now: datetime) -> dict[str, Any]:
    return {
        "id": message.id,
        "step": alert.step,
        "channel": message.to.channel,
        "recipient": message.to.address,
        "urgency": alert.urgency,
        "created_at": now,
        "person": message.to.person,
        "held_until": message.until,
        "job": message.job,
        "delay_s": (message.until - now).total_seconds() if message.until else 0.0,
    }


def _outcome(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "answer": delivery.answer,
        "sent_at": delivery.sent_at,
    }


def event_row(alert: Alert, event: Event, by: Actor | None = None, line: Line = NOTHING) -> dict[str, Any]:
    """A line of the ledger and its row of the audit; what the watchdog does to its own alerts is in no audit."""
    delivery, assessment = event.delivery, event.assessment
    patient = patient_of({"subject": alert.subject})
    if delivery is not None:
        act = Act(Interaction.CREATE, "Communication", id=str(delivery.id), patient=patient, word=event.kind)
    else:
        interaction = Interaction.CREATE if event.kind == "opened" else Interaction.UPDATE
        act = Act(interaction, "Task", id=str(alert.id), version=alert.task_version, patient=patient, word=event.kind)
    audited = {} if alert.tenant_id == WATCHDOG_TENANT else parameters(act, asker_or("service/notify"))
    return audited | {
        "kind": event.kind,
        "person": event.person,
        "way": by.way if by else None,
        "person_id": by.person if by else None,
        "step": delivery.step if delivery else alert.step,
        "delivery_id": delivery.id if delivery else None,
        "assessment_id": assessment.id if assessment else None,
        "assessment_version": assessment.version if assessment else None,
        "detail": event.detail if by is None else line.detail,
        "reason": line.reason,
        "target": line.target,
        "until": line.until,
    }
