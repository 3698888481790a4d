"""Notify's queries. Nothing else of the service touches the database's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from services.notify.acts.actor import NOTHING, Actor, Line
from services.notify.alert import Seen
from services.notify.assessment import Assessment
from services.notify.escalation import Recipient
from services.notify.on_call.store import Mark
from services.notify.records import Alert, Arrived, Delivery, Ending, Event, NewDelivery, Recorded, Taken
from services.notify.rows import event_row, opened_row, rows_of, versions_of
from services.notify.task import Task
from shared import jobs
from shared.events import Ref
from shared.failpoint import reach
from shared.fhir import resources
from shared.fhir.codes import Urgency
from shared.fhir.resources import as_saved
from shared.jobs import Claim
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
SCHEMA = "notify"


def meet_assessment(connection: DictConnection, assessment: Assessment, ending: Ending | None = None) -> Arrived | None:
    """What this assessment meets, and the end of its job in the caller's transaction.

    Nobody else lets a version of it have its effect until that ends. None: the lease was lost, or somebody noted the
    job, and the caller must write nothing.
    """
    if ending is not None:
        reach("jobs.before_finish")
    ref = assessment.ref
    asked = {
        "tenant_id": ref.tenant,
        "assessment_id": ref.id,
        "version": ref.version,
        "kind": ending.kind if ending else None,
        "token": ending.token if ending else None,
        "subject_key": assessment.subject_key,
        "pathway": assessment.pathway,
        "submission": assessment.submission,
    }
    row = connection.execute(QUERIES["meet_assessment"], asked).fetchone()
    if row is None:
        return None
    return Arrived(
        at=row["now"],
        withdrawn_version=row["withdrawn_version"],
        seen=[Seen(version, Urgency(urgency).rank, UUID(alert_id)) for version, urgency, alert_id in row["seen"]],
        alert=Alert.of(row) if row["id"] else None,
        document=Mark(row["document"], row["document_sha256"]) if row["document"] else None,
    )


def take_message(
    connection: DictConnection, kind: str, *, link: bytes, lasts: timedelta, min_age_s: float = 0
) -> Taken | None:
    """Take the longest due message to one recipient, or None. In a transaction it is the last that is done.

    `link`: the hash of the one-time link that the message gets if it asks for acknowledgement. What cannot be read is
    no reason to fail: it is given without its alert, and whoever sends it looks again.
    """
    asked = {"kind": kind, "min_age_s": min_age_s, "lease_s": jobs.LEASE_S, "link": link, "lasts": lasts}
    row = connection.execute(QUERIES["take_message"], asked).fetchone()
    if row is None:
        return None
    reach("jobs.after_claim")
    ref = Ref(row["job_id"], row["job_version"], row["job_tenant"])
    claim = Claim(kind, ref, row["job_token"], row["job_attempts"], row["job_age_s"], row["job_error"])
    try:
        alert = Alert.of(row) if row["id"] else None
        delivery = _told(row, ref) if row["told_alert"] else None
    except ValueError:
        alert = delivery = None
    return Taken(claim, row["more"], delivery, alert)


def _told(row: Mapping[str, Any], ref: Ref) -> Delivery:
    return Delivery(
        id=UUID(ref.id),
        tenant_id=ref.tenant,
        alert_id=row["told_alert"],
        step=ref.version,
        channel=row["told_channel"],
        recipient=row["told_recipient"],
        urgency=Urgency(row["told_urgency"]),
        state=row["told_state"],
        attempts=row["told_attempts"],
        answer=row["told_answer"],
        created_at=row["told_since"],
        sent_at=None,
        person=row["told_person"],
        notice=row["told_notice"],
    )


def meet_outcome(
    connection: DictConnection, delivery: Delivery, request: UUID, ending: Ending | None = None
) -> Recorded | None:
    """What the outcome of this message, ordered by that request, meets, and the end of its job.

    None: the lease was lost, and the caller must write nothing.
    """
    if ending is not None:
        reach("jobs.before_finish")
    asked = {
        "tenant_id": delivery.tenant_id,
        "delivery_id": delivery.id,
        "alert_id": delivery.alert_id,
        "request_id": str(request),
        "kind": ending.kind if ending else None,
        "step": delivery.step,
        "token": ending.token if ending else None,
    }
    row = connection.execute(QUERIES["meet_outcome"], asked).fetchone()
    if row is None:
        return None
    return Recorded(
        at=row["now"],
        alert=Alert.of(row),
        task=orjson.loads(row["task"]) if row["task"] else None,
        request=orjson.loads(row["request"]),
        versions=row["versions"],
        others_pending=row["others_pending"],
        others_sent=row["others_sent"],
        missed=[(step, kind) for step, kind in row["missed"]],
    )


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


def hasten_messages(connection: DictConnection, longest: Mapping[str, timedelta], held: timedelta) -> int:
    """Messages of all tenants that would wait longer than any of their lane may are due now; returns how many.

    First attempts are not put off at all. Those that wait for the end of somebody's quiet hours wait on, if that is not
    further away than `held`.
    """
    parameters = {
        "lanes": list(longest),
        "longest": list(longest.values()),
        "held": held,
        "slack": timedelta(seconds=jobs.SLACK_S),
    }
    row = connection.execute(QUERIES["hasten_messages"], parameters).fetchone()
    assert row is not None
    return int(row["number"])


def lock_due_alert(connection: DictConnection, tenant: UUID, alert_id: UUID) -> Alert | None:
    """This alert, locked, if it must be told again by the database's clock and nobody else has it; else None."""
    row = connection.execute(QUERIES["lock_due_alert"], {"tenant_id": tenant, "id": alert_id}).fetchone()
    return Alert.of(row) if row else None


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
    return {name: getattr(alert, name) for name in Alert.__dataclass_fields__} | {"subject": subject}


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
    save_resources(connection, tenant, [resource], now)


