"""What the routes of intake share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from services.intake.catalogue import Catalogue
from services.intake.publication import FindValueSet
from services.intake.safety_net import SafetyNet
from services.intake.together import Together
from shared.fhir.canonicals import url_and_version
from shared.fhir.client import FhirClient, NeighbourUnavailable
from shared.fhir.rest import ResourceApi
from shared.problems import Category, Problem, ProblemError


@dataclass(frozen=True, slots=True)
class IntakeContext:
    """`stored` is called after each new version of a response, to wake the relay.

    `terminology` is the neighbour that has the value sets; None where intake is alone.
    """

    api: ResourceApi
    catalogue: Catalogue
    together: Together
    net: SafetyNet
    stored: Callable[[], None]
    terminology: FhirClient | None

    def value_sets_of(self, tenant: UUID) -> FindValueSet:
        """How value sets are found that a Questionnaire of this tenant names and does not contain."""

        def find(canonical: str) -> dict[str, object] | None:
            if self.terminology is None:
                return None
            url, version = url_and_version(canonical)
            wanted = {"url": url, "version": version} if version else {"url": url}
            try:
                found = self.terminology.find("ValueSet", wanted, tenant=tenant)
            except NeighbourUnavailable:
                raise ProblemError(
                    Problem(
                        Category.UNAVAILABLE,
                        "service-unavailable",
                        "The service that has the value sets does not answer now. Send the same request again.",
                        issue_code="transient",
                    )
                ) from None
            return found[-1] if found else None

        return find
