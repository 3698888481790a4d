"""What notify needs to know of a RiskAssessment: whose, how urgent, from which response. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.events import Ref
from shared.fhir.codes import (
    CS_METHOD,
    CS_URGENCY,
    EXT_DISPOSITION,
    EXT_RED_FLAG,
    EXT_REFUSED,
    REVIEW_TAG,
    SID_REFUSED,
    SID_RESPONSE,
    SID_SUBMISSION,
    Urgency,
)
from shared.fhir.patient import patient_key

NO_PATHWAY = "none"
WITHDRAWN = ("entered-in-error", "cancelled")


@dataclass(frozen=True, slots=True)
class Refused:
    """What a refused submission is told of: its id, the client that sent it, and when it came."""

    id: str
    client: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Assessment:
    """One version of a RiskAssessment, as far as alerting goes. `subject` is None when it could not be read.

    `refused`: it is of a refused submission. `submission` stands for the sender's identifier of the form;
    `known_patient`: `subject_key` is that of a patient.
    """

    ref: Ref
    status: str
    urgency: Urgency
    subject_key: str
    subject: Mapping[str, Any] | None
    pathway: str
    response_id: str | None
    refused: Refused | None = None
    submission: str | None = None
    known_patient: bool = False
    flags: tuple[str, ...] = ()
    """Red flags that fired."""

    @property
    def withdrawn(self) -> bool:
        """True when this version says that the assessment was entered in error."""
        return self.status in WITHDRAWN

    @property
    def alerts(self) -> bool:
        """True when this version asks for an alert by itself.

        That holds for a preliminary one too (page 1 alone): whether the rest will ever be answered is not known, and
        the assessment of the finished form joins the alert.
        """
        return not self.withdrawn and self.urgency.alerts

    @property
    def reference(self) -> str:
        """The FHIR reference of the assessment, without its version."""
        return f"RiskAssessment/{self.ref.id}"


def read_assessment(resource: Mapping[str, Any], ref: Ref, *, otherwise: Urgency) -> Assessment:
    """Read a RiskAssessment.

    Where extension and tag differ, the more urgent counts; a request for a clinician's review counts as same_day; where
    nothing can be read, `otherwise`. Raises KeyError, TypeError or AttributeError for something that is no
    RiskAssessment of ours.
    """
    subject = _patient(resource["subject"])
    return Assessment(
        ref=ref,
        status=str(resource["status"]),
        urgency=min(_urgencies(resource), key=lambda urgency: urgency.rank, default=otherwise),
        subject_key=patient_key(subject) or f"RiskAssessment/{ref.id}",
        subject=subject,
        pathway=_pathway(resource),
        response_id=_response_id(resource),
        refused=_refused(resource),
        submission=_identifier(resource, SID_SUBMISSION),
        known_patient=patient_key(subject) is not None,
        flags=tuple(_fired(resource)),
    )


def unreadable(ref: Ref, urgency: Urgency) -> Assessment:
    """What stands for an assessment that cannot be read: a human must look at it, so it alerts, for nobody else."""
    return Assessment(
        ref=ref,
        status="unknown",
        urgency=urgency,
        subject_key=f"RiskAssessment/{ref.id}",
        subject=None,
        pathway=NO_PATHWAY,
        response_id=None,
    )


def _patient(subject: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of the reference to the patient that are shown or searched; no extensions."""
    kept = {name: str(subject[name]) for name in ("reference", "type", "display") if subject.get(name)}
    given = subject.get("identifier", {})
    identifier = {name: str(given[name]) for name in ("system", "value") if given.get(name)}
    return kept | ({"identifier": identifier} if identifier else {})


def subject_key(subject: Mapping[str, Any]) -> str | None:
    """What a search for the patient finds: the reference, else `system|value` of the identifier, else None."""
    if subject.get("reference"):
        return str(subject["reference"])
    identifier = subject.get("identifier", {})
    return f"{identifier.get('system', '')}|{identifier['value']}" if identifier.get("value") else None


def _urgencies(resource: Mapping[str, Any]) -> Iterable[Urgency]:
    given = [e.get("valueCoding", {}) for e in resource.get("extension", []) if e.get("url") == EXT_DISPOSITION]
    given += [tag for tag in resource.get("meta", {}).get("tag", []) if tag.get("system") == CS_URGENCY]
    codes = [Urgency.SAME_DAY if coding.get("code") == REVIEW_TAG else coding.get("code") for coding in given]
    return [Urgency(code) for code in codes if code in list(Urgency)]


def _fired(resource: Mapping[str, Any]) -> Iterable[str]:
    """Ids of the red flags that fired. What cannot be read is left out: an alert never depends on it."""
    for extension in resource.get("extension", []):
        if extension.get("url") == EXT_RED_FLAG:
            parts = {part.get("url"): part.get("valueCode") for part in extension.get("extension", [])}
            if parts.get("result") == "fired" and isinstance(parts.get("flag"), str):
                yield parts["flag"]


def _pathway(resource: Mapping[str, Any]) -> str:
    for coding in resource.get("method", {}).get("coding", []):
        if coding.get("system") == CS_METHOD and coding.get("code"):
            return str(coding["code"])
    return NO_PATHWAY


def _identifier(resource: Mapping[str, Any], system: str) -> str | None:
    found = (one for one in resource.get("identifier", []) if one.get("system") == system)
    return next((str(one["value"]) for one in found), None)


def _refused(resource: Mapping[str, Any]) -> Refused | None:
    for extension in resource.get("extension", []):
        if extension.get("url") == EXT_REFUSED:
            given = {part["url"]: part for part in extension["extension"]}
            received_at = datetime.fromisoformat(given["received"]["valueInstant"])
            identifier = _identifier(resource, SID_REFUSED) or ""
            return Refused(identifier, str(given["client"]["valueString"]), received_at)
    return None


def _response_id(resource: Mapping[str, Any]) -> str | None:
    if (named := _identifier(resource, SID_RESPONSE)) is not None:
        return named
    for basis in resource.get("basis", []):
        kind, _, rest = str(basis.get("reference", "")).partition("/")
        if kind == "QuestionnaireResponse" and rest:
            return rest.partition("/")[0]
    return None
