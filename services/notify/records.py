"""Records of notify: alerts, messages, lines of the ledger, and what a use case meets. `store.py` has the queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from services.notify.alert import Seen, State
from services.notify.escalation import Recipient
from services.notify.on_call.store import Mark
from services.notify.task import Task
from shared.events import Ref
from shared.fhir.codes import Urgency
from shared.jobs import Claim


@dataclass(frozen=True, slots=True)
class Alert:
    """A row of `alert`. Changed by `dataclasses.replace` and `update_alert`, always under the row's lock."""

    id: UUID
    tenant_id: UUID
    subject_key: str
    pathway: str
    subject: Mapping[str, Any] | None
    state: State
    urgency: Urgency
    first_step: int
    step: int
    task_version: int
    opened_at: datetime
    due_at: datetime | None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    closed_at: datetime | None = None
    withdrawn_at: datetime | None = None
    refused_client: str | None = None
    refused_at: datetime | None = None
    policy: str | None = None
    policy_version: int | None = None
    team: str | None = None
    position: int = 0
    round: int = 1
    exhausted_at: datetime | None = None
    owner: str | None = None
    snoozed_until: datetime | None = None
    snoozes: int = 0
    outcome: str | None = None
    override_reason: str | None = None
    synthetic: bool = False

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The alert in a row."""
        values = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**(values | {"state": State(row["state"]), "urgency": Urgency(row["urgency"])}))


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of `delivery`."""

    id: UUID
    tenant_id: UUID
    alert_id: UUID
    step: int
    channel: str
    recipient: str
    urgency: Urgency
    state: str
    attempts: int
    answer: str | None
    created_at: datetime
    sent_at: datetime | None
    person: str | None = None
    notice: str | None = None
    """`withdrawn` or `changed`: it says that, and asks for nothing."""

    @property
    def to(self) -> Recipient:
        """Who it goes to."""
        return Recipient(self.channel, self.recipient, self.person)


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A message of the alert's present step that is to be stored.

    `job`: the kind of job that sends it, None where nobody does. `until`: when it goes out, where it waits.
    """

    id: UUID
    to: Recipient
    job: str | None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One more line in an alert's ledger, and in the audit: who asked for it, else notify by itself."""

    kind: str
    person: str | None = None
    delivery: Delivery | None = None
    assessment: Ref | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """What an assessment meets: the newest version in which it was withdrawn (0: in none), the versions that alerts
    stand for already, and, locked, the open alert that it may join: that of its patient and pathway, else that of the
    same submission, refused before, of which the patient was not known. `document`: the newest on-call document.
    `at`: by the database's clock."""

    at: datetime
    withdrawn_version: int
    seen: Sequence[Seen]
    alert: Alert | None
    document: Mark | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that is ours to send. `more`: others to the same recipient are due.

    `alert` is None where somebody changed it at that moment. `delivery` is None when there is none. Both are None where
    they cannot be read.
    """

    claim: Claim
    more: bool
    delivery: Delivery | None
    alert: Alert | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the outcome of a message meets, its alert locked.

    `task`: the alert's Task while nobody was told before. `request`: the order of the message. `versions`: how many its
    Communication has. `others_pending`, `others_sent`: the other messages of the step. `missed`: step and kind of
    notices, given since it was ordered, that do not go to its recipient yet. `at`: by the database's clock.
    """

    at: datetime
    alert: Alert
    task: Task | None
    request: dict[str, Any]
    versions: int
    others_pending: int
    others_sent: int
    missed: Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Ending:
    """The job that ends with what is done: under the token of its lease, or without one, when nobody noted it yet."""

    kind: str
    token: UUID | None = None
