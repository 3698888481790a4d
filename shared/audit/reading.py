"""What was read and searched, recorded before it is given out."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode
from uuid import UUID

import orjson

from shared.audit.act import Act, Interaction, patient_of, record
from shared.fhir.resources import PUBLISHED_TYPES, Stored
from shared.postgres import DictConnection


def record_reading(connection: DictConnection, tenant: UUID, interaction: Interaction, stored: Stored | None) -> None:
    """Record that a version was read. What is not there says nothing of anybody."""
    if stored is not None:
        patient = None if stored.type in PUBLISHED_TYPES else patient_of(orjson.loads(stored.body))
        act = Act(interaction, stored.type, id=stored.id, version=stored.version_id, patient=patient)
        record(connection, tenant, act)


def record_history(
    connection: DictConnection, tenant: UUID, resource_type: str, resource_id: str | None, found: Sequence[Stored]
) -> None:
    """Record whose history was read: of one resource, or of all of a type."""
    if resource_id is None:
        record(connection, tenant, Act(Interaction.HISTORY_TYPE, resource_type))
    elif found:
        patient = None if resource_type in PUBLISHED_TYPES else patient_of(orjson.loads(found[0].body))
        record(connection, tenant, Act(Interaction.HISTORY_INSTANCE, resource_type, id=resource_id, patient=patient))


def record_search(
    connection: DictConnection, tenant: UUID, resource_type: str, used: Sequence[tuple[str, str]]
) -> None:
    """Record what was searched for."""
    patients = [value for name, value in used if name in ("patient", "subject")]
    patient = patients[0] if len(patients) == 1 and "," not in patients[0] else None
    if patient is not None and "/" not in patient and "|" not in patient:
        patient = f"Patient/{patient}"
    record(connection, tenant, Act(Interaction.SEARCH, resource_type, patient=patient, query=urlencode(used)))
