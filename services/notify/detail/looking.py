"""Use case: somebody looks at an alert, or at all of a patient's. Recorded before anything is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

from services.notify.acts.people import document_of
from services.notify.detail import store
from services.notify.detail.answers import Answers, read_answers
from services.notify.detail.assessed import Assessed, Response, read_assessed
from services.notify.detail.history import Entry, entries
from services.notify.detail.ledger import Line, Note, ledger_lines, notes_of, with_submission
from services.notify.detail.neighbours import Asked, Found, Neighbours
from services.notify.detail.parts import NOT_AS_EXPECTED
from services.notify.detail.people import names_in, targets_in
from services.notify.detail.store import Version
from services.notify.records import Alert
from services.notify.store import read_resource
from shared.audit.act import Act, Interaction, asker_or, patient_of, record
from shared.fhir.codes import SID_RESPONSE
from shared.postgres import DictConnection, Pool, database_now, tenant_transaction
from shared.problems import Category, Problem, ProblemError

MOST_ALERTS = 200
UNREADABLE_ANSWERS = "the answers"
AWAY_HISTORY = "Triage does not answer. Assessments that did not alert are missing here."


@dataclass(frozen=True, slots=True)
class Looked:
    """An alert with everything that could be found out about it within two seconds.

    `chosen`: the version of an assessment that is shown in full, None when the alert stands for none; `newer`: a later
    version of the same. `names`: of people and teams, by id; `targets`: to whom it can be handed. `missing`: sentences
    on what is not here. `texts`: of the questions, by linkId; `conditions`: what conditions are called, by code.
    """

    alert: Alert
    now: datetime
    versions: tuple[Version, ...]
    chosen: Version | None
    newer: Version | None
    lines: tuple[Line, ...]
    feedback: tuple[Mapping[str, Any], ...]
    others: tuple[Alert, ...]
    notes: tuple[Note, ...]
    names: Mapping[str, str]
    targets: Mapping[str, str]
    assessed: Assessed | None = None
    answers: Answers | None = None
    authored: str = ""
    texts: Mapping[str, str] | None = None
    conditions: Mapping[str, str] | None = None
    missing: tuple[str, ...] = ()

    @property
    def known_patient(self) -> bool:
        """True when other alerts of the same patient can be told."""
        return not self.alert.subject_key.startswith("RiskAssessment/")


@dataclass(frozen=True, slots=True)
class Patient:
    """All that is known here of a patient. `entries` None: triage did not answer."""

    key: str
    subject: Mapping[str, Any] | None
    alerts: tuple[Alert, ...]
    entries: tuple[Entry, ...] | None
    now: datetime


def look(
    pool: Pool,
    neighbours: Neighbours,
    tenant: UUID,
    alert_id: UUID,
    *,
    wanted: tuple[str, int] | None = None,
) -> Looked:
    """The alert as it is now, with what triage and intake know of it.

    `wanted`: assessment and version to show in full; None: the one that matters most. Raises ProblemError 404: no such
    alert, or it does not stand for that version.
    """
    with tenant_transaction(pool, tenant) as connection:
        found = store.read_alert(connection, tenant, alert_id)
        if found is None:
            _not_found(f"There is no alert {alert_id}.")
        looked, responses = _from_here(connection, *found, wanted)
    if looked.chosen is None:
        return looked
    asked = Asked(looked.chosen.ref, responses)
    return _with_neighbours(looked, neighbours.find(asked, response_of=_response_of))


def _from_here(
    connection: DictConnection, alert: Alert, now: datetime, wanted: tuple[str, int] | None
) -> tuple[Looked, tuple[str, ...]]:
    """What notify itself knows, and the ids of the responses behind the alert."""
    versions = store.versions(connection, alert)
    chosen = _chosen(versions, wanted)
    _record_look(connection, alert, chosen)
    task = read_resource(connection, alert.tenant_id, "Task", alert.id) or {}
    identifiers = task.get("identifier", [])
    responses = tuple(str(one["value"]) for one in identifiers if one.get("system") == SID_RESPONSE)
    known_patient = not alert.subject_key.startswith("RiskAssessment/")
    same = store.alerts_of_patient(connection, alert.tenant_id, alert.subject_key, limit=MOST_ALERTS)
    document = document_of(connection, alert.tenant_id)
    names = names_in(document)
    looked = Looked(
        alert=alert,
        now=now,
        versions=tuple(versions),
        chosen=chosen,
        newer=_newer(versions, chosen),
        lines=ledger_lines(store.ledger(connection, alert), store.unsent(connection, alert), names),
        feedback=tuple(store.feedback(connection, alert)),
        others=tuple(one for one in same if one.id != alert.id) if known_patient else (),
        notes=notes_of(task),
        names=names,
        targets=targets_in(document),
    )
    return looked, responses


def look_at_patient(pool: Pool, neighbours: Neighbours, tenant: UUID, key: str) -> Patient:
    """All alerts of a patient, and all assessments that triage has. Raises ProblemError 404 where there is none."""
    with tenant_transaction(pool, tenant) as connection:
        alerts = store.alerts_of_patient(connection, tenant, key, limit=MOST_ALERTS)
        now = database_now(connection)
        act = Act(Interaction.SEARCH, "RiskAssessment", patient=key, query="patient-history")
        record(connection, tenant, act, asker_or("service/notify"))
    found = neighbours.assessments_of(key, tenant)
    if not alerts and not found:
        _not_found("Nothing is known here of this patient.")
    with tenant_transaction(pool, tenant) as connection:
        held = store.alerts_of_assessments(connection, tenant, [str(one.get("id")) for one in found or ()])
    subject = next((alert.subject for alert in alerts), None) or next((one.get("subject") for one in found or ()), None)
    return Patient(key, subject, tuple(alerts), None if found is None else entries(found, held), now)


def _with_neighbours(looked: Looked, found: Found) -> Looked:
    assessed = read_assessed(found.assessment, found.issues) if found.assessment else None
    missing = found.missing
    answers = None
    if found.response is not None:
        try:
            answers = read_answers(found.response, found.form, assessed.fired_by_link_id if assessed else {})
        except NOT_AS_EXPECTED:
            missing = (*missing, f"Part of this could not be read: {UNREADABLE_ANSWERS}. Read the response itself.")
    return replace(
        looked,
        assessed=assessed,
        answers=answers,
        authored=str((found.response or {}).get("authored", "")),
        lines=with_submission(looked.lines, _received(found.response), assessed),
        texts=found.form.texts() if found.form else {},
        conditions=found.conditions,
        missing=missing,
    )


def _record_look(connection: DictConnection, alert: Alert, chosen: Version | None) -> None:
    """Who looked at whose alert and assessment, in the transaction that reads it."""
    patient = patient_of({"subject": alert.subject})
    acts = [Act(Interaction.READ, "Task", id=str(alert.id), version=alert.task_version, patient=patient)]
    if chosen is not None:
        ref = chosen.ref
        acts.append(Act(Interaction.VREAD, "RiskAssessment", id=ref.id, version=ref.version, patient=patient))
    for act in acts:
        record(connection, alert.tenant_id, act, asker_or("service/notify"))


def _chosen(versions: Sequence[Version], wanted: tuple[str, int] | None) -> Version | None:
    if wanted is None:
        return versions[0] if versions else None
    found = next((one for one in versions if (one.ref.id, one.ref.version) == wanted), None)
    if found is None:
        _not_found("The alert does not stand for this version of an assessment.")
    return found


def _newer(versions: Sequence[Version], chosen: Version | None) -> Version | None:
    """The newest later version of the same assessment that the alert knows of, or None."""
    if chosen is None:
        return None
    later = [one for one in versions if one.ref.id == chosen.ref.id and one.ref.version > chosen.ref.version]
    return max(later, key=lambda one: one.ref.version, default=None)


def _response_of(resource: Mapping[str, Any]) -> Response | None:
    return read_assessed(resource, ()).response


def _received(response: Mapping[str, Any] | None) -> datetime | None:
    try:
        return datetime.fromisoformat(str((response or {})["meta"]["lastUpdated"]))
    except NOT_AS_EXPECTED:
        return None


def _not_found(message: str) -> NoReturn:
    raise ProblemError(Problem(Category.NOT_FOUND, "not-found", message, issue_code="not-found"))
