"""The services that intake asks on behalf of others: what became of a response stands with them."""

from __future__ import annotations

from dataclasses import dataclass

from services.intake.settings import IntakeSettings
from shared.access.service_token import signer
from shared.fhir.client import FhirClient


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Triage and notify, each None where intake runs alone."""

    triage: FhirClient | None
    notify: FhirClient | None

    def close(self) -> None:
        """Give the connections back."""
        for client in (self.triage, self.notify):
            if client is not None:
                client.close()


def neighbours(settings: IntakeSettings) -> Neighbours:
    """Those whose addresses are set. The caller closes them."""
    token = signer(settings.service_token, "intake")
    return Neighbours(
        *(FhirClient(url, token=token) if url else None for url in (settings.triage_url, settings.notify_url))
    )
