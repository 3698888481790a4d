"""Triage's queries. Nothing else of the service touches the database."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from services.triage.basis import Run, Status
from services.triage.earlier import WINDOW_H, Remembered
from services.triage.risk_assessment import withdrawn
from shared.audit.act import Act, Asker, Interaction, Word, patient_of
from shared.audit.act import parameters as audit_parameters
from shared.events import NOTIFY_ROUTINE, NOTIFY_URGENT, Ref
from shared.failpoint import reach
from shared.fhir import resources
from shared.fhir.canonicals import Canonical
from shared.fhir.codes import REVIEW_TAG, Urgency
from shared.fhir.resources import NewVersion
from shared.fhir.search import MAX_COUNT, searched
from shared.ids import WATCHDOG_TENANT
from shared.jobs import MAX_ATTEMPTS, Claim
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
SCHEMA = "triage"
OURSELVES = Asker("service/triage")
HOPELESS_AFTER_S = 300.0
"""After this time a version that failed too often no longer holds up later ones: longer than jobs take to call one
unreadable."""


class LeaseLost(Exception):
    """Another worker has one of these jobs now."""


class Overtaken(Exception):
    """An older version of the same response was written while this one was evaluated without knowing of it."""


@dataclass(frozen=True, slots=True)
class Held:
    """The assessment that is current for a response and pack; `status` is that of the RiskAssessment."""

    version_id: int
    response_version: int
    pack_version: str
    status: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One evaluation, ready to be stored: `resources` holds the RiskAssessment first, then all that go with it."""

    assessment_id: str
    version_id: int
    response: Ref
    pack: str
    pack_version: str
    pack_sha256: str
    urgency: Urgency | None
    needs_review: bool
    assessed_at: datetime
    resources: Sequence[Mapping[str, Any]]
    remembered: Remembered = field(default_factory=Remembered)

    @property
    def tag(self) -> str | None:
        """What notify needs to know before it reads the assessment: the urgency, or that a human must look today."""
        if self.needs_review and not (self.urgency is not None and self.urgency.alerts):
            return REVIEW_TAG
        return self.urgency

    @property
    def queue(self) -> str | None:
        """The queue on which notify hears of it; None where nobody must be told."""
        if self.version_id == 1 and self.tag not in (Urgency.EMERGENCY, Urgency.SAME_DAY, REVIEW_TAG):
            return None
        return NOTIFY_URGENT if self.tag == Urgency.EMERGENCY else NOTIFY_ROUTINE


def current(connection: DictConnection, tenant: UUID, assessment_ids: Sequence[str]) -> dict[str, Held]:
    """The current assessments among these ids."""
    rows = connection.execute(QUERIES["current"], {"tenant": tenant, "ids": list(assessment_ids)}).fetchall()
    return {row["id"]: _held(row) for row in rows}


@dataclass(frozen=True, slots=True)
class Unassessed:
    """A version of a response that was not assessed yet; `noted`: there is a job that will."""

    ref: Ref
    noted: bool


def unassessed(connection: DictConnection, claimed: Claim) -> list[Unassessed]:
    """The earlier versions of this response that must be assessed before it, oldest first.

    Not those that intake does not know, nor those that fail by themselves even when they need only be called
    unreadable: they would hold up all that follow.
    """
    ref = claimed.ref
    if ref.version == 1:
        return []
    parameters = {
        "tenant": ref.tenant,
        "kind": claimed.kind,
        "response_id": ref.id,
        "version": ref.version,
        "attempts": MAX_ATTEMPTS + 1,
        "age_s": HOPELESS_AFTER_S,
    }
    rows = connection.execute(QUERIES["unassessed"], parameters).fetchall()
    return [Unassessed(replace(ref, version=row["version"]), row["noted"]) for row in rows]


@dataclass(frozen=True, slots=True)
class SamePatient:
    """Which evaluations belong together: of this response, or of this patient (`patient_key`), with this pack."""

    response: Ref
    patient: str | None
    pack: str

    @property
    def key(self) -> str:
        """What is locked while one of them is written."""
        return f"{self.response.tenant}/{self.pack}/{self.patient or self.response.id}"


def lock_patient(connection: DictConnection, same: SamePatient) -> None:
    """Wait until no other transaction writes an evaluation of this patient; held until this transaction ends."""
    connection.execute(QUERIES["lock"], {"key": same.key})


@dataclass(frozen=True, slots=True)
class Before:
    """What stands before an evaluation, under the lock of its patient: the current assessment of the same response, and
    the most urgent one of the patient (see `earlier_urgency`)."""

    held: Held | None
    earlier: Urgency | None


