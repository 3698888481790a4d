"""The search parameters that we support, by resource type: what each reads and who defined it.

https://hl7.org/fhir/R4/searchparameter-registry.html. Adding a type is one entry of `PARAMETERS`; its rows are made
when a resource is stored and, for what is stored already, by the next migration. What is listed here is claimed in the
CapabilityStatement and works for every type that a service registers with `search-type`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from shared.fhir.codes import CANONICAL

READING: Final = 2
"""Raised by one when search_index.py reads elements differently: rows that were made before are then made anew."""

HL7: Final = "http://hl7.org/fhir/SearchParameter/"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one type.

    `paths` are element names from the resource on, joined by dots; `[type=depends-on]` keeps the elements with that
    member. `row`: the parameter whose rows this one looks at, where it reads the same elements. `targets`: types that a
    reference may name (empty: any). `single`: at most one value, so that it can be sorted by. `system`: of an element
    of type code, whose system is known though not written. `canonical`: a reference by url and version.
    """

    name: str
    type: str
    paths: tuple[str, ...]
    definition: str = ""
    row: str = ""
    targets: tuple[str, ...] = ()
    single: bool = False
    system: str = ""
    canonical: bool = False

    @property
    def stored_as(self) -> str:
        """The name under which its rows are stored."""
        return self.row or self.name

    def definition_for(self, resource_type: str) -> str:
        """The canonical of its SearchParameter: ours, one that HL7 shares between types, or HL7's for this type."""
        if self.definition == "own":
            return f"{CANONICAL}/SearchParameter/{resource_type}-{self.name}"
        return HL7 + (self.definition or f"{resource_type}-{self.name}")


def _token(name: str, *paths: str, definition: str = "", system: str = "", single: bool = False) -> Parameter:
    return Parameter(name, "token", paths or (name,), definition, system=system, single=single)


def _code(name: str, system: str, *, path: str = "", definition: str = "") -> Parameter:
    full = system if ":" in system else f"http://hl7.org/fhir/{system}"
    return Parameter(name, "token", (path or name,), definition, system=full, single=True)


def _reference(name: str, *paths: str, targets: str = "", definition: str = "", single: bool = False) -> Parameter:
    return Parameter(name, "reference", paths or (name,), definition, targets=tuple(targets.split()), single=single)


def _canonical(name: str, *paths: str, targets: str = "", single: bool = False) -> Parameter:
    return Parameter(name, "reference", paths or (name,), targets=tuple(targets.split()), single=single, canonical=True)


def _date(name: str, *paths: str, definition: str = "") -> Parameter:
    return Parameter(name, "date", paths or (name,), definition, single=True)


def _string(name: str, *paths: str, definition: str = "") -> Parameter:
    return Parameter(name, "string", paths or (name,), definition, single=not paths)


def _uri(name: str, *paths: str, definition: str = "") -> Parameter:
    return Parameter(name, "uri", paths or (name,), definition, single=not paths)


def _patient(path: str, *, definition: str = "", row: str = "subject") -> Parameter:
    return Parameter("patient", "reference", (path,), definition, row=row, targets=("Patient",), single=True)


def _artifact(name: str, *more: str) -> Parameter:
    return _canonical(name, f"relatedArtifact[type={name}].resource", *more)


_PERSON = "Practitioner PractitionerRole Patient RelatedPerson"
_ANYBODY = f"Device Organization {_PERSON}"
_RECIPIENT = f"CareTeam Group HealthcareService {_ANYBODY}"


def _published(shared: str = "", *, title: bool = True) -> tuple[Parameter, ...]:
    """What names a canonical resource. `shared`: the prefix under which HL7 defines it for several types at once."""

    def defined(name: str) -> str:
        return f"{shared}-{name}" if shared else ""

    texts = ("name", "title", "publisher", "description") if title else ("name", "publisher", "description")
    return (
        _uri("url", definition=defined("url")),
        _token("version", definition=defined("version"), single=True),
        *(_string(name, definition=defined(name)) for name in texts),
        _code("status", "publication-status", definition=defined("status")),
        _date("date", definition=defined("date")),
        _token("jurisdiction", definition=defined("jurisdiction")),
    )


_CONFORMANCE = _published("conformance")
_IDENTIFIER = _token("identifier")
_CLINICAL_IDENTIFIER = _token("identifier", definition="clinical-identifier")

