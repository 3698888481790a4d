"""An audit record as FHIR R4 AuditEvent, in the patterns of IHE Basic Audit Log Patterns (https://profiles.ihe.net/ITI/BALP).

Successful creates, reads, updates and searches claim the BALP profile of their kind; where the patient is known by a
reference, that of the Patient variant. An event is never changed, so it is put together anew from its row each time.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.audit.act import Interaction, Outcome
from shared.fhir.codes import CS_AUDIT_ACT, SID_CLIENT
from shared.fhir.identity import instant

Resource = dict[str, Any]

BALP = "https://profiles.ihe.net/ITI/BALP"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
OBJECT_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
RESTFUL = "http://hl7.org/fhir/restful-interaction"
ACTIONS = {
    Interaction.CREATE: "C",
    Interaction.READ: "R",
    Interaction.VREAD: "R",
    Interaction.UPDATE: "U",
    Interaction.DELETE: "D",
    Interaction.HISTORY_INSTANCE: "R",
    Interaction.HISTORY_TYPE: "R",
}
"""Of the others it is E, execute."""
PROFILES = {
    Interaction.CREATE: "Create",
    Interaction.READ: "Read",
    Interaction.VREAD: "Read",
    Interaction.UPDATE: "Update",
    Interaction.DELETE: "Delete",
    Interaction.SEARCH: "Query",
}
FROM_SERVER = frozenset({"R"})
"""Actions in which the data flow from the server, which is then the source."""
SOURCE_ROLE = {"system": DCM, "code": "110153", "display": "Source Role ID"}
DESTINATION_ROLE = {"system": DCM, "code": "110152", "display": "Destination Role ID"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def event_id(service: str, row: Mapping[str, Any]) -> str:
    """The FHIR id of an event: the service that recorded it, when (ms since 1970), and its number there."""
    return f"{service}-{(row['recorded'] - _EPOCH) // timedelta(milliseconds=1)}-{row['number']}"


def place_of(identifier: str) -> tuple[str, datetime, int] | None:
    """Service, time and number in an id of ours, or None."""
    service, _, rest = identifier.partition("-")
    milliseconds, _, number = rest.partition("-")
    if not (milliseconds.isdecimal() and number.isdecimal() and len(milliseconds) <= 14 and len(number) <= 18):
        return None
    return service, _EPOCH + timedelta(milliseconds=int(milliseconds)), int(number)


def audit_event(row: Mapping[str, Any], *, service: str) -> Resource:
    """The AuditEvent of a row of `audit_event`."""
    interaction = Interaction(row["interaction"])
    action = ACTIONS.get(interaction, "E")
    entities = [*_transaction(row), *_patient(row), *_data(row)]
    resource: Resource = {
        "resourceType": "AuditEvent",
        "id": event_id(service, row),
        "meta": {"versionId": "1", "lastUpdated": instant(row["recorded"])},
        "type": _type(interaction),
        "subtype": _subtypes(interaction, row["word"]),
        "action": action,
        "recorded": instant(row["recorded"]),
        "outcome": row["outcome"],
        "agent": [_client(row, action), _server(service, action)],
        "source": {
            "observer": {"display": f"Sural {service}"},
            "type": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
                    "code": "4",
                    "display": "Application Server",
                }
            ],
        },
    }
    if entities:
        resource["entity"] = entities
    if profile := _profile(interaction, row):
        resource["meta"]["profile"] = [profile]
    return resource


def _profile(interaction: Interaction, row: Mapping[str, Any]) -> str | None:
    name = PROFILES.get(interaction)
    if name is None or row["outcome"] != Outcome.SUCCESS or row["address"] is None:
        return None  # BALP asks for the client's network address, and a service at its own work has none
    if interaction is not Interaction.SEARCH and row["ref_id"] is None:
        return None
    return f"{BALP}/StructureDefinition/IHE.BasicAudit.{'Patient' if _is_patient(row['patient']) else ''}{name}"


def _type(interaction: Interaction) -> Resource:
    if interaction is Interaction.LOGIN:
        return {"system": DCM, "code": "110114", "display": "User Authentication"}
    return {"system": EVENT_TYPE, "code": "rest", "display": "RESTful Operation"}


def _subtypes(interaction: Interaction, word: str | None) -> list[Resource]:
    if interaction is Interaction.LOGIN:
        first = {"system": DCM, "code": "110122", "display": "Login"}
    else:
        first = {"system": RESTFUL, "code": str(interaction), "display": str(interaction)}
    return [first, *([{"system": CS_AUDIT_ACT, "code": word}] if word else [])]


def _client(row: Mapping[str, Any], action: str) -> Resource:
    role = DESTINATION_ROLE if action in FROM_SERVER else SOURCE_ROLE
    agent: Resource = {
        "type": {"coding": [role]},
        "who": {"identifier": {"system": SID_CLIENT, "value": row["agent"]}},
        "requestor": True,
    }
    if row["address"]:
        agent["network"] = {"address": row["address"], "type": "2"}
    return agent


def _server(service: str, action: str) -> Resource:
    role = SOURCE_ROLE if action in FROM_SERVER else DESTINATION_ROLE
    return {
        "type": {"coding": [role]},
        "who": {"display": f"Sural {service}"},
        "requestor": False,
        "network": {"address": service, "type": "1"},
    }


def _transaction(row: Mapping[str, Any]) -> list[Resource]:
    if not row["request"]:
        return []
    kind = {"system": f"{BALP}/CodeSystem/BasicAuditEntityType", "code": "XrequestId"}
    return [{"what": {"identifier": {"value": row["request"]}}, "type": kind}]


def _is_patient(patient: str | None) -> bool:
    """BALP wants a reference; one by identifier is a Reference too, and says nothing of another type."""
    if patient is None:
        return False
    return "Patient/" in patient or "|" in patient


def _patient(row: Mapping[str, Any]) -> list[Resource]:
    if not (patient := row["patient"]):
        return []
    system, bar, value = patient.rpartition("|")
    identifier = {"value": value} | ({"system": system} if system else {})
    what = {"type": "Patient", "identifier": identifier} if bar else {"reference": patient}
    return [
        {
            "what": what,
            "type": {"system": ENTITY_TYPE, "code": "1", "display": "Person"},
            "role": {"system": OBJECT_ROLE, "code": "1", "display": "Patient"},
        }
    ]


def _data(row: Mapping[str, Any]) -> list[Resource]:
    kind = {"system": ENTITY_TYPE, "code": "2", "display": "System Object"}
    if row["query"] is not None:
        text = f"{row['type']}?{row['query']}" if row["query"] else str(row["type"])
        query = base64.b64encode(text.encode()).decode()
        return [{"type": kind, "role": {"system": OBJECT_ROLE, "code": "24", "display": "Query"}, "query": query}]
    if row["ref_id"] is None:
        return []
    version = f"/_history/{row['ref_version']}" if row["ref_version"] else ""
    role = {"system": OBJECT_ROLE, "code": "4", "display": "Domain Resource"}
    return [{"what": {"reference": f"{row['type']}/{row['ref_id']}{version}"}, "type": kind, "role": role}]
