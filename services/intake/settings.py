"""Settings of intake."""

from __future__ import annotations

from pydantic import Field, SecretStr

from shared.settings import ServiceSettings


class IntakeSettings(ServiceSettings):
    """SURAL_* variables that intake reads."""

    intake_database_url: SecretStr
    """Login of the role `sural_intake`; its schema is `intake`."""
    triage_url: str = ""
    notify_url: str = ""
    """Where the neighbours' capabilities are asked for, to be merged into /fhir/metadata. Empty: alone."""
    quarantine_per_minute: int = Field(default=600, ge=1, le=10_000)
    """Most refused submissions of one tenant that are kept in a minute, or wait to be looked at."""
    quarantine_days: float = Field(default=30, ge=0)
    """Days for which an urgent refused submission is kept after its alert was acknowledged."""
