"""Settings of intake."""

from __future__ import annotations

from pydantic import SecretStr

from shared.settings import ServiceSettings


class IntakeSettings(ServiceSettings):
    """SURAL_* variables that intake reads."""

    intake_database_url: SecretStr
    """Login of the role `sural_intake`; its schema is `intake`."""
    triage_url: str = ""
    notify_url: str = ""
    """Where the neighbours' capabilities are asked for, to be merged into /fhir/metadata. Empty: alone."""
