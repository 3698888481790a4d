"""Notify's queries and rows. Nothing else of the service touches the database's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import orjson
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from services.notify.acts.actor import NOTHING, Actor, Line
from services.notify.alert import Seen, State
from services.notify.assessment import Assessment
from services.notify.escalation import Recipient
from services.notify.task import Task
from shared.audit.act import Act, Interaction, asker_or, patient_of, record
from shared.events import Ref
from shared.fhir import resources
from shared.fhir.codes import Urgency
from shared.fhir.resources import NewVersion
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
SCHEMA = "notify"


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


def lock_open_alert(connection: DictConnection, assessment: Assessment) -> Alert | None:
    """The open alert of this patient and pathway, locked, or None.

    Else that of the same submission, refused before, of which the patient was not known.
    """
    parameters = {
        "tenant_id": assessment.ref.tenant,
        "subject_key": assessment.subject_key,
        "pathway": assessment.pathway,
        "submission": assessment.submission,
    }
    row = connection.execute(QUERIES["open_alert"], parameters).fetchone()
    return Alert.of(row) if row else None


def lock_alert(connection: DictConnection, tenant: UUID, alert_id: UUID) -> Alert | None:
    """An alert, locked, or None."""
    row = connection.execute(QUERIES["lock_alert"], {"tenant_id": tenant, "id": alert_id}).fetchone()
    return Alert.of(row) if row else None


def due_alerts(connection: DictConnection, *, most: int = 50) -> list[tuple[UUID, UUID]]:
    """Tenant and id of alerts that must be told again by the database's clock, of all tenants, longest due first."""
    rows = connection.execute(QUERIES["due_alerts"], {"most": most}).fetchall()
    return [(row["tenant_id"], row["id"]) for row in rows]


def tenants_waiting(connection: DictConnection) -> list[UUID]:
    """Tenants with alerts that nobody acknowledged, or with messages still to be delivered."""
    return [row["tenant"] for row in connection.execute(QUERIES["tenants_waiting"]).fetchall()]


def lock_due_alert(connection: DictConnection, tenant: UUID, alert_id: UUID) -> Alert | None:
    """This alert, locked, if it must be told again by the database's clock and nobody else has it; else None."""
    row = connection.execute(QUERIES["lock_due_alert"], {"tenant_id": tenant, "id": alert_id}).fetchone()
    return Alert.of(row) if row else None


def insert_alert(connection: DictConnection, alert: Alert) -> bool:
    """Store a new alert; False when one was opened for the same patient and pathway in the meantime."""
    return connection.execute(QUERIES["insert_alert"], _columns(alert)).rowcount == 1


def update_alert(connection: DictConnection, alert: Alert) -> None:
    """Store a changed alert."""
    connection.execute(QUERIES["update_alert"], _columns(alert))


def move_alert(connection: DictConnection, alert: Alert) -> bool:
    """Store an alert that an act changed; False, and nothing stored, when it would be the patient's second open one."""
    try:
        with connection.transaction():
            update_alert(connection, alert)
    except UniqueViolation:
        return False
    return True


def _columns(alert: Alert) -> dict[str, Any]:
    subject = Jsonb(alert.subject) if alert.subject is not None else None
    return asdict(alert) | {"subject": subject}


def seen_versions(connection: DictConnection, tenant: UUID, assessment_id: str) -> list[Seen]:
    """Versions of an assessment that alerts stand for already."""
    rows = connection.execute(QUERIES["seen"], {"tenant_id": tenant, "assessment_id": assessment_id}).fetchall()
    return [Seen(row["assessment_version"], Urgency(row["urgency"]).rank, row["alert_id"]) for row in rows]


def add_assessment(
    connection: DictConnection, alert: Alert, assessment: Assessment, now: datetime, *, stands: bool = True
) -> None:
    """This version belongs to this alert. Raises psycopg.errors.UniqueViolation when it belongs to one already.

    `stands`: False for a version that asks for no alert.
    """
    connection.execute(
        QUERIES["add_assessment"],
        {
            "tenant_id": alert.tenant_id,
            "assessment_id": assessment.ref.id,
            "assessment_version": assessment.ref.version,
            "alert_id": alert.id,
            "urgency": assessment.urgency,
            "joined_at": now,
            "stands": stands,
            "submission": assessment.submission,
        },
    )


def lock_assessment(connection: DictConnection, ref: Ref) -> None:
    """Wait until nobody else lets a version of this assessment have its effect; held until this transaction ends."""
    connection.execute(QUERIES["lock_assessment"], {"key": f"{ref.tenant}/{ref.id}"})


def withdrawn_version(connection: DictConnection, ref: Ref) -> int:
    """The newest version in which this assessment was withdrawn; 0 when it was not."""
    row = connection.execute(QUERIES["withdrawn_version"], {"tenant_id": ref.tenant, "id": ref.id}).fetchone()
    return int(row["assessment_version"]) if row else 0