@dataclass(frozen=True, slots=True)
class Opened:
    """What a chunk was opened with, in the order of its cases; None for a patient that another transaction has locked.

    `at`: the database's clock when ours, the monotonic one, stood at `at_s`.
    """

    before: Sequence[Before | None]
    at: datetime
    at_s: float

    def now(self) -> datetime:
        """What the database's clock says by now, to the millisecond."""
        now = self.at + timedelta(seconds=time.monotonic() - self.at_s)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


def open_chunk(connection: DictConnection, asked: Sequence[tuple[SamePatient, str]]) -> Opened:
    """Lock each patient that nobody else has locked, until this transaction ends, and read what stands before it.

    Waits for nobody. `asked`: patients of one tenant, none twice, each with the id of its assessment; at least one.
    """
    patients = [same for same, _ in asked]
    parameters = {
        "tenant": patients[0].response.tenant,
        "keys": [same.key for same in patients],
        "ids": [assessment_id for _, assessment_id in asked],
        "responses": [same.response.id for same in patients],
        "subjects": [same.patient for same in patients],
        "packs": [same.pack for same in patients],
        "hours": WINDOW_H,
    }
    rows = connection.execute(QUERIES["open_chunk"], parameters).fetchall()
    at_s = time.monotonic()  # after the answer: a time that is late would be one of the future
    return Opened([_before(row) if row["is_free"] else None for row in rows], rows[0]["now"], at_s)


def _before(row: Mapping[str, Any]) -> Before:
    return Before(None if row["version_id"] is None else _held(row), _most_urgent(row["earlier"]))


def _held(row: Mapping[str, Any]) -> Held:
    return Held(row["version_id"], row["response_version"], row["pack_version"], row["status"])


def _most_urgent(urgencies: Iterable[str]) -> Urgency | None:
    return min(map(Urgency, urgencies), key=lambda urgency: urgency.rank, default=None)


def lock_publication(connection: DictConnection) -> None:
    """Wait until no other transaction publishes; held until this transaction ends."""
    connection.execute(QUERIES["lock"], {"key": "publication"})


def earlier_urgency(connection: DictConnection, same: SamePatient) -> Urgency | None:
    """The most urgent evaluation of this patient, or of this response, with this pack in the last 24 hours.

    A response that was entered in error does not count, nor what came before a clinician's own answers.
    """
    parameters = {
        "tenant": same.response.tenant,
        "response": same.response.id,
        "subject": same.patient,
        "pack": same.pack,
        "hours": WINDOW_H,
    }
    return _most_urgent(row["urgency"] for row in connection.execute(QUERIES["earlier"], parameters).fetchall())


def commit(connection: DictConnection, outcome: Outcome) -> bool:
    """Write an evaluation in the caller's transaction: assessment, resources, outbox row.

    False, and nothing is written, when another version of the response was evaluated in the meantime: `overtaken` says
    whether an older one.
    """
    return _store(connection, [outcome], []) == "stored"


def commit_all(connection: DictConnection, outcomes: Sequence[Outcome], claims: Sequence[Claim]) -> None:
    """Write evaluations of different responses of one tenant, each as `commit` does, and end their jobs.

    Raises LeaseLost where a job is not ours any more, and Overtaken where `commit` would write nothing: the caller's
    transaction must then not be committed.
    """
    reach("jobs.before_finish")
    match _store(connection, outcomes, claims):
        case "lease lost":
            raise LeaseLost
        case "overtaken":
            raise Overtaken


def _store(connection: DictConnection, outcomes: Sequence[Outcome], claims: Sequence[Claim]) -> str:
    tenant = outcomes[0].response.tenant
    cancelled = [version for outcome in outcomes for version in _stale_issues(connection, outcome)]
    made = [_new_version(resource, outcome) for outcome in outcomes for resource in outcome.resources]
    acts = [] if tenant == WATCHDOG_TENANT else [audit_parameters(_act(outcome), OURSELVES) for outcome in outcomes]
    parameters = {
        "tenant": tenant,
        "outcomes": _rows(outcomes),
        "acts": orjson.dumps(acts).decode(),
        "claims": orjson.dumps([_ended(claimed) for claimed in claims]).decode(),
    }
    row = connection.execute(QUERIES["store"], parameters | resources.as_saved([*cancelled, *made])).fetchone()
    assert row is not None
    return str(row["found"])


