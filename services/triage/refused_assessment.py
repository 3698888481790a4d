"""A refused submission that looks urgent, as FHIR: a preliminary RiskAssessment without any answer, and its Provenance.

There is no QuestionnaireResponse to stand on, so the basis is a logical reference (R4 references.html#logical) by the
identifier under which the submission was kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from services.triage.basis import NAMESPACE, Basis, Resource, Run, extension, performer, provenance_id
from services.triage.engine.content import PackHead
from services.triage.engine.model import Urgency
from services.triage.narrative import paragraph, text_element
from services.triage.rule_results import disposition
from shared.fhir.codes import CANONICAL, CS_METHOD, CS_URGENCY, EXT_REFUSED, SID_REFUSED, SID_SUBMISSION
from shared.fhir.identity import instant

NOT_ASSESSABLE = "not-assessable"


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused submission, as far as anybody is told of it.

    `subject` is empty where the patient cannot be told; `submission` stands for the sender's own identifier.
    """

    id: str
    received_at: datetime
    client: str
    subject: Mapping[str, object]
    submission: str | None = None


def refused_assessment_id(tenant: UUID, submission: str) -> str:
    """The one RiskAssessment of a refused submission."""
    return str(uuid5(NAMESPACE, f"{tenant}/{submission}/refused"))


def refused_resources(texts: Mapping[str, str], refused: Refused, head: PackHead | None, *, run: Run) -> list[Resource]:
    """RiskAssessment and Provenance. `head`: of the pack whose emergency flag fired; None: it could not be checked."""
    kind, urgency = ("urgent", Urgency.EMERGENCY) if head else ("unreadable", Urgency.SAME_DAY)
    heading = texts["heading"] if head else texts["heading.unreadable"]
    came = texts["came"].format(client=refused.client, time=instant(refused.received_at))
    mitigation = texts[f"disposition.{kind}"]
    sentences = [texts[kind], came, texts["limits"], texts["every_output"]]
    method: Resource = {"system": CS_METHOD, "code": head.name if head else NOT_ASSESSABLE}
    identifiers = [{"system": SID_REFUSED, "value": refused.id}]
    if refused.submission:
        identifiers.append({"system": SID_SUBMISSION, "value": refused.submission})
    assessment: Resource = {
        "resourceType": "RiskAssessment",
        "id": run.assessment_id,
        "meta": {**_meta(run), "tag": [{"system": CS_URGENCY, "code": urgency.value}]},
        "text": text_element(paragraph(part) for part in (heading, mitigation, *sentences)),
        "extension": [
            disposition(urgency),
            extension(
                EXT_REFUSED, ("client", "String", refused.client), ("received", "Instant", instant(refused.received_at))
            ),
        ],
        "identifier": identifiers,
        "status": run.status.value,
        "method": {"coding": [method | ({"version": head.version} if head else {})], "text": heading},
        "code": {"coding": [{"system": f"{CANONICAL}/CodeSystem/assessment", "code": "triage"}], "text": "Triage"},
        "subject": dict(refused.subject) or {"display": texts["patient"]},
        "occurrenceDateTime": run.instant,
        "performer": performer(),
        "basis": [_submission(refused)],
        "mitigation": mitigation,
        "note": [{"text": sentence} for sentence in sentences],
    }
    return [assessment, _provenance(refused, run)]


def subject_of(content: Mapping[str, object]) -> Mapping[str, object]:
    """The patient that a submission names, or nothing: a contained one cannot be told from another."""
    subject = Basis.of({**content, "id": ""}, version=1, sha256="").subject
    named = str(subject.get("reference", "")).partition("#")[0] or "identifier" in subject
    return {name: value for name, value in subject.items() if name != "type"} if named else {}


def _meta(run: Run) -> Resource:
    """Without our profiles: those are of assessments of a response, which this is not."""
    return {"versionId": str(run.version), "lastUpdated": run.instant}


def _submission(refused: Refused) -> Resource:
    identifier = {"system": SID_REFUSED, "value": refused.id}
    return {"type": "QuestionnaireResponse", "identifier": identifier, "display": "Refused submission"}


def _provenance(refused: Refused, run: Run) -> Resource:
    assembler = {"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "assembler"}
    operation = {"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "CREATE"}
    return {
        "resourceType": "Provenance",
        "id": provenance_id(run),
        "meta": _meta(run),
        "target": [{"reference": run.reference}],
        "recorded": run.instant,
        "activity": {"coding": [operation]},
        "agent": [{"type": {"coding": [assembler]}, "who": performer()}],
        "entity": [{"role": "source", "what": _submission(refused)}],
    }