def note_withdrawn(connection: DictConnection, ref: Ref) -> None:
    """This version says that the assessment is withdrawn."""
    parameters = {"tenant_id": ref.tenant, "id": ref.id, "version": ref.version}
    connection.execute(QUERIES["note_withdrawn"], parameters)


def standing_assessment(connection: DictConnection, alert: Alert, *, but: str) -> str | None:
    """The most urgent other assessment of this alert whose newest version still asks for it, or None."""
    parameters = {"tenant_id": alert.tenant_id, "alert_id": alert.id, "but": but}
    row = connection.execute(QUERIES["standing"], parameters).fetchone()
    return str(row["assessment_id"]) if row else None


def add_notice(connection: DictConnection, alert: Alert, kind: str, assessment: Ref, now: datetime) -> None:
    """The alert's present step is a notice. Raises psycopg.errors.UniqueViolation when it was given before."""
    connection.execute(
        QUERIES["add_notice"],
        {
            "tenant_id": alert.tenant_id,
            "alert_id": alert.id,
            "step": alert.step,
            "kind": kind,
            "assessment_id": assessment.id,
            "assessment_version": assessment.version,
            "still_open": alert.state.absorbs,
            "given_at": now,
        },
    )


def told_recipients(connection: DictConnection, alert: Alert) -> list[Recipient]:
    """Everybody to whom a message of this alert went out."""
    parameters = {"tenant_id": alert.tenant_id, "alert_id": alert.id}
    rows = connection.execute(QUERIES["told_recipients"], parameters).fetchall()
    return [Recipient(row["channel"], row["recipient"], row["person"]) for row in rows]


def missed_notices(connection: DictConnection, alert: Alert, sent: Delivery) -> list[tuple[int, str]]:
    """Notices given after this message was ordered that do not go to its recipient yet: step and kind."""
    parameters = {
        "tenant_id": alert.tenant_id,
        "alert_id": alert.id,
        "step": sent.step,
        "channel": sent.channel,
        "recipient": sent.recipient,
    }
    rows = connection.execute(QUERIES["missed_notices"], parameters).fetchall()
    return [(row["step"], row["kind"]) for row in rows]


def count_assessments(connection: DictConnection, alert: Alert) -> int:
    """How many versions of assessments this alert stands for."""
    parameters = {"tenant_id": alert.tenant_id, "alert_id": alert.id}
    row = connection.execute(QUERIES["assessments"], parameters).fetchone()
    assert row is not None
    return int(row["number"])


def alerted(connection: DictConnection, tenant: UUID, assessment_ids: Sequence[str]) -> set[str]:
    """Those of these assessments that an alert stands for."""
    rows = connection.execute(QUERIES["alerted"], {"tenant_id": tenant, "ids": list(assessment_ids)}).fetchall()
    return {row["assessment_id"] for row in rows}


def save_task(connection: DictConnection, alert: Alert, task: Task, now: datetime) -> None:
    """Store a stamped Task as the alert's current one."""
    save_resource(connection, alert.tenant_id, task, now)


def read_task(connection: DictConnection, alert: Alert) -> Task:
    """The alert's current Task."""
    stored = resources.read(connection, alert.tenant_id, "Task", str(alert.id))
    assert stored is not None
    task: Task = orjson.loads(stored.body)
    return task


def read_task_version(connection: DictConnection, alert: Alert, version: int) -> Task | None:
    """An earlier version of the alert's Task, or None."""
    stored = resources.vread(connection, alert.tenant_id, "Task", str(alert.id), version)
    return orjson.loads(stored.body) if stored else None


def save_resource(connection: DictConnection, tenant: UUID, resource: Mapping[str, Any], now: datetime) -> None:
    """Store a resource of ours as the next version that its meta names."""
    tags = resource["meta"]["tag"]
    version = NewVersion(
        type=resource["resourceType"],
        id=resource["id"],
        version_id=int(resource["meta"]["versionId"]),
        last_updated=now,
        body=orjson.dumps(resource),
        tag=tags[0]["code"],
    )
    resources.save(connection, tenant, [version])


def read_resource(
    connection: DictConnection, tenant: UUID, resource_type: str, resource_id: UUID
) -> dict[str, Any] | None:
    """The current version of a resource of ours, or None."""
    stored = resources.read(connection, tenant, resource_type, str(resource_id))
    return orjson.loads(stored.body) if stored else None


def pending_recipients(connection: DictConnection, alert: Alert) -> set[Recipient]:
    """Who a message of the present urgency is still being tried for."""
    parameters = {"alert_id": alert.id, "first_step": alert.first_step}
    rows = connection.execute(QUERIES["pending_recipients"], parameters).fetchall()
    return {Recipient(row["channel"], row["recipient"]) for row in rows}


