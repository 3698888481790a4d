"""`_summary` and `_elements`: which top-level elements of a resource are given out (R4 search.html#summary).

https://hl7.org/fhir/R4/search.html#elements. Mandatory elements are always among them, so that what is left is still a
valid resource; `id` and `meta` always come, the latter with the tag SUBSETTED.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shared.fhir.elements import kinds
from shared.fhir.identity import subset, top_level_members
from shared.fhir.resources import WITHOUT_BODY, Stored

SUMMARY: Final[Mapping[str, str]] = {
    "QuestionnaireResponse": "author authored basedOn encounter identifier partOf questionnaire source status subject",
    "Questionnaire": (
        "code contact date effectivePeriod experimental identifier jurisdiction name publisher status "
        "subjectType title url useContext version"
    ),
    "RiskAssessment": (
        "code condition encounter identifier method occurrenceDateTime occurrencePeriod performer status subject"
    ),
    "DetectedIssue": "author code identifiedDateTime identifiedPeriod identifier implicated patient severity status",
    "Provenance": "recorded target",
    "Device": "safety status udiCarrier",
    "Library": (
        "contact content date description effectivePeriod experimental identifier jurisdiction name publisher "
        "status title type url useContext version"
    ),
    "PlanDefinition": (
        "contact date description effectivePeriod experimental identifier jurisdiction name publisher status "
        "title type url useContext version"
    ),
    "Task": (
        "basedOn businessStatus code description encounter executionPeriod focus for groupIdentifier "
        "instantiatesCanonical instantiatesUri intent lastModified location owner partOf requester status "
        "statusReason"
    ),
    "CommunicationRequest": (
        "authoredOn basedOn doNotPerform encounter groupIdentifier identifier occurrenceDateTime "
        "occurrencePeriod priority reasonCode reasonReference replaces requester sender status"
    ),
    "Communication": (
        "basedOn encounter identifier instantiatesCanonical instantiatesUri partOf priority reasonCode "
        "reasonReference status statusReason subject"
    ),
    "Subscription": "channel contact criteria end error reason status",
    "AuditEvent": "action outcome outcomeDesc purposeOfEvent recorded subtype type",
    "SearchParameter": (
        "base code contact date description experimental jurisdiction name publisher status type url useContext version"
    ),
    "OperationDefinition": (
        "affectsState base code contact date experimental instance jurisdiction kind name publisher resource "
        "status system title type url useContext version"
    ),
    "StructureDefinition": (
        "abstract baseDefinition contact context contextInvariant date derivation experimental fhirVersion "
        "identifier jurisdiction keyword kind name publisher status title type url useContext version"
    ),
    "NamingSystem": "contact date jurisdiction kind name publisher status uniqueId useContext",
    "CodeSystem": (
        "caseSensitive compositional contact content count date experimental filter hierarchyMeaning "
        "identifier jurisdiction name property publisher status supplements title url useContext valueSet "
        "version versionNeeded"
    ),
    "ValueSet": (
        "contact date experimental identifier immutable jurisdiction name publisher status title url useContext version"
    ),
}
"""The elements that R4 marks as part of the summary (the sign sigma in its tables)."""


def shown(stored: Stored, full: bytes, *, summary: str, elements: Sequence[str] | None) -> bytes:
    """The resource, or what `_elements` (else `_summary`) asks of it. `full`: as it is shown whole."""
    if elements is not None:
        if WITHOUT_BODY.issuperset(elements):
            return subset(stored, tuple(elements), b"")
        return subset(stored, (*_mandatory(stored.type, full), *elements), full)
    match summary:
        case "true":
            return subset(stored, (*_mandatory(stored.type, full), *SUMMARY.get(stored.type, "").split()), full)
        case "text":
            return subset(stored, ("text", *_mandatory(stored.type, full)), full)
        case "data":
            return subset(stored, tuple(name for name in top_level_members(full) if name != "text"), full)
    return full


def _mandatory(resource_type: str, full: bytes) -> list[str]:
    """Names of the members that R4 asks for; of a choice, the one that is there. Of a type not listed here: all."""
    kind = kinds().get(resource_type)
    if kind is None:
        return list(top_level_members(full))
    choices = [choice.names for choice in kind.choices if choice.required]
    chosen = [name for names in choices for name in top_level_members(full) if name in names]
    return [*kind.required, *chosen]
