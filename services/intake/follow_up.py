"""All that followed from a response or a refused submission, asked of the services that hold it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.intake.neighbours import Neighbours
from shared.fhir.client import FhirClient, NeighbourUnavailable
from shared.fhir.codes import SID_ALERT

Resource = dict[str, Any]
OF_TRIAGE = ("RiskAssessment", "DetectedIssue")
OF_AN_ALERT = ("CommunicationRequest", "Communication")
MOST = "200"


@dataclass(slots=True)
class FollowUp:
    """Resources by type, in the order of their last change; `silent`: services that did not answer."""

    found: dict[str, list[Resource]] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)

    def of(self, resource_type: str) -> list[Resource]:
        """All of this type."""
        return self.found.get(resource_type, [])

    def __iter__(self) -> Iterator[Resource]:
        for resources in self.found.values():
            yield from resources


def follow_up(neighbours: Neighbours, tenant: UUID, system: str, value: str) -> FollowUp:
    """What carries this identifier, and the messages of its alerts. A service that is away is named, not waited for."""
    answer = FollowUp()
    identifier = f"{system}|{value}"
    try:
        for resource_type in OF_TRIAGE:
            answer.found[resource_type] = _find(neighbours.triage, resource_type, "identifier", identifier, tenant)
        if targets := ",".join(f"RiskAssessment/{one['id']}" for one in answer.of("RiskAssessment")):
            answer.found["Provenance"] = _find(neighbours.triage, "Provenance", "target", targets, tenant)
    except NeighbourUnavailable:
        answer.silent.append("triage")
    try:
        tasks = answer.found["Task"] = _find(neighbours.notify, "Task", "identifier", identifier, tenant)
        alerts = ",".join(f"{SID_ALERT}|{task['id']}" for task in tasks)
        for resource_type in OF_AN_ALERT if alerts else ():
            answer.found[resource_type] = _find(neighbours.notify, resource_type, "identifier", alerts, tenant)
    except NeighbourUnavailable:
        answer.silent.append("notify")
    return answer


def _find(client: FhirClient | None, resource_type: str, parameter: str, value: str, tenant: UUID) -> list[Resource]:
    if client is None:
        raise NeighbourUnavailable("no address is set")
    return client.find(resource_type, {parameter: value, "_count": MOST}, tenant=tenant)