def _ended(claimed: Claim) -> dict[str, Any]:
    return {"kind": claimed.kind, "id": claimed.ref.id, "version": claimed.ref.version, "token": claimed.token}


def _rows(outcomes: Sequence[Outcome]) -> str:
    """What `assessment`, `assessment_run` and the outbox say of these outcomes, as JSON."""
    rows = [
        {
            "id": one.assessment_id,
            "version_id": one.version_id,
            "response_id": one.response.id,
            "response_version": one.response.version,
            "pack": one.pack,
            "pack_version": one.pack_version,
            "pack_sha256": one.pack_sha256,
            "urgency": one.urgency,
            "assessed_at": one.assessed_at,
            "subject": one.remembered.patient,
            "own_urgency": one.remembered.urgency,
            "withdrawn": one.remembered.withdrawn,
            "by_clinician": one.remembered.by_clinician,
            "queue": one.queue,
        }
        for one in outcomes
    ]
    return orjson.dumps(rows).decode()


def overtaken(connection: DictConnection, outcome: Outcome) -> bool:
    """True when what stands now in the place of this outcome is of an older version: it must be evaluated again."""
    held = current(connection, outcome.response.tenant, [outcome.assessment_id]).get(outcome.assessment_id)
    return held is not None and held.response_version < outcome.response.version


def _act(outcome: Outcome) -> Act:
    interaction = Interaction.CREATE if outcome.version_id == 1 else Interaction.UPDATE
    patient = patient_of(outcome.resources[0])
    return Act(
        interaction,
        "RiskAssessment",
        id=outcome.assessment_id,
        version=outcome.version_id,
        patient=patient,
        word=Word.ASSESSED,
    )


def _stale_issues(connection: DictConnection, outcome: Outcome) -> list[NewVersion]:
    """A flag that the newer version of the response no longer fires has its DetectedIssue cancelled, not forgotten.

    When the response was entered in error, so was every issue of it.
    """
    tenant = outcome.response.tenant
    if outcome.version_id == 1:
        return []
    implicated = ("implicated", f"RiskAssessment/{outcome.assessment_id}")
    search = searched("DetectedIssue", [implicated, ("_count", str(MAX_COUNT))])
    fired = {resource["id"] for resource in outcome.resources}
    found = [orjson.loads(issue.body) for issue in resources.find(connection, tenant, search).found]
    in_error = outcome.resources[0]["status"] == Status.ENTERED_IN_ERROR
    status = Status.ENTERED_IN_ERROR if in_error else Status.CANCELLED
    stale = [issue for issue in found if issue["id"] not in fired and issue["status"] != status]
    run = Run(outcome.assessment_id, outcome.version_id, outcome.assessed_at, status)
    return [_new_version(withdrawn(issue, run=run), outcome) for issue in stale]


def _new_version(resource: Mapping[str, Any], outcome: Outcome) -> NewVersion:
    """How a resource of this evaluation is stored."""
    return NewVersion(
        type=resource["resourceType"],
        id=resource["id"],
        version_id=int(resource["meta"]["versionId"]),
        last_updated=outcome.assessed_at,
        body=orjson.dumps(resource),
        tag=outcome.tag if resource["resourceType"] == "RiskAssessment" else None,
        content=resource,
    )


def subject_key(subject: Mapping[str, Any]) -> str | None:
    """What stands for the patient in searches and alerts: the reference, else `system|value`."""
    if "reference" in subject:
        return str(subject["reference"])
    identifier = subject.get("identifier", {})
    return f"{identifier.get('system', '')}|{identifier['value']}" if "value" in identifier else None


def name_canonical(connection: DictConnection, tenant: UUID, resource_type: str, canonical: Canonical) -> None:
    """Note what names a published resource. Whoever publishes the same one meanwhile waits for this transaction."""
    connection.execute(
        QUERIES["name_canonical"],
        {
            "tenant": tenant,
            "type": resource_type,
            "id": canonical.id,
            "url": canonical.url,
            "version": canonical.version,
            "name": canonical.name,
            "title": canonical.title,
        },
    )


def count_repair(connection: DictConnection, kind: str, number: int) -> None:
    """Count what the reconciler put right."""
    connection.execute(QUERIES["count_repair"], {"kind": kind, "number": number})


def forget_rounds(connection: DictConnection, kept: timedelta) -> None:
    """Delete what rounds of the watchdog left here longer ago than that, in a transaction of its tenant."""
    for name in ("forget_assessments", "forget_runs"):
        connection.execute(QUERIES[name], {"tenant": WATCHDOG_TENANT, "kept": kept})
