"""The audit of the other services of a base, asked for one tenant by our own services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import httpx

from shared.access.service_token import ServiceToken
from shared.audit.event import Resource, place_of
from shared.problems import Category, Problem, ProblemError

TIMEOUT_S = 5.0
PATHS = {"triage": "fhir/RiskAssessment/$audit", "notify": "fhir/Task/$audit", "intake": "fhir/Questionnaire/$audit"}
"""Below a type that the service owns, so that a proxy leads there."""


class AuditNeighbours:
    """Where the other services are. A part that cannot be had refuses the whole: half an audit looks like all of it."""

    def __init__(self, addresses: Mapping[str, str], token: ServiceToken | None) -> None:
        """`addresses`: service to URL; an empty one is not known."""
        self._addresses = {service: url.rstrip("/") for service, url in addresses.items() if url}
        self._token = token

    def find(self, tenant: UUID, pairs: Sequence[tuple[str, str]]) -> list[list[Resource]]:
        """What each has on the page that these parameters ask for. Raises ProblemError 503."""
        return [self._ask(service, tenant, pairs) for service in self._addresses]

    def read(self, tenant: UUID, identifier: str) -> Resource | None:
        """One event, of the service that its id names; None when there is none. Raises ProblemError 503."""
        place = place_of(identifier)
        if place is None or place[0] not in self._addresses:
            return None
        found = self._ask(place[0], tenant, [("_id", identifier)])
        return found[0] if found else None

    def _ask(self, service: str, tenant: UUID, pairs: Sequence[tuple[str, str]]) -> list[Resource]:
        headers = {"Authorization": self._token.authorization(tenant)} if self._token else {}
        try:
            answer = httpx.get(
                f"{self._addresses[service]}/{PATHS[service]}",
                params=list(pairs),
                headers=headers,
                timeout=TIMEOUT_S,
                trust_env=False,
            )
            answer.raise_for_status()
            found: list[Resource] = answer.json()["events"]
        except (httpx.HTTPError, ValueError, KeyError):
            raise ProblemError(
                Problem(
                    Category.UNAVAILABLE,
                    "audit-incomplete",
                    f"The part of the audit that {service} keeps cannot be read now. Send the same request again.",
                    issue_code="transient",
                )
            ) from None
        return found