def save_resources(
    connection: DictConnection, tenant: UUID, several: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    """Store resources of ours, each as the next version that its meta names."""
    resources.save(connection, tenant, versions_of(several, now))


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


def read_delivery(connection: DictConnection, tenant: UUID, delivery_id: UUID) -> Delivery | None:
    """A delivery, or None."""
    row = connection.execute(QUERIES["delivery"], {"tenant_id": tenant, "id": delivery_id}).fetchone()
    return Delivery(**(row | {"urgency": Urgency(row["urgency"])})) if row else None


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
    """One more line in the alert's ledger, and in the audit."""
    add(connection, alert, events=[Event(kind, person, delivery, assessment, detail)])


def add_act(connection: DictConnection, alert: Alert, kind: str, by: Actor, line: Line = NOTHING) -> None:
    """What a person did, as one more line in the ledger and in the audit."""
    _add(connection, alert, {"events": [event_row(alert, Event(kind, by.name), by, line)]})


def add(
    connection: DictConnection,
    alert: Alert,
    *,
    messages: Sequence[NewDelivery] = (),
    events: Sequence[Event] = (),
    now: datetime | None = None,
) -> None:
    """Messages of the alert's present step with their jobs, and lines of the ledger.

    `now`: when the messages are ordered.
    """
    _add(connection, alert, rows_of(alert, messages, (), events, now))


def _add(connection: DictConnection, alert: Alert, rows: Mapping[str, Any]) -> None:
    if rows:
        asked = {"tenant_id": alert.tenant_id, "alert_id": alert.id, "rows": orjson.dumps(rows).decode()}
        connection.execute(QUERIES["add_to_alert"], asked)


def write(
    connection: DictConnection,
    alert: Alert,
    now: datetime,
    *,
    opening: Assessment | None = None,
    is_received: bool = False,
    resources: Sequence[Mapping[str, Any]] = (),
    messages: Sequence[NewDelivery] = (),
    outcomes: Sequence[Delivery] = (),
    events: Sequence[Event] = (),
) -> bool:
    """What a transaction writes of an alert, in one statement.

    `opening`: it is a new one, which stands for this assessment and its red flags. `is_received`: it is stored that it
    was told to somebody. `resources`: of ours, each as the next version that its meta names. `messages`: of its present
    step, with their jobs; `outcomes`: how messages stand; `events`: lines of its ledger.

    False, and nothing stored, when another one was opened for the same patient and pathway meanwhile.
    """
    rows = rows_of(alert, messages, outcomes, events, now)
    if opening is not None:
        rows["opened"] = opened_row(alert, opening)
    if is_received:
        rows["received"] = alert.task_version
    new = as_saved(versions_of(resources, now)) if resources else {"new": None, "bodies": None, "digests": None}
    asked = {"tenant_id": alert.tenant_id, "alert_id": alert.id, "rows": orjson.dumps(rows).decode()} | new
    row = connection.execute(QUERIES["write_alert"], asked).fetchone()
    assert row is not None
    return bool(row["written"])


def count_repair(connection: DictConnection, kind: str, number: int) -> None:
    """Count what had to be put right."""
    if number:
        connection.execute(QUERIES["count_repair"], {"kind": kind, "number": number})
