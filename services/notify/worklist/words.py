"""What the worklist shows of an alert, from its row: words for clinicians, no clinical content of its own. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.notify import task
from services.notify.alert import State
from services.notify.assessment import Refused
from services.notify.channels import short_id
from services.notify.store import Alert
from shared.fhir.codes import Urgency

URGENCY_WORDS = {Urgency.EMERGENCY: "Emergency", Urgency.SAME_DAY: "Same day"}
URGENCY_SHAPES = {Urgency.EMERGENCY: "▲", Urgency.SAME_DAY: "◆"}
CHANNEL_WORDS = {"email": "e-mail", "webhook": "webhook"}
DELIVERY_WORDS = {
    "sent": "sent",
    "pending": "being tried",
    "failed": "refused",
    "dead": "given up",
    "withdrawn": "withdrawn",
}
STATE_WORDS = {
    State.ON_HOLD: "Snoozed",
    State.ACCEPTED: "Acknowledged",
    State.IN_PROGRESS: "In progress",
    State.COMPLETED: "Completed",
    State.CANCELLED: "Cancelled",
    State.REJECTED: "Rejected",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One alert as shown. `told` is None while no message of the present urgency has been sent to anybody."""

    id: str
    short: str
    is_open: bool
    urgency: str
    urgency_word: str
    shape: str
    patient: str
    patient_detail: str
    opened: str
    age: str
    assessments: int
    assessment_id: str
    deliveries: str
    told: bool
    again: str
    state_word: str
    person: str
    acknowledged: str
    refused: str


def shown(row: Mapping[str, Any]) -> Shown:
    """An alert's row of the worklist query, in words."""
    alert, now = Alert.of(row), row["now"]
    deliveries = row["deliveries"] or []
    patient, detail = patient_words(alert.subject)
    return Shown(
        id=str(alert.id),
        short=short_id(alert.id),
        is_open=alert.state.absorbs,
        urgency=alert.urgency.value,
        urgency_word=URGENCY_WORDS[alert.urgency],
        shape=URGENCY_SHAPES[alert.urgency],
        patient=patient,
        patient_detail=detail,
        opened=clock(alert.opened_at),
        age=age_words(now - alert.opened_at),
        assessments=row["assessments"],
        assessment_id=row["assessment_id"] or "",
        deliveries=delivery_words(deliveries),
        told=any(delivery["state"] == "sent" for delivery in deliveries),
        again=clock(alert.due_at) if alert.due_at else "",
        state_word="Withdrawn, entered in error" if alert.withdrawn_at else STATE_WORDS.get(alert.state, ""),
        person=alert.acknowledged_by or "",
        acknowledged=clock(known_at) if (known_at := alert.withdrawn_at or alert.acknowledged_at) else "",
        refused=task.refused_words(Refused("", alert.refused_client, alert.refused_at))
        if alert.refused_client is not None and alert.refused_at is not None
        else "",
    )


def patient_words(subject: Mapping[str, Any] | None) -> tuple[str, str]:
    """The patient's name, else whatever identifies; and the identifier or reference beside it."""
    if subject is None:
        return "Patient not known", "The assessment could not be read. Look at it by hand."
    identifier = subject.get("identifier", {}).get("value", "")
    reference = subject.get("reference", "")
    detail = " · ".join(part for part in (identifier, reference) if part)
    name = subject.get("display", "")
    return (name, detail) if name else (detail or "Patient without name or identifier", "")


def delivery_words(deliveries: Iterable[Mapping[str, Any]]) -> str:
    """For example: 2 by e-mail sent, 1 by webhook being tried."""
    return ", ".join(
        f"{delivery['number']} by {CHANNEL_WORDS.get(delivery['channel'], delivery['channel'])} "
        f"{DELIVERY_WORDS[delivery['state']]}"
        for delivery in deliveries
    )


def age_words(age: timedelta) -> str:
    """For example: 12 s, 7 min, 3 h 5 min, 2 d 4 h. Never negative."""
    seconds = max(int(age.total_seconds()), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes == 0:
        return f"{seconds} s"
    if hours == 0:
        return f"{minutes} min"
    if days == 0:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def clock(moment: datetime) -> str:
    """Date and time in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