PARAMETERS: Final[Mapping[str, tuple[Parameter, ...]]] = {
    "QuestionnaireResponse": (
        _IDENTIFIER,
        _code("status", "questionnaire-answers-status"),
        _reference("subject", single=True),
        _patient("subject"),
        _canonical("questionnaire", targets="Questionnaire", single=True),
        _date("authored"),
        _reference("author", targets=_ANYBODY, single=True),
        _reference("source", targets=_PERSON, single=True),
        _reference("encounter", targets="Encounter", single=True),
        _reference("based-on", "basedOn", targets="CarePlan ServiceRequest"),
        _reference("part-of", "partOf", targets="Observation Procedure"),
    ),
    "Questionnaire": (
        *_published(),
        _IDENTIFIER,
        _token("code", "item.code"),
        _token("subject-type", "subjectType", system="http://hl7.org/fhir/resource-types"),
        _date("effective", "effectivePeriod"),
    ),
    "RiskAssessment": (
        _CLINICAL_IDENTIFIER,
        _code("status", "observation-status", definition="own"),
        _reference("basis", definition="own"),
        _date("date", "occurrenceDateTime", "occurrencePeriod", definition="clinical-date"),
        _reference("subject", targets="Group Patient", single=True),
        _patient("subject", definition="clinical-patient"),
        _reference("encounter", targets="Encounter", definition="clinical-encounter", single=True),
        _reference("condition", targets="Condition", single=True),
        _token("method"),
        _reference("performer", targets="Device Practitioner PractitionerRole", single=True),
        Parameter("probability", "number", ("prediction.probabilityDecimal", "prediction.probabilityRange")),
        _token("risk", "prediction.qualitativeRisk"),
    ),
    "DetectedIssue": (
        _CLINICAL_IDENTIFIER,
        _code("status", "observation-status", definition="own"),
        _code("severity", "detectedissue-severity", definition="own"),
        _token("code"),
        _date("identified", "identifiedDateTime", "identifiedPeriod"),
        _patient("patient", definition="clinical-patient", row="patient"),
        _reference("author", targets="Device Practitioner PractitionerRole", single=True),
        _reference("implicated"),
    ),
    "Provenance": (
        _reference("target"),
        _reference("entity", "entity.what"),
        _reference("agent", "agent.who", targets=_ANYBODY),
        _token("agent-type", "agent.type"),
        _token("agent-role", "agent.role"),
        _date("recorded"),
        _date("when", "occurredDateTime", "occurredPeriod"),
    ),
    "Device": (
        _IDENTIFIER,
        _code("status", "device-status"),
        _string("device-name", "deviceName.name", "type.coding.display", "type.text"),
        _string("manufacturer"),
        _token("type"),
        _uri("url"),
    ),
    "Library": (
        *_published(),
        _IDENTIFIER,
        _token("type"),
        _token("topic"),
        _token("content-type", "content.contentType", system="urn:ietf:bcp:13"),
        _date("effective", "effectivePeriod"),
        _artifact("composed-of"),
        _artifact("depends-on"),
    ),
    "PlanDefinition": (
        *_published(),
        _IDENTIFIER,
        _token("type"),
        _token("topic"),
        _date("effective", "effectivePeriod"),
        _artifact("composed-of"),
        _artifact("depends-on", "library"),
    ),
    "Task": (
        _IDENTIFIER,
        _token("group-identifier", "groupIdentifier"),
        _code("status", "task-status"),
        _code("priority", "request-priority"),
        _code("intent", "request-intent"),
        _token("code"),
        _token("business-status", "businessStatus"),
        _date("authored-on", "authoredOn"),
        _date("modified", "lastModified"),
        _date("period", "executionPeriod"),
        _reference("focus", single=True),
        _reference("subject", "for", single=True),
        _patient("for"),
        _reference("owner", targets=f"CareTeam HealthcareService {_ANYBODY}", single=True),
        _reference("requester", targets=_ANYBODY, single=True),
        _token("performer", "performerType"),
        _reference("encounter", targets="Encounter", single=True),
        _reference("based-on", "basedOn"),
        _reference("part-of", "partOf", targets="Task"),
    ),
    "CommunicationRequest": (
        _IDENTIFIER,
        _token("group-identifier", "groupIdentifier"),
        _code("status", "request-status"),
        _code("priority", "request-priority"),
        _token("category"),
        _token("medium"),
        _date("authored", "authoredOn"),
        _date("occurrence", "occurrenceDateTime", "occurrencePeriod"),
        _reference("subject", targets="Group Patient", single=True),
        _patient("subject"),
        _reference("recipient", targets=_RECIPIENT),
        _reference("requester", targets=_ANYBODY, single=True),
        _reference("sender", targets=f"HealthcareService {_ANYBODY}", single=True),
        _reference("encounter", targets="Encounter", single=True),
        _reference("based-on", "basedOn"),
        _reference("replaces", targets="CommunicationRequest"),
    ),
    "Communication": (
        _IDENTIFIER,
        _code("status", "event-status"),
        _token("category"),
        _token("medium"),
        _date("sent"),
        _date("received"),
        _reference("subject", targets="Group Patient", single=True),
        _patient("subject"),
        _reference("recipient", targets=_RECIPIENT),
        _reference("sender", targets=f"HealthcareService {_ANYBODY}", single=True),
        _reference("encounter", targets="Encounter", single=True),
        _reference("based-on", "basedOn"),
        _reference("part-of", "partOf"),
    ),
    "Subscription": (
        _code("status", "subscription-status"),
        _code("type", "subscription-channel-type", path="channel.type"),
        Parameter("url", "uri", ("channel.endpoint",), single=True),
        Parameter("criteria", "string", ("criteria",), single=True),
        _token("payload", "channel.payload", system="urn:ietf:bcp:13", single=True),
        _token("contact"),
    ),
    "AuditEvent": (
        _date("date", "recorded"),
        _code("action", "audit-event-action"),
        _code("outcome", "audit-event-outcome"),
        _token("subtype"),
        _reference("entity", "entity.what"),
        Parameter("patient", "reference", ("agent.who", "entity.what"), targets=("Patient",)),
    ),
    "SearchParameter": (
        *_published("conformance", title=False),
        _token("code", single=True),
        _token("base", system="http://hl7.org/fhir/resource-types"),
        _code("type", "search-param-type"),
        _token("target", system="http://hl7.org/fhir/resource-types"),
    ),
    "OperationDefinition": (
        *_CONFORMANCE,
        _token("code", single=True),
        _code("kind", "operation-kind"),
        _token("system"),
        _token("type"),
        _token("instance"),
    ),
    "StructureDefinition": (
        *_CONFORMANCE,
        _token("identifier", definition="conformance-identifier"),
        _uri("type"),
        _canonical("base", "baseDefinition", targets="StructureDefinition", single=True),
        _code("kind", "structure-definition-kind"),
        _code("derivation", "type-derivation-rule"),
        _token("abstract"),
    ),
    "NamingSystem": (
        *(each for each in _published("conformance", title=False) if each.name not in ("url", "version")),
        _code("kind", "namingsystem-type"),
        _token("type"),
        _token("id-type", "uniqueId.type", system="http://hl7.org/fhir/namingsystem-identifier-type"),
        _string("value", "uniqueId.value"),
        _string("responsible"),
    ),
    "CodeSystem": (
        *_CONFORMANCE,
        _token("identifier", definition="conformance-identifier"),
        _token("code", "concept.code"),
        _code("content-mode", "codesystem-content-mode", path="content"),
        _uri("system", "url"),
    ),
    "ValueSet": (
        *_CONFORMANCE,
        _token("identifier", definition="conformance-identifier"),
        _token("code", "compose.include.concept.code", "expansion.contains.code"),
        _uri("reference", "compose.include.system"),
    ),
}
"""Every resource type that can be searched, with its parameters beside `COMMON`."""

