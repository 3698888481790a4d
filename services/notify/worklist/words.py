"""What the worklist shows of an alert, from its row: words for clinicians, no clinical content of its own. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.notify import task
from services.notify.alert import State
from services.notify.assessment import Refused
from services.notify.channels import short_id
from services.notify.records import Alert
from services.notify.worklist.filters import Section
from shared.fhir.codes import Urgency

URGENCY_WORDS = {Urgency.EMERGENCY: "Emergency", Urgency.SAME_DAY: "Same day"}
URGENCY_SHAPES = {Urgency.EMERGENCY: "▲", Urgency.SAME_DAY: "◆"}
CHANNEL_WORDS = {"email": "e-mail", "webhook": "webhook", "push": "push", "apprise": "text or chat"}
DELIVERY_WORDS = {
    "sent": "sent",
    "pending": "being tried",
    "failed": "refused",
    "dead": "given up",
    "withdrawn": "withdrawn",
    "suppressed": "held back",
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
class Surroundings:
    """What the on-call document adds: names of people and teams by id, who is told next by alert, and who is on call.

    `on_call`: rota and people.
    """

    names: Mapping[str, str]
    next: Mapping[UUID, str]
    on_call: Sequence[tuple[str, str]] = ()


NOTHING_KNOWN = Surroundings({}, {})


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, as the database has it and as it is read."""

    iso: str
    words: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One alert as shown. `told` is False while no message of the present urgency has been sent to anybody.

    `version` stands for all that is shown but for what the clock changes (`age`, `left`).
    """

    id: str
    short: str
    section: Section
    urgency: str
    urgency_word: str
    shape: str
    patient: str
    patient_detail: str
    opened: Moment
    age: str
    assessments: int
    assessment_id: str
    deliveries: str
    told: bool
    due: Moment | None
    left: str
    next: str
    ended: bool
    state_word: str
    person: str
    since: Moment | None
    refused: str
    version: str = ""


def shown(row: Mapping[str, Any], known: Surroundings = NOTHING_KNOWN) -> Shown:
    """An alert's row of the worklist query, in words."""
    alert, now, section = Alert.of(row), row["now"], Section(row["section"])
    deliveries = row["deliveries"] or []
    patient, detail = patient_words(alert.subject)
    due = {Section.WAITING: alert.due_at, Section.SNOOZED: alert.snoozed_until}.get(section)
    since = alert.withdrawn_at or (alert.closed_at if section is Section.CLOSED else alert.acknowledged_at)
    words = Shown(
        id=str(alert.id),
        short=short_id(alert.id),
        section=section,
        urgency=alert.urgency.value,
        urgency_word=URGENCY_WORDS[alert.urgency],
        shape=URGENCY_SHAPES[alert.urgency],
        patient=patient,
        patient_detail=detail,
        opened=moment(alert.opened_at),
        age="",
        assessments=row["assessments"],
        assessment_id=row["assessment_id"] or "",
        deliveries=delivery_words(deliveries, known.names),
        told=any(delivery["state"] == "sent" for delivery in deliveries),
        due=moment(due) if due else None,
        left="",
        next=known.next.get(alert.id, ""),
        ended=alert.exhausted_at is not None,
        state_word="Withdrawn, entered in error" if alert.withdrawn_at else STATE_WORDS.get(alert.state, ""),
        person=known.names.get(alert.owner or "", "") or alert.acknowledged_by or "",
        since=moment(since) if since else None,
        refused=task.refused_words(Refused("", alert.refused_client, alert.refused_at))
        if alert.refused_client is not None and alert.refused_at is not None
        else "",
    )
    version = hashlib.sha256(repr(words).encode()).hexdigest()[:12]
    left = left_words(due - now) if due else ""
    return replace(words, version=version, age=age_words(now - alert.opened_at), left=left)


def patient_words(subject: Mapping[str, Any] | None) -> tuple[str, str]:
    """The patient's name, else whatever identifies; and the identifier or reference beside it."""
    if subject is None:
        return "Patient not known", "The assessment could not be read. Look at it by hand."
    identifier = subject.get("identifier", {}).get("value", "")
    reference = subject.get("reference", "")
    detail = " · ".join(part for part in (identifier, reference) if part)
    name = subject.get("display", "")
    return (name, detail) if name else (detail or "Patient without name or identifier", "")


def delivery_words(deliveries: Iterable[Mapping[str, Any]], names: Mapping[str, str] | None = None) -> str:
    """For example: Dr Osei by e-mail sent, 2 by e-mail sent, 1 by webhook being tried."""
    return ", ".join(
        f"{(names or {}).get(delivery.get('person') or '') or delivery['number']} "
        f"by {CHANNEL_WORDS.get(delivery['channel'], delivery['channel'])} {DELIVERY_WORDS[delivery['state']]}"
        for delivery in deliveries
    )


def pathway_words(pathway: str) -> str:
    """For example: Posterior lower limb."""
    return pathway.replace("-", " ").capitalize()


def age_words(age: timedelta) -> str:
    """For example: 12 s, 7 min, 3 h 5 min, 2 d 4 h. Never negative. The script `ticks.js` says the same."""
    seconds = max(int(age.total_seconds()), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes == 0:
        return f"{seconds} s"
    if hours == 0:
        return f"{minutes} min"
    if days == 0:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def left_words(left: timedelta) -> str:
    """For example: in 12 s, in 3 min 20 s, in 2 h 5 min, now. The script `ticks.js` says the same."""
    seconds = int(left.total_seconds())
    if seconds <= 0:
        return "now"
    if seconds < 60:
        return f"in {seconds} s"
    if seconds < 3600:
        return f"in {seconds // 60} min {seconds % 60} s"
    return f"in {age_words(left)}"


def clock(moment: datetime) -> str:
    """Date and time in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def moment(at: datetime) -> Moment:
    """A time for the attribute `datetime`, and as it is read."""
    return Moment(at.astimezone(UTC).isoformat(timespec="milliseconds"), clock(at))
