"""All that followed from a response or a refused submission, asked of the services that hold it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.intake.neighbours import Neighbours
from shared.fhir.client import FhirClient, NeighbourUnavailable
from shared.fhir.codes import SID_ALERT

Resource = dict[str, Any]
OF_TRIAGE = ("RiskAssessment", "DetectedIssue")
OF_AN_ALERT = ("CommunicationRequest", "Communication")
MOST = 1000
"""Most resources of one type that are asked for."""
PAGE, KEYS = 200, 50
"""How many of them at once, and of how many keys: these stand in an address."""


@dataclass(slots=True)
class FollowUp:
    """Resources by type, in the order of their last change.

    `silent`: services that did not answer. `cut`: types of which there are more than `MOST`; the first are here.
    """

    found: dict[str, list[Resource]] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)

    def of(self, resource_type: str) -> list[Resource]:
        """All of this type."""
        return self.found.get(resource_type, [])

    def __iter__(self) -> Iterator[Resource]:
        for resources in self.found.values():
            yield from resources


def follow_up(neighbours: Neighbours, tenant: UUID, system: str, value: str) -> FollowUp:
    """What carries this identifier, and the messages of its alerts. A service that is away is named, not waited for."""
    answer = FollowUp()
    wanted = [f"{system}|{value}"]

    def find(client: FhirClient | None, resource_type: str, parameter: str, values: Sequence[str]) -> None:
        if client is None:
            raise NeighbourUnavailable("no address is set")
        found: dict[str, Resource] = {}
        more = False
        for start in range(0, len(values), KEYS):
            asked = {parameter: ",".join(values[start : start + KEYS]), "_count": str(PAGE)}
            some, further = client.find_all(resource_type, asked, most=MOST, tenant=tenant)
            found |= {str(one["id"]): one for one in some}
            more = more or further
        answer.found[resource_type] = list(found.values())[:MOST]
        if more or len(found) > MOST:
            answer.cut.append(resource_type)

    try:
        for resource_type in OF_TRIAGE:
            find(neighbours.triage, resource_type, "identifier", wanted)
        targets = [f"RiskAssessment/{one['id']}" for one in answer.of("RiskAssessment")]
        find(neighbours.triage, "Provenance", "target", targets)
    except NeighbourUnavailable:
        answer.silent.append("triage")
    try:
        find(neighbours.notify, "Task", "identifier", wanted)
        alerts = [f"{SID_ALERT}|{task['id']}" for task in answer.of("Task")]
        for resource_type in OF_AN_ALERT:
            find(neighbours.notify, resource_type, "identifier", alerts)
    except NeighbourUnavailable:
        answer.silent.append("notify")
    return answer