COMMON: Final = (
    Parameter("_id", "token", (), "Resource-id", single=True),
    Parameter("_lastUpdated", "date", (), "Resource-lastUpdated", single=True),
    Parameter("_tag", "token", ("meta.tag",), "Resource-tag"),
    Parameter("_profile", "uri", ("meta.profile",), "Resource-profile"),
    Parameter("_security", "token", ("meta.security",), "Resource-security"),
)
"""What every type has. `_id` and `_lastUpdated` are columns of the resource and have no rows."""

OWNERS: Final[Mapping[str, tuple[str, ...]]] = {
    "intake": (
        *("QuestionnaireResponse", "Questionnaire"),
        *("StructureDefinition", "SearchParameter", "OperationDefinition", "NamingSystem"),
    ),
    "triage": (
        *("RiskAssessment", "DetectedIssue", "Provenance", "Device", "Library", "PlanDefinition"),
        *("CodeSystem", "ValueSet"),
    ),
    "notify": ("Task", "CommunicationRequest", "Communication", "Subscription"),
}
"""Which service holds which types: where a reference to one of them leads."""

HELD: Final = frozenset(each for types in OWNERS.values() for each in types)
"""The types with search rows. AuditEvent has none: the audit answers for itself, and goes along with nothing."""


@cache
def parameters_of(resource_type: str) -> Mapping[str, Parameter]:
    """The search parameters of a type by name; none but `COMMON` for a type that is not listed."""
    return {parameter.name: parameter for parameter in (*COMMON, *PARAMETERS.get(resource_type, ()))}


@cache
def indexed(resource_type: str) -> tuple[Parameter, ...]:
    """The parameters of a type that rows are made for, each element once."""
    return tuple(p for p in parameters_of(resource_type).values() if p.paths and p.stored_as == p.name)


@cache
def edition(resource_type: str) -> str:
    """Changes when the rows of this type would be made differently."""
    return hashlib.sha256(f"{READING} {indexed(resource_type)!r}".encode()).hexdigest()
