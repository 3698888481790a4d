"""An assessment as FHIR R4: one RiskAssessment, a DetectedIssue per red flag that fired, one Provenance.

Plain structures, built from arguments alone: same arguments, same bytes. Urgency is the coded extension
`triage-disposition` and never `qualitativeRisk`, which is a likelihood; the order of candidates is relative support,
and no probability is made of it.
https://hl7.org/fhir/R4/riskassessment.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.triage.basis import (
    DEVICE_ID,
    DEVICE_NAME,
    SHA256_SYSTEM,
    Basis,
    Resource,
    Run,
    Status,
    assessment_id,
    issue_id,
    performer,
    plain,
    provenance_id,
)
from services.triage.engine.model import Urgency
from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment, FlagResult
from services.triage.explanation import Explanation, explain
from services.triage.narrative import narrative, paragraph, text_element
from services.triage.prediction_elements import prediction_elements
from services.triage.rule_results import disposition, rule_results
from services.triage.told import told
from services.triage.written import written
from shared.fhir.codes import (
    CANONICAL,
    CS_METHOD,
    CS_URGENCY,
    REVIEW_TAG,
    SID_FLAG,
    SID_RESPONSE,
    SID_SUBMISSION,
    SID_TRIAGE_RUN,
)

__all__ = [
    "Basis",
    "Run",
    "Status",
    "assessment_id",
    "build_resources",
    "device",
    "not_assessable",
    "plain",
    "withdrawn",
]

_CODE = {
    "coding": [{"system": f"{CANONICAL}/CodeSystem/assessment", "code": "triage", "display": "Triage"}],
    "text": "Triage",
}
_SEVERITY = {Urgency.EMERGENCY: "high", Urgency.SAME_DAY: "moderate", None: "moderate"}
_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"


def build_resources(
    assessment: Assessment, pack: Pack, *, basis: Basis, run: Run, explanation: Explanation | None = None
) -> list[Resource]:
    """The RiskAssessment first, then a DetectedIssue per fired flag, then the Provenance, as they are stored.

    In the extensions and predictions of the RiskAssessment stands text that is written already: `plain` reads it.
    `explanation`: of this assessment, where it is known already.
    """
    explanation = explanation or explain(pack, assessment)
    issues = [_detected_issue(pack, assessment, result, basis, run) for result in assessment.fired]
    head = pack.head
    library = {
        "reference": f"Library/{head.name}-{head.version}",
        "identifier": {"system": SHA256_SYSTEM, "value": head.sha256},
        "display": f"{head.canonical}|{head.version}",
    }
    return [
        _risk_assessment(assessment, pack, explanation, basis, run),
        *issues,
        _provenance(basis, run, issues=issues, knowledge=library),
    ]


def not_assessable(
    texts: Mapping[str, str], *, basis: Basis, run: Run, reason: str, pack_name: str = "none"
) -> list[Resource]:
    """RiskAssessment and Provenance that ask a human to read the response the same day.

    `texts`: see `load_not_assessable_texts`. `reason`: "no-pack" or "unreadable". Cannot fail for what is in
    the response: it uses nothing of it but references.
    """
    sentence = texts[f"reason.{reason}"]
    every_output = texts["every_output"].format(time=basis.authored or run.instant)
    resource = _frame(basis, run, knowledge=f"{pack_name}/not-assessable", urgency=Urgency.SAME_DAY)
    resource |= {
        "text": text_element(
            [paragraph(part) for part in (texts["heading"], sentence, texts["disposition"], every_output)]
        ),
        "extension": [disposition(Urgency.SAME_DAY)],
        "method": {
            "coding": [{"system": CS_METHOD, "code": "not-assessable"}],
            "text": texts["heading"],
        },
        "mitigation": texts["disposition"],
        "note": [{"text": sentence}, {"text": every_output}],
    }
    return [resource, _provenance(basis, run, issues=[], knowledge=None)]


def withdrawn(resource: Mapping[str, Any], *, run: Run) -> Resource:
    """A new version of a RiskAssessment or DetectedIssue with the run's status and nothing else changed.

    For `entered-in-error`, and (`cancelled`) for a DetectedIssue of a flag that an amended response no longer
    fires.
    """
    meta = {**resource.get("meta", {}), **run.meta(resource["resourceType"])}
    return {**resource, "meta": meta, "status": run.status.value}


def device(*, version: str, run: Run) -> Resource:
    """The engine as a Device: what every assessment names as its performer. `version`: of the build."""
    return {
        "resourceType": "Device",
        "id": DEVICE_ID,
        "meta": run.meta("Device"),
        "identifier": [{"system": f"{CANONICAL}/sid/device", "value": "triage-engine"}],
        "status": "active",
        "deviceName": [{"name": DEVICE_NAME, "type": "user-friendly-name"}],
        "type": {"text": "Clinical decision support software"},
        "version": [{"type": {"text": "build"}, "value": version}],
    }


def _frame(basis: Basis, run: Run, *, knowledge: str, urgency: Urgency | None) -> Resource:
    """What every RiskAssessment of ours has, whatever it says."""
    meta = run.meta("RiskAssessment")
    if urgency is not None:
        meta["tag"] = [{"system": CS_URGENCY, "code": urgency.value}]
    resource: Resource = {
        "resourceType": "RiskAssessment",
        "id": run.assessment_id,
        "meta": meta,
        "identifier": [
            {"system": SID_TRIAGE_RUN, "value": f"{basis.response_id}/{basis.response_version}/{knowledge}"},
            {"system": SID_RESPONSE, "value": basis.response_id},
        ],
        "status": run.status.value,
        "code": _CODE,
        "subject": dict(basis.subject),
        "occurrenceDateTime": run.instant,
        "performer": performer(),
        "basis": [{"reference": basis.reference}],
    }
    if basis.submission is not None:
        resource["identifier"].append({"system": SID_SUBMISSION, "value": basis.submission})
    if basis.based_on is not None:
        resource["basedOn"] = dict(basis.based_on)
    if basis.encounter is not None:
        resource["encounter"] = dict(basis.encounter)
    return resource


def _risk_assessment(assessment: Assessment, pack: Pack, explanation: Explanation, basis: Basis, run: Run) -> Resource:
    head = pack.head
    every_output = pack.text("every_output", time=basis.authored or run.instant)
    resource = _frame(basis, run, knowledge=f"{head.name}/{head.version}", urgency=assessment.urgency)
    resource |= {
        "text": narrative(pack, explanation, every_output),
        "extension": rule_results(pack, assessment),
        "method": {
            "coding": [{"system": CS_METHOD, "version": head.version, "code": head.name}],
            "text": head.title,
        },
        "mitigation": explanation.disposition,
        "note": [{"text": text} for text in _notes(pack, explanation, every_output)],
    }
    if assessment.needs_review:
        resource["meta"].setdefault("tag", []).append({"system": CS_URGENCY, "code": REVIEW_TAG})
    if explanation.predictions:
        resource["prediction"] = prediction_elements(pack, explanation.predictions)
    return resource


def _notes(pack: Pack, explanation: Explanation, every_output: str) -> list[str]:
    """Limits, reasons, what could not be excluded, what would change it, doubtful answers, scores, advice."""
    grouped: tuple[tuple[str, ...], ...] = (
        explanation.review,
        explanation.reasons,
        explanation.ranking,
        explanation.not_excluded,
        explanation.changes,
        explanation.quality,
        explanation.scores,
    )
    grouped += tuple((f"{pack.text(f'heading.advice.{kind.value}')}:", *given) for kind, given in explanation.advice)
    notes = [explanation.limits, *("\n".join(sentences) for sentences in grouped if sentences)]
    return [*notes, every_output, explanation.safety_net]


def _detected_issue(pack: Pack, assessment: Assessment, result: FlagResult, basis: Basis, run: Run) -> Resource:
    flag, fired, findings = result.flag, written(pack).fired(result), assessment.findings
    response = {"reference": basis.reference}
    answers = [{"text": told(pack, name, findings.get(name)).in_full} for name in fired.facts]
    issue: Resource = {
        "resourceType": "DetectedIssue",
        "id": issue_id(run.assessment_id, flag.id),
        "meta": run.meta("DetectedIssue"),
        "identifier": [
            {"system": SID_FLAG, "value": f"{run.assessment_id}/{flag.id}"},
            {"system": SID_RESPONSE, "value": basis.response_id},
        ],
        "status": run.status.value,
        "code": fired.code,
        "severity": _SEVERITY.get(result.urgency, "low"),
        "identifiedDateTime": run.instant,
        "author": performer(),
        "implicated": [response, {"reference": run.reference}],
        "evidence": [{"code": answers, "detail": [response]}],
        "detail": fired.detail,
    }
    if _is_patient(basis.subject):
        issue["patient"] = dict(basis.subject)
    if fired.source is not None:
        issue["reference"] = fired.source
    return issue


def _is_patient(subject: Mapping[str, Any]) -> bool:
    reference = str(subject.get("reference", ""))
    return subject.get("type", "Patient") == "Patient" and "Group/" not in reference


def _provenance(basis: Basis, run: Run, *, issues: list[Resource], knowledge: Resource | None) -> Resource:
    response: Resource = {"reference": basis.reference}
    if basis.sha256:
        response["identifier"] = {"system": SHA256_SYSTEM, "value": basis.sha256}
    entities: list[Resource] = [{"role": "source", "what": response}]
    if knowledge is not None:
        entities.append({"role": "source", "what": knowledge})
    if run.version > 1:
        previous = f"RiskAssessment/{run.assessment_id}/_history/{run.version - 1}"
        entities.append({"role": "revision", "what": {"reference": previous}})
    targets = [f"DetectedIssue/{issue['id']}/_history/{run.version}" for issue in issues]
    return {
        "resourceType": "Provenance",
        "id": provenance_id(run),
        "meta": {**run.meta("Provenance"), "versionId": "1"},
        "target": [{"reference": target} for target in (run.reference, *targets)],
        "recorded": run.instant,
        "activity": {"coding": [{"system": _OPERATION, "code": "UPDATE" if run.version > 1 else "CREATE"}]},
        "agent": [{"type": {"coding": [{"system": _PARTICIPANT, "code": "assembler"}]}, "who": performer()}],
        "entity": entities,
    }