def held_recipients(connection: DictConnection, alert: Alert) -> set[Recipient]:
    """Who a message of the present urgency waits for until their quiet hours end."""
    parameters = {"alert_id": alert.id, "first_step": alert.first_step}
    rows = connection.execute(QUERIES["held_recipients"], parameters).fetchall()
    return {Recipient(row["channel"], row["recipient"]) for row in rows}


def add_deliveries(
    connection: DictConnection,
    alert: Alert,
    to: Sequence[tuple[UUID, Recipient]],
    now: datetime,
    *,
    until: Mapping[Recipient, datetime] | None = None,
) -> None:
    """Messages of the alert's present step, each with its id; `until`: when those go out that wait."""
    until = until or {}
    connection.execute(
        QUERIES["add_deliveries"],
        {
            "tenant_id": alert.tenant_id,
            "alert_id": alert.id,
            "step": alert.step,
            "urgency": alert.urgency,
            "created_at": now,
            "ids": [identifier for identifier, _ in to],
            "channels": [recipient.channel for _, recipient in to],
            "recipients": [recipient.address for _, recipient in to],
            "people": [recipient.person for _, recipient in to],
            "held": [until.get(recipient) for _, recipient in to],
        },
    )


def read_delivery(connection: DictConnection, tenant: UUID, delivery_id: UUID) -> Delivery | None:
    """A delivery, or None."""
    row = connection.execute(QUERIES["delivery"], {"tenant_id": tenant, "id": delivery_id}).fetchone()
    return Delivery(**(row | {"urgency": Urgency(row["urgency"])})) if row else None


def update_delivery(connection: DictConnection, delivery: Delivery) -> None:
    """Store how a delivery stands."""
    connection.execute(QUERIES["update_delivery"], asdict(delivery))


def step_outcome(connection: DictConnection, alert_id: UUID, step: int) -> tuple[int, int]:
    """How many deliveries of a step are still pending, and how many were sent."""
    row = connection.execute(QUERIES["step_outcome"], {"alert_id": alert_id, "step": step}).fetchone()
    assert row is not None
    return row["pending"], row["sent"]


def reach_since(connection: DictConnection, alert: Alert, step: int) -> dict[str, int]:
    """How many messages since this step were sent, wait for their first attempt, are tried again, or are lost."""
    row = connection.execute(QUERIES["reach_since"], {"alert_id": alert.id, "step": step}).fetchone()
    assert row is not None
    return row


def unreached_steps(connection: DictConnection, alert: Alert) -> tuple[int, bool]:
    """How many steps in a row are known to have reached nobody, and whether the present one is among them."""
    row = connection.execute(QUERIES["unreached_steps"], {"alert_id": alert.id, "step": alert.step}).fetchone()
    assert row is not None
    return row["number"], row["noted"]


def add_event(
    connection: DictConnection,
    alert: Alert,
    kind: str,
    *,
    person: str | None = None,
    delivery: Delivery | None = None,
    assessment: Ref | None = None,
    detail: str | None = None,
) -> None:
    """One more line in the alert's ledger, and in the audit: who asked for it, else notify by itself."""
    _add_event(connection, alert, kind, Line(detail), person=person, delivery=delivery, assessment=assessment)


def add_act(connection: DictConnection, alert: Alert, kind: str, by: Actor, line: Line = NOTHING) -> None:
    """What a person did, as one more line in the ledger and in the audit."""
    _add_event(connection, alert, kind, line, by=by)


def _add_event(
    connection: DictConnection,
    alert: Alert,
    kind: str,
    line: Line,
    *,
    by: Actor | None = None,
    person: str | None = None,
    delivery: Delivery | None = None,
    assessment: Ref | None = None,
) -> None:
    patient = patient_of({"subject": alert.subject})
    if delivery is not None:
        act = Act(Interaction.CREATE, "Communication", id=str(delivery.id), patient=patient, word=kind)
    else:
        interaction = Interaction.CREATE if kind == "opened" else Interaction.UPDATE
        act = Act(interaction, "Task", id=str(alert.id), version=alert.task_version, patient=patient, word=kind)
    record(connection, alert.tenant_id, act, asker_or("service/notify"))
    connection.execute(
        QUERIES["add_event"],
        {
            "tenant_id": alert.tenant_id,
            "alert_id": alert.id,
            "kind": kind,
            "person": by.name if by else person,
            "way": by.way if by else None,
            "person_id": by.person if by else None,
            "step": delivery.step if delivery else alert.step,
            "delivery_id": delivery.id if delivery else None,
            "assessment_id": assessment.id if assessment else None,
            "assessment_version": assessment.version if assessment else None,
            "detail": line.detail,
            "reason": line.reason,
            "target": line.target,
            "until": line.until,
        },
    )


def count_repair(connection: DictConnection, kind: str, number: int) -> None:
    """Count what had to be put right."""
    if number:
        connection.execute(QUERIES["count_repair"], {"kind": kind, "number": number})
